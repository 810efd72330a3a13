/*
 * A miniature training run for tests of the step: parameters of every kind, gradients that are a
 * function of values, step and micro-batch, so that one wrong bit anywhere spreads to everything.
 */
#ifndef SUPPORT_MINIATURE_H
#define SUPPORT_MINIATURE_H

#include <stdbool.h>

#include "plumb.h"

typedef enum miniature_order {
    MINIATURE_ASCENDING,   /* micro-batch by micro-batch, last parameter first */
    MINIATURE_SCRAMBLED,   /* micro-batches and parameters in an odd order */
    MINIATURE_BY_PARAMETER /* all micro-batches of a parameter, then the next */
} miniature_order;

typedef struct miniature {
    plumb_options options;
    plumb_optimizer optimizer; /* of the matrices, Sophia also of the embedding; the rest is on
                                  AdamW and SGD */
    plumb_pipeline pipeline;
    plumb_correction correction; /* of the parameters whose optimizer knows it */
    double noise_floor;          /* of those among them that have one */
    int folds;                   /* likewise */
    plumb_weights weights;       /* of Muon's matrices */
    int interval;                /* of roots and of curvature */
    plumb_polar_method polar;
    int64_t micro_batches;
    int steps;
    miniature_order order;
    bool own_memory;      /* hand over own arrays instead of plumb_gradient_buffer's */
    bool unequal_samples; /* micro-batch k has nominal_samples times 1 + k % 3 */
    bool progress;        /* poll between gradients */
} miniature;

/* Defaults: 8 micro-batches, 4 steps, Muon, ascending, no samples. */
void miniature_init(miniature *m);

typedef struct miniature_result {
    plumb_status status;
    char message[512];
    char hash[33];
    plumb_report report; /* of the last step */
} miniature_result;

/* Runs it on `communicator` and tells how it ended. Collective. */
void miniature_run(MPI_Comm communicator, const miniature *m, miniature_result *result);

/*
 * Runs it on the first `ranks` ranks of MPI_COMM_WORLD; everybody gets rank 0's result. Collective
 * over MPI_COMM_WORLD.
 */
void miniature_run_on(int ranks, const miniature *m, miniature_result *result);

#endif
