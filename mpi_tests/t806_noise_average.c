/*
 * Averages of noise over steps, by hand and beside the mean of ratios; what a batch is worth, by
 * the formulas; and wrong input.
 *
 * ranks: serial
 */
#include <math.h>

#include "plumb.h"
#include "support/noisy.h"
#include "support/test.h"

static bool near(double value, double expected, double relative)
{
    return fabs(value - expected) <= relative * fabs(expected);
}

/* Steps whose signal is now and then small by chance. */
START_TEST(averages_divide_at_the_end)
{
    plumb_noise_average average;
    plumb_noise last = {.size = sizeof last}, result = {.size = sizeof result};
    double ratios = 0.0, of_ratios = 0.0, trace = 0.0, signal = 0.0;
    enum { STEPS = 400 };
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, 0.999), PLUMB_OK);
    for (uint64_t s = 0; s < STEPS; s++) {
        last.trace = 100.0 + 10.0 * noisy_normal(9, 2 * s);
        last.signal = 1.0 + 0.25 * noisy_normal(9, 2 * s + 1);
        last.samples = 64.0;
        last.squared_norm = last.signal + last.trace / 64.0;
        last.small_squared_norm = 1.0;
        ck_assert_int_eq(plumb_noise_average_add(&average, &last), PLUMB_OK);
        ratios += last.trace / last.signal / STEPS;
        of_ratios += last.signal > 0.0;
        trace += last.trace / STEPS;
        signal += last.signal / STEPS;
    }
    plumb_noise unknown = {.size = sizeof unknown, .trace = NAN, .signal = NAN};
    ck_assert_int_eq(plumb_noise_average_add(&average, &unknown), PLUMB_OK);
    ck_assert_int_eq(average.steps, STEPS);
    ck_assert_int_eq(plumb_noise_average_result(&average, &last, &result), PLUMB_OK);
    ck_assert(of_ratios == STEPS);
    ck_assert(fabs(result.scale - 100.0) < 3.0 * result.scale_error);
    ck_assert(result.scale_error > 0.5 && result.scale_error < 2.5);
    ck_assert_msg(ratios > 105.0, "the mean of ratios is %g", ratios);
    ck_assert(near(result.trace, trace, 0.01) && near(result.signal, signal, 0.02));
    /* 10 / sqrt(effective number of steps). */
    ck_assert(near(result.trace_error, 10.0 / sqrt(STEPS), 0.15));
    ck_assert(near(result.plateau, 1.0 / (1.0 + result.scale / 64.0), 1e-9));
}
END_TEST

/* Three steps at beta 1/2 weigh 1/7, 2/7 and 4/7. */
START_TEST(averages_by_hand)
{
    static const double traces[] = {3.0, 8.0, 6.0}, signals[] = {2.0, 2.5, 2.1};
    plumb_noise_average average;
    plumb_noise step = {.size = sizeof step, .samples = 4.0, .small_squared_norm = 1.0};
    plumb_noise result = step;
    double trace = 43.0 / 7.0, signal = 15.4 / 7.0, of_trace = 0.0, of_signal = 0.0, both = 0.0;
    double share = 21.0 / 49.0;
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, 0.5), PLUMB_OK);
    for (int s = 0; s < 3; s++) {
        double factor = (double)(1 << s) / 7.0 * share / (1.0 - share);
        step.trace = traces[s];
        step.signal = signals[s];
        step.squared_norm = step.signal + step.trace / step.samples;
        ck_assert_int_eq(plumb_noise_average_add(&average, &step), PLUMB_OK);
        of_trace += factor * (traces[s] - trace) * (traces[s] - trace);
        of_signal += factor * (signals[s] - signal) * (signals[s] - signal);
        both += factor * (traces[s] - trace) * (signals[s] - signal);
    }
    ck_assert_int_eq(plumb_noise_average_result(&average, &step, &result), PLUMB_OK);
    ck_assert(near(result.trace, trace, 1e-14) && near(result.signal, signal, 1e-14));
    ck_assert(near(result.trace_error, sqrt(of_trace), 1e-12));
    ck_assert(near(result.signal_error, sqrt(of_signal), 1e-12));
    double relative =
        of_trace / (trace * trace) + of_signal / (signal * signal) - 2.0 * both / (trace * signal);
    ck_assert(near(result.scale_error, trace / signal * sqrt(relative), 1e-12));
}
END_TEST

/* Gradients that shrink a thousandfold, with the noise scale rising from 10 to 1000 at once: after
 * four times the average's memory the old scale is forgotten. */
START_TEST(averages_follow_shrinking_gradients)
{
    plumb_noise_average average;
    plumb_noise step = {.size = sizeof step, .samples = 16.0}, result = step;
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, 0.9), PLUMB_OK);
    for (int s = 0; s < 80; s++) {
        bool early = s < 40;
        step.signal = early ? 1.0 : 1e-5;
        step.trace = step.signal * (early ? 10.0 : 1000.0);
        step.small_squared_norm = step.signal + step.trace / 2.0;
        ck_assert_int_eq(plumb_noise_average_add(&average, &step), PLUMB_OK);
    }
    ck_assert_int_eq(plumb_noise_average_result(&average, &step, &result), PLUMB_OK);
    double scale = result.trace / result.signal;
    ck_assert_msg(scale > 250.0 && scale <= 1000.0, "the scale is still %g", scale);
    plumb_noise nothing = {.size = sizeof nothing};
    ck_assert_int_eq(plumb_noise_average_add(&average, &nothing), PLUMB_OK);
    ck_assert_int_eq(average.steps, 80);
}
END_TEST

START_TEST(averages_start_from_nothing)
{
    plumb_noise_average average;
    plumb_noise last = {.size = sizeof last, .samples = 8.0, .count = 4}, result = last;
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, 0.9), PLUMB_OK);
    ck_assert_int_eq(plumb_noise_average_result(&average, &last, &result), PLUMB_OK);
    ck_assert(isnan(result.trace) && isnan(result.scale) && isnan(result.plateau));
    ck_assert(result.samples == 8.0 && result.count == 4);
    last.trace = 10.0;
    last.signal = 2.0;
    last.small_squared_norm = 7.0;
    ck_assert_int_eq(plumb_noise_average_add(&average, &last), PLUMB_OK);
    ck_assert_int_eq(plumb_noise_average_result(&average, &last, &result), PLUMB_OK);
    ck_assert(near(result.trace, 10.0, 1e-15) && near(result.scale, 5.0, 1e-15));
    ck_assert(isnan(result.trace_error) && isnan(result.scale_error));
    /* beta 0 keeps one step, whose spread nobody knows. */
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, 0.0), PLUMB_OK);
    for (int s = 0; s < 2; s++) {
        last.trace += 1.0;
        ck_assert_int_eq(plumb_noise_average_add(&average, &last), PLUMB_OK);
    }
    ck_assert_int_eq(plumb_noise_average_result(&average, &last, &result), PLUMB_OK);
    ck_assert(near(result.trace, 12.0, 1e-15) && near(result.scale, 6.0, 1e-15));
    ck_assert(isnan(result.trace_error) && isnan(result.signal_error) && isnan(result.scale_error));
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, 1.0), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_average_init(&average, sizeof average, NAN), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_average_init(&average, 1, 0.5), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_average_init(NULL, sizeof average, 0.5), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_average_add(&average, NULL), PLUMB_ERROR_ARGUMENT);
}
END_TEST

START_TEST(batches_by_the_formulas)
{
    plumb_batch_effect e = {.size = sizeof e};
    ck_assert_int_eq(plumb_batch_effects(100, 300, 0.1, 0.9, 1000, 400, &e), PLUMB_OK);
    ck_assert(near(e.steps, 4.0, 1e-15) && near(e.examples, 4.0 / 3.0, 1e-15));
    ck_assert(near(e.rate, 0.25, 1e-15) && near(e.temperature, 0.1 * 0.9 / 10.0, 1e-14));
    ck_assert(near(e.linear_rate, 0.4, 1e-15) && near(e.square_root_rate, 0.2, 1e-15));
    ck_assert_int_eq(plumb_batch_effects(100, NAN, 0.1, 0.0, 0.0, 25, &e), PLUMB_OK);
    ck_assert(isnan(e.steps) && isnan(e.examples) && isnan(e.rate));
    ck_assert(near(e.temperature, 1e-3, 1e-15) && near(e.linear_rate, 0.025, 1e-15));
    ck_assert_int_eq(plumb_batch_effects(0, 1, 0.1, 0, 0, 25, &e), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_batch_effects(8, -1, 0.1, 0, 0, 25, &e), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_batch_effects(8, 1, NAN, 0, 0, 25, &e), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_batch_effects(8, 1, 0.1, 1, 0, 25, &e), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_batch_effects(8, 1, 0.1, 0, 7, 25, &e), PLUMB_ERROR_ARGUMENT);
    plumb_noise noise = {.size = sizeof noise, .scale = 18.0};
    double samples = 0.0;
    ck_assert_int_eq(plumb_norm_test(&noise, 0.5, &samples), PLUMB_OK);
    ck_assert(near(samples, 72.0, 1e-15));
    noise.scale = NAN;
    ck_assert_int_eq(plumb_norm_test(&noise, 0.5, &samples), PLUMB_OK);
    ck_assert(isnan(samples));
    ck_assert_int_eq(plumb_norm_test(&noise, 0.0, &samples), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_norm_test(NULL, 0.5, &samples), PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("noise over steps");
    test_add(suite, "averages divide at the end", averages_divide_at_the_end);
    test_add(suite, "averages by hand", averages_by_hand);
    test_add(suite, "shrinking gradients", averages_follow_shrinking_gradients);
    test_add(suite, "averages start from nothing", averages_start_from_nothing);
    test_add(suite, "batches by the formulas", batches_by_the_formulas);
    return test_run(suite);
}
