/*
 * What all parts of a run may call; it calls none of them. See training.h.
 */
#include "app/training.h"

#include <stdio.h>

bool training_corrects(const training *t)
{
    return t->options->update.correction != PLUMB_CORRECTION_NONE;
}

bool training_clips_elements(const training *t)
{
    return t->options->update.optimizer == PLUMB_OPTIMIZER_SOPHIA;
}

bool training_takes_roots(const training *t)
{
    int optimizer = t->options->update.optimizer;
    return optimizer == PLUMB_OPTIMIZER_SHAMPOO || optimizer == PLUMB_OPTIMIZER_SOAP;
}

double training_units_per_step(const training *t)
{
    double sequences = (double)t->micro_batches * (double)t->options->micro_batch_size;
    return t->options->model == MODEL_GPT ? sequences * (double)t->options->context : sequences;
}

void training_warn(void *context, const char *line)
{
    training *t = context;
    progress_clear(&t->progress);
    fprintf(stderr, "plumb: warning: %s\n", line);
}
