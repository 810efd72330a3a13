/*
 * The reference polar factor against one-sided Jacobi: shapes, small singular values, exact and
 * rounded rank deficiency, the rank tolerance.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>

#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

/* The largest distance of plumb_polar's result from U_r V_r' with the values above `cut`. */
static double distance_from_isometry(int rows, int cols, const float *matrix, double cut,
                                     const plumb_polar_options *options)
{
    int64_t count = (int64_t)rows * cols;
    float *polar = reference_floats(count);
    double *expected = reference_doubles(count);
    reference_svd svd = reference_svd_compute(rows, cols, matrix);
    double *mapped = reference_doubles(svd.side);
    for (int i = 0; i < svd.side; i++) {
        mapped[i] = svd.values[i] > cut * reference_svd_largest(&svd) ? 1.0 : 0.0;
    }
    reference_svd_rebuild(&svd, mapped, expected);
    plumb_status status = plumb_polar(PLUMB_POLAR_SVD, rows, cols, matrix, polar, options);
    double distance = reference_distance(count, polar, expected);
    reference_svd_free(&svd);
    free(mapped);
    free(expected);
    free(polar);
    return status == PLUMB_OK ? distance : INFINITY;
}

static void fill(int64_t count, uint64_t seed, float *matrix)
{
    for (int64_t i = 0; i < count; i++) {
        matrix[i] = test_value(seed, (uint64_t)i, 1);
    }
}

START_TEST(shapes)
{
    static const int shape[][2] = {{1, 1},    {1, 7},    {7, 1},   {2, 2},   {5, 3},
                                   {3, 5},    {16, 16},  {33, 17}, {17, 33}, {200, 60},
                                   {60, 200}, {1, 1000}, {96, 96}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        int64_t count = (int64_t)shape[i][0] * shape[i][1];
        float *matrix = reference_floats(count);
        fill(count, i, matrix);
        double distance = distance_from_isometry(shape[i][0], shape[i][1], matrix, 0.0, NULL);
        ck_assert_msg(distance < 2e-7, "%d x %d: %g", shape[i][0], shape[i][1], distance);
        free(matrix);
    }
}
END_TEST

/* Singular values from 1 down to 1e-6: all of them go to 1. */
START_TEST(small_singular_values)
{
    enum { ROWS = 60, COLS = 40 };
    static float matrix[ROWS * COLS];
    double values[COLS];
    for (int i = 0; i < COLS; i++) {
        values[i] = pow(10.0, -6.0 * i / (COLS - 1));
    }
    reference_matrix(ROWS, COLS, values, 3, matrix);
    double distance = distance_from_isometry(ROWS, COLS, matrix, 0.0, NULL);
    ck_assert_msg(distance < 1e-7, "%g", distance);
}
END_TEST

/* A product of small integer matrices is exactly of rank 5, so that only U_r V_r' is defined. */
static void low_rank(int rows, int cols, float *matrix)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            float sum = 0.0f;
            for (int k = 0; k < 5; k++) {
                sum += test_integer(1, (uint64_t)i, (uint64_t)k, 9) *
                       test_integer(2, (uint64_t)j, (uint64_t)k, 9);
            }
            matrix[(int64_t)i * cols + j] = sum;
        }
    }
}

START_TEST(rank_deficient)
{
    static const int shape[][2] = {{30, 20}, {20, 30}, {24, 24}, {6, 200}, {200, 6}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        float *matrix = reference_floats((int64_t)shape[i][0] * shape[i][1]);
        low_rank(shape[i][0], shape[i][1], matrix);
        double distance = distance_from_isometry(shape[i][0], shape[i][1], matrix, 1e-9, NULL);
        ck_assert_msg(distance < 2e-7, "%d x %d: %g", shape[i][0], shape[i][1], distance);
        free(matrix);
    }
}
END_TEST

/* The default tolerance also sees through the rounding of a low-rank matrix to float. */
START_TEST(rank_deficient_after_rounding)
{
    enum { ROWS = 256, COLS = 128, RANK = 8 };
    float *matrix = reference_floats(ROWS * COLS);
    double values[COLS] = {0};
    for (int i = 0; i < RANK; i++) {
        values[i] = 1.0;
    }
    reference_matrix(ROWS, COLS, values, 5, matrix);
    double distance = distance_from_isometry(ROWS, COLS, matrix, 1e-4, NULL);
    ck_assert_msg(distance < 1e-6, "%g", distance);
    free(matrix);
}
END_TEST

/* Exactly zero rows and columns stay zero. */
START_TEST(zero_rows_and_columns)
{
    enum { ROWS = 12, COLS = 9 };
    float matrix[ROWS * COLS];
    float polar[ROWS * COLS];
    fill(ROWS * COLS, 7, matrix);
    for (int j = 0; j < COLS; j++) {
        matrix[4 * COLS + j] = 0.0f;
    }
    for (int i = 0; i < ROWS; i++) {
        matrix[i * COLS + 6] = 0.0f;
    }
    ck_assert(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, matrix, polar, NULL) == PLUMB_OK);
    for (int j = 0; j < COLS; j++) {
        ck_assert(fabsf(polar[4 * COLS + j]) < 1e-7f);
    }
    for (int i = 0; i < ROWS; i++) {
        ck_assert(fabsf(polar[i * COLS + 6]) < 1e-7f);
    }
}
END_TEST

/* Values 1, 0.1, 0.01, ...: each tolerance keeps those above it, however close. */
START_TEST(rank_tolerance)
{
    enum { SIDE = 6 };
    float matrix[SIDE * SIDE];
    double values[SIDE];
    for (int i = 0; i < SIDE; i++) {
        values[i] = pow(10.0, -i);
    }
    reference_matrix(SIDE, SIDE, values, 11, matrix);
    for (int kept = 1; kept < SIDE; kept++) {
        const double tolerances[2] = {1.05 * values[kept], 0.95 * values[kept - 1]};
        for (int k = 0; k < 2; k++) {
            plumb_polar_options options = {.size = sizeof options, .rank_tolerance = tolerances[k]};
            double distance =
                distance_from_isometry(SIDE, SIDE, matrix, sqrt(0.1) * values[kept - 1], &options);
            ck_assert_msg(distance < 1e-6, "%d kept: %g", kept, distance);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("polar factor by SVD");
    test_add(suite, "shapes", shapes);
    test_add(suite, "small singular values", small_singular_values);
    test_add(suite, "rank deficient", rank_deficient);
    test_add(suite, "rank deficient after rounding", rank_deficient_after_rounding);
    test_add(suite, "zero rows and columns", zero_rows_and_columns);
    test_add(suite, "rank tolerance", rank_tolerance);
    return test_run(suite);
}
