/*
 * Slices: each parameter's stretch in each bucket, with the optimizer's state at its owner. State
 * is addressed by parameter, element and name of the state.
 */
#ifndef PLUMB_STEP_SLICES_H
#define PLUMB_STEP_SLICES_H

#include "step/handle.h"

/* Lists the slices of the exchange's layout and makes this rank's states, all zero. MEMORY. */
plumb_status slices_make(plumb *p);
void slices_free(plumb *p);

/* True if this rank owns the slice. */
bool slice_owned(const plumb *p, const slice *s);

#endif
