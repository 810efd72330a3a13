/*
 * AdamW against PyTorch: six steps of torch.optim.AdamW on recorded gradients, to 2e-5 relative.
 * ranks: serial
 */
#include <jansson.h>
#include <math.h>

#include "support/optimizer_problem.h"

static const char *const path = "mpi_tests/data/adamw_trajectory.json";

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "%s: no number \"%s\"", path, key);
    return json_number_value(value);
}

static double element(const json_t *array, int64_t index)
{
    return json_number_value(json_array_get(array, (size_t)index));
}

static void read_hyperparameters(optimizer_problem *p, const json_t *root)
{
    const json_t *hyperparameters = json_object_get(root, "hyperparameters");
    p->options.beta1 = number(hyperparameters, "beta1");
    p->options.beta2 = number(hyperparameters, "beta2");
    p->options.epsilon = number(hyperparameters, "eps");
    p->options.weight_decay = number(hyperparameters, "weight_decay");
    for (int64_t i = 0; i < p->count; i++) {
        p->values[i] = (float)element(json_object_get(root, "values"), i);
    }
}

/* The plain mean over the micro-batches of one step. */
static void read_gradient(optimizer_problem *p, const json_t *micro_batches)
{
    size_t total = json_array_size(micro_batches);
    ck_assert_uint_eq(total, 8);
    for (int64_t i = 0; i < p->count; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < total; k++) {
            sum += element(json_array_get(micro_batches, k), i);
        }
        p->gradient[i] = (float)(sum / (double)total);
    }
}

START_TEST(trajectory)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    ck_assert_msg(root != NULL, "%s: %s", path, error.text);
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_ADAMW, (int64_t)number(root, "rows"),
                 (int64_t)number(root, "cols"));
    read_hyperparameters(&p, root);
    double rate = number(json_object_get(root, "hyperparameters"), "lr");
    const json_t *expected = json_object_get(root, "values_after_step");
    size_t steps = json_array_size(expected);
    ck_assert_uint_eq(steps, 6);
    for (size_t t = 0; t < steps; t++) {
        read_gradient(&p, json_array_get(json_object_get(root, "gradients"), t));
        problem_step(&p, rate);
        for (int64_t i = 0; i < p.count; i++) {
            double value = element(json_array_get(expected, t), i);
            ck_assert_msg(fabs((double)p.values[i] - value) <= 2e-5 * fabs(value),
                          "step %zu element %lld: %.9g, PyTorch has %.9g", t, (long long)i,
                          (double)p.values[i], value);
        }
    }
    problem_free(&p);
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adamw trajectory");
    test_add(suite, "trajectory", trajectory);
    return test_run(suite);
}
