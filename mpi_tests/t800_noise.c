/*
 * Noise from Gram matrices and from norms: against plain sums, McCandlish's pair of estimates,
 * finite populations enumerated draw by draw, and Monte Carlo with unequal micro-batches, isotropic
 * and not; the jackknife's errors against the spread that there is; and input that has no answer.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plumb.h"
#include "support/noisy.h"
#include "support/test.h"

enum { MOST = 12, LENGTH = 10000 };

static float store[MOST][LENGTH];
static const float *vectors[MOST];

static void point(void)
{
    for (int k = 0; k < MOST; k++) {
        vectors[k] = store[k];
    }
}

static bool near(double value, double expected, double relative)
{
    return fabs(value - expected) <= relative * fabs(expected);
}

static plumb_noise noise_of(int64_t count, const double *samples, const double *gram,
                            double population)
{
    plumb_noise noise = {.size = sizeof noise};
    ck_assert_int_eq(plumb_noise_scale(count, samples, gram, population, &noise), PLUMB_OK);
    return noise;
}

static void fill_gram(int64_t count, int64_t length, double *gram)
{
    memset(gram, 0, (size_t)(count * count) * sizeof *gram);
    ck_assert_int_eq(plumb_gram(count, length, vectors, gram), PLUMB_OK);
}

START_TEST(gram_is_the_plain_sum)
{
    static const int64_t lengths[] = {0, 1, 7, 8, 4095, 4096, 4097, LENGTH};
    point();
    for (int k = 0; k < MOST; k++) {
        for (int i = 0; i < LENGTH; i++) {
            store[k][i] = test_value(1, (uint64_t)k, (uint64_t)i);
        }
    }
    for (int count = 1; count <= MOST; count++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            double gram[MOST * MOST];
            fill_gram(count, lengths[l], gram);
            for (int e = 0; e < count * count; e++) {
                double sum = 0.0;
                for (int64_t i = 0; i < lengths[l]; i++) {
                    sum += (double)store[e / count][i] * (double)store[e % count][i];
                }
                ck_assert(fabs(gram[e] - sum) <= 1e-13 * (double)(lengths[l] + 1));
            }
        }
    }
}
END_TEST

START_TEST(gram_adds_up)
{
    double whole[25], parts[25] = {0};
    point();
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < LENGTH; i++) {
            store[k][i] = test_value(2, (uint64_t)k, (uint64_t)i) / 3.0f;
        }
    }
    fill_gram(5, LENGTH, whole);
    for (int64_t first = 0; first < LENGTH; first += 8192) {
        const float *part[5];
        for (int k = 0; k < 5; k++) {
            part[k] = store[k] + first;
        }
        int64_t length = LENGTH - first < 8192 ? LENGTH - first : 8192;
        ck_assert_int_eq(plumb_gram(5, length, part, parts), PLUMB_OK);
    }
    ck_assert(memcmp(whole, parts, sizeof whole) == 0);
}
END_TEST

START_TEST(gram_refuses)
{
    double gram[4] = {1.0, 2.0, 3.0, 4.0};
    point();
    memset(store, 0, sizeof store);
    store[1][5000] = NAN;
    ck_assert_int_eq(plumb_gram(2, LENGTH, vectors, gram), PLUMB_ERROR_NONFINITE);
    store[1][5000] = INFINITY;
    ck_assert_int_eq(plumb_gram(2, LENGTH, vectors, gram), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_gram(0, LENGTH, vectors, gram), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_gram(2, -1, vectors, gram), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_gram(2, 8, NULL, gram), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_gram(2, 8, vectors, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert(gram[0] == 1.0 && gram[1] == 2.0 && gram[2] == 3.0 && gram[3] == 4.0);
}
END_TEST

/* D9: the two sizes of batch of McCandlish et al. 2018, appendix A.1. */
START_TEST(agrees_with_mccandlish)
{
    enum { K = 7 };
    double gram[K * K], norms[K], small = 0.0;
    double samples[K];
    point();
    for (int k = 0; k < K; k++) {
        samples[k] = 4.0;
        for (int i = 0; i < 500; i++) {
            store[k][i] = 0.2f + test_value(3, (uint64_t)k, (uint64_t)i);
        }
    }
    fill_gram(K, 500, gram);
    plumb_noise noise = noise_of(K, samples, gram, 0.0);
    for (int k = 0; k < K; k++) {
        norms[k] = gram[k * K + k];
        small += norms[k] / K;
    }
    double big_b = 4.0 * K, small_b = 4.0, big = noise.squared_norm;
    double signal = (big_b * big - small_b * small) / (big_b - small_b);
    double trace = (small - big) / (1.0 / small_b - 1.0 / big_b);
    ck_assert(near(noise.small_squared_norm, small, 1e-13));
    ck_assert(near(noise.trace, trace, 1e-13) && near(noise.signal, signal, 1e-13));
    ck_assert(near(noise.scale, trace / signal, 1e-13));
    ck_assert(near(noise.plateau, signal / big, 1e-13));
    ck_assert_double_eq(noise.samples, big_b);
    plumb_noise other = {.size = sizeof other};
    ck_assert_int_eq(plumb_noise_from_norms(K, samples, norms, big, 0.0, &other), PLUMB_OK);
    ck_assert(near(other.trace, trace, 1e-12) && near(other.signal, signal, 1e-12));
    ck_assert(near(other.scale, trace / signal, 1e-12) && isnan(other.scale_error));
}
END_TEST

enum { PEOPLE = 6, SIDE = 3 };

/* One number a sample and dimension; small integers, so that sums are nearly exact. */
static double person(int n, int d)
{
    return (double)test_integer(4, (uint64_t)n, (uint64_t)d, 50) + 30.0;
}

/* Truth of the six: |mean|^2, and the trace with divisor N - 1. */
static void population_truth(double *signal, double *trace)
{
    *signal = 0.0;
    *trace = 0.0;
    for (int d = 0; d < SIDE; d++) {
        double mean = 0.0;
        for (int n = 0; n < PEOPLE; n++) {
            mean += person(n, d) / PEOPLE;
        }
        *signal += mean * mean;
        for (int n = 0; n < PEOPLE; n++) {
            *trace += (person(n, d) - mean) * (person(n, d) - mean) / (PEOPLE - 1);
        }
    }
}

typedef struct draws {
    const double *samples;
    int count, wanted; /* micro-batches, samples */
    double draws, norm, trace, signal, mean_error;
} draws;

static void take_draw(draws *t, const int *drawn)
{
    double gram[MOST * MOST];
    double means[MOST][SIDE] = {{0}};
    double whole[SIDE] = {0};
    for (int k = 0, n = 0; k < t->count; k++) {
        for (int i = 0; i < (int)t->samples[k]; i++, n++) {
            for (int d = 0; d < SIDE; d++) {
                means[k][d] += person(drawn[n], d) / t->samples[k];
                whole[d] += person(drawn[n], d) / t->wanted;
            }
        }
    }
    for (int e = 0; e < t->count * t->count; e++) {
        gram[e] = 0.0;
        for (int d = 0; d < SIDE; d++) {
            gram[e] += means[e / t->count][d] * means[e % t->count][d];
        }
    }
    plumb_noise noise = noise_of(t->count, t->samples, gram, PEOPLE);
    t->draws += 1.0;
    t->norm += noise.squared_norm;
    t->trace += noise.trace;
    t->signal += noise.signal;
    for (int d = 0; d < SIDE; d++) {
        double mean = 0.0;
        for (int n = 0; n < PEOPLE; n++) {
            mean += person(n, d) / PEOPLE;
        }
        t->mean_error += (whole[d] - mean) * (whole[d] - mean);
    }
}

/* Every ordered draw without replacement. */
static void draw_all(draws *t, int *drawn, int depth)
{
    if (depth == t->wanted || depth == PEOPLE) {
        take_draw(t, drawn);
        return;
    }
    for (int n = 0; n < PEOPLE; n++) {
        bool taken = false;
        for (int i = 0; i < depth; i++) {
            taken = taken || drawn[i] == n;
        }
        if (!taken) {
            drawn[depth] = n;
            draw_all(t, drawn, depth + 1);
        }
    }
}

/* D10. */
START_TEST(finite_population_by_enumeration)
{
    static const double cases[][3] = {{2, 2, 0}, {1, 3, 0}, {1, 1, 2}, {1, 2, 3}};
    double signal, trace;
    population_truth(&signal, &trace);
    for (int c = 0; c < 4; c++) {
        int drawn[PEOPLE] = {0};
        draws t = {.samples = cases[c], .count = cases[c][2] > 0.0 ? 3 : 2};
        for (int k = 0; k < t.count; k++) {
            t.wanted += (int)cases[c][k];
        }
        draw_all(&t, drawn, 0);
        double fraction = 1.0 - (double)t.wanted / PEOPLE;
        ck_assert(near(t.trace / t.draws, trace, 1e-13));
        ck_assert(near(t.signal / t.draws, signal, 1e-13));
        ck_assert(near(t.norm / t.draws, signal + fraction * trace / t.wanted, 1e-13));
        /* (N-B)/(N-1) tr Sigma / B with the divisor N in Sigma is (1 - B/N) tr S / B. */
        double post =
            (double)(PEOPLE - t.wanted) / (PEOPLE - 1) * (trace * (PEOPLE - 1) / PEOPLE) / t.wanted;
        ck_assert(fabs(t.mean_error / t.draws - post) <= 1e-13 * trace);
    }
}
END_TEST

enum { GRADIENTS = 8, DIMENSIONS = 40, REPETITIONS = 1500 };

typedef struct trials {
    noisy_mean trace, signal, trace_error, signal_error, product;
    double true_trace, true_signal;
} trials;

/* Normal gradients of standard deviation `spread(i)` a sample. */
static void run_trials(const double *samples, bool isotropic, uint64_t seed, trials *t)
{
    point();
    *t = (trials){0};
    for (int i = 0; i < DIMENSIONS; i++) {
        double spread = isotropic ? 1.0 : 3.0 / (1.0 + i);
        t->true_trace += spread * spread;
        t->true_signal += 0.04;
    }
    for (uint64_t r = 0; r < REPETITIONS; r++) {
        double gram[GRADIENTS * GRADIENTS];
        for (int k = 0; k < GRADIENTS; k++) {
            double b = samples != NULL ? samples[k] : 1.0;
            for (int i = 0; i < DIMENSIONS; i++) {
                double spread = isotropic ? 1.0 : 3.0 / (1.0 + i);
                double noise = noisy_normal(seed + r, (uint64_t)(k * DIMENSIONS + i));
                store[k][i] = (float)(0.2 + spread / sqrt(b) * noise);
            }
        }
        fill_gram(GRADIENTS, DIMENSIONS, gram);
        plumb_noise noise = noise_of(GRADIENTS, samples, gram, 0.0);
        noisy_add(&t->trace, noise.trace);
        noisy_add(&t->signal, noise.signal);
        noisy_add(&t->trace_error, noise.trace_error * noise.trace_error);
        noisy_add(&t->signal_error, noise.signal_error * noise.signal_error);
    }
}

START_TEST(unbiased_with_true_errors)
{
    static const double unequal[GRADIENTS] = {1, 2, 3, 4, 8, 2, 1, 5};
    for (int c = 0; c < 4; c++) {
        trials t;
        run_trials(c < 2 ? unequal : NULL, c % 2 == 0, UINT64_C(1000000) * (uint64_t)(c + 1), &t);
        ck_assert(fabs(noisy_average(&t.trace) - t.true_trace) < 4.0 * noisy_error(&t.trace));
        ck_assert(fabs(noisy_average(&t.signal) - t.true_signal) < 4.0 * noisy_error(&t.signal));
        /* The estimate is that sharp: a bias of 1 % of the trace would be seen. */
        ck_assert(noisy_error(&t.trace) < 0.02 * t.true_trace);
        double trace = noisy_average(&t.trace_error) / noisy_variance(&t.trace);
        double signal = noisy_average(&t.signal_error) / noisy_variance(&t.signal);
        /*
         * A jackknife errs upwards, by a factor of 2 of the variance where products of noise
         * dominate, as they do in the signal here. The spread itself is known to 4 %.
         */
        ck_assert_msg(trace > 0.85 && trace < 1.5, "case %d: trace %g", c, trace);
        ck_assert_msg(signal > 0.85 && signal < 2.5, "case %d: signal %g", c, signal);
    }
}
END_TEST

/* Of a fixed draw times `scale`. */
static plumb_noise scaled_noise(double scale)
{
    double gram[GRADIENTS * GRADIENTS];
    point();
    for (int k = 0; k < GRADIENTS; k++) {
        for (int i = 0; i < 300; i++) {
            float value = 0.5f + test_value(6, (uint64_t)k, (uint64_t)i);
            store[k][i] = (float)((double)value * scale);
        }
    }
    fill_gram(GRADIENTS, 300, gram);
    return noise_of(GRADIENTS, NULL, gram, 0.0);
}

START_TEST(size_is_of_no_importance)
{
    plumb_noise one = scaled_noise(1.0);
    static const double exact[] = {0x1p-100, 0x1p100};
    for (int i = 0; i < 2; i++) {
        plumb_noise other = scaled_noise(exact[i]);
        ck_assert(other.scale == one.scale && other.scale_error == one.scale_error);
        ck_assert(other.trace == one.trace * exact[i] * exact[i]);
        ck_assert(other.signal_error == one.signal_error * exact[i] * exact[i]);
    }
    static const double rounded[] = {1e-30, 1e30};
    for (int i = 0; i < 2; i++) {
        plumb_noise other = scaled_noise(rounded[i]);
        ck_assert(near(other.scale, one.scale, 1e-6) && near(other.plateau, one.plateau, 1e-6));
        ck_assert(near(other.scale_error, one.scale_error, 1e-6));
    }
    ck_assert(one.scale > 0.0 && one.scale_error > 0.0);
}
END_TEST

START_TEST(nothing_is_invented)
{
    double gram[GRADIENTS * GRADIENTS];
    point();
    memset(store, 0, sizeof store);
    fill_gram(GRADIENTS, 100, gram);
    plumb_noise zero = noise_of(GRADIENTS, NULL, gram, 0.0);
    ck_assert(zero.trace == 0.0 && zero.signal == 0.0 && zero.squared_norm == 0.0);
    ck_assert(isnan(zero.scale) && isnan(zero.scale_error) && isnan(zero.plateau));

    for (int k = 0; k < GRADIENTS; k++) {
        for (int i = 0; i < 100; i++) {
            store[k][i] = test_value(7, 0, (uint64_t)i) / 3.0f;
        }
    }
    fill_gram(GRADIENTS, 100, gram);
    plumb_noise constant = noise_of(GRADIENTS, NULL, gram, 0.0);
    ck_assert(constant.trace == 0.0 && constant.trace_error == 0.0 && constant.scale == 0.0);
    ck_assert(near(constant.signal, gram[0], 1e-13) && constant.plateau == 1.0);

    plumb_noise one = noise_of(1, NULL, gram, 0.0);
    ck_assert(near(one.squared_norm, gram[0], 1e-15) && one.samples == 1.0 && one.count == 1);
    ck_assert(isnan(one.trace) && isnan(one.trace_error) && isnan(one.signal) &&
              isnan(one.signal_error) && isnan(one.scale) && isnan(one.plateau));
    fill_gram(2, 100, gram);
    plumb_noise two = noise_of(2, NULL, gram, 0.0);
    ck_assert(two.trace == 0.0 && isnan(two.trace_error) && two.scale == 0.0);

    /* Nothing but noise: the signal is within its error. */
    for (int k = 0; k < GRADIENTS; k++) {
        for (int i = 0; i < 1000; i++) {
            store[k][i] = (float)noisy_normal(77, (uint64_t)(k * 1000 + i));
        }
    }
    fill_gram(GRADIENTS, 1000, gram);
    plumb_noise noise = noise_of(GRADIENTS, NULL, gram, 0.0);
    ck_assert(noise.trace > 900.0 && isnan(noise.scale) && isnan(noise.plateau));
    ck_assert(fabs(noise.signal) <= 2.0 * noise.signal_error || noise.signal < 0.0);
}
END_TEST

START_TEST(a_whole_population_has_no_error)
{
    double gram[GRADIENTS * GRADIENTS];
    point();
    for (int k = 0; k < GRADIENTS; k++) {
        for (int i = 0; i < 50; i++) {
            store[k][i] = test_value(8, (uint64_t)k, (uint64_t)i);
        }
    }
    fill_gram(GRADIENTS, 50, gram);
    plumb_noise noise = noise_of(GRADIENTS, NULL, gram, GRADIENTS);
    ck_assert(noise.signal == noise.squared_norm && noise.signal_error == 0.0);
    ck_assert(noise.plateau == 1.0 && noise.scale_error == 0.0);
}
END_TEST

START_TEST(noise_refuses)
{
    double gram[4] = {1.0, 0.5, 0.5, 1.0};
    double samples[2] = {1.0, 2.0};
    plumb_noise noise = {.size = sizeof noise, .trace = -7.0};
    ck_assert_int_eq(plumb_noise_scale(0, NULL, gram, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_scale(2, NULL, NULL, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_scale(INT64_MAX, NULL, gram, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_scale(2, samples, gram, 2.5, &noise), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_scale(2, samples, gram, NAN, &noise), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_scale(2, samples, gram, 0.0, NULL), PLUMB_ERROR_ARGUMENT);
    samples[1] = 0.0;
    ck_assert_int_eq(plumb_noise_scale(2, samples, gram, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    samples[1] = NAN;
    ck_assert_int_eq(plumb_noise_scale(2, samples, gram, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    gram[1] = NAN;
    ck_assert_int_eq(plumb_noise_scale(2, NULL, gram, 0.0, &noise), PLUMB_ERROR_NONFINITE);
    gram[1] = 0.5;
    gram[3] = -1.0;
    ck_assert_int_eq(plumb_noise_scale(2, NULL, gram, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    double norms[2] = {1.0, 1.0};
    ck_assert_int_eq(plumb_noise_from_norms(2, NULL, norms, 1.1, 0.0, &noise),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_noise_from_norms(2, NULL, norms, NAN, 0.0, &noise),
                     PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_noise_from_norms(2, NULL, NULL, 0.5, 0.0, &noise), PLUMB_ERROR_ARGUMENT);
    ck_assert(noise.trace == -7.0);
    noise.size = 3;
    ck_assert_int_eq(plumb_noise_from_norms(2, NULL, norms, 0.5, 0.0, &noise),
                     PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("noise");
    test_add(suite, "gram is the plain sum", gram_is_the_plain_sum);
    test_add(suite, "gram adds up", gram_adds_up);
    test_add(suite, "gram refuses", gram_refuses);
    test_add(suite, "agrees with McCandlish", agrees_with_mccandlish);
    test_add(suite, "finite population by enumeration", finite_population_by_enumeration);
    test_add(suite, "unbiased with true errors", unbiased_with_true_errors);
    test_add(suite, "size is of no importance", size_is_of_no_importance);
    test_add(suite, "nothing is invented", nothing_is_invented);
    test_add(suite, "a whole population has no error", a_whole_population_has_no_error);
    test_add(suite, "noise refuses", noise_refuses);
    return test_run(suite);
}
