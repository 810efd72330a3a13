/*
 * Speed and accuracy of the library's inverse roots of positive definite matrices, against the
 * matrix product they stand on, the coupled Newton iteration of other Shampoos, and LAPACK's
 * eigenvalues in single precision.
 */
#ifndef WORKLOAD_ROOT_BENCHMARK_H
#define WORKLOAD_ROOT_BENCHMARK_H

#include "workload/quartiles.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum root_contestant {
    ROOT_RATIONAL,       /* PLUMB_ROOT_RATIONAL with its default tolerance */
    ROOT_EIGEN,          /* PLUMB_ROOT_EIGEN */
    ROOT_COUPLED_NEWTON, /* power -1/4 only */
    ROOT_SSYEVD,         /* the decomposition alone: no root is formed, and no error known */
    ROOT_CONTESTANTS
} root_contestant;

extern const char *const root_contestant_names[ROOT_CONTESTANTS];

typedef struct root_result {
    bool ran;
    quartiles seconds, units; /* units: of one sgemm of side x side by side x side */
    quartiles coupled_newton; /* how many times as long that took; count 0: it did not run */
    double error;             /* relative, in the Frobenius norm; NaN: none known */
    int iterations;           /* of the coupled Newton iteration */
} root_result;

typedef struct root_results {
    double product_seconds; /* median of the unit */
    root_result of[ROOT_CONTESTANTS];
} root_results;

/*
 * The power -1/root, root 1, 2 or 4, of a side x side matrix whose eigenvalues go from 1 down to
 * 1/condition in equal ratios, in an orthonormal basis of normal numbers' QR. Returns 0, or 1 with
 * a line in `message`.
 */
int root_benchmark(int64_t side, double condition, int root, double seconds, root_results *results,
                   char *message, size_t message_size);

#endif
