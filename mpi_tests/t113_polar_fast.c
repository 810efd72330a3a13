/*
 * The fast polar factor against W = U s/sqrt(s^2 + d^2) V' from a Jacobi decomposition in double, d
 * relative to the largest singular value: the whole error matrix stays within the band in the
 * spectral norm, on every kind of spectrum, shape and scale. Also the estimate that delta rests on.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/polar_fast.h"
#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

typedef enum spectrum_kind {
    RANDOM,
    CONDITION_1E4,
    CONDITION_1E7,
    NOISE,
    DEFICIENT,
    ONE,
    KINDS
} kind;

static double value_of(kind which, int i, int side)
{
    double place = side > 1 ? (double)i / (side - 1) : 0.0;
    switch (which) {
    case CONDITION_1E4:
        return pow(1e-4, place);
    case CONDITION_1E7:
        return pow(1e-7, place);
    case NOISE:
        return i <= side / 16 ? 1.0 : 3e-4 * (1.0 - 0.999 * place);
    case DEFICIENT:
        return i < (side + 1) / 2 ? 1.0 - 0.9 * place : 0.0;
    default:
        return i == 0 ? 1.0 : 1e-2;
    }
}

static float *make_matrix(kind which, int rows, int cols)
{
    int64_t count = (int64_t)rows * cols;
    int side = rows < cols ? rows : cols;
    float *matrix = reference_floats(count);
    double *values = reference_doubles(side);
    for (int i = 0; i < side; i++) {
        values[i] = value_of(which, i, side);
    }
    reference_matrix(rows, cols, values, 11 + (uint64_t)which, matrix);
    for (int64_t i = 0; i < count && which == RANDOM; i++) {
        matrix[i] = test_value(3, (uint64_t)i, (uint64_t)rows);
    }
    free(values);
    return matrix;
}

/* |polar - W|_2 for W of `matrix` with this delta. */
static double distance_from_damped(int rows, int cols, const reference_svd *svd, double delta,
                                   const float *polar)
{
    int64_t count = (int64_t)rows * cols;
    double *expected = reference_doubles(count);
    double *mapped = reference_doubles(svd->side);
    float *error = reference_floats(count);
    double largest = reference_svd_largest(svd);
    for (int i = 0; i < svd->side; i++) {
        double ratio = svd->values[i] / largest;
        mapped[i] = ratio / hypot(ratio, delta);
    }
    reference_svd_rebuild(svd, mapped, expected);
    for (int64_t i = 0; i < count; i++) {
        error[i] = (float)((double)polar[i] - expected[i]);
    }
    reference_svd of_error = reference_svd_compute(rows, cols, error);
    double distance = reference_svd_largest(&of_error);
    reference_svd_free(&of_error);
    free(error);
    free(mapped);
    free(expected);
    return distance;
}

static void check_band(kind which, int rows, int cols, const plumb_polar_options *options,
                       double band)
{
    static const float scale[] = {1.0f, 1e-30f, 1e30f};
    int64_t count = (int64_t)rows * cols;
    double delta = options->delta > 0.0 ? options->delta : 1e-2;
    float *matrix = make_matrix(which, rows, cols);
    float *scaled = reference_floats(count);
    reference_svd svd = reference_svd_compute(rows, cols, matrix);
    for (int s = 0; s < 3; s++) {
        for (int64_t i = 0; i < count; i++) {
            scaled[i] = scale[s] * matrix[i];
        }
        plumb_status status = plumb_polar(PLUMB_POLAR_FAST, rows, cols, scaled, scaled, options);
        ck_assert_int_eq(status, PLUMB_OK);
        double distance = distance_from_damped(rows, cols, &svd, delta, scaled);
        ck_assert_msg(distance <= band, "kind %d, %d x %d, scale %g: %g", (int)which, rows, cols,
                      (double)scale[s], distance);
    }
    reference_svd_free(&svd);
    free(scaled);
    free(matrix);
}

static const int shapes[][2] = {{1, 1},   {1, 8},   {7, 1},    {16, 16},  {33, 33},
                                {90, 40}, {40, 90}, {130, 65}, {70, 140}, {150, 150}};

static void check_every_shape(kind which, plumb_polar_options options, double band)
{
    options.size = sizeof options;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_band(which, shapes[i][0], shapes[i][1], &options, band);
    }
}

START_TEST(default_band)
{
    check_every_shape((kind)_i, (plumb_polar_options){0}, 1.3e-2);
}
END_TEST

START_TEST(narrower_band)
{
    check_every_shape((kind)_i, (plumb_polar_options){.delta = 3e-3}, 9e-3);
}
END_TEST

/* The ends of delta's range, and of the part in single precision. */
START_TEST(other_deltas)
{
    static const double deltas[] = {1e-4, 2.4e-3, 2.5e-3, 0.1, 1.0};
    plumb_polar_options options = {.size = sizeof options};
    for (size_t i = 0; i < sizeof deltas / sizeof *deltas; i++) {
        options.delta = deltas[i];
        check_band((kind)_i, 96, 80, &options, 1.3e-2);
    }
}
END_TEST

/* More poles: down to the error of the estimate of the largest eigenvalue, which moves delta. */
START_TEST(more_poles)
{
    plumb_polar_options options = {.size = sizeof options, .steps = 2};
    check_band((kind)_i, 80, 48, &options, 7e-2);
    options.steps = 8;
    check_band((kind)_i, 80, 48, &options, 4e-3);
}
END_TEST

/* gram = G'G in double, rounded; both triangles. */
static void form_gram(int rows, int cols, const float *matrix, float *gram)
{
    for (int i = 0; i < cols; i++) {
        for (int j = 0; j < cols; j++) {
            double sum = 0.0;
            for (int k = 0; k < rows; k++) {
                sum += (double)matrix[k * cols + i] * (double)matrix[k * cols + j];
            }
            gram[i * cols + j] = (float)sum;
        }
    }
}

START_TEST(estimate_of_the_largest_eigenvalue)
{
    enum { ROWS = 170, COLS = 160 };
    float *matrix = make_matrix((kind)_i, ROWS, COLS);
    float *gram = reference_floats((int64_t)COLS * COLS);
    float *scratch = reference_floats(polar_fast_scale_scratch(COLS));
    form_gram(ROWS, COLS, matrix, gram);
    reference_svd svd = reference_svd_compute(ROWS, COLS, matrix);
    double largest = reference_svd_largest(&svd) * reference_svd_largest(&svd);
    double ratio = (double)polar_fast_scale_in(COLS, gram, scratch) / largest;
    ck_assert_msg(ratio > 0.97 && ratio < 1.03, "kind %d: %g", _i, ratio);
    reference_svd_free(&svd);
    free(scratch);
    free(gram);
    free(matrix);
}
END_TEST

START_TEST(zero_rows_and_columns_stay_zero)
{
    enum { ROWS = 60, COLS = 45 };
    float matrix[ROWS * COLS];
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            bool zero = i % 7 == 2 || j % 5 == 1;
            matrix[i * COLS + j] = zero ? 0.0f : test_value(5, (uint64_t)i, (uint64_t)j);
        }
    }
    plumb_polar_method method = _i == 0 ? PLUMB_POLAR_FAST : PLUMB_POLAR_EXACT;
    ck_assert_int_eq(plumb_polar(method, ROWS, COLS, matrix, matrix, NULL), PLUMB_OK);
    for (int i = 0; i < ROWS * COLS; i++) {
        bool zero = i / COLS % 7 == 2 || i % COLS % 5 == 1;
        ck_assert(!zero || matrix[i] == 0.0f);
    }
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("fast polar factor");
    TCase *tcase = tcase_create("band");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, default_band, 0, KINDS);
    tcase_add_loop_test(tcase, narrower_band, 0, KINDS);
    tcase_add_loop_test(tcase, other_deltas, 0, KINDS);
    tcase_add_loop_test(tcase, more_poles, 0, KINDS);
    tcase_add_loop_test(tcase, estimate_of_the_largest_eigenvalue, 0, KINDS);
    tcase_add_loop_test(tcase, zero_rows_and_columns_stay_zero, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
