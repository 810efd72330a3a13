/*
 * What the echo's estimates do with inputs at the limits: every scale, matrices without noise, of
 * lost rank, of zeros, of one row or column, one group, what is refused, and lack of memory. And
 * the weighted polar factor against a full decomposition.
 *
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include <string.h>

#include "support/echo_answer.h"

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

START_TEST(test_variance_limits)
{
    float a[2] = {1.0f, 5.0f}, b[2] = {3.0f, 5.0f}, c[2] = {2.0f, NAN};
    const float *two[2] = {a, b}, *bad[2] = {a, c}, *none[2] = {a, NULL};
    double variance = 0.0;
    for (int kind = 0; kind < 2; kind++) {
        plumb_variance_estimate estimate = (plumb_variance_estimate)kind;
        ck_assert_int_eq(plumb_noise_variance(estimate, 2, 2, two, &variance), PLUMB_OK);
        ck_assert_double_eq(variance, 0.5); /* one entry varies by 2, the other not at all */
        ck_assert_int_eq(plumb_noise_variance(estimate, 1, 2, two, &variance), PLUMB_OK);
        ck_assert(isnan(variance));
        ck_assert_int_eq(plumb_noise_variance(estimate, 2, 2, bad, &variance),
                         PLUMB_ERROR_NONFINITE);
        ck_assert_int_eq(plumb_noise_variance(estimate, 2, 2, none, &variance),
                         PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(plumb_noise_variance(estimate, 0, 2, two, &variance),
                         PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(plumb_noise_variance(estimate, 2, 0, two, &variance),
                         PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(plumb_noise_variance(estimate, 2, 2, two, NULL), PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(plumb_noise_variance(estimate, 2, 2, NULL, &variance),
                         PLUMB_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(plumb_noise_variance((plumb_variance_estimate)2, 2, 2, two, &variance),
                     PLUMB_ERROR_ARGUMENT);
}
END_TEST

static void check_scale(plumb_echo_method method, int whiten)
{
    uint64_t state = 43;
    spiked s = spiked_create(20, 30, 3, strengths, GROUPS, 0.5, &state);
    spiked_draw(&s, 1.0, &state);
    answer one = answer_of(&s, method, whiten);
    for (int exponent = -100; exponent <= 200; exponent += 200) {
        for (int k = 0; k < GROUPS; k++) {
            for (int e = 0; e < 600; e++) {
                s.groups[k][e] = ldexpf(s.groups[k][e], exponent);
            }
        }
        answer other = answer_of(&s, method, whiten);
        double scale = ldexp(1.0, exponent > 0 ? exponent - 100 : exponent);
        for (int i = 0; i < 20; i++) {
            ck_assert_double_eq_tol(other.observed[i] / scale, one.observed[i], 1e-8);
            ck_assert(isnan(one.echoes[i]) == isnan(other.echoes[i]));
            if (!isnan(one.echoes[i])) {
                ck_assert_double_eq_tol(other.signals[i] / scale, one.signals[i], 1e-7);
                ck_assert_double_eq_tol(other.echoes[i], one.echoes[i], 1e-8);
            }
        }
    }
    spiked_free(&s);
}

START_TEST(test_scale)
{
    for (int method = 0; method <= PLUMB_ECHO_REVERB; method++) {
        check_scale((plumb_echo_method)method, 0);
        check_scale((plumb_echo_method)method, 1);
    }
}
END_TEST

/* `most` cuts off what comes later and changes nothing else; NULL for what is not wanted. */
START_TEST(test_most)
{
    uint64_t state = 47;
    spiked s = spiked_create(20, 30, 3, strengths, GROUPS, 0.0, &state);
    const float *const *groups = (const float *const *)s.groups;
    spiked_draw(&s, 1.0, &state);
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    answer all = answer_of(&s, PLUMB_ECHO_CROSS_VALIDATED, 0), few = {{0.0}, {0.0}, {0.0}};
    options.most = 5;
    few.observed[5] = few.signals[5] = few.echoes[5] = -1.0;
    ck_assert_int_eq(ask(&s, &options, &few), PLUMB_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert(few.observed[i] == all.observed[i] && few.signals[i] == all.signals[i] &&
                  few.echoes[i] == all.echoes[i]);
    }
    ck_assert(few.observed[5] == -1.0 && few.signals[5] == -1.0 && few.echoes[5] == -1.0);
    ck_assert_int_eq(plumb_echo_spectrum(20, 30, 8, groups, NULL, NULL, NULL, few.echoes),
                     PLUMB_OK);
    ck_assert_int_eq(memcmp(few.echoes, all.echoes, 20 * sizeof *few.echoes), 0);
    ck_assert_int_eq(plumb_echo_spectrum(20, 30, 8, groups, NULL, NULL, NULL, NULL), PLUMB_OK);
    spiked_free(&s);
}
END_TEST

/* The weighted polar factor against the sum over directions of a full decomposition. */
static void check_polar(int rows, int cols, int most)
{
    uint64_t state = 53;
    int rank = rows < 3 || cols < 3 ? 1 : 3;
    spiked s = spiked_create(rows, cols, rank, strengths, GROUPS, 0.5, &state);
    int side = side_of(&s), elements = rows * cols;
    double *mean = spiked_doubles(elements), *u = spiked_doubles(side * rows);
    double *v = spiked_doubles(side * cols), values[MOST_SIDE];
    float *polar = calloc((size_t)elements, sizeof *polar);
    ck_assert_ptr_nonnull(polar);
    spiked_draw(&s, 1e-20, &state);
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    answer a = answer_of(&s, PLUMB_ECHO_CROSS_VALIDATED, 0);
    options.most = most;
    ck_assert_int_eq(
        plumb_echo_polar(rows, cols, GROUPS, (const float *const *)s.groups, &options, polar),
        PLUMB_OK);
    check_no_memory_held();
    mean_of_groups(&s, 0, GROUPS, mean);
    decompose(rows, cols, mean, u, values, v);
    for (int e = 0; e < elements; e++) {
        double sum = 0.0;
        for (int i = 0; i < (most == 0 ? side : most); i++) {
            sum += a.echoes[i] * u[i * rows + e / cols] * v[i * cols + e % cols];
        }
        ck_assert_double_eq_tol((double)polar[e], sum, 1e-6);
    }
    free(mean);
    free(u);
    free(v);
    free(polar);
    spiked_free(&s);
}

START_TEST(test_polar)
{
    check_polar(20, 30, 0);
    check_polar(30, 20, 0);
    check_polar(25, 25, 2);
    check_polar(1, 12, 0);
    check_polar(12, 1, 0);
}
END_TEST

/* Groups that are all the same: no noise, so everything is signal; lost rank is no signal. */
START_TEST(test_constant_groups)
{
    float matrix[4 * 6] = {0.0f}, polar[4 * 6];
    const float *groups[4] = {matrix, matrix, matrix, matrix};
    plumb_echo_options options;
    answer a;
    for (int i = 0; i < 3; i++) {
        matrix[i * 6 + i] = 3.0f - (float)i;
    }
    for (int method = 0; method <= PLUMB_ECHO_REVERB; method++) {
        options = options_of((plumb_echo_method)method);
        ck_assert_int_eq(
            plumb_echo_spectrum(4, 6, 4, groups, &options, a.observed, a.signals, a.echoes),
            PLUMB_OK);
        for (int i = 0; i < 3; i++) {
            ck_assert_double_eq_tol(a.observed[i], 3.0 - i, 1e-12);
            ck_assert_double_eq_tol(a.signals[i], 3.0 - i, 1e-6);
            ck_assert_double_eq_tol(a.echoes[i], 1.0, 1e-12);
        }
        ck_assert_double_eq(a.observed[3], 0.0);
        ck_assert(method == PLUMB_ECHO_REVERB ? isnan(a.echoes[3]) : a.echoes[3] == 0.0);
        ck_assert_int_eq(plumb_echo_polar(4, 6, 4, groups, &options, polar), PLUMB_OK);
        for (int e = 0; e < 24; e++) {
            ck_assert_float_eq_tol(polar[e], e % 7 == 0 && e < 21 ? 1.0f : 0.0f, 1e-6f);
        }
    }
    options.whiten = 1;
    ck_assert_int_eq(
        plumb_echo_spectrum(4, 6, 4, groups, &options, a.observed, a.signals, a.echoes), PLUMB_OK);
    ck_assert(isnan(a.observed[0]) && isnan(a.signals[0]) && isnan(a.echoes[3]));
    check_no_memory_held();
}
END_TEST

/* A mean of zero has no directions, whatever its groups have. */
START_TEST(test_opposite_groups)
{
    float matrix[2][4 * 6], polar[4 * 6];
    const float *groups[2] = {matrix[0], matrix[1]};
    answer a;
    for (int e = 0; e < 24; e++) {
        matrix[0][e] = (float)(e * 5 % 7 - 2);
        matrix[1][e] = -matrix[0][e];
    }
    for (int method = 0; method <= PLUMB_ECHO_REVERB; method++) {
        plumb_echo_options options = options_of((plumb_echo_method)method);
        ck_assert_int_eq(
            plumb_echo_spectrum(4, 6, 2, groups, &options, a.observed, a.signals, a.echoes),
            PLUMB_OK);
        ck_assert(a.observed[0] == 0.0 && isnan(a.signals[0]) && isnan(a.echoes[0]));
    }
    ck_assert_int_eq(plumb_echo_polar(4, 6, 2, groups, NULL, polar), PLUMB_OK);
    ck_assert(polar[0] == 0.0f && polar[23] == 0.0f);
}
END_TEST

/* Two directions of integers, exact in every group; what rounding makes of the others is lost. */
START_TEST(test_lost_rank)
{
    float matrix[12 * 20];
    const float *groups[3] = {matrix, matrix, matrix};
    answer a;
    for (int e = 0; e < 12 * 20; e++) {
        int i = e / 20, j = e % 20;
        matrix[e] = (float)((i * 7 % 5 - 2) * (j * 3 % 7 - 3) + (i % 3 - 1) * (j * 5 % 11 - 5));
    }
    ck_assert_int_eq(plumb_echo_spectrum(12, 20, 3, groups, NULL, a.observed, a.signals, a.echoes),
                     PLUMB_OK);
    for (int i = 0; i < 12; i++) {
        ck_assert_double_eq_tol(a.echoes[i], i < 2 ? 1.0 : 0.0, 1e-12);
        ck_assert(i < 2 ? a.observed[i] > 1.0 : a.observed[i] == 0.0 && a.signals[i] == 0.0);
    }
}
END_TEST

START_TEST(test_zeros)
{
    float matrix[3 * 5] = {0.0f}, polar[3 * 5];
    const float *groups[2] = {matrix, matrix};
    answer a;
    for (int method = 0; method <= PLUMB_ECHO_REVERB; method++) {
        plumb_echo_options options = options_of((plumb_echo_method)method);
        ck_assert_int_eq(
            plumb_echo_spectrum(5, 3, 2, groups, &options, a.observed, a.signals, a.echoes),
            PLUMB_OK);
        for (int i = 0; i < 3; i++) {
            ck_assert_double_eq(a.observed[i], 0.0);
            ck_assert(isnan(a.echoes[i]) && isnan(a.signals[i]));
        }
        memset(polar, 1, sizeof polar);
        ck_assert_int_eq(plumb_echo_polar(5, 3, 2, groups, &options, polar), PLUMB_OK);
        for (int e = 0; e < 15; e++) {
            ck_assert_float_eq(polar[e], 0.0f);
        }
    }
}
END_TEST

/* One group, or one fold of all: observed values are there, and nothing else. */
START_TEST(test_one_group)
{
    uint64_t state = 59;
    spiked s = spiked_create(6, 9, 3, strengths, 4, 0.0, &state);
    answer a, four = {{0.0}, {0.0}, {0.0}};
    spiked_draw(&s, 1.0, &state);
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    options.folds = 1;
    ck_assert_int_eq(ask(&s, &options, &four), PLUMB_OK);
    ck_assert(isnan(four.echoes[0]) && isnan(four.signals[5]) && four.observed[5] > 0.0);
    options.folds = 0;
    for (int method = 0; method <= PLUMB_ECHO_REVERB; method++) {
        options.method = (plumb_echo_method)method;
        ck_assert_int_eq(plumb_echo_spectrum(6, 9, 1, (const float *const *)s.groups, &options,
                                             a.observed, a.signals, a.echoes),
                         PLUMB_OK);
        ck_assert(isnan(a.echoes[0]) && isnan(a.signals[5]) && a.observed[5] > 0.0);
    }
    spiked_free(&s);
}
END_TEST

static void check_bad(plumb_echo_options options, int64_t rows, int64_t cols, int64_t count,
                      const float *const *groups, plumb_status expected)
{
    answer a;
    float polar[24];
    ck_assert_int_eq(
        plumb_echo_spectrum(rows, cols, count, groups, &options, a.observed, a.signals, a.echoes),
        expected);
    ck_assert_int_eq(plumb_echo_polar(rows, cols, count, groups, &options, polar), expected);
    check_no_memory_held();
}

START_TEST(test_refusals)
{
    float good[24] = {1.0f}, bad[24] = {[23] = INFINITY}, polar[24];
    const float *groups[4] = {good, good, good, good}, *holes[4] = {good, NULL, good, good};
    const float *infinite[4] = {good, good, good, bad};
    const plumb_echo_options plain = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    plumb_echo_options options = plain;
    check_bad(plain, 0, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    check_bad(plain, 4, -6, 4, groups, PLUMB_ERROR_ARGUMENT);
    check_bad(plain, 4, 6, 0, groups, PLUMB_ERROR_ARGUMENT);
    check_bad(plain, 4, 6, 4, NULL, PLUMB_ERROR_ARGUMENT);
    check_bad(plain, 4, 6, 4, holes, PLUMB_ERROR_ARGUMENT);
    check_bad(plain, 4, 6, 4, infinite, PLUMB_ERROR_NONFINITE);
    options.size--;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options = plain;
    options.method = (plumb_echo_method)3;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options = plain;
    options.most = 5;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options.most = -1;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options = plain;
    options.whiten = 2;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options = plain;
    options.folds = 3;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options.folds = -2;
    check_bad(options, 4, 6, 4, groups, PLUMB_ERROR_ARGUMENT);
    options.folds = 1;
    ck_assert_int_eq(plumb_echo_polar(4, 6, 4, groups, &options, polar), PLUMB_ERROR_ARGUMENT);
    options = plain;
    options.whiten = 1;
    ck_assert_int_eq(plumb_echo_polar(4, 6, 4, groups, &options, polar), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_polar(4, 6, 1, groups, &plain, polar), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_polar(4, 6, 4, groups, &plain, NULL), PLUMB_ERROR_ARGUMENT);
}
END_TEST

/* Valgrind puts its own allocator in the place of every other one, ours included. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* Each allocation fails once: the call says so and leaves nothing behind. */
static void check_out_of_memory(const spiked *s, plumb_echo_method method, int whiten)
{
    plumb_echo_options options = options_of(method);
    plumb_status status = PLUMB_ERROR_MEMORY;
    answer a;
    float polar[6 * 9];
    int failures = 0;
    options.whiten = whiten;
    for (; status == PLUMB_ERROR_MEMORY; failures++) {
        allocations_until_failure = failures;
        status = whiten == 1
                     ? ask(s, &options, &a)
                     : plumb_echo_polar(6, 9, 4, (const float *const *)s->groups, &options, polar);
        allocations_until_failure = -1;
        check_no_memory_held();
    }
    ck_assert_int_eq(status, PLUMB_OK);
    ck_assert_int_gt(failures, 10);
}

START_TEST(test_out_of_memory)
{
    uint64_t state = 61;
    spiked s = spiked_create(6, 9, 3, strengths, 4, 0.0, &state);
    spiked_draw(&s, 1.0, &state);
    for (int method = 0; method <= PLUMB_ECHO_REVERB && !under_valgrind(); method++) {
        check_out_of_memory(&s, (plumb_echo_method)method, 0);
        check_out_of_memory(&s, (plumb_echo_method)method, 1);
    }
    spiked_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("echo limits");
    test_add(suite, "variance's limits", test_variance_limits);
    test_add(suite, "scale", test_scale);
    test_add(suite, "most", test_most);
    test_add(suite, "polar", test_polar);
    test_add(suite, "constant groups", test_constant_groups);
    test_add(suite, "opposite groups", test_opposite_groups);
    test_add(suite, "lost rank", test_lost_rank);
    test_add(suite, "zeros", test_zeros);
    test_add(suite, "one group", test_one_group);
    test_add(suite, "refusals", test_refusals);
    test_add(suite, "out of memory", test_out_of_memory);
    return test_run(suite);
}
