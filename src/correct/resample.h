/*
 * Less biased estimates of f(expectation) for any function f of a matrix, from K symmetric samples
 * of equal weight: f of means over parts of the samples, combined so that the bias of order 1/K
 * goes. No derivative is needed, and for a quadratic f both are exactly unbiased. They may leave
 * the cone of positive definite matrices, which the caller has to look at.
 *
 * Matrices are n x n, row-major, in double; lower triangles of samples are read, and means have
 * both.
 */
#ifndef PLUMB_CORRECT_RESAMPLE_H
#define PLUMB_CORRECT_RESAMPLE_H

#include "plumb.h"

typedef struct resample_samples {
    int64_t n, count;
    const double *values; /* [count][n][n] */
} resample_samples;

/* f: n x n to n x n. */
typedef struct resample_function {
    plumb_status (*apply)(void *context, const double *matrix, double *result);
    void *context;
} resample_function;

/* The mean of samples first .. end - 1. */
void resample_mean(const resample_samples *s, int64_t first, int64_t end, double *mean);

/* scratch: 2 n^2 elements. `result` is undefined after an error, which is f's. No aliases. */

/* Quenouille 1956: K f(mean) - (K - 1)/K sum of f(mean without sample k). count >= 2. */
plumb_status resample_jackknife(const resample_samples *s, resample_function f, double *scratch,
                                double *result);

/* 2 f(mean) - (f(mean of the first half) + f(mean of the second half)) / 2. count even. */
plumb_status resample_half_sample(const resample_samples *s, resample_function f, double *scratch,
                                  double *result);

#endif
