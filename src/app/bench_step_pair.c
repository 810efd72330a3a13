/*
 * Whole training steps of one model by two optimizers in turns; see bench_step.h. Either side has
 * parameters and state of its own and sees the same batches; which of them goes first changes
 * from step to step, so that what the machine does meanwhile hits both alike.
 */
#include "app/bench_side.h"
#include "app/bench_step.h"

#include <math.h>
#include <stdlib.h>

enum { PLAIN, CORRECTED, SIDES };

struct bench_step_pair {
    const ranks *ranks;
    const bench_step_options *options;
    bench_side sides[SIDES];
    progress progress;
    double start;
    int64_t done; /* pairs of steps */
};

int bench_step_pair_create(const ranks *r, const bench_step_options *o, bench_step_pair **pair,
                           failure *f)
{
    const workload_options options = BENCH_SIDE_WORKLOAD(o);
    *pair = calloc(1, sizeof **pair);
    if (*pair == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return ranks_agree(r, f);
    }
    (*pair)->ranks = r;
    (*pair)->options = o;
    for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
        bench_side_create(&(*pair)->sides[i], &options, f);
    }
    return ranks_agree(r, f);
}

int64_t bench_step_elements(const bench_step_pair *pair)
{
    return pair->sides[PLAIN].elements;
}

void bench_step_pair_destroy(bench_step_pair **pair)
{
    if (*pair != NULL) {
        progress_clear(&(*pair)->progress);
        bench_side_destroy(&(*pair)->sides[PLAIN]);
        bench_side_destroy(&(*pair)->sides[CORRECTED]);
    }
    free(*pair);
    *pair = NULL;
}

static void choose_plain(const void *context, workload_role role, plumb_parameter_options *options)
{
    bench_step_parameter(context, false, role, options);
}

static void choose_corrected(const void *context, workload_role role,
                             plumb_parameter_options *options)
{
    bench_step_parameter(context, true, role, options);
}

/* The handle of one side of a row. */
static int open_side(bench_step_pair *pair, int number, const bench_step_case *c, int groups,
                     failure *f)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.groups = groups;
    options.replica_check = 0;
    options.nominal_samples = (double)pair->options->micro_batch_size;
    bench_side_open(&pair->sides[number], pair->ranks->communicator, &options,
                    number == CORRECTED ? choose_corrected : choose_plain, c, f);
    return ranks_agree(pair->ranks, f);
}

/* Both sides' step number `step`. */
static int run_pair(bench_step_pair *pair, int64_t step, failure *f)
{
    int first = (int)(step % SIDES);
    for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
        bench_side_step(&pair->sides[(first + i) % SIDES], pair->options->micro_batches, step, f);
    }
    double seconds = MPI_Wtime() - pair->start;
    pair->done++;
    progress_show(&pair->progress, pair->done, NAN, (double)pair->done / seconds, seconds, seconds);
    return ranks_agree(pair->ranks, f);
}

static int64_t windows_of(const bench_step_options *o, const bench_step_case *c)
{
    int interval = bench_step_interval(c);
    return (o->pairs + interval - 1) / interval;
}

int64_t bench_step_pairs(const bench_step_options *o, const bench_step_case *c)
{
    return 1 + windows_of(o, c) * bench_step_interval(c);
}

void bench_step_start(bench_step_pair *pair, int64_t pairs)
{
    progress_start(&pair->progress, (progress_mode)pair->options->progress, pair->ranks->rank == 0,
                   pairs, "pair");
    pair->start = MPI_Wtime();
    pair->done = 0;
}

/* Seconds a step of every window, either side, and their ratio. */
typedef struct bench_windows {
    double *seconds[SIDES], *ratios;
} bench_windows;

static void summarise(const bench_windows *w, int64_t count, bench_step_result *result)
{
    quartiles ratio = quartiles_of(w->ratios, count);
    result->windows = count;
    result->plain_seconds = quartiles_of(w->seconds[PLAIN], count).median;
    result->corrected_seconds = quartiles_of(w->seconds[CORRECTED], count).median;
    result->lower = ratio.lower;
    result->ratio = ratio.median;
    result->upper = ratio.upper;
}

/* The windows' steps, after one pair that does not count: everything is allocated in it. */
static int run_windows(bench_step_pair *pair, int64_t windows, int interval, bench_windows *w,
                       bench_step_result *result, failure *f)
{
    const bench_side *sides = pair->sides;
    double steps = (double)(windows * interval);
    int64_t step = 0;
    run_pair(pair, step++, f);
    for (int64_t i = 0; i < windows && f->code == EXIT_OK; i++) {
        double plain = 0.0, corrected = 0.0;
        for (int j = 0; j < interval && run_pair(pair, step++, f) == EXIT_OK; j++) {
            plain += sides[PLAIN].seconds / interval;
            corrected += sides[CORRECTED].seconds / interval;
            result->plain_bytes += (double)sides[PLAIN].report.exchange_bytes / steps;
            result->corrected_bytes += (double)sides[CORRECTED].report.exchange_bytes / steps;
        }
        w->seconds[PLAIN][i] = plain;
        w->seconds[CORRECTED][i] = corrected;
        w->ratios[i] = corrected / plain;
    }
    return f->code;
}

int bench_step_measure(bench_step_pair *pair, const bench_step_case *c, bench_step_result *result,
                       failure *f)
{
    int interval = bench_step_interval(c);
    int64_t windows = windows_of(pair->options, c);
    double *memory = calloc((size_t)windows * (SIDES + 1), sizeof *memory);
    bench_windows w = {{memory, memory + windows}, memory + 2 * windows};
    *result = (bench_step_result){.groups = c->groups > 0 ? c->groups : (int)pair->options->groups};
    if (memory == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    for (int i = 0; i < SIDES && ranks_agree(pair->ranks, f) == EXIT_OK; i++) {
        open_side(pair, i, c, result->groups, f);
    }
    if (f->code == EXIT_OK && run_windows(pair, windows, interval, &w, result, f) == EXIT_OK) {
        summarise(&w, windows, result);
    }
    for (int i = 0; i < SIDES; i++) {
        bench_side_close(&pair->sides[i]);
    }
    free(memory);
    return f->code;
}
