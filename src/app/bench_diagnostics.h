/*
 * The inside of `plumb bench diagnostics`: its options, its rows and their measurement.
 */
#ifndef APP_BENCH_DIAGNOSTICS_H
#define APP_BENCH_DIAGNOSTICS_H

#include "app/bench.h"

typedef struct bench_diagnostics_options {
    char *data; /* NULL: random bytes */
    int64_t layers, width, heads, context;
    int64_t micro_batch_size, micro_batches, groups;
    int64_t rounds, every;
    int progress;
    bool json;
} bench_diagnostics_options;

/* An optimizer's row; numbers on rank 0. Ratios are to the plain step's seconds. */
typedef struct bench_diagnostics_result {
    plumb_optimizer optimizer;
    quartiles plain_seconds, economy_seconds, full_seconds; /* a step; full: the average */
    quartiles economy, full;                                /* averaged over the interval */
    quartiles diagnosed;                                    /* of a step with a full diagnosis */
} bench_diagnostics_result;

/* One model three times: plain, with economy's diagnostics, and with full ones. */
typedef struct bench_diagnostics bench_diagnostics;

/* Returns f's code; *b is to be destroyed in any case. Collective, as the next one. */
int bench_diagnostics_create(const ranks *r, const bench_diagnostics_options *o,
                             bench_diagnostics **b, failure *f);

/* Before the first of so many rows: for the progress. */
void bench_diagnostics_start(bench_diagnostics *b, int row_count);

/* The row of result->optimizer. */
int bench_diagnostics_measure(bench_diagnostics *b, bench_diagnostics_result *result, failure *f);

int64_t bench_diagnostics_elements(const bench_diagnostics *b); /* of all parameters */
void bench_diagnostics_destroy(bench_diagnostics **b);

#endif
