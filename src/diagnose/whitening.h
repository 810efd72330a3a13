/*
 * Scales of rows and columns by which all rows of the noise get equal variances, and all columns:
 * G becomes diag(left) G diag(right), for a variance of entry (i, j) of 1 / (left_i right_j)^2. The
 * scales are such that the noise as a whole keeps its size.
 */
#ifndef PLUMB_DIAGNOSE_WHITENING_H
#define PLUMB_DIAGNOSE_WHITENING_H

#include "diagnose/echo_groups.h"

/*
 * From the folds' deviations from their mean; `groups` are not whitened yet. Without any noise both
 * scales are NULL, which is no error. Errors: MEMORY.
 */
plumb_status whitening_create(const echo_groups *groups, echo_whitening *whitening);

void whitening_free(echo_whitening *whitening);

#endif
