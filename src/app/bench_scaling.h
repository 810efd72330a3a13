/*
 * What `plumb bench scaling` measures: where the time of a training step goes, and what more ranks
 * save. A row is an optimizer.
 */
#ifndef APP_BENCH_SCALING_H
#define APP_BENCH_SCALING_H

#include "app/bench_side.h"
#include "app/bench_step.h"

typedef struct bench_scaling_options {
    const char *data;
    int64_t layers, width, heads, context, micro_batch_size, micro_batches;
    int only; /* 0: all rows, 1: those with a goal */
    int progress;
    double seconds; /* a row */
    bool json;
} bench_scaling_options;

typedef struct bench_scaling_row {
    const char *name;
    bench_step_case optimizer;
    bool goal; /* of efficiency and of the time outside */
} bench_scaling_row;

extern const bench_scaling_row bench_scaling_rows[];
extern const int bench_scaling_row_count;

typedef struct bench_scaling_result {
    int64_t windows;
    /* A step: on one rank, on all; of all: in passes over the model, in the exchange as
     * plumb_report has it, in updates. The slowest rank's. */
    quartiles one_seconds, seconds, gradient_seconds, exchange_seconds, update_seconds;
    quartiles outside;    /* share of the step that is not passes over the model */
    quartiles efficiency; /* one_seconds / (ranks seconds); on one rank none */
} bench_scaling_result;

/* The model twice: for all ranks, and for rank 0 alone. */
typedef struct bench_scaling bench_scaling;

/* Collective; *b is to be destroyed in any case. Returns f's code. */
int bench_scaling_create(const ranks *r, const bench_scaling_options *o, bench_scaling **b,
                         failure *f);
int bench_scaling_measure(bench_scaling *b, const bench_scaling_row *row,
                          bench_scaling_result *result, failure *f);
int64_t bench_scaling_elements(const bench_scaling *b); /* of all parameters */
void bench_scaling_destroy(bench_scaling **b);

#endif
