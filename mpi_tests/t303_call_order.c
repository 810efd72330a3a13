/*
 * Calls in the wrong order, wrong arguments and NULLs: refused with a message, without an effect
 * on the step that is open, which then still ends as it should.
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"
#include "support/trial.h"

/* The call failed here with `expected` and `part` in the handle's message. Local. */
static bool refused(const trial *t, plumb_status status, plumb_status expected, const char *part)
{
    const char *message = plumb_error_message(t->p);
    bool good = status == expected && strstr(message, part) != NULL;
    if (!good) {
        fprintf(stderr, "%s: \"%s\", expected %s: \"%s\"\n", plumb_status_name(status), message,
                plumb_status_name(expected), part);
    }
    return good;
}

static int64_t first_of(trial *t)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_share(t->p, TRIAL_TOTAL, &first, &count);
    return first;
}

START_TEST(no_step_is_open)
{
    trial t;
    float gradient[7] = {0};
    float *buffer = NULL;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    for (int i = 0; i < 2; i++) {
        plumb_status status = plumb_accumulate(t.p, 2, first_of(&t), gradient);
        test_all(refused(&t, status, PLUMB_ERROR_ORDER, "plumb_accumulate: not now, no step"));
        status = plumb_gradient_buffer(t.p, 2, &buffer);
        test_all(refused(&t, status, PLUMB_ERROR_ORDER, "plumb_gradient_buffer"));
        status = plumb_describe_micro_batch(t.p, first_of(&t), 1.0, 0.0, NULL, 0);
        test_all(refused(&t, status, PLUMB_ERROR_ORDER, "plumb_describe_micro_batch"));
        test_all(plumb_end_step(t.p, 0.1, NULL) == PLUMB_ERROR_ORDER);
        test_all(plumb_reduce(t.p, NULL) == PLUMB_ERROR_ORDER);
        status = plumb_update(t.p, 0.1, NULL);
        test_all(refused(&t, status, PLUMB_ERROR_ORDER, "plumb_update: not now, no step is open"));
        test_all(plumb_progress(t.p) == PLUMB_OK);
        test_all(buffer == NULL);
        /* Once more after a step has come to its end. */
        test_all(trial_step(&t, i) == PLUMB_OK);
    }
    test_all(trial_close(&t));
}
END_TEST

START_TEST(a_step_is_open)
{
    trial t;
    int id = -7;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    plumb_status status = plumb_begin_step(t.p, TRIAL_TOTAL);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "a step is open"));
    status = plumb_update(t.p, 0.1, NULL);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "a step is open"));
    status = plumb_add_parameter(t.p, "late", 1, 7, t.values[2], NULL, &id);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "plumb_add_parameter"));
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_reduce(t.p, NULL) == PLUMB_OK);
    status = plumb_reduce(t.p, NULL);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "waits for plumb_update"));
    status = plumb_begin_step(t.p, TRIAL_TOTAL);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "waits for plumb_update"));
    test_all(plumb_update(t.p, 0.1, NULL) == PLUMB_OK);
    test_all(plumb_update(t.p, 0.1, NULL) == PLUMB_ERROR_ORDER);
    test_all(plumb_end_step(t.p, 0.1, NULL) == PLUMB_ERROR_ORDER);
    status = plumb_add_parameter(t.p, "late", 1, 7, t.values[2], NULL, &id);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "after the first plumb_begin_step"));
    test_all(id == -7);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(foreign_micro_batches)
{
    trial t;
    char clean[33];
    char hash[33];
    float gradient[7] = {0};
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK && trial_hash(&t, clean));
    test_all(trial_close(&t));
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    int64_t first = first_of(&t);
    int64_t wrong[] = {-1,        TRIAL_TOTAL, first - 1, first + TRIAL_TOTAL / t.size,
                       INT64_MAX, INT64_MIN};
    for (int i = 0; i < 6; i++) {
        plumb_status status = plumb_accumulate(t.p, 2, wrong[i], gradient);
        test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "which has"));
        status = plumb_describe_micro_batch(t.p, wrong[i], 1.0, 0.0, NULL, 0);
        test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "which has"));
    }
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_end_step(t.p, 0.03, NULL) == PLUMB_OK);
    test_all(trial_hash(&t, hash) && strcmp(hash, clean) == 0);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(wrong_arguments)
{
    trial t;
    float gradient[7] = {0};
    float *buffer = NULL;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    int64_t k = first_of(&t);
    test_all(plumb_accumulate(t.p, -1, k, gradient) == PLUMB_ERROR_ARGUMENT);
    plumb_status status = plumb_accumulate(t.p, TRIAL_PARAMETERS, k, gradient);
    test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "no parameter 3; there are 3"));
    status = plumb_accumulate(t.p, 2, k, NULL);
    test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "\"row\": gradient is NULL"));
    test_all(plumb_gradient_buffer(t.p, 99, &buffer) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_gradient_buffer(t.p, 2, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    status = plumb_gradient_buffer(t.p, 2, &buffer);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "all gradients of parameter \"row\" are in"));
    test_all(buffer == NULL);
    test_all(plumb_end_step(t.p, 0.03, NULL) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(descriptions)
{
    trial t;
    static const double wrong[] = {0.0, -1.0, NAN, INFINITY, 1e-9, 1e10};
    float norms[2] = {1.0f, 2.0f};
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    int64_t k = first_of(&t);
    plumb_status status;
    for (int i = 0; i < 6; i++) {
        status = plumb_describe_micro_batch(t.p, k, wrong[i], 0.0, NULL, 0);
        test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "samples"));
    }
    status = plumb_describe_micro_batch(t.p, k, 1.0, NAN, NULL, 0);
    test_all(refused(&t, status, PLUMB_ERROR_NONFINITE, "loss"));
    test_all(plumb_describe_micro_batch(t.p, k, 1.0, 0.0, NULL, 1) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_describe_micro_batch(t.p, k, 1.0, 0.0, norms, -1) == PLUMB_ERROR_ARGUMENT);
    norms[1] = (float)NAN;
    test_all(plumb_describe_micro_batch(t.p, k, 1.0, 0.0, norms, 2) == PLUMB_ERROR_NONFINITE);
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    status = plumb_describe_micro_batch(t.p, k, 2.0, 0.0, NULL, 0);
    test_all(refused(&t, status, PLUMB_ERROR_ORDER, "before its first gradient"));
    /* The loss may come late, and again. */
    test_all(plumb_describe_micro_batch(t.p, k, 1.0, 3.0, norms, 1) == PLUMB_OK);
    test_all(plumb_describe_micro_batch(t.p, k, 1.0, 8.0, norms, 1) == PLUMB_OK);
    plumb_report report = {.size = sizeof report};
    test_all(plumb_end_step(t.p, 0.03, &report) == PLUMB_OK);
    test_all(report.loss == 8.0 * t.size / TRIAL_TOTAL);
    const float *all = NULL;
    int64_t count = 0;
    test_all(plumb_sample_norms(t.p, &all, &count) == PLUMB_OK && count == t.size);
    test_all(trial_close(&t));
}
END_TEST

/* The next step starts without descriptions, weights included. */
START_TEST(descriptions_end_with_the_step)
{
    trial t;
    char clean[33];
    char hash[33];
    const float *all = NULL;
    const float norm = 1.0f;
    int64_t count = -1;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    for (int i = 0; i < 2; i++) {
        test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
        int64_t k = first_of(&t);
        test_all(i > 0 || plumb_describe_micro_batch(t.p, k, 3.0, 5.0, &norm, 1) == PLUMB_OK);
        test_all(trial_give(&t, i, TRIAL_TOTAL) == PLUMB_OK);
        plumb_report report = {.size = sizeof report};
        test_all(plumb_end_step(t.p, i == 0 ? 0.0 : 0.03, &report) == PLUMB_OK);
        test_all(report.samples == TRIAL_TOTAL + (i == 0 ? 2.0 * t.size : 0.0));
        test_all((report.loss == 0.0) == (i == 1));
        test_all(plumb_sample_norms(t.p, &all, &count) == PLUMB_OK);
        test_all(count == (i == 0 ? t.size : 0));
    }
    /* Weights of the second step were plain: its first micro-batches may be described so. */
    test_all(trial_hash(&t, hash));
    test_all(trial_close(&t));
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    for (int i = 0; i < 2; i++) {
        test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
        int64_t k = first_of(&t);
        double samples = i == 0 ? 3.0 : 1.0;
        test_all(plumb_describe_micro_batch(t.p, k, samples, 0.0, NULL, 0) == PLUMB_OK);
        test_all(trial_give(&t, i, TRIAL_TOTAL) == PLUMB_OK);
        test_all(plumb_end_step(t.p, i == 0 ? 0.0 : 0.03, NULL) == PLUMB_OK);
    }
    test_all(trial_hash(&t, clean) && strcmp(hash, clean) == 0);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(parameters)
{
    trial t;
    char name[200];
    int id = -7;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    float *v = t.values[2];
    test_all(plumb_add_parameter(t.p, NULL, 1, 7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "", 1, 7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "a\nb", 1, 7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, name, 1, 7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    name[128] = '\0';
    test_all(plumb_add_parameter(t.p, name, 1, 7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "w", 0, 7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "w", 1, -7, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "w", INT64_MAX, 3, v, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "w", 1, 7, NULL, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(t.p, "w", 1, 7, v, NULL, NULL) == PLUMB_ERROR_ARGUMENT);
    plumb_parameter_options options;
    trial_parameter_options(2, &options);
    options.beta1 = 1.0;
    plumb_status status = plumb_add_parameter(t.p, "w", 1, 7, v, &options, &id);
    test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "parameter \"w\": beta1"));
    test_all(id == -7);
    name[127] = '\0';
    test_all(plumb_add_parameter(t.p, name, 1, 7, v, NULL, &id) == PLUMB_OK && id == 0);
    status = plumb_add_parameter(t.p, name, 1, 7, v, NULL, &id);
    test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "already") && id == 0);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(shares)
{
    trial t;
    int64_t first = -3;
    int64_t count = -3;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_share(t.p, t.size - 1, &first, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_share(t.p, -1, &first, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_share(t.p, TRIAL_TOTAL, NULL, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_share(t.p, TRIAL_TOTAL, &first, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(first == -3 && count == -3);
    test_all(trial_close(&t));
}
END_TEST

/* Every call with a handle that is NULL, and results that have nowhere to go. */
START_TEST(nulls)
{
    float x[1] = {0};
    float *buffer = NULL;
    const float *norms = NULL;
    int64_t n = 0;
    int id = 0;
    char hash[33] = "";
    plumb *none = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_create(MPI_COMM_NULL, NULL, &none) == PLUMB_ERROR_ARGUMENT && none == NULL);
    test_all(plumb_destroy(NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_add_parameter(NULL, "w", 1, 1, x, NULL, &id) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_share(NULL, 8, &n, &n) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_begin_step(NULL, 8) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_describe_micro_batch(NULL, 0, 1, 0, NULL, 0) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_gradient_buffer(NULL, 0, &buffer) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_accumulate(NULL, 0, 0, x) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_progress(NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_reduce(NULL, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_update(NULL, 0.1, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_end_step(NULL, 0.1, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_sample_norms(NULL, &norms, &n) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_parameters_hash(NULL, hash) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_check_replicas(NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(strstr(plumb_error_message(NULL), "NULL") != NULL);
    trial t;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_parameters_hash(t.p, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_sample_norms(t.p, NULL, &n) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_sample_norms(t.p, &norms, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_sample_norms(t.p, &norms, &n) == PLUMB_OK && n == 0);
    test_all(strcmp(plumb_error_message(t.p), "") == 0);
    test_all(trial_close(&t));
}
END_TEST

/* Out-pointers of a call that fails are untouched, also where only its second half failed. */
START_TEST(reports_of_failed_steps)
{
    trial t;
    plumb_report report = {.size = sizeof report, .step = -7, .loss = -7.0};
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_end_step(t.p, -1.0, &report) == PLUMB_ERROR_ARGUMENT);
    test_all(report.step == -7 && report.loss == -7.0);
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    test_all(plumb_end_step(t.p, 0.1, &report) == PLUMB_ERROR_COVERAGE);
    test_all(report.step == -7 && report.loss == -7.0);
    test_all(trial_close(&t));
}
END_TEST

/* Weights that only whole numbers of samples can have; the bounds themselves work. */
START_TEST(bounds_of_samples)
{
    static const double wrong[] = {0.0, 0.5, 1.5, -1.0, 2147483648.0, NAN, INFINITY};
    static const double nominal[] = {1.0, 1073741824.0};
    plumb_options options;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        trial t;
        plumb *p = NULL;
        trial_options(&t, &options);
        options.nominal_samples = wrong[i];
        test_all(plumb_create(MPI_COMM_WORLD, &options, &p) == PLUMB_ERROR_ARGUMENT && p == NULL);
        test_all(trial_open(&t, NULL) == PLUMB_OK);
        test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
        plumb_status status = plumb_describe_micro_batch(t.p, first_of(&t), wrong[i], 0.0, NULL, 0);
        test_all(refused(&t, status, PLUMB_ERROR_ARGUMENT, "samples"));
        test_all(trial_close(&t));
    }
    char hash[2][33];
    for (int i = 0; i < 2; i++) {
        trial t;
        trial_options(&t, &options);
        options.nominal_samples = nominal[i];
        test_all(trial_open(&t, &options) == PLUMB_OK);
        test_all(trial_step(&t, 0) == PLUMB_OK);
        test_all(trial_hash(&t, hash[i]));
        test_all(trial_close(&t));
    }
    test_all(strcmp(hash[0], hash[1]) == 0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("call order");
    test_add(suite, "no step is open", no_step_is_open);
    test_add(suite, "a step is open", a_step_is_open);
    test_add(suite, "foreign micro-batches", foreign_micro_batches);
    test_add(suite, "wrong arguments", wrong_arguments);
    test_add(suite, "descriptions", descriptions);
    test_add(suite, "descriptions end with the step", descriptions_end_with_the_step);
    test_add(suite, "parameters", parameters);
    test_add(suite, "shares", shares);
    test_add(suite, "nulls", nulls);
    test_add(suite, "reports of failed steps", reports_of_failed_steps);
    test_add(suite, "bounds of samples", bounds_of_samples);
    return test_run_mpi(suite, &argc, &argv);
}
