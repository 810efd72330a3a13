/*
 * plumb_nuclear_noise_scale for callers that know its signal part already: a cross-validated echo
 * of the same groups has every polar factor that it needs.
 */
#ifndef PLUMB_DIAGNOSE_NUCLEAR_NOISE_H
#define PLUMB_DIAGNOSE_NUCLEAR_NOISE_H

#include "plumb.h"

typedef struct nuclear_signal {
    double mean_norm;    /* |mean|_* */
    const double *gains; /* [count]: <g_k, Ortho(mean of the others)> */
} nuclear_signal;

/* As the public function; known: NULL: found here. */
plumb_status nuclear_noise_scale(int64_t rows, int64_t cols, int64_t count, const double *samples,
                                 const float *const *groups, const nuclear_signal *known,
                                 double *scale, double *error);

#endif
