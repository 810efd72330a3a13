/*
 * The size of the noise in a mean gradient, from inner products or from norms alone.
 *
 * With gradients g_k of b_k samples, B = sum b_k and g = sum b_k g_k / B, the scatter
 * T = sum b_k |g_k - g|^2 / (K-1) has the expectation tr S whatever the b_k, and |g|^2 is larger
 * than the true gradient's by (1 - B/N) tr S / B.
 */
#ifndef PLUMB_DIAGNOSE_NOISE_H
#define PLUMB_DIAGNOSE_NOISE_H

#include "plumb.h"

/* A noise of which nothing is known but how many gradients and samples there were. */
plumb_noise noise_unknown(int64_t count, double samples);

/*
 * scale, scale_error and plateau from trace and signal, their standard errors and their covariance.
 * Errors that are NAN: the scale is known where the signal is positive, without an error.
 * fraction: 1 - B/N, of the samples that were not drawn.
 */
void noise_relate(double covariance, double fraction, plumb_noise *noise);

/* 1 - B/N; ARGUMENT if the population is smaller than the samples. 0: endless. */
plumb_status noise_fraction(double samples, double population, double *fraction);

#endif
