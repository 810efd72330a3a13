/*
 * What a file of recorded gradients holds, found out by one process and checked in full before
 * anybody reads from it. Part of gradient_file.h, which describes the format.
 */
#ifndef STORE_GRADIENT_LAYOUT_H
#define STORE_GRADIENT_LAYOUT_H

#include "store/gradient_file.h"

typedef struct gradient_layout {
    int64_t steps, micro_batches;
    int64_t bytes; /* of the file */
    int parameter_count;
    recorded_parameter *parameters; /* [parameter_count], by name */
    double *samples;                /* [micro_batches] */
} gradient_layout;

/* Local, without MPI. What was allocated is freed by gradient_layout_free also after an error.
 * `curvature`: it must be there. */
int gradient_layout_examine(gradient_layout *layout, const char *path, bool curvature,
                            shared_error *e);

/* Sends rank 0's layout to the others, whose layout is empty. Collective; errors are agreed. */
int gradient_layout_share(gradient_layout *layout, MPI_Comm communicator, shared_error *e);

void gradient_layout_free(gradient_layout *layout);

#endif
