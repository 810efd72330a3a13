/*
 * What `plumb bench polar` measures: speed and accuracy of polar factors by shape, many small ones
 * in one call, and one large one over several ranks.
 */
#ifndef APP_BENCH_POLAR_H
#define APP_BENCH_POLAR_H

#include "app/bench.h"
#include "workload/polar_accuracy.h"

enum { BENCH_POLAR_MOST_SHAPES = 32, BENCH_POLAR_BATCH_SIDE = 64 };

typedef struct bench_polar_options {
    const char *shapes, *methods, *panels;
    int64_t accuracy_side; /* largest smaller dimension of the matrices that are judged; 0: none */
    double condition;      /* of the matrices that are timed; 0: of normal numbers */
    int64_t batch;         /* matrices in one call; 0: none */
    int progress;
    double seconds;
    bool json;
} bench_polar_options;

typedef struct bench_polar_row {
    int64_t rows, cols;
    bool wanted[POLAR_CONTESTANTS];
    polar_speeds speeds;
    int64_t accuracy_rows, accuracy_cols; /* 0: not judged at this shape */
    polar_accuracy accuracies[POLAR_INPUTS][POLAR_CONTESTANTS];
} bench_polar_row;

/* One step of Muon with the fast polar factor, its matrix's row panels over all ranks, against the
 * same step on a handle of rank 0's own. */
typedef struct bench_panels_result {
    int64_t rows, cols; /* 0: not measured */
    int64_t rounds;
    quartiles one_seconds, all_seconds; /* plumb_report.update_seconds */
    quartiles speedup;                  /* one over all */
    quartiles call_speedup;             /* the same of the time in plumb_update */
} bench_panels_result;

typedef struct bench_polar_report {
    int ranks;
    plumb_environment environment;
    bench_polar_row rows[BENCH_POLAR_MOST_SHAPES];
    int count;
    double condition;
    int64_t batch; /* 0: not measured */
    polar_batch_speeds batch_speeds;
    bench_panels_result panels;
    bench_goals goals;
} bench_polar_report;

/* Collective; the result is rank 0's. Returns f's code. */
int bench_panels_measure(const ranks *r, int64_t rows, int64_t cols, double seconds,
                         bench_panels_result *result, failure *f);

void bench_polar_set_goals(bench_polar_report *report);
void bench_polar_print_table(const bench_polar_report *report);
void bench_polar_print_json(const bench_polar_report *report);

#endif
