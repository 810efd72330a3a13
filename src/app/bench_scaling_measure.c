/*
 * Training steps on all ranks in turns with the same steps on rank 0 alone, while the others sleep;
 * see bench_scaling.h. A window is one step, or as many as there are from one curvature or
 * decomposition to the next.
 */
#include "app/bench_scaling.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_WINDOWS = 3, MOST_WINDOWS = 200 };

typedef enum scaling_time {
    ONE,
    ALL,
    GRADIENT,
    EXCHANGE,
    UPDATE,
    OUTSIDE,
    EFFICIENCY,
    SCALING_TIMES
} scaling_time;

struct bench_scaling {
    const ranks *ranks;
    const bench_scaling_options *options;
    bench_side all, one; /* one: rank 0's */
    double times[SCALING_TIMES][MOST_WINDOWS];
};

int bench_scaling_create(const ranks *r, const bench_scaling_options *o, bench_scaling **b,
                         failure *f)
{
    const workload_options options = BENCH_SIDE_WORKLOAD(o);
    *b = calloc(1, sizeof **b);
    if (*b == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return ranks_agree(r, f);
    }
    (*b)->ranks = r;
    (*b)->options = o;
    bench_side_create(&(*b)->all, &options, f);
    if (r->rank == 0 && r->count > 1 && f->code == EXIT_OK) {
        bench_side_create(&(*b)->one, &options, f);
    }
    return ranks_agree(r, f);
}

int64_t bench_scaling_elements(const bench_scaling *b)
{
    return b->all.elements;
}

void bench_scaling_destroy(bench_scaling **b)
{
    if (*b != NULL) {
        bench_side_destroy(&(*b)->all);
        bench_side_destroy(&(*b)->one);
    }
    free(*b);
    *b = NULL;
}

static void choose(const void *context, workload_role role, plumb_parameter_options *options)
{
    bench_step_parameter(context, false, role, options);
}

static int open_sides(bench_scaling *b, const bench_scaling_row *row, failure *f)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.replica_check = 0;
    options.nominal_samples = (double)b->options->micro_batch_size;
    bench_side_open(&b->all, b->ranks->communicator, &options, choose, &row->optimizer, f);
    if (b->ranks->rank == 0 && b->ranks->count > 1 && f->code == EXIT_OK) {
        bench_side_open(&b->one, MPI_COMM_SELF, &options, choose, &row->optimizer, f);
    }
    return ranks_agree(b->ranks, f);
}

/* `steps` steps on rank 0 alone; the others wait. */
static int run_one(bench_scaling *b, int64_t first, int steps, int64_t window, failure *f)
{
    double seconds = 0.0;
    for (int i = 0; i < steps && b->ranks->rank == 0 && f->code == EXIT_OK; i++) {
        bench_side_step(&b->one, b->options->micro_batches, first + i, f);
        seconds += b->one.seconds / steps;
    }
    bench_wait_idle(b->ranks);
    b->times[ONE][window] = seconds;
    return ranks_agree(b->ranks, f);
}

static int run_all(bench_scaling *b, int64_t first, int steps, int64_t window, failure *f)
{
    double times[SCALING_TIMES] = {0.0};
    for (int i = 0; i < steps && f->code == EXIT_OK; i++) {
        bench_side_step(&b->all, b->options->micro_batches, first + i, f);
        if (ranks_agree(b->ranks, f) == EXIT_OK) {
            double slowest[2] = {b->all.seconds, b->all.gradient_seconds};
            bench_largest(b->ranks, slowest, 2);
            times[ALL] += slowest[0] / steps;
            times[GRADIENT] += slowest[1] / steps;
            times[EXCHANGE] += b->all.report.exchange_seconds / steps;
            times[UPDATE] += b->all.report.update_seconds / steps;
        }
    }
    times[OUTSIDE] = 1.0 - times[GRADIENT] / times[ALL];
    times[EFFICIENCY] = b->times[ONE][window] / (b->ranks->count * times[ALL]);
    for (int i = ALL; i < SCALING_TIMES; i++) {
        b->times[i][window] = times[i];
    }
    return f->code;
}

static int run_window(bench_scaling *b, int64_t first, int steps, int64_t window, failure *f)
{
    if (b->ranks->count > 1) {
        run_one(b, first, steps, window, f);
    }
    return run_all(b, first, steps, window, f);
}

/* Rank 0 says whether there is time for another one. */
static bool another(const bench_scaling *b, int64_t windows, double start)
{
    int more = windows < LEAST_WINDOWS ||
               (windows < MOST_WINDOWS && MPI_Wtime() - start < b->options->seconds);
    ranks_broadcast(b->ranks, &more, sizeof more);
    return more != 0;
}

static void summarise(bench_scaling *b, bench_scaling_result *result)
{
    quartiles *const results[SCALING_TIMES] = {&result->one_seconds,      &result->seconds,
                                               &result->gradient_seconds, &result->exchange_seconds,
                                               &result->update_seconds,   &result->outside,
                                               &result->efficiency};
    for (int i = 0; i < SCALING_TIMES; i++) {
        bool alone = b->ranks->count == 1 && (i == ONE || i == EFFICIENCY);
        *results[i] = quartiles_of(b->times[i], alone ? 0 : result->windows);
    }
}

int bench_scaling_measure(bench_scaling *b, const bench_scaling_row *row,
                          bench_scaling_result *result, failure *f)
{
    int interval = bench_step_interval(&row->optimizer);
    *result = (bench_scaling_result){.windows = 0};
    if (open_sides(b, row, f) == EXIT_OK) {
        run_window(b, 0, 1, 0, f); /* allocates everything; the intervals begin anew after it */
    }
    double start = MPI_Wtime();
    while (f->code == EXIT_OK && another(b, result->windows, start)) {
        run_window(b, 1 + result->windows * interval, interval, result->windows, f);
        result->windows++;
    }
    if (f->code == EXIT_OK) {
        summarise(b, result);
    }
    bench_side_close(&b->all);
    bench_side_close(&b->one);
    return f->code;
}
