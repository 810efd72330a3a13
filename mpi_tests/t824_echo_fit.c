/*
 * The variance fitted to measured echoes: against curves of known variance, its standard error
 * against the spread over noisy curves, a fine scan where there are several minima, and what has no
 * answer.
 *
 * ranks: serial
 */
#include <math.h>

#include "plumb.h"
#include "support/spiked.h"
#include "support/test.h"

static plumb_echo law_of(int64_t rows, int64_t cols, double variance, double signal)
{
    plumb_echo echo = {.size = sizeof echo};
    ck_assert_int_eq(plumb_echo_law(rows, cols, variance, signal, &echo), PLUMB_OK);
    return echo;
}

static double threshold_of(int64_t rows, int64_t cols)
{
    return pow((double)rows * (double)cols, 0.25);
}

enum { CURVE = 40 };

static void make_curve(int64_t rows, int64_t cols, double deviation, double noise, uint64_t *state,
                       double *signals, double *echoes)
{
    for (int i = 0; i < CURVE; i++) {
        signals[i] = deviation * threshold_of(rows, cols) * (0.3 + 0.15 * i);
        echoes[i] = law_of(rows, cols, deviation * deviation, signals[i]).echo;
        echoes[i] += noise * spiked_normal(state);
    }
}

static const int64_t shapes[4][2] = {{200, 200}, {100, 400}, {400, 100}, {7, 3000}};

START_TEST(test_fit)
{
    static const double deviations[] = {1e-30, 1e-3, 1.0, 1e30};
    double signals[CURVE], echoes[CURVE], variance, error;
    uint64_t state = 5;
    for (int k = 0; k < 4; k++) {
        for (int d = 0; d < 4; d++) {
            double truth = deviations[d] * deviations[d];
            make_curve(shapes[k][0], shapes[k][1], deviations[d], 0.0, &state, signals, echoes);
            ck_assert_int_eq(plumb_echo_fit(shapes[k][0], shapes[k][1], CURVE, signals, echoes,
                                            &variance, &error),
                             PLUMB_OK);
            ck_assert_double_eq_tol(variance / truth, 1.0, 1e-6);
            ck_assert_double_le(error / truth, 1e-6);
        }
    }
}
END_TEST

/* The stated error against the spread over 200 noisy curves, which is known to 5 per cent. */
START_TEST(test_fit_error)
{
    double signals[CURVE], echoes[CURVE], variance, error;
    double sum = 0.0, squares = 0.0, stated = 0.0;
    uint64_t state = 7;
    for (int i = 0; i < 200; i++) {
        make_curve(100, 400, 2.0, 0.03, &state, signals, echoes);
        ck_assert_int_eq(plumb_echo_fit(100, 400, CURVE, signals, echoes, &variance, &error),
                         PLUMB_OK);
        sum += variance / 200.0;
        squares += variance * variance / 200.0;
        stated += error / 200.0;
    }
    double spread = sqrt(squares - sum * sum);
    ck_assert_double_eq_tol(sum, 4.0, 0.02 + 4.0 * spread / sqrt(200.0));
    ck_assert_double_eq_tol(stated / spread, 1.0, 0.15);
}
END_TEST

static double squares_at(int count, const double *signals, const double *echoes, double variance)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        sum += pow(echoes[i] - law_of(30, 50, variance, signals[i]).echo, 2.0);
    }
    return sum;
}

/* A few signals far apart with echoes that fit no law, which has several minima then: none of a
 * fine scan is better than what is found. */
START_TEST(test_fit_global)
{
    uint64_t state = 9;
    for (int repeat = 0; repeat < 20; repeat++) {
        double signals[4], echoes[4], variance, least = INFINITY;
        for (int i = 0; i < 4; i++) {
            signals[i] = pow(10.0, i) * (1.0 + spiked_uniform(&state));
            echoes[i] = spiked_uniform(&state);
        }
        ck_assert_int_eq(plumb_echo_fit(30, 50, 4, signals, echoes, &variance, NULL), PLUMB_OK);
        for (int i = 0; i < 1000; i++) {
            double here = 1e-4 * pow(10.0, 10.0 * i / 1000.0);
            least = fmin(least, squares_at(4, signals, echoes, here));
        }
        ck_assert_double_le(squares_at(4, signals, echoes, variance), least * (1.0 + 1e-12));
    }
}
END_TEST

START_TEST(test_fit_limits)
{
    double signals[4] = {0.0, 1.0, 2.0, 3.0}, echoes[4] = {0.0}, ones[4] = {0.0, 1.0, 1.0, 1.0};
    double variance = 0.0, error = 0.0;
    /* Nothing left anywhere: any larger variance would do. */
    ck_assert_int_eq(plumb_echo_fit(9, 9, 4, signals, echoes, &variance, &error), PLUMB_OK);
    ck_assert(isnan(variance) && isnan(error));
    /* No signal at all. */
    ck_assert_int_eq(plumb_echo_fit(9, 9, 1, signals, ones, &variance, &error), PLUMB_OK);
    ck_assert(isnan(variance) && isnan(error));
    ck_assert_int_eq(plumb_echo_fit(9, 9, 4, signals, ones, &variance, &error), PLUMB_OK);
    ck_assert(variance == 0.0 && error == 0.0);
    /* One pair gives a variance, not how wrong it is: square, echo = 1 - n variance / s^2. */
    echoes[1] = 0.75;
    ck_assert_int_eq(plumb_echo_fit(9, 9, 1, signals + 1, echoes + 1, &variance, &error), PLUMB_OK);
    ck_assert_double_eq_tol(variance, 0.25 / 9.0, 1e-8);
    ck_assert(isnan(error));
    ck_assert_int_eq(plumb_echo_fit(9, 9, 1, signals + 1, echoes + 1, &variance, NULL), PLUMB_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("echo fit");
    test_add(suite, "fit", test_fit);
    test_add(suite, "fit's error", test_fit_error);
    test_add(suite, "fit of no law", test_fit_global);
    test_add(suite, "fit's limits", test_fit_limits);
    return test_run(suite);
}
