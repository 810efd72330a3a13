/*
 * What all parts of a run may call; it calls none of them. See training.h.
 */
#include "app/training.h"

#include <stdio.h>

double training_units_per_step(const training *t)
{
    double sequences = (double)t->options->micro_batches * (double)t->options->micro_batch_size;
    return t->options->model == MODEL_GPT ? sequences * (double)t->options->context : sequences;
}

void training_warn(void *context, const char *line)
{
    training *t = context;
    progress_clear(&t->progress);
    fprintf(stderr, "plumb: warning: %s\n", line);
}
