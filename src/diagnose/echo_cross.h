/*
 * Echoes by cross-validation: no model of the noise, only that groups are independent.
 */
#ifndef PLUMB_DIAGNOSE_ECHO_CROSS_H
#define PLUMB_DIAGNOSE_ECHO_CROSS_H

#include "diagnose/echo_groups.h"
#include "linalg/gram_svd.h"

/*
 * signals[side] and echoes[side] from groups->folds >= 2 folds with this mean (side x length), and
 * gains[folds]: the inner product of each with the polar factor of the mean of all others. svd is
 * work space of that shape. Errors: MEMORY, NUMERICAL.
 */
plumb_status echo_cross_validate(const echo_groups *groups, const double *mean, gram_svd *svd,
                                 double *signals, double *echoes, double *gains);

#endif
