/*
 * Jackknife and half-sample of a quadratic function of matrices, whose unbiased estimate is known,
 * and of one that fails.
 *
 * ranks: serial
 */
#include <math.h>

#include "correct/resample.h"
#include "support/symmetric.h"

enum { SIDE = 7, COUNT = SIDE * SIDE, SAMPLES = 6 };

/* X -> X X + 2 X + I, whose unbiased estimate is known. */
static plumb_status quadratic(void *context, const double *matrix, double *result)
{
    int *calls = context;
    if ((*calls)-- == 0) {
        return PLUMB_ERROR_NUMERICAL;
    }
    symmetric_multiply(SIDE, matrix, matrix, result);
    for (int i = 0; i < COUNT; i++) {
        result[i] += 2.0 * matrix[i] + (i % (SIDE + 1) == 0 ? 1.0 : 0.0);
    }
    return PLUMB_OK;
}

/* With NaN above the diagonal, which nobody may read; plain ones for the references. */
static void make_samples(double *whole, double *lower)
{
    for (int k = 0; k < SAMPLES; k++) {
        symmetric_random(SIDE, 40 + (uint64_t)k, whole + k * COUNT);
        for (int i = 0; i < COUNT; i++) {
            lower[k * COUNT + i] = i % SIDE > i / SIDE ? NAN : whole[k * COUNT + i];
        }
    }
}

/* What is linear in the quadratic: 2 mean + I. */
static void linear_part(const double *samples, int count, double *sum)
{
    for (int i = 0; i < COUNT; i++) {
        sum[i] = i % (SIDE + 1) == 0 ? 1.0 : 0.0;
        for (int k = 0; k < count; k++) {
            sum[i] += 2.0 * samples[k * COUNT + i] / count;
        }
    }
}

/* Its square is the mean of S_i S_k over all pairs of different samples. */
START_TEST(jackknife_of_a_quadratic)
{
    double samples[SAMPLES * COUNT], lower[SAMPLES * COUNT];
    double expected[COUNT], product[COUNT], scratch[2 * COUNT], result[COUNT];
    make_samples(samples, lower);
    for (int count = 2; count <= SAMPLES; count++) {
        linear_part(samples, count, expected);
        for (int pair = 0; pair < count * count; pair++) {
            int i = pair / count, k = pair % count;
            symmetric_multiply(SIDE, samples + i * COUNT, samples + k * COUNT, product);
            for (int j = 0; j < COUNT && i != k; j++) {
                expected[j] += product[j] / (count * (count - 1));
            }
        }
        int calls = 100;
        resample_samples s = {SIDE, count, lower};
        ck_assert_int_eq(
            resample_jackknife(&s, (resample_function){quadratic, &calls}, scratch, result),
            PLUMB_OK);
        ck_assert_double_lt(symmetric_error(COUNT, result, expected), 1e-13);
    }
}
END_TEST

/* Its square is (AB + BA) / 2 with the means A and B of the halves. */
START_TEST(half_sample_of_a_quadratic)
{
    double samples[SAMPLES * COUNT], lower[SAMPLES * COUNT], halves[2][COUNT];
    double expected[COUNT], product[2][COUNT], scratch[2 * COUNT], result[COUNT];
    make_samples(samples, lower);
    for (int count = 2; count <= SAMPLES; count += 2) {
        resample_samples s = {SIDE, count, lower};
        linear_part(samples, count, expected);
        resample_mean(&s, 0, count / 2, halves[0]);
        resample_mean(&s, count / 2, count, halves[1]);
        ck_assert_double_eq_tol(halves[0][0] + halves[1][0], expected[0] - 1.0, 1e-14);
        symmetric_multiply(SIDE, halves[0], halves[1], product[0]);
        symmetric_multiply(SIDE, halves[1], halves[0], product[1]);
        for (int j = 0; j < COUNT; j++) {
            expected[j] += 0.5 * (product[0][j] + product[1][j]);
        }
        int calls = 100;
        ck_assert_int_eq(
            resample_half_sample(&s, (resample_function){quadratic, &calls}, scratch, result),
            PLUMB_OK);
        ck_assert_double_lt(symmetric_error(COUNT, result, expected), 1e-13);
    }
}
END_TEST

START_TEST(resampling_hands_failures_on)
{
    double samples[SAMPLES * COUNT], lower[SAMPLES * COUNT], scratch[2 * COUNT], result[COUNT];
    make_samples(samples, lower);
    resample_samples s = {SIDE, SAMPLES, lower};
    for (int good = 0; good < SAMPLES + 1; good++) {
        int calls = good;
        resample_function f = {quadratic, &calls};
        ck_assert_int_eq(resample_jackknife(&s, f, scratch, result), PLUMB_ERROR_NUMERICAL);
    }
    for (int good = 0; good < 3; good++) {
        int calls = good;
        resample_function f = {quadratic, &calls};
        ck_assert_int_eq(resample_half_sample(&s, f, scratch, result), PLUMB_ERROR_NUMERICAL);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resampling");
    test_add(suite, "jackknife of a quadratic", jackknife_of_a_quadratic);
    test_add(suite, "half-sample of a quadratic", half_sample_of_a_quadratic);
    test_add(suite, "resampling hands failures on", resampling_hands_failures_on);
    return test_run(suite);
}
