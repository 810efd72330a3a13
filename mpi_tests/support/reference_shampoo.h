/*
 * Shampoo with all its corrections as plain loops in double, one block, independent of BLAS, LAPACK
 * and src/: formula by formula, nothing shared and nothing saved.
 */
#ifndef SUPPORT_REFERENCE_SHAMPOO_H
#define SUPPORT_REFERENCE_SHAMPOO_H

#include "plumb.h"

enum { REFERENCE_SHAMPOO_SIDE = 16, REFERENCE_SHAMPOO_GROUPS = 8 };
enum { REFERENCE_SHAMPOO_COUNT = REFERENCE_SHAMPOO_SIDE * REFERENCE_SHAMPOO_SIDE };

/* The averages and roots from some of the groups. */
typedef struct reference_shampoo_track {
    double moment[REFERENCE_SHAMPOO_COUNT];
    double averages[2][REFERENCE_SHAMPOO_COUNT], roots[2][REFERENCE_SHAMPOO_COUNT];
} reference_shampoo_track;

typedef struct reference_shampoo {
    int rows, cols, groups, updates;
    plumb_parameter_options options;
    double values[REFERENCE_SHAMPOO_COUNT], second[REFERENCE_SHAMPOO_COUNT];
    reference_shampoo_track whole, without[REFERENCE_SHAMPOO_GROUPS];
    double direction[REFERENCE_SHAMPOO_COUNT]; /* of the last step, before grafting */
    int clipped;                               /* whether its jackknife met its bound */
} reference_shampoo;

/* One update from the gradients of the groups. */
void reference_shampoo_step(reference_shampoo *r, double rate, float *const *gradients);

/* Eigenvalues and, in columns, eigenvectors of a symmetric n x n matrix by Jacobi's rotations. */
void reference_eigen(int n, const double *matrix, double *values, double *vectors);

#endif
