/*
 * The products that statistics of vectors and their jackknife are made of: those of all vectors
 * with each other. With them, leaving one vector out takes no pass over data.
 */
#ifndef PLUMB_DIAGNOSE_VECTOR_SUMS_H
#define PLUMB_DIAGNOSE_VECTOR_SUMS_H

#include "plumb.h"

typedef struct vector_sums {
    int64_t count;
    double *products;   /* [count][count]: x_j . x_k */
    double *along;      /* [count]: x_k . sum x */
    double sum_of_own;  /* sum |x_k|^2 */
    double squared_sum; /* |sum x|^2 */
} vector_sums;

/* Of vectors[count][length]. Errors: MEMORY; there is nothing to free then. */
plumb_status vector_sums_create(int64_t count, int64_t length, const float *vectors,
                                vector_sums *sums);

void vector_sums_free(vector_sums *sums);

/* sum |x_k - mean|^2 / (count - 1) */
double vector_sums_variance(const vector_sums *sums);

/* The same without the vectors a and b, b = a: without a alone. */
double vector_sums_variance_without(const vector_sums *sums, int64_t a, int64_t b);

/* The mean of x_j . x_k over all j != k, whose expectation is |E x|^2; and without one of them. NAN
 * if there is no such product. */
double vector_sums_squared_mean(const vector_sums *sums);
double vector_sums_squared_mean_without(const vector_sums *sums, int64_t one);

/* The standard error of an estimate from those that leave one of `count` out; below two NAN. */
double vector_sums_jackknife_error(int64_t count, const double *without);

#endif
