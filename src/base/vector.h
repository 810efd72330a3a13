/*
 * Element-wise loops over 32-bit floats, compiled for AVX-512, AVX2 and the baseline and chosen at
 * run time. Without contraction and without reassociation all three give the same bits.
 */
#ifndef PLUMB_BASE_VECTOR_H
#define PLUMB_BASE_VECTOR_H

#include <stdbool.h>
#include <stdint.h>

/* Runs compiled for several vector units; the loader picks one. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(PLUMB_NO_VECTOR_CLONES)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES
#endif

/* Elements of one block: sums of squares are formed per block, slices are cut at its borders. */
enum { VECTOR_BLOCK = 4096 };

/* to[i] = scale * from[i]; true if all of `from` are finite. `to` may be `from`. */
bool vector_scale_checked(int64_t count, float scale, const float *from, float *to);

/* to[i] = left[i] + scale * right[i] (two roundings); true if all of `right` are finite. `to` may
 * be `left` or `right`. */
bool vector_add_checked(int64_t count, const float *left, float scale, const float *right,
                        float *to);

/* to[i] = left[i] + right[i]; `to` may be either. */
void vector_add(int64_t count, const float *left, const float *right, float *to);

/* to[i] = from[i] / divisor, correctly rounded; `to` may be `from`. */
void vector_divide(int64_t count, float divisor, const float *from, float *to);

/* to[i] = scale * from[i]; `to` may be `from`. */
void vector_scale(int64_t count, float scale, const float *from, float *to);

/* Sum of squares in double, in an order that depends on `count` alone. */
double vector_sum_squares(int64_t count, const float *values);

/* True if all values are finite. */
bool vector_all_finite(int64_t count, const float *values);
bool vector_all_finite_doubles(int64_t count, const double *values);

/* Largest magnitude; 0 for count 0. Not for NaN. */
float vector_largest(int64_t count, const float *values);

#endif
