/*
 * Eigenvalues of the covariance from Gram matrices: those of the covariance itself, which a small
 * dimension lets one form; noise reduction on a spike in 5,000 dimensions; eigenvectors; unequal
 * micro-batches; and input that has no spectrum.
 *
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "linalg/spectrum.h"
#include "plumb.h"
#include "support/noisy.h"
#include "support/test.h"

enum { COUNT = 9, DIMENSIONS = 14, LONG = 5000, MANY = 32 };

static float store[MANY][LONG];
static const float *vectors[MANY];

static void fill_gram(int64_t count, int64_t length, double *gram)
{
    for (int64_t k = 0; k < count; k++) {
        vectors[k] = store[k];
    }
    memset(gram, 0, (size_t)(count * count) * sizeof *gram);
    ck_assert_int_eq(plumb_gram(count, length, vectors, gram), PLUMB_OK);
}

/* COUNT small gradients. */
static void fill_small(double scale)
{
    for (int k = 0; k < COUNT; k++) {
        for (int i = 0; i < DIMENSIONS; i++) {
            float value = test_value(11, (uint64_t)k, (uint64_t)i) / (float)(1 + i) + 0.3f;
            store[k][i] = (float)((double)value * scale);
        }
    }
}

/* sum b_k (g_k - mean) (g_k - mean)' / (K-1), DIMENSIONS x DIMENSIONS. */
static void form_covariance(const double *samples, double *covariance)
{
    double mean[DIMENSIONS] = {0};
    double weight = 0.0;
    for (int k = 0; k < COUNT; k++) {
        weight += samples != NULL ? samples[k] : 1.0;
    }
    for (int k = 0; k < COUNT; k++) {
        for (int i = 0; i < DIMENSIONS; i++) {
            mean[i] += (samples != NULL ? samples[k] : 1.0) / weight * (double)store[k][i];
        }
    }
    for (int e = 0; e < DIMENSIONS * DIMENSIONS; e++) {
        int i = e / DIMENSIONS, j = e % DIMENSIONS;
        covariance[e] = 0.0;
        for (int k = 0; k < COUNT; k++) {
            covariance[e] += (samples != NULL ? samples[k] : 1.0) / (COUNT - 1) *
                             ((double)store[k][i] - mean[i]) * ((double)store[k][j] - mean[j]);
        }
    }
}

/* Squared length of (A - value) x, x being vector j by its coefficients. */
static double vector_error(const double *covariance, const double *coefficients, double value)
{
    double x[DIMENSIONS] = {0};
    double error = 0.0, norm = 0.0;
    for (int k = 0; k < COUNT; k++) {
        for (int i = 0; i < DIMENSIONS; i++) {
            x[i] += coefficients[k] * (double)store[k][i];
        }
    }
    for (int i = 0; i < DIMENSIONS; i++) {
        double y = -value * x[i];
        for (int j = 0; j < DIMENSIONS; j++) {
            y += covariance[i * DIMENSIONS + j] * x[j];
        }
        error += y * y;
        norm += x[i] * x[i];
    }
    return error / (value * value) + (norm - 1.0) * (norm - 1.0);
}

/* Of either sign of a vector the one with its largest coefficient positive. */
static bool largest_is_positive(const double *coefficients)
{
    double largest = 0.0, most = 0.0;
    for (int k = 0; k < COUNT; k++) {
        largest = fmax(largest, fabs(coefficients[k]));
        most = fmax(most, coefficients[k]);
    }
    return most > 0.0 && most == largest;
}

static void compare_with_covariance(const double *samples)
{
    double gram[COUNT * COUNT], covariance[DIMENSIONS * DIMENSIONS];
    double values[DIMENSIONS], basis[DIMENSIONS * DIMENSIONS];
    double found[COUNT + 2], reduced[COUNT + 2], coefficients[(COUNT + 2) * COUNT];
    fill_small(1.0);
    fill_gram(COUNT, DIMENSIONS, gram);
    form_covariance(samples, covariance);
    ck_assert_int_eq(spectrum_compute(DIMENSIONS, covariance, values, basis), PLUMB_OK);
    ck_assert_int_eq(
        plumb_covariance_spectrum(COUNT, samples, gram, COUNT + 2, found, reduced, coefficients),
        PLUMB_OK);
    double trace = 0.0, taken = 0.0;
    plumb_noise noise = {.size = sizeof noise};
    ck_assert_int_eq(plumb_noise_scale(COUNT, samples, gram, 0.0, &noise), PLUMB_OK);
    for (int j = 0; j < COUNT - 1; j++) {
        double expected = values[DIMENSIONS - 1 - j];
        ck_assert(fabs(found[j] - expected) <= 1e-12 * values[DIMENSIONS - 1]);
        ck_assert(vector_error(covariance, coefficients + j * COUNT, found[j]) < 1e-16);
        ck_assert(largest_is_positive(coefficients + j * COUNT));
        trace += found[j];
    }
    ck_assert(fabs(trace - noise.trace) <= 1e-12 * trace);
    for (int j = 0; j < COUNT - 2; j++) {
        taken += found[j];
        double expected = found[j] - (trace - taken) / (COUNT - 2 - j);
        ck_assert(fabs(reduced[j] - expected) <= 1e-12 * trace);
    }
    ck_assert(isnan(reduced[COUNT - 2]) && isnan(found[COUNT - 1]) && isnan(found[COUNT + 1]));
    for (int e = (COUNT - 1) * COUNT; e < (COUNT + 2) * COUNT; e++) {
        ck_assert(coefficients[e] == 0.0);
    }
}

/* D11. */
START_TEST(eigenvalues_are_the_covariances)
{
    static const double unequal[COUNT] = {1, 5, 2, 3, 1, 1, 4, 2, 8};
    compare_with_covariance(NULL);
    compare_with_covariance(unequal);
}
END_TEST

START_TEST(no_more_than_wanted)
{
    double gram[COUNT * COUNT], found[3], reduced[3], coefficients[3 * COUNT];
    fill_small(1.0);
    fill_gram(COUNT, DIMENSIONS, gram);
    found[2] = reduced[2] = coefficients[2 * COUNT] = -7.0;
    ck_assert_int_eq(plumb_covariance_spectrum(COUNT, NULL, gram, 2, found, reduced, coefficients),
                     PLUMB_OK);
    ck_assert(found[1] > 0.0 && reduced[1] > 0.0 && coefficients[2 * COUNT - 1] != 0.0);
    ck_assert(found[2] == -7.0 && reduced[2] == -7.0 && coefficients[2 * COUNT] == -7.0);
}
END_TEST

START_TEST(size_is_of_no_importance)
{
    double gram[COUNT * COUNT], one[3], other[3];
    fill_small(1.0);
    fill_gram(COUNT, DIMENSIONS, gram);
    ck_assert_int_eq(plumb_covariance_spectrum(COUNT, NULL, gram, 3, NULL, one, NULL), PLUMB_OK);
    static const double scales[] = {1e-30, 1e30};
    for (int s = 0; s < 2; s++) {
        fill_small(scales[s]);
        fill_gram(COUNT, DIMENSIONS, gram);
        ck_assert_int_eq(plumb_covariance_spectrum(COUNT, NULL, gram, 3, NULL, other, NULL),
                         PLUMB_OK);
        for (int j = 0; j < 3; j++) {
            double expected = one[j] * scales[s] * scales[s];
            ck_assert(fabs(other[j] - expected) <= 1e-5 * expected);
        }
    }
}
END_TEST

/*
 * M10: one direction of variance 8001 in isotropic noise of variance 1. With K = 32 gradients, the
 * plain eigenvalue is about LONG / (K-1) = 160 too large; of one of variance 201, as large again.
 * The sampling error of a variance from 32 values, 25 %, over sqrt(40).
 */
static void find_spike(double variance, uint64_t seed, noisy_mean *plain, noisy_mean *reduced)
{
    static double gram[MANY * MANY];
    for (uint64_t r = 0; r < 40; r++) {
        for (int k = 0; k < MANY; k++) {
            for (int i = 0; i < LONG; i++) {
                store[k][i] = (float)noisy_normal(seed + r, (uint64_t)(k * LONG + i));
            }
            store[k][17] *= (float)sqrt(variance);
        }
        double values[1], reductions[1];
        fill_gram(MANY, LONG, gram);
        ck_assert_int_eq(plumb_covariance_spectrum(MANY, NULL, gram, 1, values, reductions, NULL),
                         PLUMB_OK);
        noisy_add(plain, values[0]);
        noisy_add(reduced, reductions[0]);
    }
}

START_TEST(noise_reduction_finds_a_spike)
{
    noisy_mean plain = {0}, reduced = {0};
    find_spike(8001.0, 100, &plain, &reduced);
    ck_assert(fabs(noisy_average(&reduced) / 8001.0 - 1.0) < 0.25);
    ck_assert(fabs(noisy_average(&reduced) - 8001.0) < 4.0 * noisy_error(&reduced));
    noisy_mean weak = {0}, weak_reduced = {0};
    find_spike(201.0, 900, &weak, &weak_reduced);
    ck_assert_msg(fabs(noisy_average(&weak_reduced) / 201.0 - 1.0) < 0.25, "%g",
                  noisy_average(&weak_reduced));
    ck_assert(noisy_average(&weak) > 1.5 * 201.0);
}
END_TEST

START_TEST(nothing_is_invented)
{
    double gram[COUNT * COUNT], values[COUNT], reduced[COUNT], coefficients[COUNT * COUNT];
    memset(store, 0, sizeof store);
    for (int pass = 0; pass < 2; pass++) {
        fill_gram(COUNT, DIMENSIONS, gram);
        ck_assert_int_eq(
            plumb_covariance_spectrum(COUNT, NULL, gram, COUNT, values, reduced, coefficients),
            PLUMB_OK);
        for (int j = 0; j < COUNT - 1; j++) {
            ck_assert(values[j] == 0.0 && (reduced[j] == 0.0 || j == COUNT - 2));
        }
        for (int e = 0; e < COUNT * COUNT; e++) {
            ck_assert(coefficients[e] == 0.0);
        }
        for (int k = 0; k < COUNT; k++) { /* constant, the second time */
            for (int i = 0; i < DIMENSIONS; i++) {
                store[k][i] = 0.1f * (float)(i + 1);
            }
        }
    }
    ck_assert_int_eq(plumb_covariance_spectrum(1, NULL, gram, 2, values, reduced, coefficients),
                     PLUMB_OK);
    ck_assert(isnan(values[0]) && isnan(values[1]) && isnan(reduced[0]) && isnan(reduced[1]));
    ck_assert(coefficients[0] == 0.0 && coefficients[1] == 0.0);
    ck_assert_int_eq(plumb_covariance_spectrum(0, NULL, gram, 1, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_covariance_spectrum(2, NULL, gram, 0, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_covariance_spectrum(2, NULL, NULL, 1, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    gram[2] = INFINITY;
    ck_assert_int_eq(plumb_covariance_spectrum(2, NULL, gram, 1, values, NULL, NULL),
                     PLUMB_ERROR_NONFINITE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("covariance spectrum");
    test_add(suite, "eigenvalues are the covariance's", eigenvalues_are_the_covariances);
    test_add(suite, "no more than wanted", no_more_than_wanted);
    test_add(suite, "size is of no importance", size_is_of_no_importance);
    test_add(suite, "noise reduction finds a spike", noise_reduction_finds_a_spike);
    test_add(suite, "nothing is invented", nothing_is_invented);
    return test_run(suite);
}
