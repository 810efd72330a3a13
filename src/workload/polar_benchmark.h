/*
 * Speed and accuracy of the library's polar factors, against the matrix product they stand on and
 * against LAPACK's singular value decomposition in single precision.
 */
#ifndef WORKLOAD_POLAR_BENCHMARK_H
#define WORKLOAD_POLAR_BENCHMARK_H

#include "workload/quartiles.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum polar_contestant {
    POLAR_FAST,      /* delta 1e-2 */
    POLAR_FAST_FINE, /* delta 3e-3 */
    POLAR_EXACT,
    POLAR_NEWTON_SCHULZ, /* as published: whole products */
    POLAR_NEWTON_SCHULZ_SYMMETRIC,
    POLAR_POLAR_EXPRESS,
    POLAR_SVD,
    POLAR_SGESDD, /* LAPACK's thin U and V', and their product */
    POLAR_CONTESTANTS
} polar_contestant;

extern const char *const polar_contestant_names[POLAR_CONTESTANTS + 1]; /* ends with NULL */

/* W by the contestant; matrix and polar are rows x cols. 0, or 1 with a line in `message`. */
int polar_contestant_run(polar_contestant which, int64_t rows, int64_t cols, const float *matrix,
                         float *polar, char *message, size_t message_size);

/* Delta of the two fast ones; 0 of the others. */
double polar_contestant_delta(polar_contestant which);

typedef struct polar_speed {
    bool ran;
    quartiles seconds, units;        /* units: of one sgemm of rows x cols by cols x cols */
    quartiles newton_schulz, sgesdd; /* how many times as long those took */
} polar_speed;

typedef struct polar_speeds {
    double product_seconds; /* median of the unit */
    polar_speed of[POLAR_CONTESTANTS];
} polar_speeds;

/* Times the wanted contestants on a matrix of that condition number (polar_input_make), or of normal
 * numbers if it is 0. 0, or 1 with a line in `message`. */
int polar_benchmark(int64_t rows, int64_t cols, double condition, const bool *wanted,
                    double seconds, polar_speeds *speeds, char *message, size_t message_size);

typedef struct polar_batch_speeds {
    double product_seconds; /* median of `count` products */
    /* In units of those products: all in one call, one by one, Newton-Schulz one by one. */
    quartiles batch, single, newton_schulz;
    quartiles batch_over_single; /* time */
} polar_batch_speeds;

/* The same for `count` matrices of side x side by POLAR_FAST. */
int polar_batch_benchmark(int64_t count, int64_t side, double seconds, polar_batch_speeds *speeds,
                          char *message, size_t message_size);

/* Standard normal numbers that depend on `key`. */
void polar_benchmark_fill(int64_t count, uint64_t key, float *values);

#endif
