/*
 * The part of a step in which gradients come in.
 */
#ifndef PLUMB_STEP_GRADIENTS_H
#define PLUMB_STEP_GRADIENTS_H

#include "step/handle.h"

/* ARGUMENT unless the micro-batch is this rank's. */
plumb_status gradients_check_micro_batch(const plumb *p, int64_t micro_batch);

/* Something of this micro-batch has come: its samples are fixed. */
void gradients_touch(plumb *p, int64_t micro_batch);

/* The first failure of this rank's gradients is the one that plumb_reduce tells. */
void gradients_remember(plumb *p, plumb_status status);

/* Empties the descriptions for a step of this rank's p->count micro-batches. MEMORY. */
plumb_status gradients_begin(plumb *p);

/*
 * Gives zeros for everything that is missing, so that no rank waits in vain, and remembers the
 * first of it as a COVERAGE failure of the step. Needs no memory. MPI.
 */
plumb_status gradients_complete(plumb *p);

/* Remembers what was found in gradients that nobody had looked at when they were given. */
void gradients_look(plumb *p);

#endif
