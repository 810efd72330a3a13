/*
 * The rule of --adaptive-batch: bounds, multiples of the groups, the limit of a change, hysteresis,
 * and noise scales that are not known.
 * ranks: serial
 */
#include <math.h>

#include "app/train_adaptive.h"
#include "support/test.h"

static const adaptive_rule rule = {.lowest = 8, .highest = 64, .groups = 4, .samples = 2.0};

static plumb_noise noise_of(double scale, double error)
{
    return (plumb_noise){.size = sizeof(plumb_noise),
                         .scale = scale,
                         .scale_error = error,
                         .trace = NAN,
                         .trace_error = NAN,
                         .signal = NAN,
                         .signal_error = NAN};
}

static int64_t next(int64_t now, double scale, double error)
{
    plumb_noise noise = noise_of(scale, error);
    return adaptive_micro_batches(&rule, now, &noise);
}

START_TEST(follows_the_noise_scale)
{
    ck_assert_int_eq(next(16, 48.0, 1.0), 24); /* 48 samples are 24 micro-batches of 2 */
    ck_assert_int_eq(next(16, 51.0, 1.0), 24); /* 25.5: the nearest multiple of 4 is 24 */
    ck_assert_int_eq(next(16, 53.0, 1.0), 28);
    ck_assert_int_eq(next(40, 48.0, 1.0), 24);
}
END_TEST

START_TEST(changes_by_two_at_most)
{
    ck_assert_int_eq(next(16, 1000.0, 1.0), 32);
    ck_assert_int_eq(next(64, 2.0, 0.1), 32);
    ck_assert_int_eq(next(20, 2.0, 0.1), 12); /* half is 10, whose nearest multiple is 12 */
}
END_TEST

START_TEST(stays_within_bounds)
{
    ck_assert_int_eq(next(48, 1000.0, 1.0), 64);
    ck_assert_int_eq(next(64, 1000.0, 1.0), 64);
    ck_assert_int_eq(next(12, 0.001, 0.0001), 8);
    ck_assert_int_eq(next(8, 0.001, 0.0001), 8);
}
END_TEST

START_TEST(small_differences_change_nothing)
{
    ck_assert_int_eq(next(16, 40.0, 1.0), 16); /* 20 is a quarter more */
    ck_assert_int_eq(next(16, 44.0, 1.0), 24); /* 22, half way up between 20 and 24 */
    ck_assert_int_eq(next(16, 24.0, 1.0), 16); /* 12 is a quarter less */
    ck_assert_int_eq(next(16, 18.0, 1.0), 8);  /* 9 is nearest to 8 */
}
END_TEST

START_TEST(what_is_not_known_changes_nothing)
{
    ck_assert_int_eq(next(16, NAN, NAN), 16);
    ck_assert_int_eq(next(16, 100.0, NAN), 16);
    ck_assert_int_eq(next(16, 100.0, 100.0), 16);
    ck_assert_int_eq(next(16, INFINITY, 1.0), 16);
}
END_TEST

/* No scale, but trace 100 +- 5 over a signal of at most 1.5 leaves 60 samples at least. */
START_TEST(a_lower_bound_is_enough_to_grow)
{
    plumb_noise noise = noise_of(NAN, NAN);
    noise.trace = 100.0;
    noise.trace_error = 5.0;
    noise.signal = 0.5;
    noise.signal_error = 0.5;
    ck_assert_int_eq(adaptive_micro_batches(&rule, 16, &noise), 32); /* 30, nearest to 32 */
    ck_assert_int_eq(adaptive_micro_batches(&rule, 24, &noise), 32);
    ck_assert_int_eq(adaptive_micro_batches(&rule, 32, &noise), 32);
    ck_assert_int_eq(adaptive_micro_batches(&rule, 64, &noise), 64); /* but not to shrink */
    noise.trace_error = 20.0;
    ck_assert_int_eq(adaptive_micro_batches(&rule, 12, &noise), 20); /* 60 over 1.5 are 40 */
    noise.trace_error = 5.0;
    noise.signal = -0.5;
    noise.signal_error = 1.0;
    ck_assert_int_eq(adaptive_micro_batches(&rule, 16, &noise), 24); /* a signal of 2 at most */
    noise.signal = noise.signal_error = noise.trace = noise.trace_error = 0.0;
    ck_assert_int_eq(adaptive_micro_batches(&rule, 16, &noise), 16);
}
END_TEST

START_TEST(the_rate_follows)
{
    ck_assert_double_eq(adaptive_rate_factor(ADAPTIVE_RATE_CONSTANT, 32, 8), 1.0);
    ck_assert_double_eq(adaptive_rate_factor(ADAPTIVE_RATE_LINEAR, 32, 8), 4.0);
    ck_assert_double_eq(adaptive_rate_factor(ADAPTIVE_RATE_ROOT, 32, 8), 2.0);
    ck_assert_double_eq(adaptive_rate_factor(ADAPTIVE_RATE_LINEAR, 4, 8), 0.5);
    ck_assert_double_eq(adaptive_rate_factor(ADAPTIVE_RATE_ROOT, 8, 8), 1.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adaptive rule");
    test_add(suite, "follows", follows_the_noise_scale);
    test_add(suite, "by two", changes_by_two_at_most);
    test_add(suite, "bounds", stays_within_bounds);
    test_add(suite, "hysteresis", small_differences_change_nothing);
    test_add(suite, "unknown", what_is_not_known_changes_nothing);
    test_add(suite, "lower bound", a_lower_bound_is_enough_to_grow);
    test_add(suite, "rate", the_rate_follows);
    return test_run(suite);
}
