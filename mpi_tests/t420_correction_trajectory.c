/*
 * AdamW's corrections as published, against the trajectories of the reference implementation of
 * arXiv 2605.20756: six steps on recorded gradients of eight groups, to 2e-5 relative.
 * ranks: serial
 */
#include <jansson.h>
#include <math.h>

#include "correct/correction.h"
#include "support/optimizer_problem.h"

static const char *const path = "mpi_tests/data/adamw_correction_trajectories.json";

enum { CASES = 7 };

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "%s: no number \"%s\"", path, key);
    return json_number_value(value);
}

static double element(const json_t *array, int64_t index)
{
    const json_t *value = json_array_get(array, (size_t)index);
    ck_assert_msg(json_is_number(value), "%s: element %lld is missing", path, (long long)index);
    return json_number_value(value);
}

static plumb_correction correction_named(const char *name)
{
    int correction = PLUMB_CORRECTION_PAPER_LOO_JENSEN;
    while (correction > PLUMB_CORRECTION_NONE &&
           strcmp(correction_name((plumb_correction)correction), name) != 0) {
        correction--;
    }
    ck_assert(correction > PLUMB_CORRECTION_NONE || strcmp(name, "none") == 0);
    return (plumb_correction)correction;
}

static void read_case(optimizer_problem *p, const json_t *root, const json_t *one)
{
    const json_t *hyperparameters = json_object_get(one, "hyperparameters");
    problem_init(p, PLUMB_OPTIMIZER_ADAMW, (int64_t)number(root, "rows"),
                 (int64_t)number(root, "cols"));
    p->groups = (int)number(root, "microbatches");
    ck_assert_int_eq(p->groups, 8);
    p->options.beta1 = number(hyperparameters, "beta1");
    p->options.beta2 = number(hyperparameters, "beta2");
    p->options.epsilon = number(hyperparameters, "eps");
    p->options.weight_decay = number(hyperparameters, "weight_decay");
    p->options.correction = correction_named(json_string_value(json_object_get(one, "correction")));
    for (int64_t i = 0; i < p->count; i++) {
        p->values[i] = (float)element(json_object_get(root, "values"), i);
    }
}

static void read_gradients(optimizer_problem *p, const json_t *groups)
{
    for (int k = 0; k < p->groups; k++) {
        for (int64_t i = 0; i < p->count; i++) {
            p->group_gradients[k][i] = (float)element(json_array_get(groups, (size_t)k), i);
        }
    }
    problem_mean(p);
}

START_TEST(trajectory)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    ck_assert_msg(root != NULL, "%s: %s", path, error.text);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "cases")), CASES);
    const json_t *one = json_array_get(json_object_get(root, "cases"), (size_t)_i);
    optimizer_problem p;
    read_case(&p, root, one);
    double rate = number(json_object_get(one, "hyperparameters"), "lr");
    const json_t *expected = json_object_get(one, "values_after_step");
    ck_assert_uint_eq(json_array_size(expected), 6);
    for (size_t t = 0; t < json_array_size(expected); t++) {
        read_gradients(&p, json_array_get(json_object_get(root, "gradients"), t));
        problem_step(&p, rate);
        for (int64_t i = 0; i < p.count; i++) {
            double value = element(json_array_get(expected, t), i);
            ck_assert_msg(fabs((double)p.values[i] - value) <= 2e-5 * fabs(value),
                          "%s step %zu element %lld: %.9g, not %.9g",
                          json_string_value(json_object_get(one, "name")), t, (long long)i,
                          (double)p.values[i], value);
        }
    }
    problem_free(&p);
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("correction trajectories");
    TCase *cases = tcase_create("trajectory");
    tcase_add_loop_test(cases, trajectory, 0, CASES);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
