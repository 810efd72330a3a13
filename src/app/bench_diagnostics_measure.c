/*
 * Whole training steps of one model without diagnostics and with both kinds, in turns; see
 * bench_diagnostics.h.
 *
 * A round is two steps on every side, on the same batches. The side with full diagnoses has one
 * every other step, so that a round holds a step of either kind, and what it costs on average at
 * the interval asked for follows from the two. Which side goes first changes from step to step.
 */
#include "app/bench_diagnostics.h"
#include "app/bench_side.h"

#include <math.h>
#include <stdlib.h>

enum { PLAIN, ECONOMY, FULL, SIDES, STEPS_OF_A_ROUND = 2 };

struct bench_diagnostics {
    const ranks *ranks;
    const bench_diagnostics_options *options;
    bench_side sides[SIDES];
    progress progress;
    double start;
    int64_t rounds; /* done, of all rows */
};

/* Of every round: seconds a step, and ratios to the plain side's. */
enum {
    PLAIN_SECONDS,
    ECONOMY_SECONDS,
    FULL_SECONDS,
    ECONOMY_RATIO,
    FULL_RATIO,
    DIAGNOSED_RATIO,
    COLUMNS
};

typedef struct round_times {
    double *memory; /* [COLUMNS][rounds] */
    int64_t rounds;
} round_times;

static double *column(const round_times *t, int number)
{
    return t->memory + number * t->rounds;
}

int bench_diagnostics_create(const ranks *r, const bench_diagnostics_options *o,
                             bench_diagnostics **b, failure *f)
{
    const workload_options options = BENCH_SIDE_WORKLOAD(o);
    *b = calloc(1, sizeof **b);
    if (*b == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return ranks_agree(r, f);
    }
    (*b)->ranks = r;
    (*b)->options = o;
    for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
        bench_side_create(&(*b)->sides[i], &options, f);
    }
    (*b)->start = MPI_Wtime();
    return ranks_agree(r, f);
}

void bench_diagnostics_start(bench_diagnostics *b, int row_count)
{
    progress_start(&b->progress, (progress_mode)b->options->progress, b->ranks->rank == 0,
                   row_count * (b->options->rounds + 1), "round");
}

int64_t bench_diagnostics_elements(const bench_diagnostics *b)
{
    return b->sides[PLAIN].elements;
}

void bench_diagnostics_destroy(bench_diagnostics **b)
{
    if (*b != NULL) {
        progress_clear(&(*b)->progress);
        for (int i = 0; i < SIDES; i++) {
            bench_side_destroy(&(*b)->sides[i]);
        }
    }
    free(*b);
    *b = NULL;
}

/* The row's optimizer where train would use it: Muon for hidden matrices, AdamW beside it. */
static void choose(const void *context, workload_role role, plumb_parameter_options *options)
{
    const bench_diagnostics_result *row = context;
    bool aside = row->optimizer == PLUMB_OPTIMIZER_MUON && role != WORKLOAD_MATRIX;
    plumb_parameter_options_init(options, sizeof *options,
                                 aside ? PLUMB_OPTIMIZER_ADAMW : row->optimizer);
}

static int open_sides(bench_diagnostics *b, const bench_diagnostics_result *row, failure *f)
{
    static const plumb_diagnostics kinds[SIDES] = {PLUMB_DIAGNOSTICS_OFF, PLUMB_DIAGNOSTICS_ECONOMY,
                                                   PLUMB_DIAGNOSTICS_FULL};
    for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
        plumb_options options;
        plumb_options_init(&options, sizeof options);
        options.groups = (int)b->options->groups;
        options.replica_check = 0;
        options.nominal_samples = (double)b->options->micro_batch_size;
        options.diagnostics = kinds[i];
        options.diagnostics_every = STEPS_OF_A_ROUND;
        bench_side_open(&b->sides[i], b->ranks->communicator, &options, choose, row, f);
        ranks_agree(b->ranks, f);
    }
    return f->code;
}

/* seconds[side][step]: of round number `round`, from 0; the first step of each is diagnosed. */
static int run_round(bench_diagnostics *b, int64_t round, double seconds[SIDES][STEPS_OF_A_ROUND],
                     failure *f)
{
    for (int s = 0; s < STEPS_OF_A_ROUND && f->code == EXIT_OK; s++) {
        int64_t step = round * STEPS_OF_A_ROUND + s;
        for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
            int side = (int)((round + s + i) % SIDES);
            bench_side_step(&b->sides[side], b->options->micro_batches, step, f);
            seconds[side][s] = b->sides[side].seconds;
            /* The slowest rank's: who has nothing to diagnose waits for who has. */
            if (ranks_agree(b->ranks, f) == EXIT_OK) {
                bench_largest(b->ranks, &seconds[side][s], 1);
            }
        }
    }
    double elapsed = MPI_Wtime() - b->start;
    b->rounds++;
    progress_show(&b->progress, b->rounds, NAN, (double)b->rounds / elapsed, elapsed, elapsed);
    return f->code;
}

static void note_round(const round_times *t, int64_t round, int64_t every,
                       double seconds[SIDES][STEPS_OF_A_ROUND])
{
    double plain = (seconds[PLAIN][0] + seconds[PLAIN][1]) / 2.0;
    double economy = (seconds[ECONOMY][0] + seconds[ECONOMY][1]) / 2.0;
    double full = (seconds[FULL][0] + (double)(every - 1) * seconds[FULL][1]) / (double)every;
    column(t, PLAIN_SECONDS)[round] = plain;
    column(t, ECONOMY_SECONDS)[round] = economy;
    column(t, FULL_SECONDS)[round] = full;
    column(t, ECONOMY_RATIO)[round] = economy / plain;
    column(t, FULL_RATIO)[round] = full / plain;
    column(t, DIAGNOSED_RATIO)[round] = seconds[FULL][0] / plain;
}

static void summarise(const round_times *t, bench_diagnostics_result *result)
{
    result->plain_seconds = quartiles_of(column(t, PLAIN_SECONDS), t->rounds);
    result->economy_seconds = quartiles_of(column(t, ECONOMY_SECONDS), t->rounds);
    result->full_seconds = quartiles_of(column(t, FULL_SECONDS), t->rounds);
    result->economy = quartiles_of(column(t, ECONOMY_RATIO), t->rounds);
    result->full = quartiles_of(column(t, FULL_RATIO), t->rounds);
    result->diagnosed = quartiles_of(column(t, DIAGNOSED_RATIO), t->rounds);
}

/* The first round does not count: everything is allocated in it. */
static int run_rounds(bench_diagnostics *b, const round_times *t, failure *f)
{
    double seconds[SIDES][STEPS_OF_A_ROUND];
    run_round(b, 0, seconds, f);
    for (int64_t i = 0; i < t->rounds && f->code == EXIT_OK; i++) {
        if (run_round(b, i + 1, seconds, f) == EXIT_OK) {
            note_round(t, i, b->options->every, seconds);
        }
    }
    return f->code;
}

int bench_diagnostics_measure(bench_diagnostics *b, bench_diagnostics_result *result, failure *f)
{
    round_times t = {NULL, b->options->rounds};
    t.memory = calloc((size_t)t.rounds * COLUMNS, sizeof *t.memory);
    if (t.memory == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(b->ranks, f) == EXIT_OK && open_sides(b, result, f) == EXIT_OK &&
        run_rounds(b, &t, f) == EXIT_OK) {
        summarise(&t, result);
    }
    for (int i = 0; i < SIDES; i++) {
        bench_side_close(&b->sides[i]);
    }
    free(t.memory);
    return f->code;
}
