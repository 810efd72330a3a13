/*
 * The fast polar factor in parts that different ranks may compute: W = G S with
 * S = (G'G + d^2 I)^(-1/2), G rows x side with rows >= side, given in panels of rows.
 *
 *     panels -> exponent       polar_panel_exponent, the largest wins
 *     panels -> Gram matrices  polar_panel_gram; the sum, in an order that the caller keeps
 *     Gram   -> scale          polar_fast_scale, of the sum
 *     Gram   -> pole inverses  polar_fast_pole, each pole by itself
 *     poles  -> S              polar_fast_begin_factor, polar_fast_add_pole in the order of poles,
 *                              polar_fast_end_factor
 *     panels -> W              polar_panel_apply, panel by panel
 *
 * The whole factor (PLUMB_POLAR_FAST) makes the same calls with the same panels, so it has the same
 * bits wherever they are made. Memory that BLAS sees is the functions' own or aligned alike.
 */
#ifndef PLUMB_LINALG_POLAR_PANELS_H
#define PLUMB_LINALG_POLAR_PANELS_H

#include <stdbool.h>

#include "linalg/partial_fractions.h"
#include "plumb.h"

enum { POLAR_MOST_PANELS = 8 };

/* Below this delta a Gram matrix in single precision does not carry delta^2: there are no panels,
 * and the functions on Gram matrices must not be called. */
static const double POLAR_PANELS_LEAST_DELTA = 2.5e-3;

/*
 * Panels of a rows x cols matrix: a function of its shape alone. 1 for all that is small or wide.
 * Panel i has polar_panel_rows(...) rows from polar_panel_first(...): every panel but the last has
 * a number of elements that `unit` divides.
 */
int polar_panel_count(int64_t rows, int64_t cols, int64_t unit);
int64_t polar_panel_first(int64_t rows, int64_t cols, int64_t unit, int panel);

/* The fast method's parameters for one `side`, from the options (delta, poles; 0: defaults). */
typedef struct polar_fast {
    int side;
    double delta;
    partial_fractions fractions; /* of x^(-1/2) on [about delta^2, 1] */
} polar_fast;

plumb_status polar_fast_create(int side, double delta, int poles, polar_fast *fast);

/* The binary exponent of the panel's largest magnitude, INT_MIN for all zero. NONFINITE. */
plumb_status polar_panel_exponent(int64_t rows, int side, const float *panel, int *exponent);

/* gram (side x side, both triangles) = P'P of the panel P scaled by 2^-exponent. MEMORY. */
plumb_status polar_panel_gram(int64_t rows, int side, const float *panel, int exponent,
                              float *gram);

/*
 * *scale: an upper estimate, from a fixed start, of the largest eigenvalue of the whole Gram matrix
 * (both triangles given), the unit of all that follows. MEMORY.
 */
plumb_status polar_fast_scale(const polar_fast *fast, const float *gram, float *scale);

/* inverse (side x side, lower triangle) = weight (gram + shift I)^-1 of one pole. MEMORY,
 * NUMERICAL. */
plumb_status polar_fast_pole(const polar_fast *fast, const float *gram, float scale, int pole,
                             float *inverse);

/* Lower triangle of factor = constant I, then += the poles, 0 first; at last both triangles: S. */
void polar_fast_begin_factor(const polar_fast *fast, float scale, float *factor);
void polar_fast_add_pole(const polar_fast *fast, const float *inverse, float *factor);
void polar_fast_end_factor(const polar_fast *fast, float *factor);

/* result (rows x side; may be `panel`) = scaled panel times S. MEMORY. */
plumb_status polar_panel_apply(int64_t rows, int side, const float *panel, int exponent,
                               const float *factor, float *result);

#endif
