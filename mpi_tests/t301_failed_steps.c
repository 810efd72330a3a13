/*
 * Steps that fail on one rank fail on all, with the same message, and leave values and optimizer
 * states untouched: good steps afterwards end where a run that never failed ends.
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "support/trial.h"

/* What is done to the step; every rank runs it. Returns the status of its last call. */
typedef plumb_status (*spoiled_step)(trial *t);

/* Largest rank, and the first micro-batch it has. */
static bool is_last(const trial *t)
{
    return t->rank == t->size - 1;
}

static int64_t first_of(trial *t)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_share(t->p, TRIAL_TOTAL, &first, &count);
    return first;
}

/* All gradients, but element `element` of parameter i in micro-batch `where` is `value`. */
static plumb_status give_with(trial *t, int i, int64_t where, int64_t element, float value)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_share(t->p, TRIAL_TOTAL, &first, &count);
    for (int j = TRIAL_PARAMETERS - 1; j >= 0; j--) {
        float *gradient = malloc((size_t)trial_elements(j) * sizeof *gradient);
        for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
            trial_gradient(99, k, j, gradient);
            if (j == i && (k == where || where < 0)) {
                gradient[element] = value;
            }
            status = plumb_accumulate(t->p, j, k, gradient);
        }
        free(gradient);
    }
    return status;
}

static plumb_status step_with(trial *t, int i, int64_t where, int64_t element, float value)
{
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK) {
        status = give_with(t, i, where, element, value);
    }
    return status == PLUMB_OK ? plumb_end_step(t->p, 0.03, NULL) : status;
}

static plumb_status nan_on_last_rank(trial *t)
{
    return step_with(t, 1, TRIAL_TOTAL - 1, 9000, (float)NAN);
}

static plumb_status nan_on_first_rank(trial *t)
{
    return step_with(t, 0, 0, 0, (float)NAN);
}

static plumb_status infinite(trial *t)
{
    return step_with(t, 2, 5, 3, -INFINITY);
}

/* In the library's own memory, which is not copied. */
static plumb_status nan_in_place(trial *t)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    plumb_share(t->p, TRIAL_TOTAL, &first, &count);
    for (int64_t k = first; k < first + count; k++) {
        for (int i = 0; i < TRIAL_PARAMETERS && status == PLUMB_OK; i++) {
            float *gradient = NULL;
            status = plumb_gradient_buffer(t->p, i, &gradient);
            if (status == PLUMB_OK) {
                trial_gradient(99, k, i, gradient);
                gradient[trial_elements(i) - 1] = i == 1 && k == 0 ? (float)NAN : 0.0f;
                status = plumb_accumulate(t->p, i, k, gradient);
            }
        }
    }
    return status == PLUMB_OK ? plumb_end_step(t->p, 0.03, NULL) : status;
}

static plumb_status sum_overflows(trial *t)
{
    return step_with(t, 1, -1, 4096, 3e38f);
}

static plumb_status missing(trial *t)
{
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK && !is_last(t)) {
        status = trial_give(t, 99, TRIAL_TOTAL);
    }
    return status == PLUMB_OK ? plumb_end_step(t->p, 0.03, NULL) : status;
}

static plumb_status nothing_at_all(trial *t)
{
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    return status == PLUMB_OK ? plumb_end_step(t->p, 0.03, NULL) : status;
}

static plumb_status given_twice(trial *t)
{
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK) {
        status = trial_give(t, 99, TRIAL_TOTAL);
    }
    if (status == PLUMB_OK && is_last(t)) {
        float gradient[7] = {0};
        plumb_status again = plumb_accumulate(t->p, 2, first_of(t), gradient);
        status = again == PLUMB_ERROR_COVERAGE ? PLUMB_OK : PLUMB_ERROR_INTERNAL;
    }
    return status == PLUMB_OK ? plumb_end_step(t->p, 0.03, NULL) : status;
}

/* Runs the step up to its end with this rank's own rate and report. */
static plumb_status end_with(trial *t, double rate, plumb_report *report)
{
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK) {
        status = trial_give(t, 99, TRIAL_TOTAL);
    }
    return status == PLUMB_OK ? plumb_end_step(t->p, rate, report) : status;
}

static plumb_status rate_is_nan(trial *t)
{
    return end_with(t, is_last(t) ? NAN : 0.03, NULL);
}

static plumb_status rate_is_negative(trial *t)
{
    return end_with(t, is_last(t) ? -0.03 : 0.03, NULL);
}

static plumb_status rates_differ(trial *t)
{
    return end_with(t, is_last(t) ? 0.031 : 0.03, NULL);
}

static plumb_status update_overflows(trial *t)
{
    return end_with(t, 1e39, NULL);
}

/* The square of 1e20 is beyond floats; the new values would look sane. */
static plumb_status state_overflows(trial *t)
{
    return step_with(t, 1, -1, 5000, 1e20f);
}

static plumb_status report_of_wrong_size(trial *t)
{
    plumb_report report = {.size = sizeof report};
    report.size -= is_last(t) ? 8 : 0;
    return end_with(t, 0.03, &report);
}

static plumb_status report_of_wrong_size_late(trial *t)
{
    plumb_report report = {.size = sizeof report};
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK) {
        status = trial_give(t, 99, TRIAL_TOTAL);
    }
    if (status == PLUMB_OK) {
        status = plumb_reduce(t->p, &report);
    }
    report.size = is_last(t) ? 0 : report.size;
    return status == PLUMB_OK ? plumb_update(t->p, 0.03, &report) : status;
}

static plumb_status total_too_small(trial *t)
{
    return plumb_begin_step(t->p, t->size - 1);
}

static plumb_status total_too_large(trial *t)
{
    return plumb_begin_step(t->p, INT64_C(1) << 60);
}

static plumb_status groups_do_not_divide(trial *t)
{
    return plumb_begin_step(t->p, TRIAL_TOTAL + 1);
}

static plumb_status totals_differ(trial *t)
{
    return plumb_begin_step(t->p, is_last(t) ? 2 * TRIAL_TOTAL : TRIAL_TOTAL);
}

static bool steps_hold(trial *t, int from, int to)
{
    bool good = true;
    for (int step = from; step < to && good; step++) {
        good = test_agree(trial_step(t, step) == PLUMB_OK);
    }
    return good;
}

enum { GOOD_STEPS = 4 };

/* The hash after `steps` good steps. */
static bool reference(const plumb_options *options, int steps, char hash[33])
{
    trial t;
    bool good = test_agree(trial_open(&t, options) == PLUMB_OK) && steps_hold(&t, 0, steps) &&
                trial_hash(&t, hash);
    return trial_close(&t) && good;
}

/* Two good steps, the failure twice, two more good steps. */
static bool fails_cleanly(const plumb_options *given, spoiled_step spoil, plumb_status expected,
                          const char *part)
{
    trial t;
    plumb_options options = *given;
    char expected_hash[2][33];
    char hash[33];
    bool good =
        reference(given, 2, expected_hash[0]) && reference(given, GOOD_STEPS, expected_hash[1]);
    options.log_context = &t;
    good = good && test_agree(trial_open(&t, &options) == PLUMB_OK) && steps_hold(&t, 0, 2);
    for (int i = 0; i < 2 && good; i++) {
        plumb_status status = spoil(&t);
        good = trial_refused(t.p, status, expected, part) && trial_hash(&t, hash) &&
               test_agree(strcmp(hash, expected_hash[0]) == 0);
    }
    good = good && steps_hold(&t, 2, GOOD_STEPS) && trial_hash(&t, hash) &&
           test_agree(strcmp(hash, expected_hash[1]) == 0);
    return trial_close(&t) && good;
}

static int size_of_world(void)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

static void expect(spoiled_step spoil, plumb_status expected, const char *part)
{
    static trial unused;
    plumb_options options;
    trial_options(&unused, &options);
    options.groups = 4;
    test_all(fails_cleanly(&options, spoil, expected, part));
    options.owners = PLUMB_OWNERS_RANK0;
    options.replica_check = 1;
    test_all(fails_cleanly(&options, spoil, expected, part));
}

START_TEST(gradients)
{
    char part[80];
    snprintf(part, sizeof part, "\"vector\" is not finite (rank %d, micro-batch 7)",
             size_of_world() - 1);
    expect(nan_on_last_rank, PLUMB_ERROR_NONFINITE, part);
    expect(nan_on_first_rank, PLUMB_ERROR_NONFINITE,
           "\"matrix\" is not finite (rank 0, micro-batch 0)");
    expect(nan_in_place, PLUMB_ERROR_NONFINITE, "\"vector\" is not finite (rank 0, micro-batch 0)");
    snprintf(part, sizeof part, "\"row\" is not finite (rank %d, micro-batch 5)",
             5 * size_of_world() / TRIAL_TOTAL);
    expect(infinite, PLUMB_ERROR_NONFINITE, part);
    expect(sum_overflows, PLUMB_ERROR_NONFINITE, "sum of the gradients of parameter \"vector\"");
}
END_TEST

START_TEST(coverage)
{
    char part[80];
    int last = size_of_world() - 1;
    int64_t first = TRIAL_TOTAL - TRIAL_TOTAL / size_of_world();
    snprintf(part, sizeof part, "\"matrix\": the gradient of micro-batch %d is missing on rank %d",
             (int)first, last);
    expect(missing, PLUMB_ERROR_COVERAGE, part);
    expect(nothing_at_all, PLUMB_ERROR_COVERAGE, "micro-batch 0 is missing on rank 0");
    snprintf(part, sizeof part, "\"row\": micro-batch %d was given twice on rank %d", (int)first,
             last);
    expect(given_twice, PLUMB_ERROR_COVERAGE, part);
}
END_TEST

START_TEST(updates)
{
    expect(rate_is_nan, PLUMB_ERROR_ARGUMENT, "learning rate");
    expect(rate_is_negative, PLUMB_ERROR_ARGUMENT, "learning rate is -0.03");
    expect(update_overflows, PLUMB_ERROR_NONFINITE, "update of parameter");
    expect(state_overflows, PLUMB_ERROR_NONFINITE, "second_moment of parameter \"vector\"");
    expect(report_of_wrong_size, PLUMB_ERROR_ARGUMENT, "plumb_report");
    expect(report_of_wrong_size_late, PLUMB_ERROR_ARGUMENT, "plumb_report");
    if (size_of_world() > 1) {
        expect(rates_differ, PLUMB_ERROR_MISMATCH, "the learning rate is 0.031 on rank");
    }
}
END_TEST

START_TEST(beginnings)
{
    expect(total_too_small, PLUMB_ERROR_ARGUMENT, "too few");
    expect(total_too_large, PLUMB_ERROR_ARGUMENT, "more than");
    expect(groups_do_not_divide, PLUMB_ERROR_ARGUMENT, "4 groups do not divide 9");
    if (size_of_world() > 1) {
        expect(totals_differ, PLUMB_ERROR_MISMATCH, "number of micro-batches is 16 on rank");
    }
}
END_TEST

START_TEST(under_allreduce)
{
    static trial unused;
    plumb_options options;
    trial_options(&unused, &options);
    options.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    test_all(fails_cleanly(&options, nan_on_last_rank, PLUMB_ERROR_NONFINITE, "micro-batch 7"));
    test_all(fails_cleanly(&options, sum_overflows, PLUMB_ERROR_NONFINITE, "\"vector\""));
    test_all(fails_cleanly(&options, missing, PLUMB_ERROR_COVERAGE, "is missing"));
    test_all(fails_cleanly(&options, update_overflows, PLUMB_ERROR_NONFINITE, "update of"));
}
END_TEST

/* The matrix under a pipeline by groups: the holder of a group sees another rank's NaN. */
static plumb_status open_by_group(trial *t, plumb_pipeline pipeline)
{
    plumb_options options;
    trial_options(t, &options);
    options.groups = 2;
    options.owners = PLUMB_OWNERS_RANK0; /* so that the last rank holds no group */
    plumb_status status = trial_create(t, &options);
    for (int i = 0; i < TRIAL_PARAMETERS && status == PLUMB_OK; i++) {
        plumb_parameter_options one;
        trial_parameter_options(i, &one);
        one.pipeline = i == 0 ? pipeline : one.pipeline;
        status = trial_register(t, i, &one);
    }
    return status;
}

START_TEST(under_pipelines)
{
    for (int pipeline = 1; pipeline <= (int)PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR; pipeline++) {
        trial t;
        char before[33];
        char after[33];
        char part[80];
        snprintf(part, sizeof part,
                 "gradient of parameter \"matrix\" is not finite (rank %d, "
                 "micro-batch 7)",
                 size_of_world() - 1);
        test_all(open_by_group(&t, (plumb_pipeline)pipeline) == PLUMB_OK);
        test_all(steps_hold(&t, 0, 1));
        test_all(trial_hash(&t, before));
        plumb_status status = step_with(&t, 0, TRIAL_TOTAL - 1, 5, (float)NAN);
        test_all(trial_refused(t.p, status, PLUMB_ERROR_NONFINITE, part));
        status = step_with(&t, 0, -1, 5, 3e38f);
        test_all(trial_refused(t.p, status, PLUMB_ERROR_NONFINITE, "parameter \"matrix\""));
        test_all(trial_hash(&t, after) && strcmp(before, after) == 0);
        test_all(steps_hold(&t, 1, 2));
        test_all(trial_close(&t));
    }
}
END_TEST

/* Norms are those of the last step that was reduced; a failed one leaves none. */
START_TEST(norms_of_a_failed_step)
{
    trial t;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    float norms[600] = {0};
    const float *all = NULL;
    int64_t count = -1;
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_describe_micro_batch(t.p, first_of(&t), 1.0, 0.0, norms, 600) == PLUMB_OK);
    test_all(give_with(&t, 1, -1, 0, 3e38f) == PLUMB_OK);
    plumb_status status = plumb_end_step(t.p, 0.1, NULL);
    test_all(trial_refused(t.p, status, PLUMB_ERROR_NONFINITE, "sum"));
    test_all(plumb_sample_norms(t.p, &all, &count) == PLUMB_OK && count == 0);
    test_all(trial_close(&t));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("failed steps");
    test_add(suite, "gradients", gradients);
    test_add(suite, "coverage", coverage);
    test_add(suite, "updates", updates);
    test_add(suite, "beginnings", beginnings);
    test_add(suite, "under allreduce", under_allreduce);
    test_add(suite, "under pipelines", under_pipelines);
    test_add(suite, "norms of a failed step", norms_of_a_failed_step);
    return test_run_mpi(suite, &argc, &argv);
}
