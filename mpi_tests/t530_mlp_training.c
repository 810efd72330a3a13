/*
 * The perceptron learns: plain gradient descent on a small data set brings training and held-out
 * loss down and nearly every held-out image right.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "support/gradient_sink.h"
#include "support/idx_fixture.h"
#include "support/test.h"

enum { STEPS = 150 };

static void descend(gradient_sink *sink, float rate)
{
    for (int p = 0; p < sink->w->parameter_count; p++) {
        for (int64_t i = 0; i < sink_count(sink, p); i++) {
            sink->w->parameters[p].values[i] -= rate * sink->gradients[p][i];
        }
    }
}

START_TEST(loss_decreases)
{
    fixture f;
    fixture_make(&f, true);
    workload_options options = {
        .data = f.folder, .layers = 1, .width = 32, .micro_batch_size = 16, .seed = 9};
    workload *w;
    char message[512] = "";
    ck_assert_msg(workload_create_mlp(&options, &w, message, sizeof message) == 0, "%s", message);
    gradient_sink sink;
    sink_init(&sink, w);
    double first_loss, loss, weight, correct, first_training = 0.0;
    ck_assert_int_eq(w->kind->held_out(w, 0, &first_loss, &weight, &correct), 0);
    workload_result result = {0};
    for (int step = 0; step < STEPS; step++) {
        ck_assert_int_eq(sink_run(&sink, step, 0, &result), 0);
        first_training = step == 0 ? result.loss_sum : first_training;
        descend(&sink, 0.05f);
    }
    ck_assert_double_gt(first_loss, 1.5);
    ck_assert_double_lt(result.loss_sum, 0.05 * first_training);
    ck_assert_int_eq(w->kind->held_out(w, 0, &loss, &weight, &correct), 0);
    ck_assert_double_lt(loss, 0.3 * first_loss);
    ck_assert_double_ge(correct, weight - 1.0);
    sink_free(&sink);
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mlp training");
    test_add(suite, "loss decreases", loss_decreases);
    return test_run(suite);
}
