/*
 * Slices: each parameter's stretch in each bucket, with the optimizer's state at its owner. State
 * is addressed by parameter, element and name of the state.
 */
#ifndef PLUMB_STEP_SLICES_H
#define PLUMB_STEP_SLICES_H

#include "base/vector.h"
#include "step/handle.h"

/* Lists the slices of the exchange's layout and makes this rank's states, all zero. MEMORY. */
plumb_status slices_make(plumb *p);
void slices_free(plumb *p);

/* Elements of a stretch, a handful of arrays of which fit into the L1 cache. */
enum { SLICES_STRETCH = VECTOR_BLOCK / 2, SLICES_MOST_CUT_STATES = 16 };

/* True if the parameter is updated a stretch at a time, as it may be cut among owners. */
bool slices_in_stretches(const plumb *p, const parameter *one);

/* True if this rank owns the slice. */
bool slice_owned(const plumb *p, const slice *s);

/*
 * At their owner, lists every group's mean of `count` elements from `offset` of a bucket of `x`: in
 * place of their sums, and times `factor`, the clip factor of gradients or 1.
 */
void slices_group_means(const plumb *p, exchange *x, int64_t bucket, int64_t offset, int64_t count,
                        double factor, const float **means);

#endif
