/*
 * --record-gradients: the gradients of a run's micro-batches into a file that plumb replay and
 * plumb diagnose read. In a build without HDF5 train_record_create says that it cannot.
 */
#ifndef APP_TRAIN_RECORD_H
#define APP_TRAIN_RECORD_H

#include "app/training.h"

/* Makes the file, if the options ask for it. Collective; t->failure is agreed. */
void train_record_create(training *t);

/*
 * Writes t->gradients[parameter], the gradient of that micro-batch in step `step` (from 0), if the
 * step is one that is recorded. Local. Returns t->failure's code.
 */
int train_record_gradient(training *t, int64_t step, int64_t micro_batch, int parameter);

/* Step `step` was done on all ranks: what was recorded of it counts. Local. */
void train_record_step_done(training *t, int64_t step);

/*
 * Gives the file its name, with the steps that were done; without any, or after a failed write, it
 * is removed. Collective; t->failure is agreed.
 */
void train_record_finish(training *t);

#endif
