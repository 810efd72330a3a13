/*
 * The part of a step in which gradients come in.
 */
#ifndef PLUMB_STEP_GRADIENTS_H
#define PLUMB_STEP_GRADIENTS_H

#include "step/handle.h"

/* Empties the descriptions for a step of this rank's p->count micro-batches. MEMORY. */
plumb_status gradients_begin(plumb *p);

/*
 * Gives zeros for everything that is missing, so that no rank waits in vain, and remembers the
 * first of it as a COVERAGE failure of the step. Needs no memory. MPI.
 */
plumb_status gradients_complete(plumb *p);

#endif
