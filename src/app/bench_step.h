/*
 * What `plumb bench step` measures: the cost of corrections in whole training steps. A row is an
 * optimizer with a correction, against the same optimizer without.
 */
#ifndef APP_BENCH_STEP_H
#define APP_BENCH_STEP_H

#include "app/bench.h"
#include "workload/workload.h"

typedef struct bench_step_options {
    const char *data;
    int64_t layers, width, heads, context, micro_batch_size, micro_batches;
    int64_t groups, pairs;
    int progress;
    int only; /* 0: all rows, 1: those with a goal, else an optimizer */
    bool json;
} bench_step_options;

typedef struct bench_step_case {
    plumb_optimizer optimizer; /* of what train gives it; the rest is AdamW's */
    plumb_correction correction;
    double noise_floor;
    plumb_polar_method polar; /* Muon's */
    int groups;               /* 0: those of the options */
    bool goal;                /* of its time */
} bench_step_case;

extern const bench_step_case bench_step_cases[];
extern const int bench_step_case_count;

/* Steps from one decomposition, or curvature, to the next: what has to be measured in one. */
int bench_step_interval(const bench_step_case *c);

/* The options of one of the workload's parameters, corrected or plain. */
void bench_step_parameter(const bench_step_case *c, bool corrected, workload_role role,
                          plumb_parameter_options *options);

/* What became of a row; numbers on rank 0. */
typedef struct bench_step_result {
    int groups;
    int64_t windows;                         /* of bench_step_interval pairs of steps each */
    double plain_seconds, corrected_seconds; /* medians over windows, a step */
    double lower, ratio, upper;              /* quartiles over windows of corrected over plain */
    double plain_bytes, corrected_bytes;     /* all ranks, a step */
} bench_step_result;

/* One model twice: for the plain optimizer and for the corrected one. */
typedef struct bench_step_pair bench_step_pair;

/* Returns f's code; *pair is to be destroyed in any case. Collective, as the next one. */
int bench_step_pair_create(const ranks *r, const bench_step_options *o, bench_step_pair **pair,
                           failure *f);
int bench_step_measure(bench_step_pair *pair, const bench_step_case *c, bench_step_result *result,
                       failure *f);
int64_t bench_step_elements(const bench_step_pair *pair); /* of all parameters */

/* Pairs of steps that a row takes; how many all rows take, before the first: for the progress. */
int64_t bench_step_pairs(const bench_step_options *o, const bench_step_case *c);
void bench_step_start(bench_step_pair *pair, int64_t pairs);
void bench_step_pair_destroy(bench_step_pair **pair);

#endif
