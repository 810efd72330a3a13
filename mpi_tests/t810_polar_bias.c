/*
 * plumb_polar_bias against even differences of polar factors in double, plumb_isotropic_polar_bias
 * against polar factors of noisy matrices, Richardson's extrapolation of their bias, and the
 * answers where there is nothing to tell.
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "plumb.h"
#include "support/gradient_noise.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { MOST = GRADIENT_NOISE_MOST };

static const double spectrum[] = {3.0, 2.0, 1.4, 1.0, 0.8};

static int shorter(int rows, int cols)
{
    return rows < cols ? rows : cols;
}

/* ---- the second-order term ---- */

/* sym(Q'x) of a tall x, or sym(x Q') of a wide one: its squared norm. */
static double normal_part(int rows, int cols, const double *q, const double *x)
{
    int side = shorter(rows, cols);
    double product[MOST], squares = 0.0;
    for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
            product[i * side + j] = 0.0;
            for (int k = 0; k < rows && rows >= cols; k++) {
                product[i * side + j] += q[k * cols + i] * x[k * cols + j];
            }
            for (int k = 0; k < cols && rows < cols; k++) {
                product[i * side + j] += x[i * cols + k] * q[j * cols + k];
            }
        }
    }
    for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
            double even = 0.5 * (product[i * side + j] + product[j * side + i]);
            squares += even * even;
        }
    }
    return squares;
}

/* With the groups G + hE and G - hE the bias is T(hE): the even part of Ortho(G + hE). */
START_TEST(differences)
{
    static const int shapes[][2] = {{7, 4}, {4, 7}, {5, 5}, {8, 2}, {6, 1}, {1, 6}, {2, 3}};
    int rows = shapes[_i][0], cols = shapes[_i][1], count = rows * cols;
    const double h = 0.01;
    float matrix[MOST], moved[2][MOST];
    const float *groups[] = {moved[0], moved[1]};
    double noise[MOST], q[MOST], even[MOST] = {0}, at[MOST], bias[MOST], squared, tangent;
    reference_matrix(rows, cols, spectrum, 17, matrix);
    gradient_noise_matrix(rows, cols, true, 7, noise);
    for (int i = 0; i < count; i++) {
        q[i] = (double)matrix[i];
    }
    gradient_noise_polar(rows, cols, q);
    for (int g = 0; g < 2; g++) {
        gradient_noise_add(count, matrix, g == 0 ? h : -h, noise, moved[g]);
        for (int i = 0; i < count; i++) {
            at[i] = (double)matrix[i] + (g == 0 ? h : -h) * noise[i];
        }
        gradient_noise_polar(rows, cols, at);
        for (int i = 0; i < count; i++) {
            even[i] += 0.5 * (at[i] - q[i]);
        }
    }
    ck_assert_int_eq(plumb_polar_bias(rows, cols, 2, groups, bias, &squared, &tangent), PLUMB_OK);
    double norm = 0.0, distance = 0.0;
    for (int i = 0; i < count; i++) {
        norm += even[i] * even[i];
        distance += (bias[i] - even[i]) * (bias[i] - even[i]);
    }
    ck_assert_double_le(sqrt(distance), 2e-3 * sqrt(norm));
    ck_assert_double_eq_tol(squared / norm, 1.0, 4e-3);
    double normal = normal_part(rows, cols, q, even);
    ck_assert_double_eq_tol(tangent, norm - normal, 4e-3 * norm);
    ck_assert_int_eq(plumb_polar_bias(rows, cols, 2, groups, NULL, &norm, &normal), PLUMB_OK);
    ck_assert(norm == squared && normal == tangent);
}
END_TEST

/* ---- entries of equal variance ---- */

typedef struct sampled {
    double bias[MOST];      /* along each pair of singular vectors, shrinkage positive */
    double distance;        /* mean squared distance from Ortho */
    double expansion[MOST]; /* the mean of plumb_polar_bias along the same */
} sampled;

static double along(int rows, int cols, const reference_svd *svd, const double *x, int i)
{
    double sum = 0.0;
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
            sum += svd->left[r * svd->side + i] * x[r * cols + c] * svd->right[c * svd->side + i];
        }
    }
    return sum;
}

/* Antithetic pairs: what is odd in the noise, and most of its variance, cancels. */
static void sample(int rows, int cols, const float *matrix, double tau, int draws,
                   const reference_svd *svd, sampled *s)
{
    int count = rows * cols;
    float moved[2][MOST], polar[MOST], exact[MOST];
    const float *groups[] = {moved[0], moved[1]};
    double noise[MOST], sum[MOST] = {0}, terms[MOST] = {0}, term[MOST], unused;
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, rows, cols, matrix, exact, NULL), PLUMB_OK);
    *s = (sampled){.distance = 0.0};
    for (int draw = 0; draw < draws; draw++) {
        gradient_noise_matrix(rows, cols, false, (uint64_t)draw, noise);
        for (int g = 0; g < 2; g++) {
            gradient_noise_add(count, matrix, g == 0 ? tau : -tau, noise, moved[g]);
            ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, rows, cols, moved[g], polar, NULL), 0);
            for (int i = 0; i < count; i++) {
                double change = (double)polar[i] - (double)exact[i];
                sum[i] += 0.5 * change / draws;
                s->distance += 0.5 * change * change / draws;
            }
        }
        ck_assert_int_eq(plumb_polar_bias(rows, cols, 2, groups, term, &unused, &unused), 0);
        for (int i = 0; i < count; i++) {
            terms[i] += term[i] / draws;
        }
    }
    for (int i = 0; i < svd->side; i++) {
        s->bias[i] = -along(rows, cols, svd, sum, i);
        s->expansion[i] = -along(rows, cols, svd, terms, i);
    }
}

/* 8000 pairs leave a standard error of about 0.4 % in each bias and 0.2 % in the distance. */
START_TEST(equal_variances)
{
    static const int shapes[][2] = {{6, 4}, {4, 6}, {5, 5}, {9, 2}};
    int rows = shapes[_i][0], cols = shapes[_i][1];
    const double tau = 0.05;
    float matrix[MOST];
    double bias[MOST], error;
    sampled s;
    reference_matrix(rows, cols, spectrum, 5, matrix);
    reference_svd svd = reference_svd_compute(rows, cols, matrix);
    sample(rows, cols, matrix, tau, 8000, &svd, &s);
    ck_assert_int_eq(plumb_isotropic_polar_bias(rows, cols, svd.values, tau * tau, bias, &error),
                     PLUMB_OK);
    for (int i = 0; i < svd.side; i++) {
        ck_assert_double_eq_tol(s.bias[i] / bias[i], 1.0, 0.02);
        ck_assert_double_eq_tol(s.expansion[i] / bias[i], 1.0, 0.02);
    }
    ck_assert_double_eq_tol(s.distance / error, 1.0, 0.02);
    reference_svd_free(&svd);
}
END_TEST

/* ---- Richardson ---- */

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, SIZES = 5, DRAWS = 6000 };

/* The mean of Ortho(matrix + tau E / sqrt(m)) - Ortho(matrix) for m = 1, 2, ..., with the same E
 * for all. From each even part the term of second order is taken, and its expectation put back. */
static void mean_updates(const float *matrix, double tau, double means[SIZES][COUNT])
{
    float moved[2][MOST];
    const float *groups[] = {moved[0], moved[1]};
    double q[MOST], noise[MOST], at[MOST], term[MOST], unused;
    const double small = 1e-2;
    memset(means, 0, SIZES * sizeof means[0]);
    for (int i = 0; i < COUNT; i++) {
        q[i] = (double)matrix[i];
    }
    gradient_noise_polar(ROWS, COLS, q);
    for (int draw = 0; draw < DRAWS; draw++) {
        gradient_noise_matrix(ROWS, COLS, false, (uint64_t)draw, noise);
        for (int g = 0; g < 2; g++) {
            gradient_noise_add(COUNT, matrix, g == 0 ? small : -small, noise, moved[g]);
        }
        ck_assert_int_eq(plumb_polar_bias(ROWS, COLS, 2, groups, term, &unused, &unused), 0);
        for (int size = 0; size < SIZES; size++) {
            double scale = tau / sqrt((double)(1 << size));
            for (int sign = -1; sign <= 1; sign += 2) {
                for (int i = 0; i < COUNT; i++) {
                    at[i] = (double)matrix[i] + sign * scale * noise[i];
                }
                gradient_noise_polar(ROWS, COLS, at);
                for (int i = 0; i < COUNT; i++) {
                    double second = scale * scale / (small * small) * term[i];
                    means[size][i] += (0.5 * (at[i] - q[i]) - 0.5 * second) / DRAWS;
                }
            }
        }
    }
}

/* means += -variance U diag(b) V' */
static void put_back(const float *matrix, double tau, double means[SIZES][COUNT])
{
    double bias[MOST], whole[MOST], error;
    reference_svd svd = reference_svd_compute(ROWS, COLS, matrix);
    for (int size = 0; size < SIZES; size++) {
        double variance = tau * tau / (double)(1 << size);
        ck_assert_int_eq(plumb_isotropic_polar_bias(ROWS, COLS, svd.values, variance, bias, &error),
                         PLUMB_OK);
        reference_svd_rebuild(&svd, bias, whole);
        for (int i = 0; i < COUNT; i++) {
            means[size][i] -= whole[i];
        }
    }
    reference_svd_free(&svd);
}

static double norm_of(const double *x)
{
    double squares = 0.0;
    for (int i = 0; i < COUNT; i++) {
        squares += x[i] * x[i];
    }
    return sqrt(squares);
}

/* Bias falls as 1/m, what the extrapolation leaves as 1/m^2; the coefficient is m times bias. */
START_TEST(extrapolation)
{
    float matrix[MOST], coarse[COUNT], fine[COUNT];
    double means[SIZES][COUNT], result[COUNT], coefficient[COUNT], residuals[SIZES];
    reference_matrix(ROWS, COLS, spectrum, 5, matrix);
    mean_updates(matrix, 0.3, means);
    put_back(matrix, 0.3, means);
    for (int size = 0; size + 1 < SIZES; size++) {
        double batch = (double)(1 << size);
        for (int i = 0; i < COUNT; i++) {
            coarse[i] = (float)means[size][i];
            fine[i] = (float)means[size + 1][i];
        }
        ck_assert_int_eq(plumb_richardson(COUNT, batch, coarse, fine, result, coefficient), 0);
        residuals[size] = norm_of(result);
        double ratio = norm_of(coefficient) / batch / norm_of(means[size]);
        ck_assert_double_eq_tol(ratio, 1.0, 0.25 / batch);
        ck_assert_double_le(residuals[size], 0.25 / batch * norm_of(means[size]));
    }
    ck_assert_double_eq_tol(norm_of(means[2]) / norm_of(means[4]), 4.0, 0.3);
    ck_assert_double_eq_tol(log2(residuals[2] / residuals[3]), 2.0, 0.2);
}
END_TEST

/* ---- contracts ---- */

START_TEST(richardson_contract)
{
    float one[] = {1.0f, NAN}, two[] = {2.0f, 3.0f};
    double result[2] = {7.0, 7.0}, c = 0.0;
    ck_assert_int_eq(plumb_richardson(1, 4.0, one, two, result, &c), PLUMB_OK);
    ck_assert(result[0] == 3.0 && c == -8.0);
    ck_assert_int_eq(plumb_richardson(1, 4.0, one, two, NULL, NULL), PLUMB_OK);
    ck_assert_int_eq(plumb_richardson(2, 4.0, one, two, result, NULL), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_richardson(2, 4.0, two, one, result, NULL), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_richardson(1, 0.0, one, two, result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_richardson(1, NAN, one, two, result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_richardson(-1, 1.0, one, two, result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_richardson(1, 1.0, NULL, two, result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert(result[1] == 7.0);
}
END_TEST

START_TEST(isotropic_contract)
{
    double values[] = {2.0, 1.0}, bias[2] = {9.0, 9.0}, error = 9.0;
    ck_assert_int_eq(plumb_isotropic_polar_bias(2, 2, values, -1.0, bias, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_isotropic_polar_bias(2, 2, values, NAN, bias, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_isotropic_polar_bias(0, 2, values, 1.0, bias, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_isotropic_polar_bias(2, 2, NULL, 1.0, bias, &error),
                     PLUMB_ERROR_ARGUMENT);
    values[1] = 0.0;
    ck_assert_int_eq(plumb_isotropic_polar_bias(2, 2, values, 1.0, bias, &error),
                     PLUMB_ERROR_ARGUMENT);
    values[1] = INFINITY;
    ck_assert_int_eq(plumb_isotropic_polar_bias(2, 2, values, 1.0, bias, &error),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert(bias[0] == 9.0 && error == 9.0);
    ck_assert_int_eq(plumb_isotropic_polar_bias(5, 1, values, 0.0, bias, &error), PLUMB_OK);
    ck_assert(bias[0] == 0.0 && error == 0.0);
    /* A vector: (n - 1) variance / (2 |g|^2). */
    ck_assert_int_eq(plumb_isotropic_polar_bias(5, 1, values, 0.01, bias, &error), PLUMB_OK);
    ck_assert_double_eq_tol(bias[0], 4.0 * 0.01 / (2.0 * 4.0), 1e-15);
    ck_assert_double_eq_tol(error, 2.0 * bias[0], 1e-15);
}
END_TEST

static void make_groups(int rows, int cols, int count, float scale, float *memory,
                        const float **groups)
{
    float matrix[MOST];
    double noise[MOST];
    reference_matrix(rows, cols, spectrum, 3, matrix);
    for (int k = 0; k < count; k++) {
        gradient_noise_matrix(rows, cols, true, (uint64_t)(90 + k), noise);
        float *group = memory + k * rows * cols;
        gradient_noise_add(rows * cols, matrix, 0.2, noise, group);
        for (int i = 0; i < rows * cols; i++) {
            group[i] *= scale;
        }
        groups[k] = group;
    }
}

START_TEST(scale_does_not_matter)
{
    static const float scales[] = {1e-30f, 0x1p-90f, 1e30f};
    float memory[4 * MOST];
    const float *groups[4];
    double bias[2][MOST], squared[2], tangent[2];
    make_groups(4, 6, 4, 1.0f, memory, groups);
    ck_assert_int_eq(plumb_polar_bias(4, 6, 4, groups, bias[0], &squared[0], &tangent[0]), 0);
    ck_assert(squared[0] > tangent[0] && tangent[0] > 0.0);
    for (int s = 0; s < 3; s++) {
        make_groups(4, 6, 4, scales[s], memory, groups);
        ck_assert_int_eq(plumb_polar_bias(4, 6, 4, groups, bias[1], &squared[1], &tangent[1]), 0);
        ck_assert_double_eq_tol(squared[1] / squared[0], 1.0, 1e-4);
        ck_assert_double_eq_tol(tangent[1] / tangent[0], 1.0, 1e-4);
    }
}
END_TEST

static void assert_unknown(int rows, int cols, int count, const float *const *groups)
{
    double bias[MOST], squared = 1.0, tangent = 1.0;
    memset(bias, 0, sizeof bias);
    ck_assert_int_eq(plumb_polar_bias(rows, cols, count, groups, bias, &squared, &tangent), 0);
    ck_assert(isnan(squared) && isnan(tangent) && isnan(bias[0]) && isnan(bias[rows * cols - 1]));
}

START_TEST(nothing_to_tell)
{
    float memory[4 * MOST], zero[MOST] = {0.0f};
    const float *groups[4], *zeros[] = {zero, zero};
    double squared = 5.0, tangent = 5.0;
    make_groups(5, 3, 4, 1.0f, memory, groups);
    assert_unknown(5, 3, 1, groups);
    assert_unknown(5, 3, 2, zeros);
    const float *equal[] = {groups[0], groups[0], groups[0]};
    ck_assert_int_eq(plumb_polar_bias(5, 3, 3, equal, NULL, &squared, &tangent), PLUMB_OK);
    ck_assert(squared < 1e-24 && tangent < 1e-24);
    for (int k = 0; k < 4; k++) {
        for (int r = 0; r < 5; r++) {
            memory[k * 15 + r * 3 + 2] = memory[k * 15 + r * 3];
        }
    }
    assert_unknown(5, 3, 4, groups);
}
END_TEST

START_TEST(wrong_input)
{
    float memory[4 * MOST];
    const float *groups[4], *missing[2] = {memory, NULL};
    double squared = 5.0, tangent = 5.0;
    make_groups(5, 3, 4, 1.0f, memory, groups);
    ck_assert_int_eq(plumb_polar_bias(5, 3, 2, missing, NULL, &squared, &tangent),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_bias(5, 3, 0, groups, NULL, &squared, &tangent),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_bias(0, 3, 2, groups, NULL, &squared, &tangent),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_bias(5, 3, 2, groups, NULL, NULL, &tangent), PLUMB_ERROR_ARGUMENT);
    int64_t huge = (int64_t)INT32_MAX + 1;
    ck_assert_int_eq(plumb_polar_bias(huge, 1, 2, groups, NULL, &squared, &tangent),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_bias(1, huge, 2, groups, NULL, &squared, &tangent),
                     PLUMB_ERROR_ARGUMENT);
    memory[59] = INFINITY; /* the last one */
    ck_assert_int_eq(plumb_polar_bias(5, 3, 4, groups, NULL, &squared, &tangent),
                     PLUMB_ERROR_NONFINITE);
    ck_assert(squared == 5.0 && tangent == 5.0);
    int64_t allocations = -1;
    ck_assert_int_eq(plumb_memory_in_use(&allocations, NULL), PLUMB_OK);
    ck_assert_int_eq(allocations, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("polar bias");
    TCase *cases = tcase_create("loops");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, differences, 0, 7);
    tcase_add_loop_test(cases, equal_variances, 0, 4);
    suite_add_tcase(suite, cases);
    test_add(suite, "extrapolation", extrapolation);
    test_add(suite, "Richardson's contract", richardson_contract);
    test_add(suite, "isotropic contract", isotropic_contract);
    test_add(suite, "scale does not matter", scale_does_not_matter);
    test_add(suite, "nothing to tell", nothing_to_tell);
    test_add(suite, "wrong input", wrong_input);
    return test_run(suite);
}
