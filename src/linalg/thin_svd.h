/*
 * The thin singular value decomposition G = U S V' of a float matrix in double, from LAPACK: what
 * the reference polar factor and the symmetric factor rest on.
 */
#ifndef PLUMB_LINALG_THIN_SVD_H
#define PLUMB_LINALG_THIN_SVD_H

#include "linalg/polar_prescale.h"
#include "plumb.h"

typedef struct thin_svd {
    int rows, cols, side; /* side = min(rows, cols) */
    double *scratch;      /* rows x cols, free to use once the decomposition is there */
    double *values;       /* side, descending: S of the prescaled matrix */
    double *left;         /* rows x side, row-major: U */
    double *right;        /* side x cols, row-major: V' */
} thin_svd;

/*
 * Decomposes 2^-exponent times `matrix` (rows x cols, row-major), which must be finite.
 * Errors: ARGUMENT (a side too large for LAPACK), MEMORY, NUMERICAL (no convergence). After an
 * error there is nothing to free.
 */
plumb_status thin_svd_compute(int rows, int cols, const float *matrix, polar_prescale prescale,
                              thin_svd *svd);

void thin_svd_free(thin_svd *svd);

#endif
