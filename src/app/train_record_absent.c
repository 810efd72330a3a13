/*
 * --record-gradients in a build without HDF5 (WITH_HDF5=0): says so.
 */
#include "app/train_record.h"

void train_record_create(training *t)
{
    if (t->options->record != NULL) {
        failure_set(&t->failure, EXIT_USAGE,
                    "--record-gradients is not in this build, which was made with WITH_HDF5=0: it "
                    "needs HDF5");
    }
}

int train_record_gradient(training *t, int64_t step, int64_t micro_batch, int parameter)
{
    (void)step;
    (void)micro_batch;
    (void)parameter;
    return t->failure.code;
}

void train_record_step_done(training *t, int64_t step)
{
    (void)t;
    (void)step;
}

void train_record_finish(training *t)
{
    (void)t;
}
