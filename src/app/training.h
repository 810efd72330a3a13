/*
 * One training run: everything its parts share. train.c sets the parts up and takes them down,
 * train_loop.c runs the steps, train_step.c computes a step's gradients, evaluate.c the held-out
 * loss, summary.c tells how it went.
 */
#ifndef APP_TRAINING_H
#define APP_TRAINING_H

#include "app/machine.h"
#include "app/progress.h"
#include "app/ranks.h"
#include "app/train_options.h"
#include "app/warnings.h"
#include "store/metrics.h"
#include "store/run_directory.h"
#include "workload/workload.h"

/* A test's way to make NaN: PLUMB_TEST_POISON="RANK:STEP:MICRO-BATCH" spoils the first gradient
 * of that micro-batch on that rank in that step (steps count from 1, micro-batches from 0), and
 * with ":curvature" behind it its curvature. */
typedef struct poison {
    bool set;
    bool curvature;
    int rank;
    int64_t step;
    int64_t micro_batch;
} poison;

typedef struct held_out {
    double loss;     /* nats per token or image; NaN: not evaluated */
    double accuracy; /* fraction of right answers */
} held_out;

/* What the run has come to; rank 0 writes it as summary.json. */
typedef struct training_totals {
    int64_t steps; /* updates done, skipped ones counted */
    int64_t skipped;
    held_out initial;             /* of the untrained model */
    held_out last;                /* of the last evaluation ... */
    held_out last_average;        /* the same of the averaged parameters */
    int64_t held_out_step;        /* ... which came after this step; -1: there was none */
    double first_loss, last_loss; /* NaN before the first step */
    double units;                 /* tokens or images of the steps, over all ranks */
    double seconds;               /* of the whole run */
    double step_seconds;          /* of the steps, without evaluations */
    double gradient_seconds, curvature_seconds, exchange_seconds, update_seconds;
    double diagnosis_seconds;
    double evaluation_seconds;
    double exchange_bytes, exchange_messages; /* over all ranks and steps */
    double first_leg_ratio, overlap_sum;
    double correction_clipped_sum, unclipped_sum, roots_failed; /* of plumb_report */
    char parameters_hash[33];
} training_totals;

/* Parts of a run that only some have; each is known to the file of its name alone. */
typedef struct train_diagnostics train_diagnostics;
typedef struct train_record train_record;

typedef struct training {
    const train_options *options;
    int64_t micro_batches; /* K of the step at hand */
    ranks ranks;
    machine machine; /* at rank 0 */
    workload *workload;
    plumb *plumb;
    bool step_open;      /* the setup has begun the first step */
    int *ids;            /* [parameter_count]: the library's ids of the workload's parameters */
    float **gradients;   /* [parameter_count]: memory of the micro-batch being computed */
    float **curvature;   /* [parameter_count]: Sophia's, of the pass being computed; or NULL */
    float **probe_sums;  /* [parameter_count]: with --curvature hutchinson; or NULL */
    float *plain_values; /* the parameters while their averages are evaluated; or NULL */
    train_diagnostics *diagnostics; /* NULL: off */
    train_record *record;           /* NULL: gradients are not recorded */
    run_directory directory;        /* at rank 0 */
    bool directory_made;
    metrics *metrics; /* at rank 0 */
    progress progress;
    warnings warnings; /* of the library on this rank */
    poison poison;
    double start; /* MPI_Wtime when training began */
    int stop_signal;
    bool interruption_noted; /* summary.json already tells of it */
    training_totals totals;
    char *sample; /* generated text; NULL: none */
    failure failure;
} training;

/* Which numbers of plumb_report mean something with these options. */
bool training_corrects(const training *t);
bool training_clips_elements(const training *t);
bool training_takes_roots(const training *t);

/* Tokens or images of one step, over all ranks. */
double training_units_per_step(const training *t);

/* A line for people on standard error; `context` is the training. Rank 0. */
void training_warn(void *context, const char *line);

#endif
