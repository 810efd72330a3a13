/*
 * Wrong curvature: missing, given twice, not finite, of no whole number of draws, not due, for a
 * parameter that uses none; options that do not fit the run. Each is the same error on all ranks
 * and changes nothing: the run goes on and ends where one ends in which nothing happened.
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/curvature_run.h"
#include "support/test.h"
#include "support/trial.h"

typedef struct state {
    const curvature_run *r;
    plumb *p;
    int step; /* that is to come */
    int rank, size;
    int64_t first, count; /* this rank's micro-batches */
} state;

/* What is done to a step; every rank runs it. Returns the status of its last call. */
typedef plumb_status (*spoiled_step)(state *s);

static bool is_last(const state *s)
{
    return s->rank == s->size - 1;
}

/* A local call that must be refused with a message that contains `part`. */
static plumb_status refused(const state *s, plumb_status status, plumb_status expected,
                            const char *part)
{
    bool good = status == expected && strstr(plumb_error_message(s->p), part) != NULL;
    if (!good) {
        fprintf(stderr, "%s: \"%s\", not %s: \"%s\"\n", plumb_status_name(status),
                plumb_error_message(s->p), plumb_status_name(expected), part);
    }
    return good ? PLUMB_OK : PLUMB_ERROR_INTERNAL;
}

/* Everything but the curvature of parameter `without` in micro-batches from `from` on. */
static plumb_status give_without(const state *s, int without, int64_t from)
{
    plumb_status status = PLUMB_OK;
    for (int64_t k = s->first; k < s->first + s->count; k++) {
        for (int i = 0; i < CURVATURE_PARAMETERS && status == PLUMB_OK; i++) {
            status = curvature_run_give_gradient(s->p, s->step, k, i);
            if (status == PLUMB_OK && (i != without || k < from)) {
                status = curvature_run_give_curvature(s->p, s->step, k, i);
            }
        }
    }
    return status;
}

static plumb_status begin(state *s)
{
    plumb_status status = plumb_begin_step(s->p, s->r->total);
    return status == PLUMB_OK ? plumb_share(s->p, s->r->total, &s->first, &s->count) : status;
}

static plumb_status end(const state *s, plumb_status status)
{
    plumb_status ended = plumb_end_step(s->p, 1.0, NULL);
    return status == PLUMB_OK ? ended : status;
}

static plumb_status one_is_missing(state *s)
{
    plumb_status status = begin(s);
    return end(s, status == PLUMB_OK ? give_without(s, CURVATURE_BIAS, s->r->total - 1) : status);
}

static plumb_status all_are_missing(state *s)
{
    plumb_status status = begin(s);
    for (int64_t k = s->first; k < s->first + s->count; k++) {
        for (int i = 0; i < CURVATURE_PARAMETERS && status == PLUMB_OK; i++) {
            status = curvature_run_give_gradient(s->p, s->step, k, i);
        }
    }
    return end(s, status);
}

static plumb_status given_twice(state *s)
{
    plumb_status status = begin(s);
    status = status == PLUMB_OK ? curvature_run_give(s->r, s->p, s->step) : status;
    if (status == PLUMB_OK && is_last(s)) {
        status = refused(s, curvature_run_give_curvature(s->p, s->step, s->first, CURVATURE_FEW),
                         PLUMB_ERROR_COVERAGE, "given twice");
    }
    return end(s, status);
}

/* `value` in the estimate of `bias` for the last micro-batch. */
static plumb_status with_value(state *s, float value)
{
    plumb_status status = begin(s);
    status = status == PLUMB_OK ? give_without(s, CURVATURE_BIAS, s->r->total - 1) : status;
    if (status == PLUMB_OK && is_last(s)) {
        float estimate[7] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, value};
        status = plumb_accumulate_curvature(s->p, CURVATURE_BIAS, s->r->total - 1,
                                            PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, 4.0, estimate);
    }
    return end(s, status);
}

static plumb_status not_a_number(state *s)
{
    return with_value(s, (float)NAN);
}

static plumb_status square_overflows(state *s)
{
    return with_value(s, 1e20f);
}

/* Finite on every rank, and too large in all. */
static plumb_status sum_overflows(state *s)
{
    plumb_status status = begin(s);
    status = status == PLUMB_OK ? give_without(s, CURVATURE_BIAS, 0) : status;
    for (int64_t k = s->first; k < s->first + s->count && status == PLUMB_OK; k++) {
        const float estimate[7] = {3e38f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
        status = plumb_accumulate_curvature(s->p, CURVATURE_BIAS, k, PLUMB_CURVATURE_DIAGONAL, 0.0,
                                            estimate);
    }
    return end(s, status);
}

/* Draws that are none, in place of the last micro-batch's curvature of `bias`. */
static plumb_status with_draws(state *s, double draws)
{
    plumb_status status = begin(s);
    status = status == PLUMB_OK ? give_without(s, CURVATURE_BIAS, s->r->total - 1) : status;
    if (status == PLUMB_OK && is_last(s)) {
        const float estimate[7] = {0};
        status = refused(s,
                         plumb_accumulate_curvature(s->p, CURVATURE_BIAS, s->r->total - 1,
                                                    PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, draws,
                                                    estimate),
                         PLUMB_ERROR_ARGUMENT, "draws; must be a whole number");
    }
    return end(s, status);
}

static plumb_status no_draws(state *s)
{
    return with_draws(s, 0.0);
}

static plumb_status half_draws(state *s)
{
    return with_draws(s, 2.5);
}

static plumb_status undefined_draws(state *s)
{
    return with_draws(s, NAN);
}

typedef struct call {
    int id;
    int64_t micro_batch;
    int kind;
    const float *estimate;
    plumb_status status;
    const char *part;
} call;

static plumb_status refuse_calls(const state *s, int count, const call *calls)
{
    plumb_status status = PLUMB_OK;
    for (int c = 0; c < count && status == PLUMB_OK; c++) {
        status = refused(s,
                         plumb_accumulate_curvature(s->p, calls[c].id, calls[c].micro_batch,
                                                    (plumb_curvature)calls[c].kind, 1.0,
                                                    calls[c].estimate),
                         calls[c].status, calls[c].part);
    }
    return status;
}

/* In a step without curvature; and the step ends well. */
static plumb_status not_due(state *s)
{
    int due = -1;
    const float estimate[CURVATURE_LARGEST] = {0};
    plumb_status status = begin(s);
    status = status == PLUMB_OK ? plumb_curvature_due(s->p, &due) : status;
    if (status == PLUMB_OK && due != 0) {
        status = PLUMB_ERROR_INTERNAL;
    }
    if (status == PLUMB_OK && is_last(s)) {
        const call calls[] = {
            {CURVATURE_BIAS, s->first, 0, estimate, PLUMB_ERROR_ORDER,
             "due every 2 steps, not in step 1"},
            {0, s->first, 0, estimate, PLUMB_ERROR_ORDER, "\"wide\": curvature is due every 2"},
            {CURVATURE_MATRIX, s->first, 0, estimate, PLUMB_ERROR_ARGUMENT, "uses no curvature"},
        };
        status = refuse_calls(s, 3, calls);
    }
    return end(s, status == PLUMB_OK ? curvature_run_give(s->r, s->p, s->step) : status);
}

/* In a step with curvature, one by one; and the step ends well. */
static plumb_status refused_when_due(state *s)
{
    const float estimate[30] = {0};
    const plumb_status wrong = PLUMB_ERROR_ARGUMENT;
    plumb_status status = begin(s);
    const call calls[] = {
        {CURVATURE_MATRIX, s->first, 0, estimate, wrong, "its optimizer, muon, uses no curvature"},
        {-1, s->first, 0, estimate, wrong, "parameter"},
        {CURVATURE_PARAMETERS, s->first, 0, estimate, wrong, "parameter"},
        {CURVATURE_BIAS, s->r->total, 0, estimate, wrong, "is not rank"},
        {CURVATURE_BIAS, -1, 0, estimate, wrong, "is not rank"},
        {CURVATURE_BIAS, s->first, 0, NULL, wrong, "curvature is NULL"},
        {CURVATURE_BIAS, s->first, 7, estimate, wrong, "no kind of curvature number 7"},
        {CURVATURE_BIAS, s->first, -1, estimate, wrong, "no kind of curvature number -1"},
    };
    if (status == PLUMB_OK) {
        status = refuse_calls(s, (int)(sizeof calls / sizeof calls[0]), calls);
    }
    return end(s, status == PLUMB_OK ? curvature_run_give(s->r, s->p, s->step) : status);
}

/* Takes good steps up to s->step == to. */
static bool advance(state *s, int to)
{
    bool good = true;
    while (good && s->step < to) {
        good = test_agree(curvature_run_step(s->r, s->p, s->step) == PLUMB_OK);
        s->step++;
    }
    return good;
}

static const curvature_run corrected_run = {8, 4, true, false, PLUMB_OWNERS_SHARDED, 0};
static const curvature_run plain_run = {8, 4, false, false, PLUMB_OWNERS_RANK0, 0};

static plumb_status open_state(const curvature_run *r, float *values, state *s)
{
    *s = (state){.r = r};
    MPI_Comm_rank(MPI_COMM_WORLD, &s->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &s->size);
    return curvature_run_open(r, MPI_COMM_WORLD, values, &s->p);
}

/*
 * Good steps, then the spoiled one twice in place of step `at`, then good ones to the end: the
 * values are those of a run in which nothing happened. If the spoiled step ends well after all,
 * it is that step, and happens once.
 */
static bool fails_cleanly(const curvature_run *r, spoiled_step spoil, int at, plumb_status expected,
                          const char *part)
{
    static float values[CURVATURE_ELEMENTS],
        expected_values[(CURVATURE_STEPS + 1) * CURVATURE_ELEMENTS];
    state s;
    bool good = test_agree(curvature_run_go(r, MPI_COMM_WORLD, expected_values) == PLUMB_OK);
    good = test_agree(open_state(r, values, &s) == PLUMB_OK) && good && advance(&s, at);
    for (int i = 0; i < (expected == PLUMB_OK ? 1 : 2) && good; i++) {
        plumb_status status = spoil(&s);
        good = expected == PLUMB_OK ? test_agree(status == PLUMB_OK)
                                    : trial_refused(s.p, status, expected, part);
        s.step += expected == PLUMB_OK ? 1 : 0;
        good = good && memcmp(values, expected_values + (size_t)s.step * CURVATURE_ELEMENTS,
                              sizeof values) == 0;
    }
    good = test_agree(good) && advance(&s, CURVATURE_STEPS) &&
           memcmp(values, expected_values + (size_t)CURVATURE_STEPS * CURVATURE_ELEMENTS,
                  sizeof values) == 0;
    plumb_destroy(&s.p);
    return good;
}

static void expect(spoiled_step spoil, int at, plumb_status expected, const char *part)
{
    test_all(fails_cleanly(&corrected_run, spoil, at, expected, part));
    test_all(fails_cleanly(&plain_run, spoil, at, expected, part));
}

START_TEST(wrong_curvature)
{
    int size;
    char part[100];
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    snprintf(part, sizeof part, "\"bias\": the curvature of micro-batch 7 is missing on rank %d",
             size - 1);
    for (int at = 0; at <= 2; at += 2) {
        expect(one_is_missing, at, PLUMB_ERROR_COVERAGE, part);
        expect(all_are_missing, at, PLUMB_ERROR_COVERAGE,
               "\"wide\": the curvature of micro-batch 0 is missing on rank 0");
        expect(no_draws, at, PLUMB_ERROR_COVERAGE, part);
    }
    expect(half_draws, 2, PLUMB_ERROR_COVERAGE, part);
    expect(undefined_draws, 2, PLUMB_ERROR_COVERAGE, part);
    snprintf(part, sizeof part,
             "\"few\": the curvature of micro-batch %d was given twice on rank %d", 8 - 8 / size,
             size - 1);
    expect(given_twice, 2, PLUMB_ERROR_COVERAGE, part);
    snprintf(part, sizeof part,
             "curvature of parameter \"bias\" is not finite (rank %d, micro-batch 7)", size - 1);
    expect(not_a_number, 0, PLUMB_ERROR_NONFINITE, part);
    snprintf(part, sizeof part, "(rank %d, micro-batch 7), though its gradient is: the square",
             size - 1);
    expect(square_overflows, 2, PLUMB_ERROR_NONFINITE, part);
    expect(sum_overflows, 2, PLUMB_ERROR_NONFINITE, "curvature of parameter \"bias\"");
}
END_TEST

START_TEST(refused_calls)
{
    expect(not_due, 1, PLUMB_OK, "");
    expect(refused_when_due, 2, PLUMB_OK, "");
}
END_TEST

/* Not in a step at all; and handles without such parameters. */
START_TEST(outside_of_steps)
{
    static float values[CURVATURE_ELEMENTS];
    const float estimate[7] = {0};
    state s;
    int due = -1;
    test_all(open_state(&plain_run, values, &s) == PLUMB_OK);
    test_all(refused(&s, plumb_curvature_due(s.p, &due), PLUMB_ERROR_ORDER,
                     "plumb_curvature_due") == PLUMB_OK);
    test_all(refused(&s, plumb_accumulate_curvature(s.p, CURVATURE_BIAS, 0, 0, 1.0, estimate),
                     PLUMB_ERROR_ORDER, "plumb_accumulate_curvature") == PLUMB_OK);
    test_all(begin(&s) == PLUMB_OK);
    test_all(refused(&s, plumb_curvature_due(s.p, NULL), PLUMB_ERROR_ARGUMENT, "NULL") == PLUMB_OK);
    test_all(plumb_curvature_due(s.p, &due) == PLUMB_OK && due == 1);
    test_all(plumb_destroy(&s.p) == PLUMB_OK); /* with the step open and nothing given */
    int64_t allocations = -1;
    test_all(plumb_memory_in_use(&allocations, NULL) == PLUMB_OK && allocations == 0);
    test_all(plumb_curvature_due(NULL, &due) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_accumulate_curvature(NULL, 0, 0, 0, 1.0, estimate) == PLUMB_ERROR_ARGUMENT);
}
END_TEST

/* One parameter "one" with these options, in G groups, and a step of K micro-batches. */
static bool setup_refused(const plumb_parameter_options *one, int groups, plumb_exchange exchange,
                          int64_t total, plumb_status expected, const char *part)
{
    float value[2] = {1.0f, 1.0f};
    plumb *p = NULL;
    plumb_options options;
    int id;
    plumb_options_init(&options, sizeof options);
    options.groups = groups;
    options.exchange = exchange;
    plumb_status status = plumb_create(MPI_COMM_WORLD, &options, &p);
    if (status == PLUMB_OK) {
        status = plumb_add_parameter(p, "one", 1, 2, value, one, &id);
    }
    status = status == PLUMB_OK ? plumb_begin_step(p, total) : status;
    bool good = trial_refused(p, status, expected, part);
    plumb_destroy(&p);
    return good;
}

START_TEST(wrong_setups)
{
    plumb_parameter_options o;
    plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_SOPHIA);
    o.correction = PLUMB_CORRECTION_MOMENT;
    test_all(
        setup_refused(&o, 1, PLUMB_EXCHANGE_TRANSPOSED, 8, PLUMB_ERROR_ARGUMENT,
                      "\"one\" (rank 0): correction moment needs 2 groups or more; there is 1"));
    test_all(setup_refused(&o, 2, PLUMB_EXCHANGE_ALLREDUCE, 8, PLUMB_ERROR_UNSUPPORTED,
                           "parameter \"one\""));
    o.correction = PLUMB_CORRECTION_LOO;
    o.folds = 3;
    test_all(setup_refused(&o, 4, PLUMB_EXCHANGE_TRANSPOSED, 8, PLUMB_ERROR_ARGUMENT,
                           "\"one\" (rank 0): 3 folds do not divide 4 groups"));
    o.folds = 0;
    o.correction = PLUMB_CORRECTION_PAPER_LOO;
    test_all(setup_refused(&o, 4, PLUMB_EXCHANGE_TRANSPOSED, 8, PLUMB_ERROR_UNSUPPORTED,
                           "sophia has no correction \"paper-loo\""));
}
END_TEST

START_TEST(intervals_differ)
{
    static float values[CURVATURE_ELEMENTS];
    state s;
    plumb_parameter_options o;
    float more[2] = {0.0f, 0.0f};
    int id = -1;
    test_all(open_state(&plain_run, values, &s) == PLUMB_OK);
    plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_SOPHIA);
    o.curvature_interval = 3;
    plumb_status status = plumb_add_parameter(s.p, "more", 1, 2, more, &o, &id);
    test_all(trial_refused(s.p, status, PLUMB_ERROR_ARGUMENT,
                           "\"more\": curvature_interval is 3, that of parameters before it 2"));
    test_all(id == -1);
    test_all(advance(&s, CURVATURE_STEPS));
    plumb_destroy(&s.p);
}
END_TEST

static plumb_status samples_differ(state *s)
{
    plumb_status status = begin(s);
    if (status == PLUMB_OK && is_last(s)) {
        status = plumb_describe_micro_batch(s->p, s->r->total - 1, 3.0, 0.0, NULL, 0);
    }
    return end(s, status == PLUMB_OK ? curvature_run_give(s->r, s->p, s->step) : status);
}

/* Corrections need groups of equal samples, and always as many. */
START_TEST(unlike_groups)
{
    static float values[CURVATURE_ELEMENTS];
    state s;
    test_all(fails_cleanly(&corrected_run, samples_differ, 0, PLUMB_ERROR_ARGUMENT,
                           "groups of equal samples"));
    curvature_run free_run = corrected_run;
    free_run.groups = 0;
    test_all(open_state(&free_run, values, &s) == PLUMB_OK);
    test_all(advance(&s, 1));
    test_all(trial_refused(s.p, plumb_begin_step(s.p, 12), PLUMB_ERROR_ARGUMENT,
                           "the steps so far had 8 groups"));
    test_all(advance(&s, 3));
    plumb_destroy(&s.p);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("curvature refusals");
    test_add(suite, "wrong curvature", wrong_curvature);
    test_add(suite, "refused calls", refused_calls);
    test_add(suite, "outside of steps", outside_of_steps);
    test_add(suite, "wrong setups", wrong_setups);
    test_add(suite, "intervals differ", intervals_differ);
    test_add(suite, "unlike groups", unlike_groups);
    return test_run_mpi(suite, &argc, &argv);
}
