/*
 * Every allocation of the library fails in turn, on one rank only: whatever it was for, all ranks
 * get the same failure or none, nobody waits for ever, no state is touched, and the run goes on.
 * ranks: 1 2 3
 * seconds: 900
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/fault.h"
#include "support/test.h"
#include "support/trial.h"

enum { MATRIX_ELEMENTS = 120 };

/* The allocation that fails, counted down; 0: none. */
static int until_failure;

void *aligned_alloc(size_t alignment, size_t size)
{
    if (until_failure > 0 && --until_failure == 0) {
        errno = ENOMEM;
        return NULL;
    }
    void *pointer = NULL;
    return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}

/* What is tried: optimizers of matrix, vector and row, with corrections, the matrix's pipeline, an
 * average of the values, and diagnostics in every step. */
typedef struct kind {
    plumb_optimizer optimizers[TRIAL_PARAMETERS];
    plumb_correction corrections[TRIAL_PARAMETERS];
    plumb_pipeline pipeline;
    plumb_average_weights average;
    bool scattered;
    plumb_diagnostics diagnostics;
} kind;

/* What two steps end with. */
typedef struct ending {
    char hash[33];
    float averages[MATRIX_ELEMENTS]; /* of the matrix's values, or 0 */
} ending;

static bool is_last(const trial *t)
{
    return t->rank == t->size - 1;
}

/* The lowest and highest status over the ranks are the same; returned in *status. */
static bool agreed(plumb_status *status)
{
    int mine = (int)*status;
    int lowest;
    int highest;
    MPI_Allreduce(&mine, &lowest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    MPI_Allreduce(&mine, &highest, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return lowest == highest;
}

/* Roots and curvature in the first step; roots again in the second. */
static void options_of(kind k, int i, plumb_parameter_options *o)
{
    plumb_correction correction = k.corrections[i];
    plumb_parameter_options_init(o, sizeof *o, k.optimizers[i]);
    o->correction = correction;
    o->pipeline = i == 0 ? k.pipeline : PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE;
    o->polar = correction == PLUMB_CORRECTION_SECOND_ORDER ? PLUMB_POLAR_SVD : o->polar;
    o->curvature_interval = 2;
    o->root_interval = 1;
    o->block_size = correction == PLUMB_CORRECTION_JACKKNIFE ? 12 : 7;
    if (correction == PLUMB_CORRECTION_JACKKNIFE) {
        o->noise_floor = o->optimizer == PLUMB_OPTIMIZER_SHAMPOO ? 1.0 : 0.0;
        o->folds = 2;
    }
}

/* Parameters first .. end - 1. */
static plumb_status add_some(trial *t, kind k, int first, int end)
{
    plumb_status status = PLUMB_OK;
    for (int i = first; i < end && status == PLUMB_OK; i++) {
        plumb_parameter_options options;
        options_of(k, i, &options);
        status = trial_register(t, i, &options);
    }
    return status;
}

/* With the first `count` parameters. */
static plumb_status open_some(trial *t, kind k, int count)
{
    plumb_options handle;
    trial_options(t, &handle);
    handle.average_weights = k.average;
    handle.diagnostics = k.diagnostics;
    handle.diagnostics_every = 1;
    plumb_status status = trial_create(t, &handle);
    t->scattered = k.scattered;
    return status == PLUMB_OK ? add_some(t, k, 0, count) : status;
}

static plumb_status open_trial(trial *t, kind k)
{
    return open_some(t, k, TRIAL_PARAMETERS);
}

static void end_trial(trial *t, kind k, ending *e)
{
    memset(e, 0, sizeof *e);
    test_all(trial_elements(0) == MATRIX_ELEMENTS);
    test_all(trial_hash(t, e->hash));
    if (k.average != PLUMB_AVERAGE_NONE) {
        test_all(plumb_averaged_values(t->p, 0, e->averages) == PLUMB_OK);
    }
    test_all(trial_close(t));
}

static void expected_ending(kind k, ending *e)
{
    trial t;
    test_all(open_trial(&t, k) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_step(&t, 1) == PLUMB_OK);
    end_trial(&t, k, e);
}

/*
 * A step in which the last rank's allocation number `number` fails. All ranks end it alike: begin
 * fails everywhere, or gradients are given as far as that goes and plumb_end_step decides.
 * *reached: the failure came to pass.
 */
static plumb_status failing_step(trial *t, int step, int number, bool *reached)
{
    until_failure = is_last(t) ? number : 0;
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK) {
        (void)trial_give(t, step, TRIAL_TOTAL);
        status = plumb_end_step(t->p, 0.03, NULL);
    }
    int left = until_failure;
    until_failure = 0;
    MPI_Bcast(&left, 1, MPI_INT, t->size - 1, MPI_COMM_WORLD);
    *reached = left == 0;
    return status;
}

/* Step `failing` of two fails by its allocation `number`, is done again, and all ends well. */
static bool survive(kind k, int failing, int number, const ending *expected)
{
    trial t;
    ending e;
    bool reached = true;
    test_all(open_trial(&t, k) == PLUMB_OK);
    for (int step = 0; step < 2; step++) {
        plumb_status status = PLUMB_ERROR_MEMORY;
        if (step == failing) {
            status = failing_step(&t, step, number, &reached);
            ck_assert_msg(agreed(&status), "allocation %d of step %d: ranks differ: %s", number,
                          step, plumb_error_message(t.p));
            ck_assert_msg(status == PLUMB_OK || status == PLUMB_ERROR_MEMORY,
                          "allocation %d of step %d: %s", number, step, plumb_error_message(t.p));
        }
        if (status != PLUMB_OK) {
            test_all(trial_step(&t, step) == PLUMB_OK);
        }
    }
    end_trial(&t, k, &e);
    bool same = memcmp(&e, expected, sizeof e) == 0;
    ck_assert_msg(test_agree(same), "allocation %d of step %d left a trace", number, failing);
    return reached;
}

static void fail_in_turn(kind k)
{
    ending expected;
    expected_ending(k, &expected);
    for (int failing = 0; failing < 2; failing++) {
        int number = 1;
        while (survive(k, failing, number, &expected)) {
            number++;
        }
        /* The first step makes the plan: it allocates a lot. */
        test_all(failing == 1 || number > 30);
    }
}

#define MUON PLUMB_OPTIMIZER_MUON
#define ADAMW PLUMB_OPTIMIZER_ADAMW
#define SGD PLUMB_OPTIMIZER_SGD
#define SHAMPOO PLUMB_OPTIMIZER_SHAMPOO
#define SOAP PLUMB_OPTIMIZER_SOAP
#define SOPHIA PLUMB_OPTIMIZER_SOPHIA
#define NONE PLUMB_CORRECTION_NONE
#define MOMENT PLUMB_CORRECTION_MOMENT
#define LOO PLUMB_CORRECTION_LOO
#define JACKKNIFE PLUMB_CORRECTION_JACKKNIFE
#define SECOND_ORDER PLUMB_CORRECTION_SECOND_ORDER
#define OFF PLUMB_DIAGNOSTICS_OFF

START_TEST(steps)
{
    static const kind kinds[] = {
        {{MUON, ADAMW, SGD}, {NONE, NONE, NONE}, 0, 0, false, OFF},
        {{MUON, ADAMW, SGD},
         {NONE, NONE, NONE},
         PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR,
         0,
         false,
         OFF},
        {{SHAMPOO, ADAMW, SGD}, {SECOND_ORDER, LOO, NONE}, 0, PLUMB_AVERAGE_NONE, false, OFF},
        {{SHAMPOO, SOPHIA, SOPHIA}, {JACKKNIFE, LOO, NONE}, 0, PLUMB_AVERAGE_EMA, false, OFF},
        {{SOAP, ADAMW, SOPHIA}, {MOMENT, NONE, MOMENT}, 0, PLUMB_AVERAGE_TAIL, true, OFF},
        {{MUON, SOPHIA, ADAMW}, {SECOND_ORDER, NONE, MOMENT}, 0, PLUMB_AVERAGE_NONE, true, OFF},
        {{MUON, ADAMW, SGD}, {JACKKNIFE, NONE, NONE}, 0, PLUMB_AVERAGE_NONE, false, OFF},
        {{MUON, ADAMW, SGD}, {NONE, NONE, NONE}, 0, 0, false, PLUMB_DIAGNOSTICS_ECONOMY},
        {{MUON, ADAMW, SGD}, {NONE, NONE, NONE}, 0, 0, false, PLUMB_DIAGNOSTICS_FULL},
    };
    fail_in_turn(kinds[_i]);
}
END_TEST

/* No window can be had, and there is no memory for what takes its place: of curvature too. */
START_TEST(without_windows)
{
    const kind k = {
        {MUON, SOPHIA, SOPHIA}, {NONE, NONE, MOMENT}, 0, PLUMB_AVERAGE_NONE, false, OFF};
    fault.no_windows = true;
    fail_in_turn(k);
    fault.no_windows = false;
}
END_TEST

/*
 * The first beginning fails at the last rank's allocation number `number`, and parameters are added
 * after that. ORDER: they cannot be, the plan stands.
 */
static plumb_status add_late(kind k, int number, const ending *expected)
{
    trial t;
    ending e;
    test_all(open_some(&t, k, 1) == PLUMB_OK);
    until_failure = is_last(&t) ? number : 0;
    plumb_status status = plumb_begin_step(t.p, TRIAL_TOTAL);
    until_failure = 0;
    test_all(status == PLUMB_ERROR_MEMORY);
    status = add_some(&t, k, 1, TRIAL_PARAMETERS);
    test_all(agreed(&status));
    if (status != PLUMB_OK) {
        test_all(trial_close(&t));
        return status;
    }
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_step(&t, 1) == PLUMB_OK);
    end_trial(&t, k, &e);
    test_all(memcmp(&e, expected, sizeof e) == 0);
    return PLUMB_OK;
}

/* Until the plan stands, all of a set-up that failed is made anew, for what there is then. */
START_TEST(more_parameters)
{
    const kind k = {{MUON, SOPHIA, SOPHIA}, {NONE, NONE, MOMENT}, 0, PLUMB_AVERAGE_EMA, false, OFF};
    ending expected;
    expected_ending(k, &expected);
    plumb_status status = PLUMB_OK;
    for (int number = 1; status == PLUMB_OK; number++) {
        status = add_late(k, number, &expected);
    }
    test_all(status == PLUMB_ERROR_ORDER);
}
END_TEST

START_TEST(creating)
{
    for (int number = 1; number < 12; number++) {
        trial t;
        int rank;
        int size;
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        until_failure = rank == size - 1 ? number : 0;
        plumb_status status = trial_create(&t, NULL);
        until_failure = 0;
        test_all(agreed(&status));
        test_all(status == PLUMB_OK || status == PLUMB_ERROR_MEMORY);
        test_all(trial_close(&t));
    }
}
END_TEST

START_TEST(averaging)
{
    int rank;
    int size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    enum { TOTAL = 6, LENGTH = 5000 };
    int64_t first;
    int64_t count;
    test_all(plumb_average_share(MPI_COMM_WORLD, TOTAL, &first, &count) == PLUMB_OK);
    float *vectors = calloc((size_t)(count * LENGTH), sizeof *vectors);
    float *mean = calloc(LENGTH, sizeof *mean);
    plumb_status status = PLUMB_ERROR_MEMORY;
    for (int number = 1; status != PLUMB_OK && number < 200; number++) {
        until_failure = rank == size - 1 ? number : 0;
        status = plumb_average(MPI_COMM_WORLD, TOTAL, LENGTH, vectors, NULL, mean);
        until_failure = 0;
        test_all(agreed(&status));
        test_all(status == PLUMB_OK || status == PLUMB_ERROR_MEMORY);
    }
    test_all(status == PLUMB_OK);
    free(vectors);
    free(mean);
}
END_TEST

/* A step that does not fit in memory leaves nothing behind that a smaller one could stumble on. */
START_TEST(a_step_that_is_too_large)
{
    trial t;
    char before[33];
    char after[33];
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_hash(&t, before));
    for (int i = 0; i < 2; i++) {
        until_failure = is_last(&t) ? 3 : 0;
        plumb_status status = plumb_begin_step(t.p, 4 * TRIAL_TOTAL);
        until_failure = 0;
        test_all(trial_refused(t.p, status, PLUMB_ERROR_MEMORY, "memory"));
    }
    test_all(plumb_begin_step(t.p, 4 * TRIAL_TOTAL) == PLUMB_OK);
    test_all(trial_give(&t, 1, 4 * TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_end_step(t.p, 0.03, NULL) == PLUMB_OK);
    test_all(trial_step(&t, 2) == PLUMB_OK);
    test_all(trial_hash(&t, after) && strcmp(before, after) != 0);
    test_all(trial_close(&t));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("out of memory");
    TCase *cases = tcase_create("steps");
    tcase_add_loop_test(cases, steps, 0, 9);
    suite_add_tcase(suite, cases);
    test_add(suite, "without windows", without_windows);
    test_add(suite, "more parameters", more_parameters);
    test_add(suite, "creating", creating);
    test_add(suite, "averaging", averaging);
    test_add(suite, "a step that is too large", a_step_that_is_too_large);
    return test_run_mpi(suite, &argc, &argv);
}
