/*
 * The formulas behind AdamW's corrections, each against something that is exact: derivatives
 * against differences, weights against their sums, inverse roots against the moments of the
 * chi-square distribution, and statistics over groups against the expectation over every outcome of
 * a small distribution.
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "correct/average.h"
#include "correct/folds.h"
#include "correct/inverse.h"
#include "correct/statistics.h"
#include "support/test.h"

static void assert_near(double value, double expected, double tolerance, const char *what)
{
    ck_assert_msg(fabs(value - expected) <= tolerance * fabs(expected) ||
                      fabs(value - expected) <= 1e-300,
                  "%s: %.17g, not %.17g", what, value, expected);
}

typedef long double function(long double v, long double epsilon);

static long double inverse_root(long double v, long double epsilon)
{
    return 1.0L / (sqrtl(v) + epsilon);
}

/* -2 f' = 1 / (sqrt(v) d^2) */
static long double slope(long double v, long double epsilon)
{
    long double d = sqrtl(v) + epsilon;
    return 1.0L / (sqrtl(v) * d * d);
}

/* f'' q / 2 / f by central differences. */
static double excess_by_differences(function *f, double v, double epsilon, double q)
{
    long double h = 2e-4L * (long double)v;
    long double middle = f((long double)v, (long double)epsilon);
    long double second = f((long double)v + h, (long double)epsilon) - 2.0L * middle +
                         f((long double)v - h, (long double)epsilon);
    return (double)(0.5L * second / (h * h) * (long double)q / middle);
}

START_TEST(derivatives)
{
    static const double values[] = {1e-20, 1e-6, 0.3, 0.7, 1.0, 40.0, 1e12};
    static const double epsilons[] = {1e-8, 1e-3, 0.1, 1.0, 10.0}; /* in units of sqrt(v) */
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (size_t j = 0; j < sizeof epsilons / sizeof epsilons[0]; j++) {
            double v = values[i], epsilon = epsilons[j] * sqrt(v);
            double q = 0.1 * v * v;
            double share = sqrt(v) / (sqrt(v) + epsilon);
            double spread = inverse_spread(q, v);
            assert_near(inverse_excess(spread, share),
                        excess_by_differences(inverse_root, v, epsilon, q), 1e-6, "f''");
            assert_near(inverse_slope_excess(spread, share),
                        excess_by_differences(slope, v, epsilon, q), 1e-6, "f'''");
        }
    }
    assert_near(inverse_excess(1.0, 1.0), 3.0 / 8.0, 1e-15, "without epsilon");
    assert_near(inverse_slope_excess(1.0, 1.0), 15.0 / 8.0, 1e-15, "without epsilon");
}
END_TEST

/* f / (1 + e + 3 e^2) by its parts, and at the ends of the range of floats. */
START_TEST(corrected_inverse)
{
    static const double values[] = {1e-40, 1e-20, 0.3, 1.0, 40.0, 1e12, 1e38};
    static const double epsilons[] = {1e-30, 1e-8, 0.1, 10.0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (size_t j = 0; j < sizeof epsilons / sizeof epsilons[0]; j++) {
            double v = values[i], epsilon = epsilons[j], d = sqrt(v) + epsilon;
            double e = inverse_excess(0.1, sqrt(v) / d);
            assert_near(inverse_corrected(0.1 * v * v, v, epsilon),
                        1.0 / d / (1.0 + e + 3.0 * e * e), 1e-9, "corrected inverse");
            assert_near(inverse_corrected(0.0, v, epsilon), 1.0 / d, 1e-9, "nothing to correct");
            ck_assert(inverse_corrected(1e76, v, epsilon) >= 0.0);
        }
    }
    ck_assert(isfinite(inverse_corrected(0.0, 0.0, 1e-30)));
    assert_near(inverse_corrected(0.0, 0.0, 1e-8), 1e8, 1e-9, "v of 0");
    ck_assert(inverse_corrected(1e-80, 0.0, 1e-8) >= 0.0);
}
END_TEST

START_TEST(spread_is_safe)
{
    ck_assert(inverse_spread(0.0, 0.0) == 0.0);
    ck_assert(inverse_spread(-1.0, 1.0) == 0.0);
    ck_assert(inverse_spread(2.0, 4.0) == 0.125);
    ck_assert(isfinite(inverse_spread(1e300, 0.0)));
    ck_assert(inverse_excess(inverse_spread(1e300, 0.0), 0.0) == 0.0);
    ck_assert(inverse_bounded(3.0, 2.0) == 2.0 && inverse_bounded(-3.0, 2.0) == -2.0);
    ck_assert(inverse_bounded(1.0, 2.0) == 1.0 && inverse_bounded(1.0, 0.0) == 0.0);
    ck_assert(inverse_bounded((double)INFINITY, 2.0) == 2.0);
}
END_TEST

/* Sum of the products of the weights that two moving averages put on the same sample. */
static double weights_summed(double a, double b, int steps)
{
    double sum = 0.0;
    for (int t = 0; t < steps; t++) {
        sum += (1.0 - a) * pow(a, t) * (1.0 - b) * pow(b, t);
    }
    return sum / (1.0 - pow(a, steps)) / (1.0 - pow(b, steps));
}

/* Unit variances put in at each step: the variance of a moving average with unbiased weights. */
START_TEST(variance_of_averages)
{
    static const double betas[] = {0.3, 0.9, 0.95, 0.99};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            double a = betas[i], b = betas[j], tracked = 0.0;
            for (int t = 1; t <= 60; t++) {
                average product = average_product(average_of(a, t), average_of(b, t));
                tracked = average_step(product, tracked, 1.0);
                assert_near(tracked * product.unbiased, weights_summed(a, b, t), 1e-14, "weights");
                double closed = (1.0 - a) * (1.0 + pow(a, t)) / (1.0 + a) / (1.0 - pow(a, t));
                if (i == j) {
                    assert_near(tracked * product.unbiased, closed, 1e-14, "closed form");
                }
            }
        }
    }
}
END_TEST

START_TEST(roots_keep_sign_and_range)
{
    static const double values[] = {0.0, 1.0, -1.0, 3e-60, -3e-60, 1e60, -1e60};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_near(average_from_root(average_root(values[i])), values[i], 2e-7, "root");
    }
}
END_TEST

/* E (chi^2_n / n)^power, from gamma functions. */
static double chi_square_moment(double n, double power)
{
    return exp(lgamma(n / 2.0 + power) - lgamma(n / 2.0) - power * log(n / 2.0));
}

/* Variance 2/n, third cumulant 8/n^2: what the second order leaves is about the next term. */
START_TEST(chi_square)
{
    for (double n = 32.0; n <= 4096.0; n *= 2.0) {
        double next = (-5.0 / 16.0 * 8.0 + 105.0 / 128.0 * 4.0) / (n * n);
        double left = chi_square_moment(n, -0.5) - (1.0 + inverse_excess(2.0 / n, 1.0));
        ck_assert_double_le(fabs(left), 2.0 * next);
        ck_assert_double_ge(fabs(left), 0.5 * next);
        double next_slope = (-105.0 / 48.0 * 8.0 + 945.0 / 128.0 * 4.0) / (n * n);
        double left_slope = chi_square_moment(n, -1.5) - (1.0 + inverse_slope_excess(2.0 / n, 1.0));
        ck_assert_double_le(fabs(left_slope), 2.0 * next_slope);
    }
    ck_assert_double_eq_tol(chi_square_moment(64.0, -0.5), 1.011913, 1e-6);
}
END_TEST

/* Of the square of the mean: sum over i != j of x_i x_j / (n (n-1)). */
START_TEST(jackknife_of_square)
{
    enum { N = 7 };
    double x[N], sum = 0.0, pairs = 0.0, without = 0.0;
    for (int i = 0; i < N; i++) {
        x[i] = (double)test_value(5, 0, (uint64_t)i) + 0.3;
        sum += x[i];
    }
    for (int i = 0; i < N; i++) {
        double others = (sum - x[i]) / (N - 1);
        without += others * others;
        pairs += x[i] * (sum - x[i]);
    }
    assert_near(folds_jackknife(N, sum * sum / (N * N), without), pairs / (N * (N - 1)), 1e-13,
                "jackknife");
}
END_TEST

/* A variable with few values: three with the moments of a normal one up to the fifth, or two. */
typedef struct outcome {
    int values;
    double value[3], probability[3];
} outcome;

static const outcome normal = {3, {-1.5, 1.5, 4.5}, {1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0}};
static const outcome skewed = {2, {0.5, 3.5, 0.0}, {2.0 / 3.0, 1.0 / 3.0, 0.0}};

enum { GROUPS = 4 };

static double moment_of(const outcome *o, double about, int power)
{
    double sum = 0.0;
    for (int i = 0; i < o->values; i++) {
        sum += o->probability[i] * pow(o->value[i] - about, power);
    }
    return sum;
}

/* The statistics of one joint outcome. */
typedef struct sample {
    double probability, mean, second, variance, covariance;
    double first[GROUPS], others[GROUPS], variance_of_others[GROUPS]; /* of each fold */
} sample;

static sample sample_of(const outcome *o, statistics_family family, int folds, int number)
{
    float gradient[GROUPS], mean = 0.0f;
    const float *gradients[GROUPS];
    sample s = {.probability = 1.0};
    for (int k = 0; k < GROUPS; k++, number /= o->values) {
        gradient[k] = (float)o->value[number % o->values];
        gradients[k] = &gradient[k];
        mean += gradient[k] / GROUPS;
        s.probability *= o->probability[number % o->values];
    }
    s.mean = (double)mean;
    statistics_sums sums;
    statistics_sums_of(0, 1, family, gradients, &mean, &sums);
    statistics_second(1, family, &mean, &sums, &s.second);
    statistics_variance(1, family, &mean, &sums, &s.variance);
    statistics_covariance(1, family, &mean, &sums, &s.covariance);
    for (int f = 0; f < folds; f++) {
        statistics_fold fold;
        statistics_fold_of(0, 1, family, folds, f, gradients, &mean, &fold);
        s.first[f] = s.mean + fold.first[0] * folds / GROUPS;
        statistics_of_others(1, family, folds, &mean, &sums, &fold, &s.others[f],
                             &s.variance_of_others[f]);
    }
    return s;
}

/* Expectations over all joint outcomes. */
typedef struct expectation {
    double mean, second, second_square, product, variance, covariance;
    double others, others_square, variance_of_others, crossed; /* of fold 0, the last with it */
} expectation;

static expectation expect(const outcome *o, statistics_family family, int folds)
{
    expectation e;
    memset(&e, 0, sizeof e);
    int outcomes = (int)pow(o->values, GROUPS);
    for (int number = 0; number < outcomes; number++) {
        sample s = sample_of(o, family, folds, number);
        double left_out = 0.0;
        for (int f = 0; f < folds; f++) {
            left_out += s.others[f] / folds;
        }
        if (folds == GROUPS) {
            ck_assert_double_eq_tol(left_out, s.second, 1e-12);
        }
        e.mean += s.probability * s.mean;
        e.second += s.probability * s.second;
        e.second_square += s.probability * s.second * s.second;
        e.product += s.probability * s.mean * s.second;
        e.variance += s.probability * s.variance;
        e.covariance += s.probability * s.covariance;
        e.others += s.probability * s.others[0];
        e.others_square += s.probability * s.others[0] * s.others[0];
        e.variance_of_others += s.probability * s.variance_of_others[0];
        e.crossed += s.probability * s.first[0] * s.others[0];
    }
    return e;
}

static void assert_statistics(const outcome *o, int folds, double noise_floor)
{
    statistics_family family = statistics_family_of(GROUPS, noise_floor);
    expectation e = expect(o, family, folds);
    double mean = moment_of(o, 0.0, 1);
    double variance = moment_of(o, mean, 2), third = moment_of(o, mean, 3);
    double target = mean * mean + family.noise_floor * variance;
    double bias = (1.0 - family.blend) * third / (GROUPS * GROUPS);
    assert_near(e.second, target, 1e-12, "second moment");
    assert_near(e.others, target, 1e-12, "second moment of the others");
    assert_near(e.crossed, mean * target, 1e-12, "product of a fold and its others");
    assert_near(e.covariance, e.product - e.mean * e.second + bias, 1e-12, "covariance");
    if (o == &normal || family.blend == 1.0) {
        assert_near(e.variance, e.second_square - e.second * e.second, 1e-12, "variance");
        assert_near(e.variance_of_others, e.others_square - e.others * e.others, 1e-12,
                    "variance of the others");
    }
}

START_TEST(statistics)
{
    static const double floors[] = {0.0, 1.0 / GROUPS, 0.4, 0.75, 1.0};
    for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
        for (int folds = 2; folds <= GROUPS; folds += 2) {
            assert_statistics(&normal, folds, floors[i]);
            assert_statistics(&skewed, folds, floors[i]);
        }
    }
}
END_TEST

/* The plug-ins at both ends as they stand in the literature, written out. */
START_TEST(statistics_at_both_ends)
{
    sample square_of_mean = sample_of(&normal, statistics_family_of(GROUPS, 0.0), GROUPS, 5);
    sample mean_of_squares = sample_of(&normal, statistics_family_of(GROUPS, 1.0), GROUPS, 5);
    double g[GROUPS] = {4.5, 1.5, -1.5, -1.5}, mean = 0.75, squares = 0.0, spread = 0.0;
    double variance = 0.0, covariance = 0.0;
    for (int k = 0; k < GROUPS; k++) {
        squares += g[k] * g[k] / GROUPS;
        spread += (g[k] - mean) * (g[k] - mean) / (GROUPS - 1);
    }
    for (int k = 0; k < GROUPS; k++) {
        double excess = g[k] * g[k] - squares;
        variance += excess * excess / (GROUPS * (GROUPS - 1));
        covariance += (g[k] - mean) * excess / (GROUPS * (GROUPS - 1));
    }
    assert_near(mean_of_squares.second, squares, 1e-14, "mean of squares");
    assert_near(mean_of_squares.variance, variance, 1e-13, "its variance");
    assert_near(mean_of_squares.covariance, covariance, 1e-13, "its covariance");
    assert_near(square_of_mean.second, mean * mean, 0.0, "square of mean");
    assert_near(square_of_mean.variance,
                4.0 / GROUPS * mean * mean * spread -
                    2.0 / (GROUPS * GROUPS) * spread * spread * (GROUPS - 1) / (GROUPS + 1),
                1e-13, "its variance");
    assert_near(square_of_mean.covariance, 2.0 * mean * spread / GROUPS, 1e-13, "its covariance");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("correction theory");
    test_add(suite, "derivatives", derivatives);
    test_add(suite, "corrected inverse", corrected_inverse);
    test_add(suite, "spread is safe", spread_is_safe);
    test_add(suite, "variance of averages", variance_of_averages);
    test_add(suite, "roots keep sign and range", roots_keep_sign_and_range);
    test_add(suite, "chi square", chi_square);
    test_add(suite, "jackknife of square", jackknife_of_square);
    test_add(suite, "statistics", statistics);
    test_add(suite, "statistics at both ends", statistics_at_both_ends);
    return test_run(suite);
}
