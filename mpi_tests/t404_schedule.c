/*
 * Learning-rate schedules at points computed by hand, and wrong input.
 * ranks: serial
 */
#include <math.h>

#include "plumb.h"
#include "support/test.h"

static plumb_schedule cosine(void)
{
    return (plumb_schedule){.size = sizeof(plumb_schedule),
                            .shape = PLUMB_SCHEDULE_COSINE,
                            .peak = 0.4,
                            .floor_fraction = 0.25,
                            .warm_up = 4,
                            .steps = 17};
}

static double rate_at(const plumb_schedule *schedule, int64_t step)
{
    double rate = -1.0;
    ck_assert_int_eq(plumb_schedule_rate(schedule, step, &rate), PLUMB_OK);
    return rate;
}

START_TEST(cosine_values)
{
    plumb_schedule s = cosine();
    ck_assert_double_eq_tol(rate_at(&s, 0), 0.1, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, 1), 0.2, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, 3), 0.4, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, 4), 0.4, 1e-15);
    /* A quarter, a half, the whole of the twelve steps from 4 to 16. */
    ck_assert_double_eq_tol(rate_at(&s, 7), 0.1 + 0.3 * (1.0 + sqrt(0.5)) / 2.0, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, 10), 0.25, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, 16), 0.1, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, 17), 0.1, 1e-15);
    ck_assert_double_eq_tol(rate_at(&s, INT64_MAX), 0.1, 1e-15);
}
END_TEST

START_TEST(constant_values)
{
    plumb_schedule s = cosine();
    s.shape = PLUMB_SCHEDULE_CONSTANT;
    ck_assert_double_eq_tol(rate_at(&s, 1), 0.2, 1e-15);
    ck_assert_double_eq(rate_at(&s, 4), 0.4);
    ck_assert_double_eq(rate_at(&s, 16), 0.4);
    s.warm_up = 0;
    ck_assert_double_eq(rate_at(&s, 0), 0.4);
}
END_TEST

START_TEST(short_schedules)
{
    plumb_schedule s = cosine();
    s.steps = 1;
    s.warm_up = 0;
    ck_assert_double_eq(rate_at(&s, 0), 0.4);
    s.warm_up = 1;
    ck_assert_double_eq(rate_at(&s, 0), 0.4);
    ck_assert_double_eq(rate_at(&s, 5), 0.4);
    s.steps = 2;
    ck_assert_double_eq(rate_at(&s, 1), 0.4);
    s.warm_up = 0;
    ck_assert_double_eq_tol(rate_at(&s, 1), 0.1, 1e-15);
}
END_TEST

START_TEST(edges_of_the_bounds)
{
    plumb_schedule s = cosine();
    s.floor_fraction = 0.0;
    ck_assert_double_eq_tol(rate_at(&s, 16), 0.0, 1e-15);
    s.floor_fraction = 1.0;
    ck_assert_double_eq_tol(rate_at(&s, 9), 0.4, 1e-15);
    s.peak = 0.0;
    ck_assert_double_eq(rate_at(&s, 9), 0.0);
    s.warm_up = s.steps;
    ck_assert_double_eq(rate_at(&s, 9), 0.0);
}
END_TEST

static void assert_refused(plumb_schedule s, int64_t step)
{
    double rate = 7.0;
    ck_assert_int_eq(plumb_schedule_rate(&s, step, &rate), PLUMB_ERROR_ARGUMENT);
    ck_assert(rate == 7.0);
}

#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        plumb_schedule wrong = cosine();                                                           \
        wrong.field = (value);                                                                     \
        assert_refused(wrong, 3);                                                                  \
    } while (0)

START_TEST(wrong_input)
{
    REFUSED(size, 8);
    REFUSED(shape, (plumb_schedule_shape)2);
    REFUSED(peak, -1e-9);
    REFUSED(peak, 1e7);
    REFUSED(peak, (double)NAN);
    REFUSED(floor_fraction, -0.01);
    REFUSED(floor_fraction, 1.01);
    REFUSED(floor_fraction, (double)NAN);
    REFUSED(warm_up, -1);
    REFUSED(warm_up, 18);
    REFUSED(steps, 0);
    assert_refused(cosine(), -1);
    plumb_schedule s = cosine();
    double rate;
    ck_assert_int_eq(plumb_schedule_rate(NULL, 0, &rate), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_schedule_rate(&s, 0, NULL), PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    test_add(suite, "cosine", cosine_values);
    test_add(suite, "constant", constant_values);
    test_add(suite, "short schedules", short_schedules);
    test_add(suite, "edges of the bounds", edges_of_the_bounds);
    test_add(suite, "wrong input", wrong_input);
    return test_run(suite);
}
