/*
 * Shampoo plain and with the published diagonal correction, against the trajectories of the
 * reference implementation of arXiv 2605.20756: six steps on recorded gradients of eight
 * micro-batches, to 2e-5 relative, through the whole library, with both owner maps and with the
 * same bits as on one rank.
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

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, GROUPS = 8, STEPS = 6, CASES = 2 };

static const char *const names[CASES] = {"shampoo_paper_std", "shampoo_paper_full"};

typedef struct recorded {
    float initial[COUNT];
    float gradients[STEPS][GROUPS][COUNT];
    double expected[CASES][STEPS][COUNT];
    double rate;
    plumb_parameter_options options[CASES];
} recorded;

static bool read_numbers(const json_t *array, double *numbers)
{
    if (json_array_size(array) != COUNT) {
        return false;
    }
    for (size_t i = 0; i < COUNT; i++) {
        numbers[i] = json_number_value(json_array_get(array, i));
    }
    return true;
}

static bool read_floats(const json_t *array, float *numbers)
{
    double read[COUNT];
    bool good = read_numbers(array, read);
    for (int i = 0; i < COUNT && good; i++) {
        numbers[i] = (float)read[i];
    }
    return good;
}

static double hyperparameter(const json_t *one, const char *key)
{
    return json_number_value(json_object_get(json_object_get(one, "hyperparameters"), key));
}

static bool read_case(recorded *r, int i, const json_t *one)
{
    plumb_parameter_options *o = &r->options[i];
    plumb_parameter_options_init(o, sizeof *o, PLUMB_OPTIMIZER_SHAMPOO);
    o->beta1 = hyperparameter(one, "beta1");
    o->beta2 = hyperparameter(one, "beta2");
    o->damping = hyperparameter(one, "damping");
    o->weight_decay = hyperparameter(one, "weight_decay");
    o->root_interval = (int)hyperparameter(one, "root_interval");
    o->relative_damping = 0.0;
    o->bias_correction = 0;
    o->grafting = PLUMB_GRAFTING_NONE;
    o->correction = i == 0 ? PLUMB_CORRECTION_NONE : PLUMB_CORRECTION_PAPER_DIAGONAL;
    r->rate = hyperparameter(one, "lr");
    const json_t *steps = json_object_get(one, "values_after_step");
    bool good = json_array_size(steps) == STEPS;
    for (int t = 0; t < STEPS && good; t++) {
        good = read_numbers(json_array_get(steps, (size_t)t), r->expected[i][t]);
    }
    return good;
}

static bool read_cases(recorded *r, const json_t *cases)
{
    int found = 0;
    for (size_t k = 0; k < json_array_size(cases); k++) {
        const json_t *one = json_array_get(cases, k);
        for (int i = 0; i < CASES; i++) {
            if (strcmp(json_string_value(json_object_get(one, "name")), names[i]) == 0) {
                found += read_case(r, i, one);
            }
        }
    }
    return found == CASES;
}

static bool read_all(recorded *r)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        return false;
    }
    const json_t *gradients = json_object_get(root, "gradients");
    bool good = read_floats(json_object_get(root, "values"), r->initial) &&
                read_cases(r, json_object_get(root, "cases"));
    for (int t = 0; t < STEPS && good; t++) {
        const json_t *step = json_array_get(gradients, (size_t)t);
        for (int k = 0; k < GROUPS && good; k++) {
            good = read_floats(json_array_get(step, (size_t)k), r->gradients[t][k]);
        }
    }
    json_decref(root);
    return good;
}

static plumb_status take_step(plumb *p, const recorded *r, int t)
{
    int64_t first = 0, count = 0;
    plumb_status status = plumb_share(p, GROUPS, &first, &count);
    if (status == PLUMB_OK) {
        status = plumb_begin_step(p, GROUPS);
    }
    for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
        for (int id = 0; id < CASES && status == PLUMB_OK; id++) {
            status = plumb_accumulate(p, id, k, r->gradients[t][k]);
        }
    }
    return status == PLUMB_OK ? plumb_end_step(p, r->rate, NULL) : status;
}

/* Both cases as two parameters of one handle; the values after every step. */
static plumb_status run(MPI_Comm communicator, plumb_owners owners, const recorded *r,
                        float (*after)[CASES][COUNT])
{
    float values[CASES][COUNT];
    plumb_options options;
    plumb *p = NULL;
    plumb_options_init(&options, sizeof options);
    options.groups = GROUPS;
    options.owners = owners;
    plumb_status status = plumb_create(communicator, &options, &p);
    for (int i = 0; i < CASES && status == PLUMB_OK; i++) {
        int id = 0;
        memcpy(values[i], r->initial, sizeof values[i]);
        status = plumb_add_parameter(p, names[i], ROWS, COLS, values[i], &r->options[i], &id);
    }
    for (int t = 0; t < STEPS && status == PLUMB_OK; t++) {
        status = take_step(p, r, t);
        memcpy(after[t], values, sizeof values);
    }
    if (status != PLUMB_OK) {
        fprintf(stderr, "%s\n", plumb_error_message(p));
    }
    plumb_destroy(&p);
    return status;
}

static bool is_close(const recorded *r, float (*after)[CASES][COUNT])
{
    for (int i = 0; i < CASES * STEPS * COUNT; i++) {
        int one = i % CASES, t = i / CASES % STEPS, k = i / CASES / STEPS;
        double value = (double)after[t][one][k], expected = r->expected[one][t][k];
        if (!(fabs(value - expected) <= 2e-5 * fabs(expected))) {
            fprintf(stderr, "%s step %d element %d: %.9g, not %.9g\n", names[one], t, k, value,
                    expected);
            return false;
        }
    }
    return true;
}

START_TEST(trajectories)
{
    static recorded r;
    static float alone[STEPS][CASES][COUNT], together[STEPS][CASES][COUNT];
    test_all(read_all(&r));
    test_all(run(MPI_COMM_SELF, PLUMB_OWNERS_RANK0, &r, alone) == PLUMB_OK);
    test_all(is_close(&r, alone));
    static const plumb_owners maps[] = {PLUMB_OWNERS_RANK0, PLUMB_OWNERS_SHARDED};
    for (int i = 0; i < 2; i++) {
        test_all(run(MPI_COMM_WORLD, maps[i], &r, together) == PLUMB_OK);
        test_all(memcmp(alone, together, sizeof alone) == 0);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("shampoo trajectories");
    test_add(suite, "trajectories", trajectories);
    return test_run_mpi(suite, &argc, &argv);
}
