/*
 * plumb_inverse_root: every correction against its definition in terms of plain roots, what it
 * falls back to, and every refusal with the result untouched and no memory held.
 *
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "correct/matrix_root.h"
#include "linalg/spectrum.h"
#include "plumb.h"
#include "support/symmetric.h"

enum { SIDE = 5, COUNT = SIDE * SIDE, SAMPLES = 6 };

static const int roots[] = {1, 2, 4};
enum { ROOTS = 3 };

static const plumb_correction corrections[] = {
    PLUMB_CORRECTION_NONE,      PLUMB_CORRECTION_SECOND_ORDER, PLUMB_CORRECTION_WISHART,
    PLUMB_CORRECTION_JACKKNIFE, PLUMB_CORRECTION_HALF_SAMPLE,  PLUMB_CORRECTION_PAPER_DIAGONAL};
enum { CORRECTIONS = 6 };

static int allocations_until_failure = -1; /* negative: never */

/* The library's only source of memory. */
void *aligned_alloc(size_t alignment, size_t size)
{
    void *block = NULL;
    if (allocations_until_failure == 0) {
        return NULL;
    }
    allocations_until_failure -= allocations_until_failure > 0 ? 1 : 0;
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

/* Valgrind puts its own allocator in the place of every other one, ours included. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static plumb_inverse_root_options options_of(plumb_correction correction)
{
    return (plumb_inverse_root_options){.size = sizeof(plumb_inverse_root_options),
                                        .correction = correction,
                                        .wishart_samples = 24.0};
}

/* Positive definite, and different enough to tell every mean from every other. */
static void make_samples(double *samples)
{
    for (int k = 0; k < SAMPLES; k++) {
        double values[SIDE];
        for (int i = 0; i < SIDE; i++) {
            values[i] = 1.0 + 0.5 * i + 0.4 * (double)test_value((uint64_t)k, (uint64_t)i, 1);
        }
        symmetric_with_values(SIDE, values, 60 + (uint64_t)k / 2, samples + k * COUNT);
    }
}

static void solve(int root, int count, const double *samples,
                  const plumb_inverse_root_options *options, double *result)
{
    plumb_status status = plumb_inverse_root(root, SIDE, count, samples, result, options);
    ck_assert_msg(status == PLUMB_OK, "%s", plumb_error_message(NULL));
    int64_t allocations;
    plumb_memory_in_use(&allocations, NULL);
    ck_assert_int_eq(allocations, 0);
}

/* The plain root of those samples whose bit is set, damped as the tests below do. */
static void root_of_some(int root, const double *samples, unsigned chosen, double *result)
{
    double some[SAMPLES * COUNT];
    int count = 0;
    for (int k = 0; k < SAMPLES; k++) {
        if (((chosen >> k) & 1u) == 1u) {
            memcpy(some + count++ * COUNT, samples + k * COUNT, COUNT * sizeof *some);
        }
    }
    plumb_inverse_root_options options = options_of(PLUMB_CORRECTION_NONE);
    options.damping = 0.2;
    options.relative_damping = 0.03;
    solve(root, count, some, &options, result);
}

static void corrected(int root, plumb_correction correction, const double *samples, double *result)
{
    plumb_inverse_root_options options = options_of(correction);
    options.damping = 0.2;
    options.relative_damping = 0.03;
    solve(root, SAMPLES, samples, &options, result);
}

static void mean_of(const double *samples, double *mean)
{
    for (int i = 0; i < COUNT; i++) {
        mean[i] = 0.0;
        for (int k = 0; k < SAMPLES; k++) {
            mean[i] += samples[k * COUNT + i] / SAMPLES;
        }
    }
}

/* Times itself r times it is the inverse of the damped mean; NULL means no options. */
START_TEST(plain)
{
    int r = roots[_i];
    double samples[SAMPLES * COUNT], power[COUNT], root[COUNT], product[COUNT];
    double damped[COUNT], unit[COUNT] = {0.0};
    make_samples(samples);
    for (int damping = 0; damping < 2; damping++) {
        plumb_inverse_root_options options = options_of(PLUMB_CORRECTION_NONE);
        options.damping = 0.5;
        mean_of(samples, damped);
        for (int i = 0; i < SIDE; i++) {
            unit[i * SIDE + i] = 1.0;
            damped[i * SIDE + i] += damping == 1 ? 0.5 : 0.0;
        }
        solve(r, SAMPLES, samples, damping == 1 ? &options : NULL, root);
        memcpy(power, damped, sizeof power);
        for (int k = 0; k < r; k++) {
            symmetric_multiply(SIDE, root, power, product);
            memcpy(power, product, sizeof power);
        }
        ck_assert_double_lt(symmetric_error(COUNT, power, unit), 1e-12);
    }
}
END_TEST

START_TEST(jackknife)
{
    int r = roots[_i];
    double samples[SAMPLES * COUNT], expected[COUNT], part[COUNT], result[COUNT];
    make_samples(samples);
    root_of_some(r, samples, 63u, expected);
    for (int i = 0; i < COUNT; i++) {
        expected[i] *= SAMPLES;
    }
    for (unsigned k = 0; k < SAMPLES; k++) {
        root_of_some(r, samples, 63u - (1u << k), part);
        for (int i = 0; i < COUNT; i++) {
            expected[i] -= (SAMPLES - 1.0) / SAMPLES * part[i];
        }
    }
    corrected(r, PLUMB_CORRECTION_JACKKNIFE, samples, result);
    ck_assert_double_lt(symmetric_error(COUNT, result, expected), 1e-13);
}
END_TEST

START_TEST(half_sample)
{
    int r = roots[_i];
    double samples[SAMPLES * COUNT], expected[COUNT], parts[2][COUNT], result[COUNT];
    make_samples(samples);
    root_of_some(r, samples, 63u, expected);
    root_of_some(r, samples, 7u, parts[0]);
    root_of_some(r, samples, 56u, parts[1]);
    for (int i = 0; i < COUNT; i++) {
        expected[i] = 2.0 * expected[i] - 0.5 * (parts[0][i] + parts[1][i]);
    }
    corrected(r, PLUMB_CORRECTION_HALF_SAMPLE, samples, result);
    ck_assert_double_lt(symmetric_error(COUNT, result, expected), 1e-13);
}
END_TEST

/* The forms that matrix_root has, set up by hand. */
START_TEST(second_order_and_wishart)
{
    int r = roots[_i];
    double samples[SAMPLES * COUNT], mean[COUNT], deviation[COUNT], expected[COUNT], result[COUNT];
    matrix_root m;
    make_samples(samples);
    mean_of(samples, mean);
    ck_assert_int_eq(matrix_root_create(SIDE, r, &m), PLUMB_OK);
    ck_assert_int_eq(matrix_root_set(&m, mean, 0.2, 0.03), PLUMB_OK);
    for (int k = 0; k < SAMPLES; k++) {
        for (int i = 0; i < COUNT; i++) {
            deviation[i] = samples[k * COUNT + i] - mean[i];
        }
        matrix_root_add_deviation(&m, deviation, 1.0 / (SAMPLES * (SAMPLES - 1)));
    }
    matrix_root_third_order(&m, SAMPLES);
    ck_assert_int_eq(matrix_root_corrected(&m, expected), PLUMB_OK);
    double wishart[COUNT];
    matrix_root_wishart(&m, 24.0);
    ck_assert_int_eq(matrix_root_corrected(&m, wishart), PLUMB_OK);
    matrix_root_free(&m);
    corrected(r, PLUMB_CORRECTION_SECOND_ORDER, samples, result);
    ck_assert_double_lt(symmetric_error(COUNT, result, expected), 1e-13);
    corrected(r, PLUMB_CORRECTION_WISHART, samples, result);
    ck_assert_double_lt(symmetric_error(COUNT, result, wishart), 1e-13);
    ck_assert_double_gt(symmetric_error(COUNT, wishart, expected), 1e-3);
}
END_TEST

START_TEST(paper_diagonal)
{
    int r = roots[_i];
    double samples[SAMPLES * COUNT], mean[COUNT], expected[COUNT], result[COUNT];
    double variance[SIDE];
    matrix_root m;
    make_samples(samples);
    mean_of(samples, mean);
    ck_assert_int_eq(matrix_root_create(SIDE, r, &m), PLUMB_OK);
    ck_assert_int_eq(matrix_root_set(&m, mean, 0.2, 0.03), PLUMB_OK);
    for (int q = 0; q < SIDE; q++) {
        variance[q] = 0.0;
        for (int k = 0; k < SAMPLES; k++) {
            double estimates[SIDE];
            matrix_root_rayleigh(&m, samples + k * COUNT, estimates);
            double change = estimates[q] - m.undamped[q];
            variance[q] += change * change / (SAMPLES * (SAMPLES - 1));
        }
    }
    matrix_root_paper_diagonal(&m, variance, 0.0, expected);
    matrix_root_free(&m);
    corrected(r, PLUMB_CORRECTION_PAPER_DIAGONAL, samples, result);
    ck_assert_double_lt(symmetric_error(COUNT, result, expected), 1e-12);
}
END_TEST

/* K f(mean) - ... is negative here: both answers are the second-order form, which is not. */
START_TEST(not_positive_definite)
{
    const double samples[] = {0.001, 1.999};
    double safe, result;
    plumb_inverse_root_options options = options_of(PLUMB_CORRECTION_SECOND_ORDER);
    ck_assert_int_eq(plumb_inverse_root(4, 1, 2, samples, &safe, &options), PLUMB_OK);
    /* One dimension: 1 / (1 + X + 7/2 X^2), X = 5/32 variance / K. */
    double relative = 5.0 / 32.0 * 0.999 * 0.999;
    ck_assert_double_eq_tol(safe, 1.0 / (1.0 + relative + 3.5 * relative * relative), 1e-14);
    for (int half = 0; half < 2; half++) {
        options.correction = half == 1 ? PLUMB_CORRECTION_HALF_SAMPLE : PLUMB_CORRECTION_JACKKNIFE;
        ck_assert_int_eq(plumb_inverse_root(4, 1, 2, samples, &result, &options), PLUMB_OK);
        ck_assert_double_eq(result, safe);
    }
}
END_TEST

/* Exact symmetry, the same bits twice, and nobody reads above the diagonal. */
START_TEST(upper_triangles_are_not_read)
{
    double samples[SAMPLES * COUNT], whole[COUNT], lower[COUNT], transposed[COUNT];
    make_samples(samples);
    corrected(4, corrections[_i], samples, whole);
    for (int i = 0; i < SAMPLES * COUNT; i++) {
        samples[i] = i % SIDE > i % COUNT / SIDE ? NAN : samples[i];
    }
    corrected(4, corrections[_i], samples, lower);
    ck_assert_mem_eq(whole, lower, sizeof whole);
    symmetric_transpose(SIDE, whole, transposed);
    ck_assert_mem_eq(whole, transposed, sizeof whole);
}
END_TEST

START_TEST(any_scale)
{
    static const double scales[] = {1e-100, 1e100};
    double samples[SAMPLES * COUNT], unit[COUNT], result[COUNT];
    for (int k = 0; k < ROOTS; k++) {
        for (int s = 0; s < 2; s++) {
            plumb_inverse_root_options options = options_of(corrections[_i]);
            make_samples(samples);
            solve(roots[k], SAMPLES, samples, &options, unit);
            for (int i = 0; i < SAMPLES * COUNT; i++) {
                samples[i] *= scales[s];
            }
            solve(roots[k], SAMPLES, samples, &options, result);
            for (int i = 0; i < COUNT; i++) {
                result[i] *= pow(scales[s], 1.0 / roots[k]);
            }
            ck_assert_double_lt(symmetric_error(COUNT, result, unit), 1e-12);
        }
    }
}
END_TEST

/* ---- Refusals -------------------------------------------------------------------------------- */

static double refusal_samples[SAMPLES * COUNT];

/* Refused with this status and a message that contains `part`; nothing written, nothing held. */
static void refused(plumb_status expected, const char *part, int root, int64_t n, int64_t count,
                    const plumb_inverse_root_options *options)
{
    double result[COUNT], before[COUNT];
    symmetric_random(SIDE, 70, before);
    memcpy(result, before, sizeof result);
    ck_assert_int_eq(plumb_inverse_root(root, n, count, refusal_samples, result, options),
                     expected);
    ck_assert_msg(strstr(plumb_error_message(NULL), part) != NULL, "%s", plumb_error_message(NULL));
    ck_assert_mem_eq(result, before, sizeof result);
    int64_t allocations;
    plumb_memory_in_use(&allocations, NULL);
    ck_assert_int_eq(allocations, 0);
}

static void refused_options(const char *part, const plumb_inverse_root_options *options)
{
    refused(PLUMB_ERROR_ARGUMENT, part, 4, SIDE, SAMPLES, options);
}

START_TEST(wrong_arguments)
{
    double result[COUNT];
    make_samples(refusal_samples);
    static const int wrong_roots[] = {-1, 0, 3, 5, 8};
    for (int i = 0; i < 5; i++) {
        refused(PLUMB_ERROR_ARGUMENT, "root is", wrong_roots[i], SIDE, 1, NULL);
    }
    refused(PLUMB_ERROR_ARGUMENT, "side must be", 4, 0, 1, NULL);
    refused(PLUMB_ERROR_ARGUMENT, "side must be", 4, 1 << 20, 1, NULL);
    refused(PLUMB_ERROR_ARGUMENT, "count is", 4, SIDE, 0, NULL);
    ck_assert_int_eq(plumb_inverse_root(4, SIDE, 1, NULL, result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_inverse_root(4, SIDE, 1, refusal_samples, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
}
END_TEST

START_TEST(wrong_options)
{
    static const double bad[] = {-1e-9, NAN, INFINITY};
    make_samples(refusal_samples);
    plumb_inverse_root_options options = options_of(PLUMB_CORRECTION_NONE);
    options.size--;
    refused_options("size", &options);
    for (int i = 0; i < 3; i++) {
        options = options_of(PLUMB_CORRECTION_NONE);
        options.damping = bad[i];
        refused_options("damping is", &options);
        options = options_of(PLUMB_CORRECTION_NONE);
        options.relative_damping = bad[i];
        refused_options("relative_damping is", &options);
        options = options_of(PLUMB_CORRECTION_WISHART);
        options.wishart_samples = bad[i];
        refused_options("wishart_samples is", &options);
    }
    options.wishart_samples = 0.0;
    refused_options("wishart_samples is", &options);
    static const int others[] = {PLUMB_CORRECTION_MOMENT, PLUMB_CORRECTION_LOO, 1000, -1};
    for (int i = 0; i < 4; i++) {
        options = options_of((plumb_correction)others[i]);
        refused_options("no correction", &options);
    }
}
END_TEST

START_TEST(wrong_counts)
{
    make_samples(refusal_samples);
    for (int i = 0; i < CORRECTIONS; i++) {
        plumb_inverse_root_options options = options_of(corrections[i]);
        if (corrections[i] == PLUMB_CORRECTION_NONE || corrections[i] == PLUMB_CORRECTION_WISHART) {
            double result[COUNT];
            solve(4, 1, refusal_samples, &options, result);
        } else {
            refused(PLUMB_ERROR_ARGUMENT, "two of them", 4, SIDE, 1, &options);
        }
    }
    plumb_inverse_root_options options = options_of(PLUMB_CORRECTION_HALF_SAMPLE);
    refused(PLUMB_ERROR_ARGUMENT, "even number", 4, SIDE, 5, &options);
}
END_TEST

/* For every correction: not finite, indefinite, zero, and eigenvalues that cannot be found. */
START_TEST(wrong_samples)
{
    plumb_inverse_root_options options = options_of(corrections[_i]);
    make_samples(refusal_samples);
    refusal_samples[3 * COUNT + SIDE] = INFINITY;
    refused(PLUMB_ERROR_NONFINITE, "sample 3", 4, SIDE, SAMPLES, &options);
    refusal_samples[3 * COUNT + SIDE] = NAN;
    refused(PLUMB_ERROR_NONFINITE, "sample 3", 4, SIDE, SAMPLES, &options);
    make_samples(refusal_samples);
    refusal_samples[0] = -100.0;
    refused(PLUMB_ERROR_NUMERICAL, "eigenvalues are from", 4, SIDE, SAMPLES, &options);
    memset(refusal_samples, 0, sizeof refusal_samples);
    refused(PLUMB_ERROR_NUMERICAL, "damping 0", 4, SIDE, SAMPLES, &options);
    make_samples(refusal_samples);
    spectrum_faults = 1;
    refused(PLUMB_ERROR_NUMERICAL, "did not converge", 4, SIDE, SAMPLES, &options);
    memset(refusal_samples, 0, sizeof refusal_samples);
    double result[COUNT];
    options.damping = 16.0;
    solve(4, SAMPLES, refusal_samples, &options, result);
    ck_assert_double_eq_tol(result[0], 0.5, 1e-14);
}
END_TEST

/* Both ends of the range: the answer of root 1 is beyond doubles, or the sum of samples is. */
START_TEST(out_of_range)
{
    double tiny = 1e-310, huge[] = {1.7e308, 1.7e308}, result = 7.0;
    ck_assert_int_eq(plumb_inverse_root(1, 1, 1, &tiny, &result, NULL), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(plumb_inverse_root(1, 1, 2, huge, &result, NULL), PLUMB_ERROR_NONFINITE);
    ck_assert_double_eq(result, 7.0);
}
END_TEST

START_TEST(every_allocation_refused)
{
    make_samples(refusal_samples);
    plumb_inverse_root_options options = options_of(corrections[_i]);
    for (int number = 0; number < 12 && !under_valgrind(); number++) {
        allocations_until_failure = number;
        refused(PLUMB_ERROR_MEMORY, "no memory", 4, SIDE, SAMPLES, &options);
        allocations_until_failure = -1;
    }
    allocations_until_failure = 12;
    double result[COUNT];
    solve(4, SAMPLES, refusal_samples, &options, result);
    allocations_until_failure = -1;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plumb_inverse_root");
    test_add(suite, "not positive definite", not_positive_definite);
    test_add(suite, "wrong arguments", wrong_arguments);
    test_add(suite, "wrong options", wrong_options);
    test_add(suite, "wrong counts", wrong_counts);
    test_add(suite, "out of range", out_of_range);
    TCase *loops = tcase_create("roots");
    tcase_add_loop_test(loops, plain, 0, ROOTS);
    tcase_add_loop_test(loops, jackknife, 0, ROOTS);
    tcase_add_loop_test(loops, half_sample, 0, ROOTS);
    tcase_add_loop_test(loops, second_order_and_wishart, 0, ROOTS);
    tcase_add_loop_test(loops, paper_diagonal, 0, ROOTS);
    suite_add_tcase(suite, loops);
    loops = tcase_create("corrections");
    tcase_add_loop_test(loops, upper_triangles_are_not_read, 0, CORRECTIONS);
    tcase_add_loop_test(loops, any_scale, 0, CORRECTIONS);
    tcase_add_loop_test(loops, wrong_samples, 0, CORRECTIONS);
    tcase_add_loop_test(loops, every_allocation_refused, 0, CORRECTIONS);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
