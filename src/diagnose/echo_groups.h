/*
 * The groups' gradients as the echo needs them: in double, lying on their long side (side x length,
 * side <= length: tall matrices are transposed), several added up into a fold, and whitened. One at
 * a time, so that memory does not grow with their number.
 */
#ifndef PLUMB_DIAGNOSE_ECHO_GROUPS_H
#define PLUMB_DIAGNOSE_ECHO_GROUPS_H

#include "plumb.h"

typedef struct echo_whitening {
    double *left;  /* side: scales of rows; NULL: not whitened */
    double *right; /* length: scales of columns */
} echo_whitening;

typedef struct echo_groups {
    int64_t rows, cols; /* of the gradients as they were given */
    int64_t count;
    const float *const *gradients;
    int64_t folds;        /* a divisor of count */
    int64_t side, length; /* min and max of rows and cols */
    echo_whitening whitening;
} echo_groups;

/* Checks everything but the folds, which are one a group. Errors: ARGUMENT, NONFINITE. */
plumb_status echo_groups_init(int64_t rows, int64_t cols, int64_t count,
                              const float *const *gradients, echo_groups *groups);

/* matrix[side][length] = the mean of the fold's groups, or of all groups. */
void echo_groups_fold(const echo_groups *groups, int64_t fold, double *matrix);
void echo_groups_mean(const echo_groups *groups, double *matrix);

/* sum (a - b)^2 over side x length elements. */
double echo_groups_distance(const echo_groups *groups, const double *a, const double *b);

#endif
