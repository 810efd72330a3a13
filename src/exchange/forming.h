/*
 * Forming sums for a bucket from what lies on this rank, in the windows of its domain, and in the
 * memory of messages that have arrived (bucket.h).
 */
#ifndef PLUMB_EXCHANGE_FORMING_H
#define PLUMB_EXCHANGE_FORMING_H

#include "exchange/bucket.h"

/* True if groups travel as a pipeline's streams with a tail, not as their sums. */
static inline bool forming_is_encoded(const layout_bucket *b)
{
    return b->tail > 0;
}

/* True if the owner keeps every group's sum until the next step. */
static inline bool forming_keeps_groups(const layout_bucket *b)
{
    return b->by_group && !forming_is_encoded(b);
}

/* True if a rank of the domain has the sum of `node` whole. */
bool forming_is_direct(const bucket_desk *desk, const layout_bucket *b, int node);

/* That sum, or NULL. It is the owner's, or its agent's, alone until the step ends. */
float *forming_direct(const bucket_desk *desk, const layout_bucket *b, int node);

/* The sum of `node` from what is here, into `result` [bucket->count]. INTERNAL. */
plumb_status forming_sum(bucket_desk *desk, int64_t index, bucket_state *state, int node,
                         float *result);

/* The owner's sum of the step, with its squares, from pieces if they are there for themselves. */
plumb_status forming_owned(bucket_desk *desk, int64_t index, bucket_state *state);

/* Blocks of squares of a bucket: each parameter's stretch begins a new one. */
int64_t forming_blocks(const layout *l, const layout_bucket *b);

/* The number as three floats of twenty bits, which hold it exactly, and back: a whole number below
 * 2^60, such as the samples of 2^28 micro-batches of 2^30. */
void forming_samples_to_floats(int64_t samples, float *to);

/* Samples of this rank's micro-batches below `node`: whole numbers, so exact in any order. */
int64_t forming_samples_below(const bucket_desk *desk, int node);

/* Samples over nominal samples of a whole group: own micro-batches and the parts' weights. */
float forming_weight(const bucket_desk *desk, const layout_bucket *b, const bucket_state *state,
                     int node);

#endif
