/*
 * The noise scale of orthogonalising steps on matrices whose truth is known: isotropic and
 * anisotropic noise, samples of rank one, unequal groups; its errors; how far its bias goes as the
 * noise grows; sizes; and input that has none.
 *
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "plumb.h"
#include "support/noisy.h"
#include "support/test.h"

enum { ROWS = 24, COLS = 16, LENGTH = ROWS * COLS, COUNT = 8, REPETITIONS = 60 };

typedef enum noise_kind { ISOTROPIC, ANISOTROPIC, RANK_ONE } noise_kind;

static float truth[LENGTH];
static float store[COUNT][LENGTH];
static const float *groups[COUNT];

/* Singular values 1 / (1 + 0.3 j); returns their sum. */
static double make_truth(void)
{
    float frame[LENGTH];
    double sum = 0.0;
    for (int i = 0; i < LENGTH; i++) {
        frame[i] = test_value(41, (uint64_t)i, 0);
    }
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, frame, frame, NULL), PLUMB_OK);
    for (int j = 0; j < COLS; j++) {
        double value = 1.0 / (1.0 + 0.3 * j);
        sum += value;
        for (int i = 0; i < ROWS; i++) {
            truth[i * COLS + j] = (float)(value * (double)frame[i * COLS + j]);
        }
    }
    for (int k = 0; k < COUNT; k++) {
        groups[k] = store[k];
    }
    return sum;
}

/* Adds one sample's noise over `divisor` to a matrix. */
static void add_noise(noise_kind kind, double size, uint64_t key, double divisor, float *matrix)
{
    for (uint64_t e = 0; e < LENGTH; e++) {
        uint64_t i = e / COLS, j = e % COLS;
        double value = kind == RANK_ONE ? noisy_normal(key, i) * noisy_normal(key, 1000 + j)
                                        : noisy_normal(key, e);
        double part = kind == ANISOTROPIC ? 2.0 / (1.0 + 0.2 * (double)i) : 1.0;
        matrix[e] += (float)(size * part * value / divisor);
    }
}

static void draw(noise_kind kind, double size, const double *samples, uint64_t key)
{
    for (int k = 0; k < COUNT; k++) {
        memcpy(store[k], truth, sizeof truth);
        uint64_t count = kind == RANK_ONE ? (uint64_t)samples[k] : 1;
        double divisor = kind == RANK_ONE ? samples[k] : sqrt(samples[k]);
        for (uint64_t s = 0; s < count; s++) {
            add_noise(kind, size, key * 4096 + (uint64_t)k * 64 + s, divisor, store[k]);
        }
    }
}

static double nuclear_norm(const float *matrix)
{
    float polar[LENGTH];
    double sum = 0.0;
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, matrix, polar, NULL), PLUMB_OK);
    for (int i = 0; i < LENGTH; i++) {
        sum += (double)matrix[i] * (double)polar[i];
    }
    return sum;
}

/* sqrt(B) |mean - G|_* of the groups that were drawn. */
static double error_norm(const double *samples)
{
    float error[LENGTH] = {0};
    double weight = 0.0;
    for (int k = 0; k < COUNT; k++) {
        weight += samples[k];
    }
    for (int k = 0; k < COUNT; k++) {
        for (int i = 0; i < LENGTH; i++) {
            error[i] += (float)(samples[k] / weight * (double)(store[k][i] - truth[i]));
        }
    }
    return sqrt(weight) * nuclear_norm(error);
}

typedef struct outcome {
    double ratio;       /* of the estimates' mean to the true scale */
    double uncertainty; /* its standard error, from both */
    double stated;      /* mean stated error over the spread */
    double scale;       /* the true one */
} outcome;

static outcome compare(noise_kind kind, double size, const double *samples, uint64_t key)
{
    double norm = make_truth();
    noisy_mean estimates = {0}, errors = {0}, noise = {0};
    for (uint64_t r = 0; r < REPETITIONS; r++) {
        double scale, error;
        draw(kind, size, samples, key + r);
        ck_assert_int_eq(
            plumb_nuclear_noise_scale(ROWS, COLS, COUNT, samples, groups, &scale, &error),
            PLUMB_OK);
        noisy_add(&noise, error_norm(samples));
        if (isnan(scale)) {
            continue;
        }
        noisy_add(&estimates, scale);
        noisy_add(&errors, error);
    }
    ck_assert(size > 1.0 || estimates.count == REPETITIONS);
    double true_scale = pow(noisy_average(&noise) / norm, 2.0);
    outcome o = {.ratio = noisy_average(&estimates) / true_scale, .scale = true_scale};
    o.uncertainty = o.ratio * hypot(noisy_error(&estimates) / noisy_average(&estimates),
                                    2.0 * noisy_error(&noise) / noisy_average(&noise));
    o.stated = noisy_average(&errors) / sqrt(noisy_variance(&estimates));
    return o;
}

static const double equal[COUNT] = {16, 16, 16, 16, 16, 16, 16, 16};
static const double unequal[COUNT] = {4, 40, 16, 8, 20, 12, 24, 4};

START_TEST(finds_the_truth)
{
    for (int c = 0; c < 6; c++) {
        outcome o = compare((noise_kind)(c / 2), 0.1, c % 2 == 0 ? equal : unequal,
                            (uint64_t)(c + 1) * 1000);
        /* 3 % for the noise of samples of rank one, whose mean is not quite normal yet. */
        double room = 4.0 * o.uncertainty + (c / 2 == RANK_ONE ? 0.03 : 0.005);
        ck_assert_msg(fabs(o.ratio - 1.0) < room, "case %d: %g", c, o.ratio);
        ck_assert_msg(o.stated > 0.4 && o.stated < 2.0, "case %d: error %g", c, o.stated);
    }
}
END_TEST

/* 128 samples: what is said in the header of scales of B/10, B, and beyond. */
START_TEST(too_small_where_noise_prevails)
{
    outcome little = compare(ISOTROPIC, 0.3, equal, 50000);
    outcome much = compare(ISOTROPIC, 0.9, equal, 60000);
    outcome most = compare(ISOTROPIC, 2.5, equal, 70000);
    ck_assert_msg(little.scale > 10.0 && little.scale < 20.0, "%g", little.scale);
    ck_assert_msg(fabs(little.ratio - 1.0) < 0.03, "%g", little.ratio);
    ck_assert_msg(much.scale > 90.0 && much.scale < 190.0, "%g", much.scale);
    ck_assert_msg(much.ratio > 0.7 && much.ratio < 0.95, "%g", much.ratio);
    ck_assert(most.ratio < 0.7 && most.ratio * most.scale > 128.0);
}
END_TEST

START_TEST(size_is_of_no_importance)
{
    double one, other, error;
    make_truth();
    draw(ANISOTROPIC, 0.2, unequal, 5);
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, COUNT, unequal, groups, &one, NULL),
                     PLUMB_OK);
    static const float factors[] = {1e-30f, 1e30f, 1e30f};
    for (int f = 0; f < 3; f++) {
        for (int k = 0; k < COUNT; k++) {
            for (int i = 0; i < LENGTH; i++) {
                store[k][i] *= factors[f];
            }
        }
        ck_assert_int_eq(
            plumb_nuclear_noise_scale(ROWS, COLS, COUNT, unequal, groups, &other, &error),
            PLUMB_OK);
        ck_assert_msg(fabs(other - one) < 1e-4 * one, "%g %g", other, one);
    }
}
END_TEST

/* One column: nuclear norm and Euclidean norm are the same. */
START_TEST(one_column_is_a_vector)
{
    double scale, error;
    noisy_mean noise = {0};
    for (int k = 0; k < COUNT; k++) {
        groups[k] = store[k];
        double squares = 0.0;
        for (int i = 0; i < LENGTH; i++) {
            double value = 0.05 * noisy_normal(3, (uint64_t)(k * LENGTH + i));
            squares += value * value;
            store[k][i] = (float)((i == 3 ? 1.0 : 0.0) + value);
        }
        noisy_add(&noise, sqrt(squares));
    }
    ck_assert_int_eq(plumb_nuclear_noise_scale(LENGTH, 1, COUNT, NULL, groups, &scale, &error),
                     PLUMB_OK);
    double expected = pow(noisy_average(&noise), 2.0);
    ck_assert_msg(fabs(scale - expected) < 0.15 * expected, "%g %g", scale, expected);
}
END_TEST

/* Two numbers 1.2 of 3 samples and 0.9 of 5. */
START_TEST(two_numbers_by_hand)
{
    static const double samples[2] = {3.0, 5.0};
    double scale, error;
    make_truth();
    store[0][0] = 1.2f;
    store[1][0] = 0.9f;
    ck_assert_int_eq(plumb_nuclear_noise_scale(1, 1, 2, samples, groups, &scale, &error), PLUMB_OK);
    double expected = 0.09 * 15.0 / 8.0 / (1.0125 * 1.0125);
    ck_assert_msg(fabs(scale - expected) < 1e-5 * expected, "%g %g", scale, expected);
}
END_TEST

/* (1.2, 0.5) of 3 samples and (0.9, -0.4) of 5: nuclear norms are lengths. */
START_TEST(two_vectors_by_hand)
{
    static const double samples[2] = {3.0, 5.0};
    double scale, error;
    make_truth();
    store[0][0] = 1.2f;
    store[0][1] = 0.5f;
    store[1][0] = 0.9f;
    store[1][1] = -0.4f;
    ck_assert_int_eq(plumb_nuclear_noise_scale(2, 1, 2, samples, groups, &scale, &error), PLUMB_OK);
    double product = 1.2 * 0.9 - 0.5 * 0.4;
    double gain = 3.0 / 8.0 * product / hypot(0.9, 0.4) + 5.0 / 8.0 * product / hypot(1.2, 0.5);
    double mean = hypot((3.0 * 1.2 + 5.0 * 0.9) / 8.0, (3.0 * 0.5 - 5.0 * 0.4) / 8.0);
    double lack = 3.0 / 5.0 + 5.0 / 3.0;
    double ratio = sqrt(15.0 / 8.0) * hypot(0.3, 0.9) / ((lack * mean + gain) / (lack + 1.0));
    ck_assert_msg(fabs(scale - ratio * ratio) < 1e-5 * scale, "%g %g", scale, ratio * ratio);
}
END_TEST

START_TEST(nothing_is_invented)
{
    double scale = 0.0, error = 0.0;
    make_truth();
    memset(store, 0, sizeof store);
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, COUNT, NULL, groups, &scale, &error),
                     PLUMB_OK);
    ck_assert(isnan(scale) && isnan(error));
    draw(ISOTROPIC, 0.0, equal, 1); /* constant */
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, COUNT, equal, groups, &scale, &error),
                     PLUMB_OK);
    ck_assert(scale >= 0.0 && scale < 1e-9 && error < 1e-9);
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, 1, equal, groups, &scale, &error),
                     PLUMB_OK);
    ck_assert(isnan(scale) && isnan(error));
    draw(ISOTROPIC, 0.1, equal, 1);
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, 2, equal, groups, &scale, &error),
                     PLUMB_OK);
    ck_assert(scale > 0.0 && isnan(error));
    int unknown = 0;
    for (uint64_t r = 0; r < 20; r++) {
        memset(truth, 0, sizeof truth); /* nothing but noise */
        draw(ISOTROPIC, 1.0, equal, 700 + r);
        ck_assert_int_eq(
            plumb_nuclear_noise_scale(ROWS, COLS, COUNT, equal, groups, &scale, &error), PLUMB_OK);
        unknown += isnan(scale);
    }
    ck_assert_int_ge(unknown, 17);
    store[2][7] = NAN;
    scale = -7.0;
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, COUNT, equal, groups, &scale, &error),
                     PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_nuclear_noise_scale(0, COLS, COUNT, equal, groups, &scale, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, 0, equal, groups, &scale, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_nuclear_noise_scale(ROWS, COLS, COUNT, equal, NULL, &scale, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert(scale == -7.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nuclear noise");
    test_add(suite, "finds the truth", finds_the_truth);
    test_add(suite, "too small where noise prevails", too_small_where_noise_prevails);
    test_add(suite, "size is of no importance", size_is_of_no_importance);
    test_add(suite, "one column is a vector", one_column_is_a_vector);
    test_add(suite, "two numbers by hand", two_numbers_by_hand);
    test_add(suite, "two vectors by hand", two_vectors_by_hand);
    test_add(suite, "nothing is invented", nothing_is_invented);
    return test_run(suite);
}
