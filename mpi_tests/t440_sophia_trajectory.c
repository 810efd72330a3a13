/*
 * Sophia against the reference implementation of arXiv 2605.20756: six steps on recorded gradients
 * of eight micro-batches, through the public interface, to 2e-5 relative; with the same bits for
 * every owner map and on one rank alone.
 * ranks: 1 2 4
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plumb.h"
#include "support/test.h"

static const char *const path = "mpi_tests/data/optimizer_trajectories.json";

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, TOTAL = 8, STEPS = 6 };

typedef struct recording {
    float initial[COUNT];
    float gradients[STEPS][TOTAL][COUNT];
    double expected[STEPS][COUNT];
    double rate;
    plumb_parameter_options options;
} recording;

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "%s: no number \"%s\"", path, key);
    return json_number_value(value);
}

static double element(const json_t *array, size_t index)
{
    const json_t *value = json_array_get(array, index);
    ck_assert_msg(json_is_number(value), "%s: element %zu is missing", path, index);
    return json_number_value(value);
}

static const json_t *find_case(const json_t *root, const char *name)
{
    const json_t *cases = json_object_get(root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) {
            return one;
        }
    }
    ck_abort_msg("%s: no case \"%s\"", path, name);
}

static void read_numbers(const json_t *root, const json_t *one, recording *r)
{
    const json_t *gradients = json_object_get(root, "gradients");
    const json_t *expected = json_object_get(one, "values_after_step");
    for (size_t i = 0; i < COUNT; i++) {
        r->initial[i] = (float)element(json_object_get(root, "values"), i);
    }
    for (size_t t = 0; t < STEPS; t++) {
        for (size_t i = 0; i < COUNT; i++) {
            r->expected[t][i] = element(json_array_get(expected, t), i);
            for (size_t k = 0; k < TOTAL; k++) {
                const json_t *micro_batch = json_array_get(json_array_get(gradients, t), k);
                r->gradients[t][k][i] = (float)element(micro_batch, i);
            }
        }
    }
}

static void read_options(const json_t *hyperparameters, plumb_correction correction,
                         plumb_parameter_options *options)
{
    ck_assert_int_eq(plumb_parameter_options_init(options, sizeof *options, PLUMB_OPTIMIZER_SOPHIA),
                     PLUMB_OK);
    ck_assert_double_eq(number(hyperparameters, "batch_size"), 1.0);
    options->beta1 = number(hyperparameters, "beta1");
    options->beta2 = number(hyperparameters, "beta2");
    options->rho = number(hyperparameters, "rho");
    options->epsilon = number(hyperparameters, "eps");
    options->weight_decay = number(hyperparameters, "weight_decay");
    options->clip = number(hyperparameters, "clip");
    options->curvature_interval = (int)number(hyperparameters, "curvature_interval");
    options->correction = correction;
}

static void read_recording(const char *name, plumb_correction correction, recording *r)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    ck_assert_msg(root != NULL, "%s: %s", path, error.text);
    ck_assert_int_eq((int)number(root, "rows"), ROWS);
    ck_assert_int_eq((int)number(root, "cols"), COLS);
    const json_t *one = find_case(root, name);
    const json_t *hyperparameters = json_object_get(one, "hyperparameters");
    r->rate = number(hyperparameters, "lr");
    read_options(hyperparameters, correction, &r->options);
    read_numbers(root, one, r);
    json_decref(root);
}

/* As estimates of the diagonal, or as the gradients of one draw: the library squares them. */
static plumb_status give_curvature(plumb *p, const float *sample, int64_t k, bool squared)
{
    if (!squared) {
        return plumb_accumulate_curvature(p, 0, k, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, 1.0,
                                          sample);
    }
    float square[COUNT];
    for (int i = 0; i < COUNT; i++) {
        square[i] = sample[i] * sample[i];
    }
    return plumb_accumulate_curvature(p, 0, k, PLUMB_CURVATURE_DIAGONAL, 0.0, square);
}

static plumb_status step(const recording *r, plumb *p, int t, bool squared, plumb_report *report)
{
    int64_t first = 0, count = 0;
    int due = -1;
    plumb_status status = plumb_begin_step(p, TOTAL);
    if (status == PLUMB_OK) {
        status = plumb_curvature_due(p, &due);
    }
    if (status == PLUMB_OK) {
        status = due == (t % 2 == 0) ? plumb_share(p, TOTAL, &first, &count) : PLUMB_ERROR_INTERNAL;
    }
    for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
        status = plumb_accumulate(p, 0, k, r->gradients[t][k]);
        if (status == PLUMB_OK && due) {
            status = give_curvature(p, r->gradients[(t + 1) % STEPS][k], k, squared);
        }
    }
    return status == PLUMB_OK ? plumb_end_step(p, r->rate, report) : status;
}

typedef struct outcome {
    float values[STEPS][COUNT];
    double unclipped[STEPS], clipped[STEPS];
} outcome;

static plumb_status run(const recording *r, MPI_Comm communicator, plumb_owners owners,
                        bool squared, outcome *o)
{
    plumb *p = NULL;
    plumb_options options;
    float values[COUNT];
    int id;
    memcpy(values, r->initial, sizeof values);
    plumb_options_init(&options, sizeof options);
    options.groups = TOTAL;
    options.owners = owners;
    plumb_status status = plumb_create(communicator, &options, &p);
    if (status == PLUMB_OK) {
        status = plumb_add_parameter(p, "weight", ROWS, COLS, values, &r->options, &id);
    }
    for (int t = 0; t < STEPS && status == PLUMB_OK; t++) {
        plumb_report report = {.size = sizeof report};
        status = step(r, p, t, squared, &report);
        memcpy(o->values[t], values, sizeof values);
        o->unclipped[t] = report.unclipped;
        o->clipped[t] = report.correction_clipped;
    }
    if (status != PLUMB_OK) {
        fprintf(stderr, "%s\n", plumb_error_message(p));
    }
    plumb_destroy(&p);
    return status;
}

static bool follows(const recording *r, const outcome *o)
{
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < COUNT; i++) {
            double value = (double)o->values[t][i], expected = r->expected[t][i];
            if (!(fabs(value - expected) <= 2e-5 * fabs(expected))) {
                fprintf(stderr, "step %d element %d: %.9g, not %.9g\n", t, i, value, expected);
                return false;
            }
        }
    }
    return true;
}

static void check_case(const char *name, plumb_correction correction)
{
    static recording r;
    static outcome alone, other;
    read_recording(name, correction, &r);
    test_all(run(&r, MPI_COMM_SELF, PLUMB_OWNERS_SHARDED, true, &alone) == PLUMB_OK);
    test_all(follows(&r, &alone));
    for (int variant = 0; variant < 4; variant++) {
        memset(&other, 0, sizeof other);
        plumb_owners owners = variant & 1 ? PLUMB_OWNERS_RANK0 : PLUMB_OWNERS_SHARDED;
        test_all(run(&r, MPI_COMM_WORLD, owners, (variant & 2) != 0, &other) == PLUMB_OK);
        test_all(memcmp(&alone, &other, sizeof other) == 0);
    }
    double unclipped = 0.0;
    for (int t = 0; t < STEPS; t++) {
        unclipped += alone.unclipped[t] / STEPS;
    }
    test_all(unclipped > 0.0 && unclipped < 1.0);
}

START_TEST(standard)
{
    check_case("sophia_paper_std", PLUMB_CORRECTION_NONE);
}
END_TEST

START_TEST(paper_full)
{
    check_case("sophia_paper_full", PLUMB_CORRECTION_PAPER_FULL);
}
END_TEST

/* The same numbers by the same formula, which the paper writes down twice. */
START_TEST(paper_pre_ema)
{
    check_case("sophia_paper_full", PLUMB_CORRECTION_PAPER_PRE_EMA);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("sophia trajectory");
    test_add(suite, "standard", standard);
    test_add(suite, "paper-full", paper_full);
    test_add(suite, "paper-pre-ema", paper_pre_ema);
    return test_run_mpi(suite, &argc, &argv);
}
