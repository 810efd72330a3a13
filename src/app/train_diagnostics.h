/*
 * What a run finds out about its own gradients (plumb_diagnose), step by step: fields of
 * metrics.jsonl, averages over steps, and advice in words.
 */
#ifndef APP_TRAIN_DIAGNOSTICS_H
#define APP_TRAIN_DIAGNOSTICS_H

#include "app/training.h"

#include <jansson.h>

/* Memory, if the options ask for diagnostics; t->failure tells. Local. */
void train_diagnostics_create(training *t);
void train_diagnostics_free(training *t);

/*
 * After a step that was done: takes the handle's diagnosis into the averages. Local, and equal on
 * all ranks.
 */
void train_diagnostics_note(training *t, const plumb_report *report);

/*
 * Rank 0: the fields of the line of step `step` (steps done), which was done; NULL: diagnostics are
 * off. The caller's.
 */
json_t *train_diagnostics_fields(const training *t, int64_t step);

/* The noise averaged over steps; false: there is none yet, or diagnostics are off. Local. */
bool train_diagnostics_noise(const training *t, plumb_noise *noise);

/* The advice as of now; false: diagnostics are off. */
bool train_diagnostics_advise(const training *t, plumb_advice *advice);

/* Its limit as a word: unknown, bias, variance, neither. */
const char *train_diagnostics_limit(plumb_limit limit);

#endif
