/*
 * The element-wise mathematics of the GPT against plain double formulas, at lengths that do and do
 * not fill the vector lanes.
 * ranks: serial
 */
#include "support/test.h"
#include "workload/activation.h"
#include "workload/activation_norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 70 };

static double relative(double value, double truth)
{
    return fabs(value - truth) / fabs(truth);
}

START_TEST(exponential_is_accurate)
{
    double worst = 0.0;
    for (int i = 0; i <= 400000; i++) {
        float x = -87.0f + 175.0f * (float)i / 400000.0f;
        float y;
        activation_exp(1, &x, &y);
        worst = fmax(worst, relative((double)y, exp((double)x)));
    }
    ck_assert_double_lt(worst, 2e-7);
}
END_TEST

START_TEST(exponential_at_the_ends)
{
    float x[4] = {-INFINITY, INFINITY, NAN, 0.0f};
    activation_exp(4, x, x);
    ck_assert(x[0] > 0.0f && x[0] < 2e-38f);
    ck_assert(isfinite(x[1]) && x[1] > 1e38f);
    ck_assert(isnan(x[2]));
    ck_assert(x[3] == 1.0f);
}
END_TEST

/* A long array and its elements one by one are different code paths of the vectoriser. */
START_TEST(bits_do_not_depend_on_the_position)
{
    float x[MOST], y[MOST], value[MOST];
    for (int i = 0; i < MOST; i++) {
        x[i] = 9.0f * test_value(1, 2, (uint64_t)i);
        y[i] = x[i];
    }
    activation_gelu(MOST, y, value);
    for (int i = 0; i < MOST; i++) {
        float slope = x[i];
        float alone;
        activation_gelu(1, &slope, &alone);
        ck_assert_mem_eq(&alone, &value[i], sizeof alone);
        ck_assert_mem_eq(&slope, &y[i], sizeof slope);
    }
}
END_TEST

static double gelu(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

START_TEST(gelu_and_its_slope)
{
    for (int i = 0; i <= 6000; i++) {
        double x = -12.0 + i / 250.0;
        double truth = (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
        float slope = (float)x;
        float value;
        activation_gelu(1, &slope, &value);
        ck_assert_double_le(fabs((double)value - gelu(x)), 3e-7 * fmax(fabs(x), 0.1));
        ck_assert_double_le(fabs((double)slope - truth), 1e-6);
    }
}
END_TEST

START_TEST(gelu_far_out)
{
    float slope[3] = {-1e4f, 1e4f, NAN};
    float value[3];
    activation_gelu(3, slope, value);
    ck_assert(fabsf(value[0]) < 1e-30f && fabsf(slope[0]) < 1e-20f);
    ck_assert(value[1] == 1e4f && slope[1] == 1.0f);
    ck_assert(isnan(value[2]) && isnan(slope[2]));
}
END_TEST

static void check_softmax_row(const float *scores, const float *result, int visible, int columns,
                              double scale)
{
    double sum = 0.0;
    for (int i = 0; i < visible; i++) {
        sum += exp(scale * (double)scores[i]);
    }
    for (int i = 0; i < columns; i++) {
        double truth = i < visible ? exp(scale * (double)scores[i]) / sum : 0.0;
        ck_assert_double_le(fabs((double)result[i] - truth), 1e-6 * truth);
    }
}

START_TEST(softmax_is_causal)
{
    enum { ROWS = 20, FIRST = 40, COLUMNS = FIRST + ROWS, STRIDE = COLUMNS + 3 };
    static float scores[ROWS * STRIDE], result[ROWS * STRIDE];
    for (int i = 0; i < ROWS * STRIDE; i++) {
        scores[i] = 8.0f * test_value(3, 4, (uint64_t)i);
        /* What the mask hides may be anything. */
        result[i] = i % STRIDE > FIRST + i / STRIDE ? NAN : scores[i];
    }
    activation_causal_softmax(ROWS, COLUMNS, FIRST, 0.5f, STRIDE, result);
    for (int r = 0; r < ROWS; r++) {
        check_softmax_row(scores + r * STRIDE, result + r * STRIDE, FIRST + r + 1, COLUMNS, 0.5);
        ck_assert(isnan(result[r * STRIDE + COLUMNS]));
    }
}
END_TEST

START_TEST(softmax_of_large_scores)
{
    float scores[3] = {3e4f, 3e4f, -3e4f};
    activation_causal_softmax(1, 3, 2, 1.0f, 3, scores);
    ck_assert(scores[0] == 0.5f && scores[1] == 0.5f && scores[2] < 1e-30f);
}
END_TEST

START_TEST(softmax_gradient)
{
    for (int n = 1; n < MOST; n++) {
        float p[MOST], g[MOST], d[MOST], sum;
        double truth = 0.0;
        for (int i = 0; i < n; i++) {
            p[i] = 1.0f / (float)n * (1.0f + 0.5f * test_value(5, (uint64_t)n, (uint64_t)i));
            g[i] = test_value(6, (uint64_t)n, (uint64_t)i);
            d[i] = g[i];
            truth += (double)p[i] * (double)g[i];
        }
        activation_row_products(1, n, n, p, g, &sum);
        ck_assert_double_le(fabs((double)sum - truth), 1e-6);
        activation_softmax_gradient(1, n, 0.25f, n, p, &sum, d);
        for (int i = 0; i < n; i++) {
            double expected = 0.25 * (double)p[i] * ((double)g[i] - truth);
            ck_assert_double_le(fabs((double)d[i] - expected), 1e-6);
        }
    }
}
END_TEST

START_TEST(cross_entropy_and_its_gradient)
{
    enum { ROWS = 3 };
    for (int n = 2; n < MOST; n++) {
        float logits[ROWS * MOST], gradient[ROWS * MOST];
        int32_t targets[ROWS] = {0, 1, n - 1};
        double losses[ROWS];
        for (int i = 0; i < ROWS * n; i++) {
            logits[i] = gradient[i] = 10.0f * test_value(7, (uint64_t)n, (uint64_t)i);
        }
        activation_cross_entropy(ROWS, n, targets, 0.125f, gradient, losses);
        for (int r = 0; r < ROWS; r++) {
            double sum = 0.0;
            for (int i = 0; i < n; i++) {
                sum += exp((double)logits[r * n + i]);
            }
            double truth = log(sum) - (double)logits[r * n + targets[r]];
            ck_assert_double_le(fabs(losses[r] - truth), 1e-6 * fmax(1.0, truth));
            for (int i = 0; i < n; i++) {
                double expected = exp((double)logits[r * n + i]) / sum - (i == targets[r]);
                ck_assert_double_le(fabs((double)gradient[r * n + i] - 0.125 * expected), 1e-7);
            }
        }
    }
}
END_TEST

START_TEST(arg_max_takes_the_first)
{
    float values[5] = {-3.0f, 2.0f, 1.0f, 2.0f, -1.0f};
    ck_assert_int_eq(activation_arg_max(5, values), 1);
    ck_assert_int_eq(activation_arg_max(1, values), 0);
}
END_TEST

START_TEST(sum_of_squares)
{
    float values[MOST];
    for (int n = 0; n < MOST; n++) {
        double truth = 0.0;
        for (int i = 0; i < n; i++) {
            values[i] = test_integer(8, (uint64_t)n, (uint64_t)i, 1000);
            truth += (double)values[i] * (double)values[i];
        }
        ck_assert(activation_sum_squares(n, values) == truth);
    }
}
END_TEST

/* Rows far from zero, so that a variance as a difference of large numbers would be caught. */
START_TEST(norm_of_rows)
{
    enum { ROWS = 2 };
    for (int width = 1; width < MOST; width++) {
        float x[ROWS * MOST], gain[MOST], bias[MOST], y[ROWS * MOST];
        activation_moments moments[ROWS];
        for (int i = 0; i < ROWS * width; i++) {
            x[i] = 100.0f + test_value(9, (uint64_t)width, (uint64_t)i);
            gain[i % width] = 1.0f + 0.5f * test_value(10, 0, (uint64_t)(i % width));
            bias[i % width] = test_value(11, 0, (uint64_t)(i % width));
        }
        activation_norm(ROWS, width, x, gain, bias, moments, y);
        for (int r = 0; r < ROWS; r++) {
            double mean = 0.0, variance = 0.0;
            for (int i = 0; i < width; i++) {
                mean += (double)x[r * width + i] / width;
            }
            for (int i = 0; i < width; i++) {
                variance += pow((double)x[r * width + i] - mean, 2) / width;
            }
            for (int i = 0; i < width; i++) {
                double truth = ((double)x[r * width + i] - mean) / sqrt(variance + 1e-5);
                truth = truth * (double)gain[i] + (double)bias[i];
                ck_assert_double_le(fabs((double)y[r * width + i] - truth), 1e-3);
            }
        }
    }
}
END_TEST

static void add_exponential(Suite *suite)
{
    test_add(suite, "exponential_is_accurate", exponential_is_accurate);
    test_add(suite, "exponential_at_the_ends", exponential_at_the_ends);
    test_add(suite, "bits_do_not_depend_on_the_position", bits_do_not_depend_on_the_position);
    test_add(suite, "gelu_and_its_slope", gelu_and_its_slope);
    test_add(suite, "gelu_far_out", gelu_far_out);
}

int main(void)
{
    Suite *suite = suite_create("activation");
    add_exponential(suite);
    test_add(suite, "softmax_is_causal", softmax_is_causal);
    test_add(suite, "softmax_of_large_scores", softmax_of_large_scores);
    test_add(suite, "softmax_gradient", softmax_gradient);
    test_add(suite, "cross_entropy_and_its_gradient", cross_entropy_and_its_gradient);
    test_add(suite, "arg_max_takes_the_first", arg_max_takes_the_first);
    test_add(suite, "sum_of_squares", sum_of_squares);
    test_add(suite, "norm_of_rows", norm_of_rows);
    return test_run(suite);
}
