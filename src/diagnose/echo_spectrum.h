/*
 * The echo of every singular direction of a mean gradient, by any of the methods: what
 * plumb_echo_spectrum and plumb_echo_polar share.
 */
#ifndef PLUMB_DIAGNOSE_ECHO_SPECTRUM_H
#define PLUMB_DIAGNOSE_ECHO_SPECTRUM_H

#include <stdbool.h>

#include "diagnose/echo_groups.h"
#include "linalg/gram_svd.h"

typedef struct echo_spectrum {
    echo_groups groups;
    plumb_echo_options options; /* most: at least 1; folds: at least 1 */
    gram_svd svd;               /* of `mean`, once everything is done */
    double *mean;               /* side x length, whitened if that is wanted */
    double *signals, *echoes;   /* side each; NaN where there is nothing to tell */
    double *gains;              /* folds, of cross-validation: see echo_cross.h */
    bool nothing;               /* no noise to whiten: svd is not there either */
} echo_spectrum;

/* Errors: those of plumb_echo_spectrum; nothing to free then. */
plumb_status echo_spectrum_create(int64_t rows, int64_t cols, int64_t count,
                                  const float *const *gradients, const plumb_echo_options *options,
                                  echo_spectrum *spectrum);
void echo_spectrum_free(echo_spectrum *spectrum);

#endif
