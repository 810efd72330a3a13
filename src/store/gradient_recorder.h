/*
 * Writing a file of gradients (gradient_file.h) while they are computed: every rank its own
 * micro-batches, straight from where they are, with space on disk set aside for all steps. A file
 * that ends early holds the steps that are complete.
 */
#ifndef STORE_GRADIENT_RECORDER_H
#define STORE_GRADIENT_RECORDER_H

#include "store/written_file.h"

#include <stdint.h>

typedef struct gradient_recorder gradient_recorder;

/*
 * Makes PATH.partial with room for `steps` steps of `micro_batches` micro-batches of `samples`
 * samples each. parameters[count] is copied, names and initial values are
 * not. Collective; errors are agreed, and
 * then nothing is left behind and *recorder is NULL.
 */
int gradient_recorder_create(gradient_recorder **recorder, MPI_Comm communicator, const char *path,
                             int64_t steps, int64_t micro_batches, double samples,
                             const written_parameter *parameters, int count, const char *version,
                             const char *options, shared_error *e);

/* One micro-batch's gradient, by one rank. Local; so are errors: agree on them. */
int gradient_recorder_write(gradient_recorder *recorder, int parameter, int64_t step,
                            int64_t micro_batch, const float *gradient /* rows x cols */,
                            shared_error *e);

/*
 * Cuts the file to its first `steps` steps, all complete, at least one, and gives it its name.
 * Collective; agreed; on error nothing is left behind. *recorder becomes NULL.
 */
int gradient_recorder_finish(gradient_recorder **recorder, int64_t steps, shared_error *e);

/* Closes and removes it. Collective. NULL is no error. */
void gradient_recorder_abandon(gradient_recorder **recorder);

#endif
