/*
 * Noise of rows and columns that are correlated: G becomes C_L^(-1/2) G C_R^(-1/2), with the
 * covariances C_L of its rows and C_R of its columns. Noise whose covariance is the Kronecker
 * product of the two has independent entries of equal variance then. That takes many folds: of few,
 * the inverses make noise look like agreement (see whitening.c).
 */
#ifndef PLUMB_DIAGNOSE_COVARIANCE_WHITENING_H
#define PLUMB_DIAGNOSE_COVARIANCE_WHITENING_H

#include "diagnose/echo_groups.h"

typedef struct covariance_whitening {
    double *left;             /* side x side; NULL: nothing is whitened */
    double *right;            /* length x length */
    double *scratch, *result; /* side x length */
} covariance_whitening;

/* From the folds' deviations from their mean. Without any noise nothing is whitened, which is no
 * error. Errors: MEMORY, NUMERICAL; to be freed whatever they are. */
plumb_status covariance_whitening_create(const echo_groups *groups, covariance_whitening *w);
void covariance_whitening_free(covariance_whitening *w);

/* matrix[side][length], in place. */
void covariance_whitening_apply(const echo_groups *groups, const covariance_whitening *w,
                                double *matrix);

#endif
