/*
 * Eigenvalues and eigenvectors of symmetric matrices in double, and the change of basis that goes
 * with them: what every power of a matrix preconditioner rests on.
 *
 * Matrices are n x n and row-major. Of a symmetric input only the lower triangle (column <= row)
 * is read; a symmetric output has both, equal to the last bit.
 */
#ifndef PLUMB_LINALG_SPECTRUM_H
#define PLUMB_LINALG_SPECTRUM_H

#include <stdbool.h>

#include "plumb.h"

/* Largest n: LAPACK counts its work array of 2 n^2 + 6 n + 1 elements in 32 bits. */
enum { SPECTRUM_MAX_SIDE = 32766 };

/* A fault that tests inject: that many calls of spectrum_compute from now fail with NUMERICAL. */
extern int spectrum_faults;

/*
 * matrix = Q diag(values) Q', values ascending; *column* j of `vectors` is the j-th eigenvector.
 * No aliases. The matrix is scaled by a power of two first, so that its size is of no importance.
 * The same matrix gives the same bits; the signs of the vectors are LAPACK's choice.
 * Errors: ARGUMENT (n), NONFINITE, MEMORY, NUMERICAL (no convergence). Values and vectors are
 * undefined after an error.
 */
plumb_status spectrum_compute(int64_t n, const double *matrix, double *values, double *vectors);

/* The same with the caller's work space of as many elements as these say. */
plumb_status spectrum_compute_in(int64_t n, const double *matrix, double *values, double *vectors,
                                 double *doubles, int *integers);

static inline int64_t spectrum_doubles(int64_t n)
{
    return 2 * n * n + 6 * n + 1;
}

static inline int64_t spectrum_integers(int64_t n)
{
    return 5 * n + 3;
}

/* rotated = Q' matrix Q, and its inverse: matrix = Q rotated Q'. scratch: n x n. No aliases. */
void spectrum_rotate(int64_t n, const double *vectors, const double *matrix, double *scratch,
                     double *rotated);
void spectrum_rotate_back(int64_t n, const double *vectors, const double *rotated, double *scratch,
                          double *matrix);

/* diagonal[k] = q_k' matrix q_k, at half the cost of rotating. scratch: n x n. */
void spectrum_rayleigh(int64_t n, const double *vectors, const double *matrix, double *scratch,
                       double *diagonal);

/* matrix = Q diag(diagonal) Q', none of `diagonal` negative. scratch: n x n. No aliases. */
void spectrum_rebuild(int64_t n, const double *vectors, const double *diagonal, double *scratch,
                      double *matrix);

/*
 * Puts the lower triangular L of matrix = L L' in place of the lower triangle; the rest is left.
 * False if the matrix is not positive definite, and undefined then.
 */
bool spectrum_cholesky(int64_t n, double *matrix);

/* Copies the lower triangle to the upper one. */
void spectrum_mirror(int64_t n, double *matrix);

/* The largest magnitude in the lower triangle; infinite if one of its elements is not finite. */
double spectrum_largest(int64_t n, const double *matrix);

#endif
