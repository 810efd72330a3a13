/*
 * Handles whose message fails, by an injected fault at the same call on all ranks, and handles
 * that are destroyed in the middle of a step: clear errors, no hang, no memory left.
 * ranks: 1 2 4
 */
#include <stdio.h>
#include <string.h>

#include "exchange/fault.h"
#include "support/test.h"
#include "support/trial.h"

static const char clear_message[] = "can only be destroyed";

/* Everything but destroying is refused. */
static void expect_broken(trial *t)
{
    float gradient[7] = {0};
    test_all(plumb_accumulate(t->p, 2, 0, gradient) == PLUMB_ERROR_ORDER);
    test_all(strstr(plumb_error_message(t->p), clear_message) != NULL);
    test_all(plumb_begin_step(t->p, TRIAL_TOTAL) == PLUMB_ERROR_ORDER);
    test_all(plumb_end_step(t->p, 0.1, NULL) == PLUMB_ERROR_ORDER);
    test_all(plumb_reduce(t->p, NULL) == PLUMB_ERROR_ORDER);
    test_all(plumb_update(t->p, 0.1, NULL) == PLUMB_ERROR_ORDER);
    test_all(plumb_check_replicas(t->p) == PLUMB_ERROR_ORDER);
    test_all(strstr(plumb_error_message(t->p), clear_message) != NULL);
}

/* The n-th message that this rank sends fails. Every rank of a step sends two or more. */
START_TEST(a_message_fails)
{
    for (int after = 1; after <= 2; after++) {
        trial t;
        plumb_options options;
        trial_options(&t, &options);
        options.groups = 1;
        test_all(trial_open(&t, &options) == PLUMB_OK);
        test_all(trial_step(&t, 0) == PLUMB_OK);
        test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
        fault.fail_message_after = after;
        plumb_status status = trial_give(&t, 1, TRIAL_TOTAL);
        fault.fail_message_after = 0;
        if (t.size > 1) {
            test_all(status == PLUMB_ERROR_MPI);
            test_all(strstr(plumb_error_message(t.p), "injected: a message failed") != NULL);
            expect_broken(&t);
        }
        test_all(trial_close(&t));
    }
}
END_TEST

/* Other handles go on. */
START_TEST(others_live_on)
{
    trial t;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_step(&t, 1) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(destroyed_while_open)
{
    for (int given = 0; given < 4; given++) {
        trial t;
        plumb_options options;
        trial_options(&t, &options);
        options.exchange = given == 3 ? PLUMB_EXCHANGE_ALLREDUCE : PLUMB_EXCHANGE_TRANSPOSED;
        test_all(trial_open(&t, &options) == PLUMB_OK);
        test_all(trial_step(&t, 0) == PLUMB_OK);
        test_all(plumb_begin_step(t.p, 2 * TRIAL_TOTAL) == PLUMB_OK);
        /* None, all, or those of every second rank. */
        bool gives = given == 1 || (given >= 2 && t.rank % 2 == 0);
        plumb_status status = gives ? trial_give(&t, 1, 2 * TRIAL_TOTAL) : PLUMB_OK;
        test_all(status == PLUMB_OK);
        test_all(trial_close(&t));
    }
}
END_TEST

START_TEST(destroyed_while_reduced)
{
    trial t;
    float norms[2] = {1.0f, 2.0f};
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    int64_t first = 0;
    int64_t count = 0;
    test_all(plumb_share(t.p, TRIAL_TOTAL, &first, &count) == PLUMB_OK);
    test_all(plumb_describe_micro_batch(t.p, first, 1.0, 0.0, norms, 2) == PLUMB_OK);
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_reduce(t.p, NULL) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(destroyed_before_any_step)
{
    trial t;
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    test_all(trial_close(&t));
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("broken handles");
    test_add(suite, "a message fails", a_message_fails);
    test_add(suite, "others live on", others_live_on);
    test_add(suite, "destroyed while open", destroyed_while_open);
    test_add(suite, "destroyed while reduced", destroyed_while_reduced);
    test_add(suite, "destroyed before any step", destroyed_before_any_step);
    return test_run_mpi(suite, &argc, &argv);
}
