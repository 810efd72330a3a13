/*
 * The exact scaling that makes every polar method indifferent to the size of its matrix: by the
 * power of two that brings the largest magnitude into [1/2, 1). Two matrices that differ by a
 * power of two become the same bits here, so what follows cannot tell them apart; and squares of
 * what comes out neither overflow nor vanish.
 */
#ifndef PLUMB_LINALG_POLAR_PRESCALE_H
#define PLUMB_LINALG_POLAR_PRESCALE_H

#include <stdbool.h>

#include "plumb.h"

typedef struct polar_prescale {
    bool zero;    /* all elements are zero; the exponent is 0 then */
    int exponent; /* largest magnitude = m 2^exponent with m in [1/2, 1) */
} polar_prescale;

/* Finds the scale of `count` elements. Errors: NONFINITE if one of them is NaN or Inf. */
plumb_status polar_prescale_find(int64_t count, const float *matrix, polar_prescale *prescale);

/* scaled[i] = 2^-exponent matrix[i], exact unless it falls below 2^-126; may be in place. */
void polar_prescale_single(int64_t count, const float *matrix, polar_prescale prescale,
                           float *scaled);

/* The same in double, where it is always exact. */
void polar_prescale_double(int64_t count, const float *matrix, polar_prescale prescale,
                           double *scaled);

#endif
