/*
 * plumb_update_bias against the truth of many draws: bias, turn and shrinkage, variance, their
 * ratio and the standard errors, how they scale, and the answers where there is nothing to tell.
 * Draws are fixed; an estimate's mean must lie within four standard errors, which are those of the
 * repetitions.
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "plumb.h"
#include "support/gradient_noise.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, MOST_GROUPS = 32, REPETITIONS = 400 };

static const double spectrum[COLS] = {3.0, 2.0, 1.4, 1.0};

/* ---- the truth ---- */

typedef struct truth {
    double q[COUNT];   /* Ortho of the matrix */
    double one[COUNT]; /* E Ortho(G_k) - Q */
    double two[COUNT]; /* E Ortho(mean of two) - Q */
    double variance;   /* E |Ortho(G_k) - E|^2 */
} truth;

static void add_truth(const float *matrix, double scale, const double *noise, double weight,
                      const double *q, double *sum, double *squares)
{
    double at[GRADIENT_NOISE_MOST];
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < COUNT; i++) {
            at[i] = (double)matrix[i] + sign * scale * noise[i];
        }
        gradient_noise_polar(ROWS, COLS, at);
        for (int i = 0; i < COUNT; i++) {
            double change = at[i] - q[i];
            sum[i] += weight * change;
            *squares += weight * change * change;
        }
    }
}

static double squared_norm(const double *x)
{
    double sum = 0.0;
    for (int i = 0; i < COUNT; i++) {
        sum += x[i] * x[i];
    }
    return sum;
}

static void find_truth(const float *matrix, double tau, bool anisotropic, int draws, truth *t)
{
    double noise[GRADIENT_NOISE_MOST], unused = 0.0;
    memset(t, 0, sizeof *t);
    for (int i = 0; i < COUNT; i++) {
        t->q[i] = (double)matrix[i];
    }
    gradient_noise_polar(ROWS, COLS, t->q);
    for (int draw = 0; draw < draws; draw++) {
        gradient_noise_matrix(ROWS, COLS, anisotropic, 1000000 + (uint64_t)draw, noise);
        add_truth(matrix, tau, noise, 0.5 / draws, t->q, t->one, &t->variance);
        add_truth(matrix, tau * sqrt(0.5), noise, 0.5 / draws, t->q, t->two, &unused);
    }
    t->variance -= squared_norm(t->one);
}

/* |sym(Q'x)|^2 */
static double normal_part(const double *q, const double *x)
{
    double product[COLS][COLS] = {{0.0}}, squares = 0.0;
    for (int k = 0; k < ROWS; k++) {
        for (int i = 0; i < COLS; i++) {
            for (int j = 0; j < COLS; j++) {
                product[i][j] += q[k * COLS + i] * x[k * COLS + j];
            }
        }
    }
    for (int i = 0; i < COLS; i++) {
        for (int j = 0; j < COLS; j++) {
            double even = 0.5 * (product[i][j] + product[j][i]);
            squares += even * even;
        }
    }
    return squares;
}

/* ---- estimates ---- */

typedef struct estimates {
    double bias[REPETITIONS], squared_bias_error[REPETITIONS];
    double normal[REPETITIONS], turn[REPETITIONS];
    double variance[REPETITIONS], squared_variance_error[REPETITIONS];
    double ratio[REPETITIONS], squared_ratio_error[REPETITIONS];
} estimates;

static plumb_update_noise measure(int rows, int cols, int count, const float *const *groups)
{
    plumb_update_noise noise = {.size = sizeof noise};
    ck_assert_int_eq(plumb_update_bias(PLUMB_POLAR_SVD, rows, cols, count, groups, NULL, &noise),
                     PLUMB_OK);
    ck_assert_int_eq(noise.count, count);
    return noise;
}

static void estimate(const float *matrix, double tau, bool anisotropic, int count, int repetitions,
                     estimates *e)
{
    static float memory[MOST_GROUPS][COUNT];
    const float *groups[MOST_GROUPS];
    double noise[GRADIENT_NOISE_MOST];
    for (int r = 0; r < repetitions; r++) {
        for (int k = 0; k < count; k++) {
            gradient_noise_matrix(ROWS, COLS, anisotropic, (uint64_t)(r * count + k), noise);
            gradient_noise_add(COUNT, matrix, tau, noise, memory[k]);
            groups[k] = memory[k];
        }
        plumb_update_noise n = measure(ROWS, COLS, count, groups);
        e->bias[r] = n.bias;
        e->squared_bias_error[r] = n.bias_error * n.bias_error;
        e->normal[r] = n.bias > 0.0 ? n.bias * n.normal_share : 0.0;
        e->turn[r] = n.bias > 0.0 ? n.bias * (1.0 - n.normal_share) : 0.0;
        e->variance[r] = n.variance;
        e->squared_variance_error[r] = n.variance_error * n.variance_error;
        e->ratio[r] = n.ratio;
        e->squared_ratio_error[r] = n.ratio_error * n.ratio_error;
    }
}

static void assert_mean(const char *what, int count, const double *values, double expected,
                        double allowance)
{
    gradient_noise_mean found = gradient_noise_mean_of(count, values);
    ck_assert_msg(fabs(found.mean - expected) <= 4.0 * found.error + allowance,
                  "%s: %.6g +- %.2g, not %.6g", what, found.mean, found.error, expected);
}

/* The mean of the squared standard errors against the variance that the repetitions show. */
static void assert_errors(const char *what, int count, const double *values,
                          const double *squared_errors)
{
    gradient_noise_mean shown = gradient_noise_mean_of(count, values);
    gradient_noise_mean stated = gradient_noise_mean_of(count, squared_errors);
    double quotient = sqrt(stated.mean / (double)count) / shown.error;
    ck_assert_msg(quotient > 0.8 && quotient < 1.4, "%s: stated over shown error %.3f", what,
                  quotient);
}

/* What is unbiased is four times |E D|^2: the bias, to first order in it. */
START_TEST(unbiased)
{
    static estimates e;
    static truth t;
    const double tau = 0.25;
    const int groups = 12;
    float matrix[COUNT];
    double change[COUNT];
    reference_matrix(ROWS, COLS, spectrum, 5, matrix);
    find_truth(matrix, tau, true, 15000, &t);
    estimate(matrix, tau, true, groups, REPETITIONS, &e);
    for (int i = 0; i < COUNT; i++) {
        change[i] = 2.0 * (t.one[i] - t.two[i]);
    }
    double bias = squared_norm(change);
    assert_mean("bias", REPETITIONS, e.bias, bias, 0.01 * bias);
    ck_assert_double_eq_tol(bias / squared_norm(t.one), 1.0, 0.15);
    assert_mean("variance", REPETITIONS, e.variance, t.variance, 0.01 * t.variance);
    /* A quotient of estimates: its own bias is of the order of the variance's relative error. */
    double ratio = bias / (groups * t.variance);
    assert_mean("ratio", REPETITIONS, e.ratio, ratio, 0.05 * ratio);
    assert_errors("bias", REPETITIONS, e.bias, e.squared_bias_error);
    assert_errors("variance", REPETITIONS, e.variance, e.squared_variance_error);
    assert_errors("ratio", REPETITIONS, e.ratio, e.squared_ratio_error);
}
END_TEST

/* Independent entries of equal variance shrink the update and do not turn it; others do both. */
START_TEST(turn_and_shrinkage)
{
    static estimates e;
    static truth t;
    const double tau = 0.3;
    const int repetitions = 100;
    bool anisotropic = _i == 1;
    float matrix[COUNT];
    double change[COUNT];
    reference_matrix(ROWS, COLS, spectrum, 5, matrix);
    find_truth(matrix, tau, anisotropic, 10000, &t);
    estimate(matrix, tau, anisotropic, MOST_GROUPS, repetitions, &e);
    for (int i = 0; i < COUNT; i++) {
        change[i] = 2.0 * (t.one[i] - t.two[i]);
    }
    double bias = squared_norm(change), normal = normal_part(t.q, change);
    assert_mean("shrinkage", repetitions, e.normal, normal, 0.02 * bias);
    if (anisotropic) {
        assert_mean("turn", repetitions, e.turn, bias - normal, 0.02 * bias);
        ck_assert_double_gt(bias - normal, 0.1 * bias);
    } else {
        assert_mean("turn", repetitions, e.turn, 0.0, 0.0);
        ck_assert_double_lt(bias - normal, 0.005 * bias);
    }
}
END_TEST

/* Half the variance of the noise: half the update's variance, a quarter of its squared bias. */
START_TEST(scaling)
{
    static estimates one, half;
    const int repetitions = 200;
    float matrix[COUNT];
    reference_matrix(ROWS, COLS, spectrum, 5, matrix);
    estimate(matrix, 0.05, true, 16, repetitions, &one);
    estimate(matrix, 0.05 * sqrt(0.5), true, 16, repetitions, &half);
    double variances = gradient_noise_mean_of(repetitions, one.variance).mean /
                       gradient_noise_mean_of(repetitions, half.variance).mean;
    double biases = gradient_noise_mean_of(repetitions, one.bias).mean /
                    gradient_noise_mean_of(repetitions, half.bias).mean;
    ck_assert_double_eq_tol(variances, 2.0, 0.02);
    ck_assert_double_eq_tol(biases, 4.0, 0.2);
}
END_TEST

/* ---- relations that are exact ---- */

static void make_groups(int rows, int cols, int count, double tau, float scale, float *memory,
                        const float **groups)
{
    float matrix[GRADIENT_NOISE_MOST];
    double noise[GRADIENT_NOISE_MOST];
    reference_matrix(rows, cols, spectrum, 3, matrix);
    for (int k = 0; k < count; k++) {
        float *group = memory + k * rows * cols;
        gradient_noise_matrix(rows, cols, true, (uint64_t)(50 + k), noise);
        gradient_noise_add(rows * cols, matrix, tau, noise, group);
        for (int i = 0; i < rows * cols; i++) {
            group[i] *= scale;
        }
        groups[k] = group;
    }
}

static void assert_close(const plumb_update_noise *a, const plumb_update_noise *b, double tolerance)
{
    ck_assert_double_eq_tol(a->variance / b->variance, 1.0, tolerance);
    ck_assert_double_eq_tol(a->variance_error / b->variance_error, 1.0, tolerance);
    ck_assert_double_eq_tol(a->bias / b->bias, 1.0, tolerance);
    ck_assert_double_eq_tol(a->bias_error / b->bias_error, 1.0, tolerance);
    ck_assert_double_eq_tol(a->normal_share / b->normal_share, 1.0, tolerance);
    ck_assert_double_eq_tol(a->ratio / b->ratio, 1.0, tolerance);
    ck_assert_double_eq_tol(a->ratio_error / b->ratio_error, 1.0, tolerance);
}

START_TEST(relations)
{
    float memory[9 * COUNT];
    const float *groups[9];
    make_groups(ROWS, COLS, 9, 0.3, 1.0f, memory, groups);
    plumb_update_noise n = measure(ROWS, COLS, 9, groups);
    ck_assert_double_eq_tol(n.step_bias, n.bias / 81.0, 1e-15);
    ck_assert_double_eq_tol(n.step_variance, n.variance / 9.0, 1e-15);
    ck_assert_double_eq_tol(n.ratio, n.step_bias / n.step_variance, 1e-12);
    ck_assert_double_eq_tol(n.streamed_ratio, 9.0 * n.bias / n.variance, 1e-12 * n.streamed_ratio);
    /* The ninth group has no partner: it counts in the variance alone. */
    plumb_update_noise eight = measure(ROWS, COLS, 8, groups);
    ck_assert_double_eq_tol(n.bias, eight.bias, 1e-5 * fabs(n.bias));
    ck_assert_double_ne(n.variance, eight.variance);
}
END_TEST

static double jackknife_error(int count, const double *without)
{
    return gradient_noise_mean_of(count, without).error * (count - 1.0);
}

/* The standard errors from estimates that really leave groups or pairs out. */
START_TEST(standard_errors)
{
    enum { GROUPS = 12, PAIRS = GROUPS / 2 };
    float memory[GROUPS * COUNT];
    const float *groups[GROUPS], *rest[GROUPS];
    double variances[GROUPS], biases[PAIRS], ratios[PAIRS];
    make_groups(ROWS, COLS, GROUPS, 0.4, 1.0f, memory, groups);
    plumb_update_noise n = measure(ROWS, COLS, GROUPS, groups);
    for (int k = 0; k < GROUPS; k++) {
        memcpy(rest, groups, sizeof rest);
        memmove(rest + k, rest + k + 1, (size_t)(GROUPS - 1 - k) * sizeof *rest);
        variances[k] = measure(ROWS, COLS, GROUPS - 1, rest).variance;
    }
    for (int j = 0; j < PAIRS; j++) {
        memcpy(rest, groups, sizeof rest);
        memmove(rest + 2 * j, rest + 2 * j + 2, (size_t)(GROUPS - 2 - 2 * j) * sizeof *rest);
        plumb_update_noise without = measure(ROWS, COLS, GROUPS - 2, rest);
        biases[j] = without.bias;
        ratios[j] = without.bias / (GROUPS * without.variance);
    }
    ck_assert_double_eq_tol(n.variance_error / jackknife_error(GROUPS, variances), 1.0, 1e-4);
    ck_assert_double_eq_tol(n.bias_error / jackknife_error(PAIRS, biases), 1.0, 1e-4);
    ck_assert_double_eq_tol(n.ratio_error / jackknife_error(PAIRS, ratios), 1.0, 1e-4);
}
END_TEST

START_TEST(scale_and_transpose)
{
    static const float scales[] = {1e-30f, 0x1p-90f, 1e30f};
    float memory[8 * COUNT], turned[8 * COUNT];
    const float *groups[8], *wide[8];
    make_groups(ROWS, COLS, 8, 0.3, 1.0f, memory, groups);
    plumb_update_noise one = measure(ROWS, COLS, 8, groups);
    for (int k = 0; k < 8; k++) {
        for (int i = 0; i < COUNT; i++) {
            turned[k * COUNT + i % COLS * ROWS + i / COLS] = memory[k * COUNT + i];
        }
        wide[k] = turned + k * COUNT;
    }
    plumb_update_noise other = measure(COLS, ROWS, 8, wide);
    assert_close(&one, &other, 1e-4);
    for (int s = 0; s < 3; s++) {
        make_groups(ROWS, COLS, 8, 0.3, scales[s], memory, groups);
        other = measure(ROWS, COLS, 8, groups);
        assert_close(&one, &other, 1e-4);
    }
    make_groups(ROWS, COLS, 8, 0.3, 1.0f, memory, groups);
    plumb_update_noise exact = {.size = sizeof exact};
    ck_assert_int_eq(plumb_update_bias(PLUMB_POLAR_EXACT, ROWS, COLS, 8, groups, NULL, &exact),
                     PLUMB_OK);
    assert_close(&one, &exact, 1e-4);
}
END_TEST

/* One column: Ortho(g) = g / |g|, whose bias of second order is known. */
START_TEST(one_column)
{
    float memory[8 * ROWS];
    const float *groups[8];
    make_groups(ROWS, 1, 8, 0.2, 1.0f, memory, groups);
    plumb_update_noise n = measure(ROWS, 1, 8, groups);
    ck_assert(isfinite(n.bias) && isfinite(n.ratio_error) && n.variance > 0.0);
    make_groups(1, 1, 8, 0.2, 1.0f, memory, groups);
    n = measure(1, 1, 8, groups);
    ck_assert(n.variance == 0.0 && n.bias == 0.0 && isnan(n.ratio) && isnan(n.normal_share));
}
END_TEST

/* ---- nothing to tell, and wrong input ---- */

START_TEST(few_groups)
{
    float memory[6 * COUNT];
    const float *groups[6];
    make_groups(ROWS, COLS, 6, 0.3, 1.0f, memory, groups);
    for (int count = 1; count <= 6; count++) {
        plumb_update_noise n = measure(ROWS, COLS, count, groups);
        ck_assert_int_eq(isnan(n.variance), count < 2);
        ck_assert_int_eq(isnan(n.step_variance), count < 2);
        ck_assert_int_eq(isnan(n.variance_error), count < 3);
        ck_assert_int_eq(isnan(n.bias), count < 4);
        ck_assert_int_eq(isnan(n.step_bias), count < 4);
        ck_assert_int_eq(isnan(n.ratio), count < 4);
        ck_assert_int_eq(isnan(n.streamed_ratio), count < 4);
        ck_assert_int_eq(isnan(n.bias_error), count < 6);
        ck_assert_int_eq(isnan(n.ratio_error), count < 6);
    }
}
END_TEST

START_TEST(no_noise)
{
    float memory[COUNT], zero[COUNT] = {0.0f};
    const float *groups[8];
    for (int kind = 0; kind < 2; kind++) {
        make_groups(ROWS, COLS, 1, 0.3, 1.0f, memory, groups);
        for (int k = 0; k < 8; k++) {
            groups[k] = kind == 0 ? memory : zero;
        }
        plumb_update_noise n = measure(ROWS, COLS, 8, groups);
        ck_assert(n.variance == 0.0 && n.bias == 0.0 && n.variance_error == 0.0);
        ck_assert(isnan(n.ratio) && isnan(n.ratio_error) && isnan(n.streamed_ratio));
        ck_assert(isnan(n.normal_share));
    }
}
END_TEST

/* Of one direction without noise: what differs between the updates is rounding, or nothing. */
START_TEST(rounding_is_no_variance)
{
    float memory[8 * COUNT] = {0.0f};
    const float *groups[8];
    for (int k = 0; k < 8; k++) {
        groups[k] = memory + k * COUNT;
        for (int i = 0; i < COUNT; i++) {
            int row = i / COLS, col = i % COLS;
            float one = (1.0f + 0.3f * (float)row) * (1.0f - 0.2f * (float)col);
            memory[k * COUNT + i] = one * (1.0f + 0.1f * test_value(3, (uint64_t)k, 0));
        }
    }
    plumb_polar_options options = {.size = sizeof options, .rank_tolerance = 1e-6};
    plumb_update_noise n = {.size = sizeof n};
    ck_assert_int_eq(plumb_update_bias(PLUMB_POLAR_SVD, ROWS, COLS, 8, groups, &options, &n),
                     PLUMB_OK);
    ck_assert(n.variance < 1e-12 && fabs(n.bias) < 1e-12);
    ck_assert(isnan(n.ratio) && isnan(n.ratio_error) && isnan(n.streamed_ratio));
    ck_assert(isnan(n.normal_share));
}
END_TEST

/* Rows that are zero in all groups change nothing but the shape. */
START_TEST(lost_rank)
{
    float memory[8 * COUNT], padded[8 * COUNT];
    const float *groups[8], *with_zeros[8];
    make_groups(3, COLS, 8, 0.2, 1.0f, memory, groups);
    plumb_update_noise one = measure(3, COLS, 8, groups);
    memset(padded, 0, sizeof padded);
    for (int k = 0; k < 8; k++) {
        with_zeros[k] = padded + k * COUNT;
        memcpy(padded + k * COUNT, groups[k], 3 * COLS * sizeof(float));
    }
    plumb_update_noise other = measure(ROWS, COLS, 8, with_zeros);
    ck_assert_double_eq_tol(other.variance / one.variance, 1.0, 1e-4);
    ck_assert_double_eq_tol(other.bias / one.bias, 1.0, 1e-4);
}
END_TEST

START_TEST(wrong_input)
{
    float memory[4 * COUNT];
    const float *groups[4], *missing[] = {memory, NULL};
    plumb_update_noise n = {.size = sizeof n, .bias = 7.0};
    plumb_polar_options options = {.size = 3};
    plumb_polar_method svd = PLUMB_POLAR_SVD;
    make_groups(ROWS, COLS, 4, 0.3, 1.0f, memory, groups);
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 4, groups, NULL, NULL), 1);
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 4, NULL, NULL, &n), 1);
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 0, groups, NULL, &n), 1);
    ck_assert_int_eq(plumb_update_bias(svd, 0, COLS, 4, groups, NULL, &n), 1);
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 2, missing, NULL, &n), 1);
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 4, groups, &options, &n), 1);
    ck_assert_int_eq(plumb_update_bias((plumb_polar_method)99, ROWS, COLS, 4, groups, NULL, &n), 1);
    ck_assert_int_eq(plumb_update_bias(svd, INT64_MAX / 4, 5, 4, groups, NULL, &n), 1);
    ck_assert_int_eq(plumb_update_bias(svd, 5, INT64_MAX / 4, 4, groups, NULL, &n), 1);
    memory[4 * COUNT - 1] = NAN;
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 4, groups, NULL, &n),
                     PLUMB_ERROR_NONFINITE);
    ck_assert(n.bias == 7.0);
    n.size = 8;
    memory[4 * COUNT - 1] = 1.0f;
    ck_assert_int_eq(plumb_update_bias(svd, ROWS, COLS, 4, groups, NULL, &n), 1);
    int64_t allocations = -1;
    ck_assert_int_eq(plumb_memory_in_use(&allocations, NULL), PLUMB_OK);
    ck_assert_int_eq(allocations, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("update bias");
    TCase *cases = tcase_create("turn and shrinkage");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, turn_and_shrinkage, 0, 2);
    suite_add_tcase(suite, cases);
    test_add(suite, "unbiased", unbiased);
    test_add(suite, "scaling", scaling);
    test_add(suite, "relations", relations);
    test_add(suite, "standard errors", standard_errors);
    test_add(suite, "scale and transpose", scale_and_transpose);
    test_add(suite, "one column", one_column);
    test_add(suite, "few groups", few_groups);
    test_add(suite, "no noise", no_noise);
    test_add(suite, "rounding", rounding_is_no_variance);
    test_add(suite, "lost rank", lost_rank);
    test_add(suite, "wrong input", wrong_input);
    return test_run(suite);
}
