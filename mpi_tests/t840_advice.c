/*
 * Advice: the rules of src/diagnose/advice.c at both sides of every threshold, the words with their
 * error bars, and what is not known. Whatever is given, nothing is invented.
 * ranks: serial
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plumb.h"
#include "support/test.h"

/* 16 micro-batches of 4 in 8 groups; the noise scale is `ratio` times the 64 samples. */
static plumb_advice_input input_of(double ratio, double relative_error)
{
    plumb_advice_input input = {.size = sizeof input, .micro_batches = 16, .groups = 8, .ranks = 2};
    input.noise = (plumb_noise){.size = sizeof input.noise,
                                .count = 16,
                                .samples = 64.0,
                                .trace = 640.0,
                                .trace_error = 6.4,
                                .signal = 10.0 / ratio,
                                .signal_error = 10.0 / ratio * relative_error,
                                .scale = 64.0 * ratio,
                                .scale_error = 64.0 * ratio * relative_error};
    input.update = (plumb_update_noise){.size = sizeof input.update, .count = 8, .variance = NAN};
    return input;
}

static void add_update(plumb_advice_input *input, double ratio, double error)
{
    input->update.variance = 2.0;
    input->update.ratio = ratio;
    input->update.ratio_error = error;
}

static plumb_advice advice_of(const plumb_advice_input *input)
{
    plumb_advice advice = {.size = sizeof advice};
    ck_assert_int_eq(plumb_advise(input, &advice), PLUMB_OK);
    ck_assert(strlen(advice.text) > 20 && strlen(advice.text) < sizeof advice.text - 1);
    ck_assert_ptr_null(strstr(advice.text, "nan"));
    ck_assert_ptr_null(strstr(advice.text, "inf "));
    return advice;
}

static void expect(const plumb_advice_input *input, plumb_limit limit, const char *words)
{
    plumb_advice advice = advice_of(input);
    if (strstr(advice.text, words) == NULL) {
        ck_abort_msg("'%s' is not in '%s'", words, advice.text);
    }
    ck_assert_int_eq((int)advice.limit, (int)limit);
}

START_TEST(thresholds_of_the_batch)
{
    plumb_advice_input input = input_of(4.01, 0.001);
    expect(&input, PLUMB_LIMIT_VARIANCE, "Limited by variance.");
    input = input_of(3.99, 0.001);
    expect(&input, PLUMB_LIMIT_NEITHER, "Limited by neither");
    input = input_of(0.2501, 0.0001);
    expect(&input, PLUMB_LIMIT_NEITHER, "near the noise scale");
    input = input_of(0.2499, 0.0001);
    expect(&input, PLUMB_LIMIT_NEITHER, "Returns have diminished");
}
END_TEST

START_TEST(errors_make_a_verdict_probable)
{
    plumb_advice_input input = input_of(8.0, 0.2);
    expect(&input, PLUMB_LIMIT_VARIANCE, "Limited by variance.");
    input = input_of(8.0, 0.3);
    expect(&input, PLUMB_LIMIT_VARIANCE, "Probably limited by variance.");
    input = input_of(0.2, 0.5);
    expect(&input, PLUMB_LIMIT_NEITHER, "Probably limited by neither");
}
END_TEST

START_TEST(numbers_stand_with_their_errors)
{
    plumb_advice_input input = input_of(10.0, 0.1);
    plumb_advice advice = advice_of(&input);
    ck_assert_double_eq(advice.samples, 640.0);
    ck_assert_double_eq(advice.samples_error, 64.0);
    expect(&input, PLUMB_LIMIT_VARIANCE, "a batch of 640 ± 64 samples");
    expect(&input, PLUMB_LIMIT_VARIANCE, "a step has 64. ");
    expect(&input, PLUMB_LIMIT_VARIANCE, "160 micro-batches a step, now 16");
    expect(&input, PLUMB_LIMIT_VARIANCE, "average the weights");
    input.noise.scale = 1234.5;
    input.noise.scale_error = 0.0;
    expect(&input, PLUMB_LIMIT_VARIANCE, "a batch of 1200 ± 0 samples");
    input.noise.scale_error = 12.6;
    expect(&input, PLUMB_LIMIT_VARIANCE, "a batch of 1235 ± 13 samples");
    input = input_of(1000.0, 0.1);
    expect(&input, PLUMB_LIMIT_VARIANCE, "64000 ± 6400 samples");
    /* At the noise scale twice the batch saves (2 - 1.5) / 2 of the steps, for half more
     * samples. */
    input = input_of(1.0, 0.1);
    expect(&input, PLUMB_LIMIT_NEITHER, "save 25 % of the steps and take 50 % more samples");
    /* A fifth of the batch: half of it needs 1.4 / 1.2 of the steps. */
    input = input_of(0.2, 0.1);
    expect(&input, PLUMB_LIMIT_NEITHER, "half the samples a step would need only 17 % more");
}
END_TEST

START_TEST(more_ranks_than_micro_batches_are_of_no_use)
{
    plumb_advice_input input = input_of(10.0, 0.1);
    ck_assert_ptr_null(strstr(advice_of(&input).text, "Every rank has one micro-batch"));
    input.ranks = 16;
    expect(&input, PLUMB_LIMIT_VARIANCE, "Every rank has one micro-batch");
}
END_TEST

START_TEST(bias_comes_first)
{
    plumb_advice_input input = input_of(10.0, 0.1);
    add_update(&input, 1.5, 0.2);
    expect(&input, PLUMB_LIMIT_BIAS, "Limited by bias");
    expect(&input, PLUMB_LIMIT_BIAS, "1.50 ± 0.20");
    expect(&input, PLUMB_LIMIT_BIAS, "quarter the squared bias");
    add_update(&input, 1.5, 0.3);
    expect(&input, PLUMB_LIMIT_BIAS, "Probably limited by bias");
    add_update(&input, 1.5, 1.5); /* not known: no verdict, and no number */
    expect(&input, PLUMB_LIMIT_VARIANCE, "Limited by variance.");
    ck_assert_ptr_null(strstr(advice_of(&input).text, "1.50"));
    add_update(&input, 0.99, 0.1);
    expect(&input, PLUMB_LIMIT_VARIANCE, "0.99 ± 0.10");
    add_update(&input, 0.05, 0.1); /* as good as none, and known to be below 1 */
    expect(&input, PLUMB_LIMIT_VARIANCE, "0.05 ± 0.10");
    add_update(&input, 0.05, 0.6);
    ck_assert_ptr_null(strstr(advice_of(&input).text, "Squared bias"));
    add_update(&input, 0.0, 0.0); /* none at all */
    expect(&input, PLUMB_LIMIT_VARIANCE, "update: 0 ± 0.");
    add_update(&input, NAN, NAN);
    expect(&input, PLUMB_LIMIT_VARIANCE, "Limited by variance.");
    add_update(&input, -INFINITY, 0.1);
    ck_assert_ptr_null(strstr(advice_of(&input).text, "Squared bias"));
}
END_TEST

/* The mean of 8 orthogonalised groups has 64 times the ratio of the orthogonalised mean. */
START_TEST(orthogonalising_first_keeps_the_bias)
{
    plumb_advice_input input = input_of(10.0, 0.1);
    add_update(&input, 0.1, 0.01);
    expect(&input, PLUMB_LIMIT_VARIANCE, "0.100 ± 0.010");
    input.orthogonalises_first = 1;
    expect(&input, PLUMB_LIMIT_BIAS, "6.40 ± 0.64");
    expect(&input, PLUMB_LIMIT_BIAS, "More ranks or groups do not remove it");
    /* Below 1 for the orthogonalised mean, but 3.2 +- 6.4 for this one is not known. */
    add_update(&input, 0.05, 0.1);
    expect(&input, PLUMB_LIMIT_VARIANCE, "Limited by variance.");
    ck_assert_ptr_null(strstr(advice_of(&input).text, "Squared bias"));
}
END_TEST

START_TEST(without_data_nothing_is_said)
{
    plumb_advice_input input = input_of(1.0, 1.0);
    expect(&input, PLUMB_LIMIT_UNKNOWN, "Not enough data");
    expect(&input, PLUMB_LIMIT_UNKNOWN, "not available");
    ck_assert(isnan(advice_of(&input).samples) && isnan(advice_of(&input).samples_error));
    input.noise.scale_error = NAN;
    expect(&input, PLUMB_LIMIT_UNKNOWN, "Not enough data");
    input.noise = (plumb_noise){.size = sizeof input.noise,
                                .samples = NAN,
                                .trace = NAN,
                                .trace_error = NAN,
                                .signal = NAN,
                                .signal_error = NAN,
                                .scale = NAN,
                                .scale_error = NAN};
    input.micro_batches = 1;
    input.groups = 1;
    expect(&input, PLUMB_LIMIT_UNKNOWN, "cut it into several");
    input.noise.samples = 64.0;
    input.noise.trace = input.noise.trace_error = 0.0; /* zero gradients */
    input.noise.signal = input.noise.signal_error = 0.0;
    expect(&input, PLUMB_LIMIT_UNKNOWN, "Not enough data");
}
END_TEST

/* Constant gradients, with and without the rounding of single precision. */
START_TEST(the_same_gradient_everywhere)
{
    static const double traces[] = {0.0, 1e-6, 1e-2};
    for (int i = 0; i < 3; i++) {
        plumb_advice_input input = input_of(1.0, 0.0);
        input.noise.trace = input.noise.scale = traces[i];
        input.noise.trace_error = input.noise.scale_error = 0.1 * traces[i];
        input.noise.signal = 1.0;
        if (i < 2) {
            expect(&input, PLUMB_LIMIT_UNKNOWN, "have the same gradient");
            ck_assert(isnan(advice_of(&input).samples));
        } else {
            expect(&input, PLUMB_LIMIT_NEITHER, "Returns have diminished");
        }
    }
}
END_TEST

/* Trace 640 +- 6.4, signal 0.5 +- 0.3: no scale, but at least 627.2 / 1.1 = 570 samples. */
START_TEST(a_signal_within_its_noise_still_bounds_the_scale)
{
    plumb_advice_input input = input_of(1.0, 0.1);
    input.noise.scale = input.noise.scale_error = NAN;
    input.noise.signal = 0.5;
    input.noise.signal_error = 0.3;
    expect(&input, PLUMB_LIMIT_VARIANCE, "no less than 570 samples");
    ck_assert(isnan(advice_of(&input).samples));
    input.noise.signal = -5.0; /* unbiased estimates may be negative */
    input.noise.signal_error = 1.3;
    expect(&input, PLUMB_LIMIT_UNKNOWN, "Not enough data"); /* 627.2 / 2.6 is below 4 x 64 */
    input.noise.signal_error = 1.2;
    expect(&input, PLUMB_LIMIT_VARIANCE, "no less than 261 samples");
}
END_TEST

START_TEST(wrong_input)
{
    plumb_advice advice = {.size = sizeof advice, .samples = 7.0};
    plumb_advice_input input = input_of(1.0, 0.1);
    ck_assert_int_eq(plumb_advise(NULL, &advice), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_advise(&input, NULL), PLUMB_ERROR_ARGUMENT);
    advice.size = 8;
    ck_assert_int_eq(plumb_advise(&input, &advice), PLUMB_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(plumb_error_message(NULL), "plumb_advice: size is 8"));
    advice.size = sizeof advice;
    input.size = 8;
    ck_assert_int_eq(plumb_advise(&input, &advice), PLUMB_ERROR_ARGUMENT);
    input = input_of(1.0, 0.1);
    input.micro_batches = 0;
    ck_assert_int_eq(plumb_advise(&input, &advice), PLUMB_ERROR_ARGUMENT);
    input = input_of(1.0, 0.1);
    input.noise.samples = 0.0;
    ck_assert_int_eq(plumb_advise(&input, &advice), PLUMB_ERROR_ARGUMENT);
    input.noise.samples = INFINITY;
    ck_assert_int_eq(plumb_advise(&input, &advice), PLUMB_ERROR_ARGUMENT);
    ck_assert_double_eq(advice.samples, 7.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("advice");
    test_add(suite, "thresholds", thresholds_of_the_batch);
    test_add(suite, "probable", errors_make_a_verdict_probable);
    test_add(suite, "numbers", numbers_stand_with_their_errors);
    test_add(suite, "ranks", more_ranks_than_micro_batches_are_of_no_use);
    test_add(suite, "bias", bias_comes_first);
    test_add(suite, "streamed", orthogonalising_first_keeps_the_bias);
    test_add(suite, "unknown", without_data_nothing_is_said);
    test_add(suite, "constant", the_same_gradient_everywhere);
    test_add(suite, "bounded", a_signal_within_its_noise_still_bounds_the_scale);
    test_add(suite, "wrong input", wrong_input);
    return test_run(suite);
}
