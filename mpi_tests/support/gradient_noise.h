/*
 * Noisy gradients for the tests of diagnostics: a matrix with known singular values plus noise that
 * is independent from entry to entry, or of rows and columns with unequal and correlated variances.
 */
#ifndef SUPPORT_GRADIENT_NOISE_H
#define SUPPORT_GRADIENT_NOISE_H

#include <stdbool.h>
#include <stdint.h>

enum { GRADIENT_NOISE_MOST = 64 }; /* elements */

/* Nearly normal, mean 0, variance 1, independent for every pair of keys. */
double gradient_noise(uint64_t draw, uint64_t element);

/*
 * noise[rows][cols] with entries of variance 1; anisotropic: left E right of fixed matrices, with
 * the same mean variance.
 */
void gradient_noise_matrix(int rows, int cols, bool anisotropic, uint64_t draw, double *noise);

/* noisy = matrix + scale noise */
void gradient_noise_add(int count, const float *matrix, double scale, const double *noise,
                        float *noisy);

/* The polar factor of x (of full rank) by Newton and Schulz's iteration in double, in place. */
void gradient_noise_polar(int rows, int cols, double *x);

/* Mean and its standard error of `count` values. */
typedef struct gradient_noise_mean {
    double mean, error;
} gradient_noise_mean;
gradient_noise_mean gradient_noise_mean_of(int count, const double *values);

#endif
