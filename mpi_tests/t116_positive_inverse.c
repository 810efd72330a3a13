/*
 * Inverses by recursion against LAPACK's in double: sizes around every boundary of the recursion,
 * both triangles to the last bit, in place, shifts, what lies above the diagonal, and matrices that are
 * not positive definite.
 *
 * ranks: serial
 */
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/positive_inverse.h"
#include "support/reference_linalg.h"
#include "support/test.h"

/* The last two are beyond what is cut into tiles, whole and in halves. */
static const int sizes[] = {1,  2,  7,  15,  16,  17,  31,  32,  33,  47,  63,  64,
                            65, 96, 97, 127, 128, 130, 200, 257, 300, 540, 1060};
enum { SIZES = sizeof sizes / sizeof *sizes - TEST_SANITIZED };

/* Scratch that nobody may read before writing. */
static double *scratch_doubles(int n)
{
    double *scratch = reference_doubles(positive_inverse_scratch(n));
    for (int64_t i = 0; i < positive_inverse_scratch(n); i++) {
        scratch[i] = NAN;
    }
    return scratch;
}

static float *scratch_floats(int n)
{
    float *scratch = reference_floats(positive_inverse_scratch(n));
    for (int64_t i = 0; i < positive_inverse_scratch(n); i++) {
        scratch[i] = NAN;
    }
    return scratch;
}

/* Lower triangle of a matrix with eigenvalues in about [0, 1]; NaN above, which nobody may read. */
static double *make_matrix(int n)
{
    double *factor = reference_doubles((int64_t)n * n);
    double *matrix = reference_doubles((int64_t)n * n);
    for (int i = 0; i < n * n; i++) {
        factor[i] = (double)test_value(7, (uint64_t)i, (uint64_t)n);
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0.0;
            for (int k = 0; k < n; k++) {
                sum += factor[i * n + k] * factor[j * n + k];
            }
            /* As floats, so that both precisions invert the same matrix. */
            matrix[i * n + j] = j <= i ? (double)(float)(0.75 * sum / n) : (double)NAN;
        }
    }
    free(factor);
    return matrix;
}

/* (matrix + shift I)^-1 by potrf and potri, both triangles. */
static double *reference_inverse(int n, const double *matrix, double shift)
{
    double *inverse = reference_doubles((int64_t)n * n);
    memcpy(inverse, matrix, (size_t)n * (size_t)n * sizeof(double));
    for (int i = 0; i < n; i++) {
        inverse[i * n + i] += shift;
    }
    ck_assert_int_eq(LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', n, inverse, n), 0);
    ck_assert_int_eq(LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'U', n, inverse, n), 0);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            inverse[j * n + i] = inverse[i * n + j];
        }
    }
    return inverse;
}

/* |a - b|_F / |b|_F of symmetric matrices, from the lower triangles. */
static double relative_error(int n, const double *a, const double *b)
{
    double difference = 0.0, norm = 0.0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double times = i == j ? 1.0 : 2.0;
            difference += times * pow(a[i * n + j] - b[i * n + j], 2);
            norm += times * pow(b[i * n + j], 2);
        }
    }
    return isfinite(difference) ? sqrt(difference / norm) : INFINITY;
}

typedef bool inverse_single(int n, const float *matrix, float shift, float *inverse,
                            float *scratch);

static bool invert_floats(inverse_single *invert, bool in_place, int n, const double *matrix,
                          double shift, double *inverse)
{
    int64_t count = (int64_t)n * n;
    float *from = reference_floats(count), *to = reference_floats(count);
    float *scratch = scratch_floats(n);
    for (int64_t i = 0; i < count; i++) {
        from[i] = (float)matrix[i];
        to[i] = NAN;
    }
    float *result = in_place ? from : to;
    bool positive = invert(n, from, (float)shift, result, scratch);
    for (int64_t i = 0; i < count; i++) {
        inverse[i] = (double)result[i];
    }
    free(scratch);
    free(to);
    free(from);
    return positive;
}

/* Condition 1 / shift: rounding errors grow with it, Gauss-Jordan's by about its square. */
START_TEST(floats_against_lapack)
{
    static const double shifts[] = {0.5, 1e-2, 1.0 / 4096.0};
    static const double most[2][3] = {{1e-6, 2e-5, 1e-3}, {1e-6, 2e-5, 5e-3}};
    int n = sizes[_i];
    double *matrix = make_matrix(n);
    double *inverse = reference_doubles((int64_t)n * n);
    double *in_place = reference_doubles((int64_t)n * n);
    for (int s = 0; s < 3; s++) {
        double shift = (double)(float)shifts[s];
        double *wanted = reference_inverse(n, matrix, shift);
        for (int kind = 0; kind < 2; kind++) {
            inverse_single *invert =
                kind == 0 ? positive_inverse_single : positive_inverse_conditioned;
            ck_assert(invert_floats(invert, false, n, matrix, shift, inverse));
            ck_assert(invert_floats(invert, true, n, matrix, shift, in_place));
            double error = relative_error(n, inverse, wanted);
            ck_assert_msg(error <= most[kind][s], "n %d, shift %g: %g", n, shift, error);
            ck_assert(relative_error(n, in_place, inverse) == 0.0);
        }
        free(wanted);
    }
    free(in_place);
    free(inverse);
    free(matrix);
}
END_TEST

START_TEST(doubles_against_lapack)
{
    int n = sizes[_i];
    double *matrix = make_matrix(n);
    double *wanted = reference_inverse(n, matrix, 1e-6);
    double *inverse = reference_doubles((int64_t)n * n);
    double *scratch = scratch_doubles(n);
    ck_assert(positive_inverse_double(n, matrix, 1e-6, inverse, scratch));
    double error = relative_error(n, inverse, wanted);
    ck_assert_msg(error <= 1e-9, "n %d: %g", n, error);
    ck_assert(positive_inverse_double(n, matrix, 1e-6, matrix, scratch));
    ck_assert(relative_error(n, matrix, inverse) == 0.0);
    free(scratch);
    free(inverse);
    free(wanted);
    free(matrix);
}
END_TEST

START_TEST(conditioned_doubles_against_lapack)
{
    int n = sizes[_i];
    double *matrix = make_matrix(n);
    double *wanted = reference_inverse(n, matrix, 1e-4);
    double *inverse = reference_doubles((int64_t)n * n);
    double *scratch = reference_doubles(positive_inverse_scratch(n));
    ck_assert(positive_inverse_conditioned_double(n, matrix, 1e-4, inverse, scratch));
    double error = relative_error(n, inverse, wanted);
    ck_assert_msg(error <= 1e-10, "n %d: %g", n, error);
    ck_assert(positive_inverse_conditioned_double(n, matrix, 1e-4, matrix, scratch));
    ck_assert(relative_error(n, matrix, inverse) == 0.0);
    free(scratch);
    free(inverse);
    free(wanted);
    free(matrix);
}
END_TEST

/* A diagonal with one element that is negative, zero or NaN, wherever it stands. */
START_TEST(not_positive_definite)
{
    static const double bad[] = {-1.0, 0.0, NAN};
    int n = sizes[_i];
    double *matrix = reference_doubles((int64_t)n * n);
    double *inverse = reference_doubles((int64_t)n * n);
    double *scratch = reference_doubles(positive_inverse_scratch(n));
    for (int k = 0; k < 3; k++) {
        for (int place = 0; place < n; place += 1 + n / 5) {
            memset(matrix, 0, (size_t)n * (size_t)n * sizeof(double));
            for (int i = 0; i < n; i++) {
                matrix[i * n + i] = i == place ? bad[k] - 0.5 : 1.0;
            }
            ck_assert(!positive_inverse_double(n, matrix, 0.5, inverse, scratch));
            ck_assert(!positive_inverse_conditioned_double(n, matrix, 0.5, inverse, scratch));
            ck_assert(!invert_floats(positive_inverse_single, false, n, matrix, 0.5, inverse));
            ck_assert(!invert_floats(positive_inverse_conditioned, false, n, matrix, 0.5, inverse));
        }
    }
    free(scratch);
    free(inverse);
    free(matrix);
}
END_TEST

/* Exactly representable: 3 I + 2 A, of which only the lower triangle is read, then both. */
START_TEST(sums_and_mirrors)
{
    int n = sizes[_i];
    int64_t count = (int64_t)n * n;
    double *matrix = reference_doubles(count), *sum = reference_doubles(count);
    float *single = reference_floats(count), *single_sum = reference_floats(count);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            matrix[i * n + j] = j <= i ? (double)(i * n + j) / 4.0 : (double)NAN;
            single[i * n + j] = (float)matrix[i * n + j];
            sum[i * n + j] = NAN;
            single_sum[i * n + j] = NAN;
        }
    }
    positive_begin_double(n, 3.0, sum);
    positive_begin_single(n, 3.0f, single_sum);
    positive_add_double(n, 2.0, matrix, sum);
    positive_add_single(n, 2.0f, single, single_sum);
    positive_mirror_double(n, sum);
    positive_mirror_single(n, single_sum);
    int wrong = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            int row = i > j ? i : j, col = i > j ? j : i;
            double wanted = (i == j ? 3.0 : 0.0) + (double)(row * n + col) / 2.0;
            wrong += sum[i * n + j] != wanted || (double)single_sum[i * n + j] != wanted;
        }
    }
    ck_assert_int_eq(wrong, 0);
    free(single_sum);
    free(single);
    free(sum);
    free(matrix);
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("positive definite inverses");
    TCase *tcase = tcase_create("every size");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, floats_against_lapack, 0, SIZES);
    tcase_add_loop_test(tcase, doubles_against_lapack, 0, SIZES);
    tcase_add_loop_test(tcase, conditioned_doubles_against_lapack, 0, SIZES);
    tcase_add_loop_test(tcase, not_positive_definite, 0, SIZES);
    tcase_add_loop_test(tcase, sums_and_mirrors, 0, SIZES);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
