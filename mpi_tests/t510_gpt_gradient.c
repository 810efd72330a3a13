/*
 * The fast GPT against the plain reference in double, for loss and every gradient, and against
 * finite differences of that reference's loss.
 * ranks: serial
 */
#include "support/reference_gpt_fixture.h"
#include "support/test.h"

#include <math.h>
#include <stdlib.h>

static double norm_of(int size, const double *values)
{
    double squares = 0.0;
    for (int i = 0; i < size; i++) {
        squares += values[i] * values[i];
    }
    return sqrt(squares);
}

/* |fast - truth| / |truth| over one parameter. */
static double error_of(int size, const float *fast, const double *truth)
{
    double squares = 0.0;
    for (int i = 0; i < size; i++) {
        double difference = (double)fast[i] - truth[i];
        squares += difference * difference;
    }
    return sqrt(squares) / norm_of(size, truth);
}

static void compare(int layers, int width, int heads, int context, int sequences, bool lively)
{
    fixture_text data = fixture_text_create(40 * (context + 1));
    workload *w = fixture_gpt(&data, layers, width, heads, context, sequences, 11);
    if (lively) {
        fixture_enliven(w);
    }
    fixture_gradients *fast = fixture_gradients_create(w);
    fixture_reference *truth = fixture_reference_create(w);
    double loss = fixture_reference_micro_batch(truth, w, &data, 3, 2);
    ck_assert_int_eq(fixture_micro_batch(fast, 3, 2), 0);
    ck_assert_double_le(fabs(fast->loss - loss), 1e-5 * loss);
    for (int p = 0; p < w->parameter_count; p++) {
        int size = reference_gpt_size(&truth->shape, p);
        double error = error_of(size, fast->values[p], truth->gradients[p]);
        ck_assert_double_gt(norm_of(size, truth->gradients[p]), 0.0);
        ck_assert_msg(error <= 1e-4, "%s: error %g", w->parameters[p].name, error);
    }
    fixture_reference_destroy(truth);
    fixture_gradients_destroy(fast);
    workload_destroy(&w);
    fixture_text_remove(&data);
}

START_TEST(agrees_at_initial_values)
{
    compare(2, 24, 3, 13, 2, false);
}
END_TEST

START_TEST(agrees_at_lively_values)
{
    compare(2, 24, 3, 13, 2, true);
}
END_TEST

START_TEST(agrees_over_several_blocks_of_attention)
{
    compare(1, 16, 2, 150, 1, true);
}
END_TEST

START_TEST(agrees_when_blocks_are_full)
{
    compare(1, 32, 1, 64, 2, true);
}
END_TEST

START_TEST(agrees_at_the_smallest)
{
    compare(1, 4, 2, 2, 1, true);
    compare(3, 5, 5, 2, 3, true);
}
END_TEST

static double loss_along(fixture_reference *truth, const workload *w, const fixture_text *data,
                         int parameter, double distance)
{
    int size = reference_gpt_size(&truth->shape, parameter);
    for (int i = 0; i < size; i++) {
        truth->values[parameter][i] +=
            distance * (double)test_value(21, (uint64_t)parameter, (uint64_t)i);
    }
    double loss = fixture_reference_micro_batch(truth, w, data, 0, 0);
    for (int i = 0; i < size; i++) {
        truth->values[parameter][i] = (double)w->parameters[parameter].values[i];
    }
    return loss;
}

/* The slope along a random direction of each parameter. */
START_TEST(agrees_with_finite_differences)
{
    fixture_text data = fixture_text_create(600);
    workload *w = fixture_gpt(&data, 2, 12, 2, 9, 2, 5);
    fixture_enliven(w);
    fixture_gradients *fast = fixture_gradients_create(w);
    fixture_reference *truth = fixture_reference_create(w);
    ck_assert_int_eq(fixture_micro_batch(fast, 0, 0), 0);
    for (int p = 0; p < w->parameter_count; p++) {
        int size = reference_gpt_size(&truth->shape, p);
        double slope = 0.0;
        double squares = 0.0;
        for (int i = 0; i < size; i++) {
            double gradient = (double)fast->values[p][i];
            slope += gradient * (double)test_value(21, (uint64_t)p, (uint64_t)i);
            squares += gradient * gradient;
        }
        double difference =
            (loss_along(truth, w, &data, p, 1e-5) - loss_along(truth, w, &data, p, -1e-5)) / 2e-5;
        ck_assert_msg(fabs(difference - slope) <= 2e-5 * sqrt(squares),
                      "%s: %.9g, differences %.9g", w->parameters[p].name, slope, difference);
    }
    fixture_reference_destroy(truth);
    fixture_gradients_destroy(fast);
    workload_destroy(&w);
    fixture_text_remove(&data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_gradient");
    test_add(suite, "agrees_at_initial_values", agrees_at_initial_values);
    test_add(suite, "agrees_at_lively_values", agrees_at_lively_values);
    test_add(suite, "agrees_over_several_blocks_of_attention",
             agrees_over_several_blocks_of_attention);
    test_add(suite, "agrees_when_blocks_are_full", agrees_when_blocks_are_full);
    test_add(suite, "agrees_at_the_smallest", agrees_at_the_smallest);
    test_add(suite, "agrees_with_finite_differences", agrees_with_finite_differences);
    return test_run(suite);
}
