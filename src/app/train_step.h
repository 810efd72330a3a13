/*
 * The gradients of one step: this rank's micro-batches, from the workload into the library.
 */
#ifndef APP_TRAIN_STEP_H
#define APP_TRAIN_STEP_H

#include "app/training.h"

/*
 * Computes this rank's share of step `step` (from 0). What goes wrong on this rank stands in
 * t->failure, and what is missing then makes plumb_end_step fail on every rank: nobody waits, and
 * nothing is updated. The same happens on purpose when a signal asks to stop. Local.
 */
void train_step_gradients(training *t, int64_t step);

/* Reads PLUMB_TEST_POISON. */
poison poison_from_environment(void);

#endif
