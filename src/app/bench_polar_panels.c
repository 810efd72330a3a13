/*
 * Row panels over ranks against one rank; see bench_polar.h. The same step is taken in turns by a
 * handle on all ranks and by one on rank 0 alone, while the other ranks sleep.
 */
#include "app/bench_polar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 200 };

typedef struct panels_side {
    plumb *plumb;
    float *values;
    int id;
    double update_seconds, call_seconds; /* of the last step */
} panels_side;

typedef struct panels_bench {
    const ranks *ranks;
    int64_t rows, cols;
    float *gradient;
    panels_side all, one; /* one: rank 0's */
    double times[4][MOST_ROUNDS];
} panels_bench;

enum { ONE_UPDATE, ALL_UPDATE, ONE_CALL, ALL_CALL };

static int open_side(panels_bench *b, panels_side *s, MPI_Comm communicator, failure *f)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.replica_check = 0;
    plumb_parameter_options muon;
    plumb_parameter_options_init(&muon, sizeof muon, PLUMB_OPTIMIZER_MUON);
    muon.polar = PLUMB_POLAR_FAST;
    s->values = calloc((size_t)(b->rows * b->cols), sizeof *s->values);
    if (s->values == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    failure_from_library(f, plumb_create(communicator, &options, &s->plumb), NULL);
    if (f->code == EXIT_OK) {
        plumb_status status =
            plumb_add_parameter(s->plumb, "matrix", b->rows, b->cols, s->values, &muon, &s->id);
        failure_from_library(f, status, s->plumb);
    }
    return f->code;
}

/* A step of as many micro-batches as there are ranks in all. */
static int run_step(panels_bench *b, panels_side *s, failure *f)
{
    int64_t total = b->ranks->count, first = 0, count = 0;
    plumb_report report = {.size = sizeof report};
    failure_from_library(f, plumb_share(s->plumb, total, &first, &count), s->plumb);
    failure_from_library(f, plumb_begin_step(s->plumb, total), s->plumb);
    for (int64_t m = first; m < first + count && f->code == EXIT_OK; m++) {
        failure_from_library(f, plumb_accumulate(s->plumb, s->id, m, b->gradient), s->plumb);
    }
    if (failure_from_library(f, plumb_reduce(s->plumb, &report), s->plumb) == EXIT_OK) {
        double start = MPI_Wtime();
        failure_from_library(f, plumb_update(s->plumb, 0.02, &report), s->plumb);
        s->call_seconds = MPI_Wtime() - start;
        s->update_seconds = report.update_seconds;
    }
    return f->code;
}

static int run_round(panels_bench *b, failure *f)
{
    if (b->ranks->rank == 0) {
        run_step(b, &b->one, f);
    }
    bench_wait_idle(b->ranks);
    if (ranks_agree(b->ranks, f) == EXIT_OK) {
        run_step(b, &b->all, f);
    }
    return ranks_agree(b->ranks, f);
}

/* Rank 0 says whether there is time for another one. */
static bool another(const panels_bench *b, int64_t rounds, double start, double seconds)
{
    int more = rounds < LEAST_ROUNDS || (rounds < MOST_ROUNDS && MPI_Wtime() - start < seconds);
    ranks_broadcast(b->ranks, &more, sizeof more);
    return more != 0;
}

static void summarise(panels_bench *b, bench_panels_result *result)
{
    int64_t n = result->rounds;
    result->speedup = quartiles_of_ratios(b->times[ONE_UPDATE], b->times[ALL_UPDATE], n);
    result->call_speedup = quartiles_of_ratios(b->times[ONE_CALL], b->times[ALL_CALL], n);
    result->one_seconds = quartiles_of(b->times[ONE_UPDATE], n);
    result->all_seconds = quartiles_of(b->times[ALL_UPDATE], n);
}

static int run_rounds(panels_bench *b, double seconds, bench_panels_result *result, failure *f)
{
    run_round(b, f); /* allocates everything */
    double start = MPI_Wtime();
    result->rounds = 0;
    while (f->code == EXIT_OK && another(b, result->rounds, start, seconds)) {
        if (run_round(b, f) == EXIT_OK) {
            b->times[ONE_UPDATE][result->rounds] = b->one.update_seconds;
            b->times[ALL_UPDATE][result->rounds] = b->all.update_seconds;
            b->times[ONE_CALL][result->rounds] = b->one.call_seconds;
            b->times[ALL_CALL][result->rounds] = b->all.call_seconds;
            result->rounds++;
        }
    }
    if (f->code == EXIT_OK) {
        bench_largest(b->ranks, b->times[ALL_CALL], result->rounds);
        summarise(b, result);
    }
    return f->code;
}

static void close_side(panels_side *s)
{
    plumb_destroy(&s->plumb);
    free(s->values);
}

int bench_panels_measure(const ranks *r, int64_t rows, int64_t cols, double seconds,
                         bench_panels_result *result, failure *f)
{
    panels_bench *b = calloc(1, sizeof *b);
    if (b == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return ranks_agree(r, f);
    }
    *b = (panels_bench){.ranks = r, .rows = rows, .cols = cols};
    *result = (bench_panels_result){.rows = rows, .cols = cols};
    b->gradient = calloc((size_t)(rows * cols), sizeof *b->gradient);
    if (b->gradient == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    } else {
        polar_benchmark_fill(rows * cols, 11 + (uint64_t)r->rank, b->gradient);
    }
    if (ranks_agree(r, f) == EXIT_OK) {
        open_side(b, &b->all, r->communicator, f);
        if (r->rank == 0) {
            open_side(b, &b->one, MPI_COMM_SELF, f);
        }
        if (ranks_agree(r, f) == EXIT_OK) {
            run_rounds(b, seconds, result, f);
        }
    }
    close_side(&b->all);
    close_side(&b->one);
    free(b->gradient);
    free(b);
    return f->code;
}
