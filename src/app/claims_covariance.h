/*
 * The subjects of `plumb claims covariance`: what the post on gradient covariance says, and what
 * its empty sections would have to. Symbols: g the gradient of a sample, G the true one, Sigma the
 * covariance of g, g_B the mean of B samples, N the data set's samples.
 */
#ifndef APP_CLAIMS_COVARIANCE_H
#define APP_CLAIMS_COVARIANCE_H

#include "app/claims_handle.h"
#include "app/claims_random.h"
#include "app/claims_subject.h"

extern const claims_subject claims_moments, claims_population, claims_spectral, claims_stationary,
    claims_hessian;

static const claims_noise covariance_noises[2] = {CLAIMS_ISOTROPIC, CLAIMS_ANISOTROPIC};

/* values[2][width], one row a noise: sums over the number of repetitions, which is sums' element
 * `count` of the same row. */
void covariance_means(const double *sums, int width, int count, double *values);

#endif
