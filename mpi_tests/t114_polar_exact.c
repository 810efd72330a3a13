/*
 * The exact polar factor without a singular value decomposition, against a Jacobi decomposition in
 * double: orthonormal to 2e-6, within 1e-6 of U V' for condition numbers up to 3e5, and 1e-4 at
 * 1e7, and the partial isometry where a rank tolerance is given.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>

#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

static const int shapes[][2] = {{1, 1},   {1, 8},   {7, 1},    {16, 16},  {33, 33},
                                {90, 40}, {40, 90}, {130, 65}, {70, 140}, {150, 150}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* |a - b|_F / sqrt(side). */
static double distance(int rows, int cols, const float *a, const double *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < (int64_t)rows * cols; i++) {
        double difference = (double)a[i] - b[i];
        sum += difference * difference;
    }
    return sqrt(sum / (rows < cols ? rows : cols));
}

/* max |W'W - I|, of the shorter side. */
static double orthonormality(int rows, int cols, const float *polar)
{
    bool wide = rows < cols;
    int side = wide ? rows : cols, longer = wide ? cols : rows;
    double worst = 0.0;
    for (int i = 0; i < side; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = i == j ? -1.0 : 0.0;
            for (int k = 0; k < longer; k++) {
                double left = (double)polar[wide ? i * cols + k : k * cols + i];
                sum += left * (double)polar[wide ? j * cols + k : k * cols + j];
            }
            worst = fmax(worst, fabs(sum));
        }
    }
    return worst;
}

/* The error of EXACT against U_r V_r' over the values above `cut`; *orthonormal as above. */
static double error_of(int rows, int cols, const float *matrix, double cut, double tolerance,
                       double *orthonormal)
{
    plumb_polar_options options = {.size = sizeof options, .rank_tolerance = tolerance};
    int64_t count = (int64_t)rows * cols;
    float *polar = reference_floats(count);
    double *expected = reference_doubles(count);
    reference_svd svd = reference_svd_compute(rows, cols, matrix);
    double *mapped = reference_doubles(svd.side);
    for (int i = 0; i < svd.side; i++) {
        mapped[i] = svd.values[i] > cut * reference_svd_largest(&svd) ? 1.0 : 0.0;
    }
    reference_svd_rebuild(&svd, mapped, expected);
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_EXACT, rows, cols, matrix, polar, &options), PLUMB_OK);
    double error = distance(rows, cols, polar, expected);
    *orthonormal = orthonormality(rows, cols, polar);
    reference_svd_free(&svd);
    free(mapped);
    free(expected);
    free(polar);
    return error;
}

static float *make_matrix(int rows, int cols, double condition)
{
    int side = rows < cols ? rows : cols;
    float *matrix = reference_floats((int64_t)rows * cols);
    double *values = reference_doubles(side);
    for (int i = 0; i < side; i++) {
        values[i] = side > 1 ? pow(condition, -(double)i / (side - 1)) : 1.0;
    }
    reference_matrix(rows, cols, values, 17, matrix);
    free(values);
    return matrix;
}

static void check_condition(double condition, double scale, double most)
{
    for (int i = 0; i < SHAPES; i++) {
        int rows = shapes[i][0], cols = shapes[i][1];
        double orthonormal;
        float *matrix = make_matrix(rows, cols, condition);
        for (int k = 0; k < rows * cols; k++) {
            matrix[k] = (float)(scale * (double)matrix[k]);
        }
        double error = error_of(rows, cols, matrix, 0.0, 0.0, &orthonormal);
        ck_assert_msg(error <= most, "%d x %d, condition %g: %g", rows, cols, condition, error);
        ck_assert_msg(orthonormal <= 2e-6, "%d x %d, condition %g: %g", rows, cols, condition,
                      orthonormal);
        free(matrix);
    }
}

START_TEST(condition_numbers)
{
    check_condition(1.0, 1.0, 1e-6);
    check_condition(1e2, 1.0, 1e-6);
    for (double condition = 5.0; condition < 2e4; condition *= 2.2) { /* all numbers of poles */
        check_condition(condition, 1.0, 1e-6);
    }
    check_condition(1e4, 1e30, 1e-6);
    check_condition(3e5, 1e-25, 1e-6);
    check_condition(1e6, 1.0, 2e-6);
    check_condition(1e7, 1.0, 1e-4);
}
END_TEST

/* Gaussian-like matrices, and small singular values all alike. */
START_TEST(other_spectra)
{
    enum { ROWS = 140, COLS = 110 };
    double orthonormal;
    double values[COLS];
    float *matrix = reference_floats((int64_t)ROWS * COLS);
    for (int i = 0; i < ROWS * COLS; i++) {
        matrix[i] = test_value(9, (uint64_t)i, 0);
    }
    ck_assert_double_le(error_of(ROWS, COLS, matrix, 0.0, 0.0, &orthonormal), 1e-6);
    ck_assert_double_le(orthonormal, 2e-6);
    for (int i = 0; i < COLS; i++) {
        values[i] = i < 7 ? 1.0 : 1e-5 * (1.0 + (double)i / COLS);
    }
    reference_matrix(ROWS, COLS, values, 5, matrix);
    ck_assert_double_le(error_of(ROWS, COLS, matrix, 0.0, 0.0, &orthonormal), 1e-6);
    ck_assert_double_le(orthonormal, 2e-6);
    free(matrix);
}
END_TEST

/* Singular values well above the tolerance go to 1, well below it to 0: rounded low rank, and
 * noise. */
START_TEST(partial_isometry)
{
    static const struct {
        double noise, tolerance;
    } cases[] = {{0.0, 1e-6}, {1e-5, 1e-4}, {1e-4, 1e-3}, {3e-3, 3e-2}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int i = 3; i < SHAPES; i++) {
            int rows = shapes[i][0], cols = shapes[i][1];
            int side = rows < cols ? rows : cols;
            double orthonormal;
            float *matrix = reference_floats((int64_t)rows * cols);
            double *values = reference_doubles(side);
            for (int k = 0; k < side; k++) {
                values[k] = k < side / 3 ? 1.0 - 0.5 * k / side : cases[c].noise;
            }
            reference_matrix(rows, cols, values, 23, matrix);
            double error =
                error_of(rows, cols, matrix, cases[c].tolerance, cases[c].tolerance, &orthonormal);
            ck_assert_msg(error <= 1e-5, "%d x %d, tolerance %g: %g", rows, cols,
                          cases[c].tolerance, error);
            free(values);
            free(matrix);
        }
    }
}
END_TEST

/* A tolerance below all singular values changes nothing that matters. */
START_TEST(tolerance_below_everything)
{
    double orthonormal;
    float *matrix = make_matrix(80, 60, 1e3);
    ck_assert_double_le(error_of(80, 60, matrix, 0.0, 1e-5, &orthonormal), 1e-6);
    ck_assert_double_le(orthonormal, 2e-6);
    free(matrix);
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("exact polar factor");
    TCase *tcase = tcase_create("errors");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, condition_numbers);
    tcase_add_test(tcase, other_spectra);
    tcase_add_test(tcase, partial_isometry);
    tcase_add_test(tcase, tolerance_below_everything);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
