/*
 * The steps between a Gram matrix and S = (G'G + d^2 I)^(-1/2) with the caller's scratch memory:
 * what polar_panels.h offers to ranks that share the work, and what the whole factor is made of.
 * The same calls in the same order give the same bits, whoever makes them.
 */
#ifndef PLUMB_LINALG_POLAR_FAST_H
#define PLUMB_LINALG_POLAR_FAST_H

#include <stdbool.h>

#include "linalg/polar_methods.h"
#include "linalg/polar_panels.h"

/* Bounds of delta and its default. */
static const double POLAR_LEAST_DELTA = 1e-4, POLAR_DEFAULT_DELTA = 1e-2;

/* As polar_fast_scale, with so many elements of scratch. */
float polar_fast_scale_in(int side, const float *gram, float *scratch);
int64_t polar_fast_scale_scratch(int side);

/* The lower triangle of the inverse alone, without its weight. False if it does not exist to rounding. */
bool polar_fast_invert(const polar_fast *fast, const float *gram, float scale, int pole,
                       float *inverse, float *scratch);

plumb_status polar_fast_not_positive(int pole); /* raises NUMERICAL */

/* What the inverse counts: by positive_add_single. */
float polar_fast_weight(const polar_fast *fast, float scale, int pole);

/* The whole factor with everything square in double, for a delta below POLAR_PANELS_LEAST_DELTA. */
plumb_status polar_by_fast_double(const polar_problem *problem, const polar_fast *fast);

#endif
