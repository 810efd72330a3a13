/*
 * Sophia's curvature of one step: this rank's micro-batches, from the workload into the library.
 */
#ifndef APP_TRAIN_CURVATURE_H
#define APP_TRAIN_CURVATURE_H

#include "app/training.h"

/* Memory for a micro-batch's estimates, if the optimizer needs them; t->failure tells. Local. */
void train_curvature_allocate(training *t);
void train_curvature_free(training *t);

/*
 * If the open step needs curvature: computes this rank's share of it and hands it over. Failures
 * and signals are treated as those of gradients (train_step.h). Local.
 */
void train_curvature_estimates(training *t, int64_t step);

#endif
