/*
 * The held-out loss: its units are spread over the ranks, and their losses summed in the order of
 * the units, so that the result has the same bits for every number of ranks.
 */
#ifndef APP_EVALUATE_H
#define APP_EVALUATE_H

#include "app/training.h"

/*
 * Evaluates the model as it stands. Collective. NaN if a rank got a signal or failed; a failure
 * stands in t->failure of the rank that has it, to be agreed by the caller.
 */
held_out evaluate(training *t);

/*
 * The same of the averaged parameters (--average-weights), which take the place of the parameters
 * for the time being. NaN also while no step counts for the average. Collective.
 */
held_out evaluate_average(training *t);

/* Units that are evaluated: --held-out-units of them, or all. */
int64_t evaluate_unit_count(const training *t);

#endif
