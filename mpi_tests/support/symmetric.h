/*
 * Symmetric matrices in double with known eigenvalues, and plain loops over them: what the tests of
 * spectra and matrix roots are made of. All n x n, row-major.
 */
#ifndef SUPPORT_SYMMETRIC_H
#define SUPPORT_SYMMETRIC_H

#include <math.h>
#include <stdint.h>

#include "support/test.h"

enum { SYMMETRIC_MOST = 64 };

/* Orthonormal columns, by Gram-Schmidt done twice. */
static inline void symmetric_basis(int n, uint64_t seed, double *basis)
{
    for (int j = 0; j < n; j++) {
        double norm = 0.0;
        for (int i = 0; i < n; i++) {
            basis[i * n + j] = (double)test_value(seed, (uint64_t)i, (uint64_t)j);
        }
        for (int pass = 0; pass < 2 * j; pass++) {
            double overlap = 0.0;
            for (int i = 0; i < n; i++) {
                overlap += basis[i * n + j] * basis[i * n + pass % j];
            }
            for (int i = 0; i < n; i++) {
                basis[i * n + j] -= overlap * basis[i * n + pass % j];
            }
        }
        for (int i = 0; i < n; i++) {
            norm += basis[i * n + j] * basis[i * n + j];
        }
        for (int i = 0; i < n; i++) {
            basis[i * n + j] /= sqrt(norm);
        }
    }
}

/* matrix = basis diag(values) basis' */
static inline void symmetric_build(int n, const double *basis, const double *values, double *matrix)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            matrix[i * n + j] = 0.0;
            for (int k = 0; k < n; k++) {
                matrix[i * n + j] += basis[i * n + k] * values[k] * basis[j * n + k];
            }
        }
    }
}

static inline void symmetric_with_values(int n, const double *values, uint64_t seed, double *matrix)
{
    double basis[SYMMETRIC_MOST * SYMMETRIC_MOST];
    symmetric_basis(n, seed, basis);
    symmetric_build(n, basis, values, matrix);
}

/* Elements in [-1, 1]. */
static inline void symmetric_random(int n, uint64_t seed, double *matrix)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            matrix[i * n + j] = (double)test_value(seed, (uint64_t)i, (uint64_t)j);
            matrix[j * n + i] = matrix[i * n + j];
        }
    }
}

/* product = left right */
static inline void symmetric_multiply(int n, const double *left, const double *right,
                                      double *product)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            product[i * n + j] = 0.0;
            for (int k = 0; k < n; k++) {
                product[i * n + j] += left[i * n + k] * right[k * n + j];
            }
        }
    }
}

static inline void symmetric_transpose(int n, const double *matrix, double *transposed)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            transposed[j * n + i] = matrix[i * n + j];
        }
    }
}

/* The largest difference over the largest magnitude of `expected`; NaN counts as infinity. */
static inline double symmetric_error(int64_t count, const double *actual, const double *expected)
{
    double difference = 0.0, largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double here = fabs(actual[i] - expected[i]);
        difference = isnan(here) ? INFINITY : fmax(difference, here);
        largest = fmax(largest, fabs(expected[i]));
    }
    return largest > 0.0 ? difference / largest : difference;
}

#endif
