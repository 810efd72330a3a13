/*
 * Every allocation of the library fails in turn, on one rank only: whatever it was for, all ranks
 * get the same failure or none, nobody waits for ever, no state is touched, and the run goes on.
 * ranks: 1 2 3
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "support/trial.h"

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

/* What is tried: the matrix's pipeline and the AdamW vector's correction. */
typedef struct kind {
    plumb_pipeline pipeline;
    plumb_correction correction;
} kind;

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

static plumb_status open_trial(trial *t, kind k)
{
    plumb_status status = trial_create(t, NULL);
    for (int i = 0; i < TRIAL_PARAMETERS && status == PLUMB_OK; i++) {
        plumb_parameter_options options;
        trial_parameter_options(i, &options);
        if (i == 0) {
            options.pipeline = k.pipeline;
        }
        if (i == 1) {
            options.correction = k.correction;
        }
        status = trial_register(t, i, &options);
    }
    return status;
}

static void expected_hash(kind k, char hash[33])
{
    trial t;
    test_all(open_trial(&t, k) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_step(&t, 1) == PLUMB_OK);
    test_all(trial_hash(&t, hash));
    test_all(trial_close(&t));
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
static bool survive(kind k, int failing, int number, const char *expected)
{
    trial t;
    char hash[33];
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
    test_all(trial_hash(&t, hash));
    ck_assert_msg(strcmp(hash, expected) == 0, "allocation %d of step %d left a trace", number,
                  failing);
    test_all(trial_close(&t));
    return reached;
}

static void fail_in_turn(kind k)
{
    char expected[33];
    expected_hash(k, expected);
    for (int failing = 0; failing < 2; failing++) {
        int number = 1;
        while (survive(k, failing, number, expected)) {
            number++;
        }
        /* The first step makes the plan: it allocates a lot. */
        test_all(failing == 1 || number > 30);
    }
}

START_TEST(plain_steps)
{
    fail_in_turn((kind){PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, PLUMB_CORRECTION_NONE});
}
END_TEST

START_TEST(steps_by_group)
{
    fail_in_turn((kind){PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, PLUMB_CORRECTION_NONE});
}
END_TEST

START_TEST(steps_with_a_correction)
{
    fail_in_turn((kind){PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, PLUMB_CORRECTION_LOO});
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
    test_add(suite, "plain steps", plain_steps);
    test_add(suite, "steps by group", steps_by_group);
    test_add(suite, "steps with a correction", steps_with_a_correction);
    test_add(suite, "creating", creating);
    test_add(suite, "averaging", averaging);
    test_add(suite, "a step that is too large", a_step_that_is_too_large);
    return test_run_mpi(suite, &argc, &argv);
}
