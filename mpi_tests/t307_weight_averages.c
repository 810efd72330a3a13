/*
 * The average of the values: against sums in double formed by hand from the values after each step,
 * the same bits on every rank, nothing changed in the run itself, and refusals.
 *
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "support/trial.h"

enum { STEPS = 7 };

/* The values after every step: [STEPS][elements of parameter 1]. */
typedef struct record {
    double *values;
    char hash[33];
} record;

static void run(trial *t, const plumb_options *options, record *r)
{
    int64_t count = trial_elements(1);
    test_all(trial_open(t, options) == PLUMB_OK);
    for (int step = 0; step < STEPS; step++) {
        test_all(trial_step(t, step) == PLUMB_OK);
        for (int64_t i = 0; i < count; i++) {
            r->values[step * count + i] = (double)t->values[1][i];
        }
    }
    test_all(trial_hash(t, r->hash));
}

/* Weights of the steps that sum to 1. */
static void expect(const plumb_options *o, double weights[STEPS])
{
    double sum = 0.0;
    for (int step = 0; step < STEPS; step++) {
        bool tail = o->average_weights == PLUMB_AVERAGE_TAIL;
        double plain = step >= o->average_from ? 1.0 : 0.0;
        weights[step] = tail ? plain : pow(o->average_beta, STEPS - 1 - step);
        sum += weights[step];
    }
    for (int step = 0; step < STEPS; step++) {
        weights[step] /= sum;
    }
}

static bool same_everywhere(const float *values, int64_t count)
{
    float *first = malloc((size_t)count * sizeof *first);
    memcpy(first, values, (size_t)count * sizeof *first);
    MPI_Bcast(first, (int)count, MPI_FLOAT, 0, MPI_COMM_WORLD);
    bool same = memcmp(first, values, (size_t)count * sizeof *first) == 0;
    free(first);
    return test_agree(same);
}

static void compare(const plumb_options *options)
{
    int64_t count = trial_elements(1);
    trial t;
    record r = {.values = malloc((size_t)(STEPS * count) * sizeof(double))};
    float *average = malloc((size_t)count * sizeof *average);
    run(&t, options, &r);
    test_all(plumb_averaged_values(t.p, 1, average) == PLUMB_OK);
    double weights[STEPS];
    expect(options, weights);
    double worst = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double sum = 0.0;
        for (int step = 0; step < STEPS; step++) {
            sum += weights[step] * r.values[step * count + i];
        }
        worst = fmax(worst, fabs((double)average[i] - sum) / (1e-3 + fabs(sum)));
    }
    test_all(worst < 2e-6);
    test_all(same_everywhere(average, count));
    test_all(trial_close(&t));
    free(average);
    free(r.values);
}

START_TEST(moving)
{
    plumb_options options;
    trial t;
    trial_options(&t, &options);
    options.average_weights = PLUMB_AVERAGE_EMA;
    options.average_beta = 0.75;
    compare(&options);
    options.average_beta = 0.0;
    compare(&options);
}
END_TEST

START_TEST(tail)
{
    plumb_options options;
    trial t;
    trial_options(&t, &options);
    options.average_weights = PLUMB_AVERAGE_TAIL;
    compare(&options);
    options.average_from = STEPS - 3;
    compare(&options);
    options.average_from = STEPS - 1;
    compare(&options);
}
END_TEST

/* A value moves once, by many units in its last place. After that the mean over all steps follows
 * by less than half a unit a step, and must not stick. */
START_TEST(slow)
{
    enum { LONG = 1000, UNITS = 200 };
    const float unit = 0x1p-23f;
    float value = 1.5f, average = 0.0f;
    double sum = 0.0;
    int id;
    plumb *p = NULL;
    plumb_options options;
    plumb_parameter_options sgd;
    plumb_options_init(&options, sizeof options);
    plumb_parameter_options_init(&sgd, sizeof sgd, PLUMB_OPTIMIZER_SGD);
    options.average_weights = PLUMB_AVERAGE_TAIL;
    sgd.beta1 = 0.0;
    test_all(plumb_create(MPI_COMM_WORLD, &options, &p) == PLUMB_OK);
    test_all(plumb_add_parameter(p, "value", 1, 1, &value, &sgd, &id) == PLUMB_OK);
    for (int step = 0; step < LONG; step++) {
        int64_t first = 0, count = 0;
        plumb_status status = plumb_begin_step(p, 4);
        (void)plumb_share(p, 4, &first, &count);
        for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
            const float gradient = step == LONG / 2 ? UNITS * unit : 0.0f;
            status = plumb_accumulate(p, id, k, &gradient);
        }
        status = status == PLUMB_OK ? plumb_end_step(p, 1.0, NULL) : status;
        ck_assert(test_agree(status == PLUMB_OK));
        sum += (double)value;
    }
    test_all(value == 1.5f - UNITS * unit);
    test_all(plumb_averaged_values(p, id, &average) == PLUMB_OK);
    test_all(fabs((double)average - sum / LONG) <= (double)unit);
    test_all(plumb_destroy(&p) == PLUMB_OK);
}
END_TEST

START_TEST(run_is_unchanged)
{
    int64_t count = trial_elements(1);
    record r = {.values = malloc((size_t)(STEPS * count) * sizeof(double))};
    trial t;
    run(&t, NULL, &r);
    test_all(trial_close(&t));
    char plain[33];
    memcpy(plain, r.hash, sizeof plain);
    plumb_options options;
    trial_options(&t, &options);
    options.average_weights = PLUMB_AVERAGE_EMA;
    run(&t, &options, &r);
    test_all(strcmp(plain, r.hash) == 0);
    test_all(trial_close(&t));
    free(r.values);
}
END_TEST

START_TEST(refusals)
{
    float values[16];
    trial t;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(plumb_averaged_values(t.p, 2, values) == PLUMB_ERROR_ORDER);
    test_all(trial_close(&t));
    plumb_options options;
    trial_options(&t, &options);
    options.average_weights = PLUMB_AVERAGE_TAIL;
    options.average_from = 1;
    test_all(trial_open(&t, &options) == PLUMB_OK);
    test_all(plumb_averaged_values(t.p, 2, values) == PLUMB_ERROR_ORDER);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(plumb_averaged_values(t.p, 2, values) == PLUMB_ERROR_ORDER);
    test_all(trial_step(&t, 1) == PLUMB_OK);
    test_all(plumb_averaged_values(t.p, 2, values) == PLUMB_OK);
    test_all(memcmp(values, t.values[2], 7 * sizeof *values) == 0);
    test_all(plumb_averaged_values(t.p, 3, values) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_averaged_values(t.p, -1, values) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_averaged_values(t.p, 2, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_averaged_values(NULL, 2, values) == PLUMB_ERROR_ARGUMENT);
    test_all(trial_close(&t));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("weight averages");
    TCase *cases = tcase_create("averages");
    tcase_add_test(cases, moving);
    tcase_add_test(cases, tail);
    tcase_add_test(cases, slow);
    tcase_add_test(cases, run_is_unchanged);
    tcase_add_test(cases, refusals);
    suite_add_tcase(suite, cases);
    return test_run_mpi(suite, &argc, &argv);
}
