/*
 * Echoes from how well the groups' own singular directions agree with each other.
 */
#ifndef PLUMB_DIAGNOSE_ECHO_REVERB_H
#define PLUMB_DIAGNOSE_ECHO_REVERB_H

#include "diagnose/echo_groups.h"
#include "linalg/gram_svd.h"

/*
 * The echoes of `count` >= 2 replicas of one direction from overlaps[count][count], symmetric, of
 * which element (a, b) off the diagonal has the expectation echo_a echo_b; the diagonal is not
 * read. Two replicas: their common echo. 0 where the overlaps allow none; may exceed 1.
 */
void echo_reverb_replicas(int64_t count, const double *overlaps, double *echoes);

/*
 * signals[side] and echoes[side] of the directions of svd, which is of the groups' mean. NaN from
 * the first direction on of which a single group keeps too little to tell. Errors: MEMORY,
 * NUMERICAL.
 */
plumb_status echo_reverb(const echo_groups *groups, const gram_svd *svd, const double *mean,
                         double *signals, double *echoes);

#endif
