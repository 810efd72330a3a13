/*
 * The inverse of a symmetric positive definite matrix by recursion into products of matrices: what
 * every rational function of a matrix here is made of. Matrices are n x n, row-major; of the input
 * the lower triangle is read, of the result the lower triangle counts: above it anything may be
 * written. Sums of inverses are mirrored once, at their end.
 */
#ifndef PLUMB_LINALG_POSITIVE_INVERSE_H
#define PLUMB_LINALG_POSITIVE_INVERSE_H

#include <stdbool.h>
#include <stdint.h>

/* Elements of scratch that one call needs. */
int64_t positive_inverse_scratch(int n);

/*
 * inverse = (matrix + shift I)^-1 through a Cholesky factor L: L^-1, then L^-T L^-1. `inverse` may
 * be `matrix`. False, with `inverse` undefined, if the matrix is not positive definite to rounding.
 */
bool positive_inverse_single(int n, const float *matrix, float shift, float *inverse,
                             float *scratch);
bool positive_inverse_double(int n, const double *matrix, double shift, double *inverse,
                             double *scratch);

/*
 * The same by recursive Gauss-Jordan elimination, about a fifth faster, for matrices of condition
 * up to about 1e3, in double 1e6: beyond, Schur complements lose definiteness.
 */
bool positive_inverse_conditioned(int n, const float *matrix, float shift, float *inverse,
                                  float *scratch);
bool positive_inverse_conditioned_double(int n, const double *matrix, double shift, double *inverse,
                                         double *scratch);

/* Sums of such matrices: the lower triangle of sum = value I, and += fl(weight matrix). */
void positive_begin_single(int n, float value, float *sum);
void positive_begin_double(int n, double value, double *sum);
void positive_add_single(int n, float weight, const float *matrix, float *sum);
void positive_add_double(int n, double weight, const double *matrix, double *sum);

/* Copies the lower triangle to the upper one. */
void positive_mirror_single(int n, float *matrix);
void positive_mirror_double(int n, double *matrix);

#endif
