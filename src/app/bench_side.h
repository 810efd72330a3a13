/*
 * One model with a handle of its own: whole training steps that benches time, split into the
 * computation of gradients and everything else.
 */
#ifndef APP_BENCH_SIDE_H
#define APP_BENCH_SIDE_H

#include "app/bench.h"
#include "workload/workload.h"

typedef struct bench_side {
    workload *workload;
    plumb *plumb;
    int *ids;            /* [parameter_count] */
    float **gradients;   /* [parameter_count]: the library's memory of the micro-batch */
    bool *has_curvature; /* [parameter_count] */
    float **curvature;   /* [parameter_count]: memory for estimates */
    float *initial;      /* all parameters, one after the other */
    int64_t elements;    /* of all parameters */
    /* The last step, on this rank: all of it, and what went into passes over the model. */
    double seconds, gradient_seconds;
    plumb_report report;
} bench_side;

/* The model that options with BENCH_DATA and BENCH_MODEL ask for: an initialiser. */
#define BENCH_SIDE_WORKLOAD(o)                                                                     \
    {                                                                                              \
        .data = (o)->data, .layers = (o)->layers, .width = (o)->width, .heads = (o)->heads,        \
        .context = (o)->context, .micro_batch_size = (o)->micro_batch_size, .seed = 1              \
    }

/* The model; options->data NULL: on random bytes. Local. Returns f's code; the side is to be
 * destroyed in any case. */
int bench_side_create(bench_side *s, const workload_options *options, failure *f);

/* The options of one of the workload's parameters. */
typedef void (*bench_side_chooser)(const void *context, workload_role role,
                                   plumb_parameter_options *options);

/* A handle with the values that the model began with. Collective over `communicator`. */
int bench_side_open(bench_side *s, MPI_Comm communicator, const plumb_options *options,
                    bench_side_chooser choose, const void *context, failure *f);
void bench_side_close(bench_side *s);

/* Step number `step` of `total` micro-batches. Collective over the handle's communicator. */
int bench_side_step(bench_side *s, int64_t total, int64_t step, failure *f);

void bench_side_destroy(bench_side *s);

#endif
