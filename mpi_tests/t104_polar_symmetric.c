/*
 * The symmetric factor H of the polar decomposition: W H = G (tall) or H W = G (wide), the order of
 * the packed triangle, H against V S V' by Jacobi, scale, zero, wrong input, in place.
 *
 * ranks: serial
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/polar.h"
#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

static const int shapes[][2] = {{1, 1}, {1, 12},  {12, 1},  {2, 2},   {9, 4},
                                {4, 9}, {40, 40}, {80, 30}, {30, 80}, {16, 200}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void fill(int64_t count, uint64_t seed, double scale, float *matrix)
{
    for (int64_t i = 0; i < count; i++) {
        matrix[i] = (float)(scale * (double)test_value(seed, (uint64_t)i, 0));
    }
}

static int64_t packed_count(int rows, int cols)
{
    int64_t side = rows < cols ? rows : cols;
    return side * (side + 1) / 2;
}

/* The upper triangle by rows of V S V' (tall) or U S U' (wide). */
static void reference_factor(int rows, int cols, const float *matrix, double *packed)
{
    reference_svd svd = reference_svd_compute(rows, cols, matrix);
    const double *vectors = rows >= cols ? svd.right : svd.left;
    for (int i = 0; i < svd.side; i++) {
        for (int j = i; j < svd.side; j++) {
            double sum = 0.0;
            for (int k = 0; k < svd.side; k++) {
                sum += vectors[i * svd.side + k] * svd.values[k] * vectors[j * svd.side + k];
            }
            *packed++ = sum;
        }
    }
    reference_svd_free(&svd);
}

START_TEST(factor_is_the_reference_s)
{
    static const double scales[] = {1e-30, 1.0, 1e30};
    int rows = shapes[_i % SHAPES][0];
    int cols = shapes[_i % SHAPES][1];
    double scale = scales[_i / SHAPES];
    float *matrix = reference_floats((int64_t)rows * cols);
    float *packed = reference_floats(packed_count(rows, cols));
    double *expected = reference_doubles(packed_count(rows, cols));
    fill((int64_t)rows * cols, 3, scale, matrix);
    reference_factor(rows, cols, matrix, expected);
    ck_assert(polar_factor_symmetric(rows, cols, matrix, packed) == PLUMB_OK);
    double distance = reference_distance(packed_count(rows, cols), packed, expected) / scale;
    ck_assert_msg(distance < 2e-6, "%d x %d, scale %g: %g", rows, cols, scale, distance);
    free(matrix);
    free(packed);
    free(expected);
}
END_TEST

/* W H = G or H W = G, into other memory and in place. */
START_TEST(factors_give_the_matrix_back)
{
    int rows = shapes[_i][0];
    int cols = shapes[_i][1];
    int64_t count = (int64_t)rows * cols;
    float *matrix = reference_floats(count);
    float *polar = reference_floats(count);
    float *product = reference_floats(count);
    float *packed = reference_floats(packed_count(rows, cols));
    double *expected = reference_doubles(count);
    fill(count, 5, 1.0, matrix);
    for (int64_t k = 0; k < count; k++) {
        expected[k] = (double)matrix[k];
    }
    ck_assert(plumb_polar(PLUMB_POLAR_SVD, rows, cols, matrix, polar, NULL) == PLUMB_OK);
    ck_assert(polar_factor_symmetric(rows, cols, matrix, packed) == PLUMB_OK);
    ck_assert(polar_multiply_symmetric(rows, cols, polar, packed, product) == PLUMB_OK);
    double distance = reference_distance(count, product, expected);
    ck_assert_msg(distance < 2e-6, "%d x %d: %g", rows, cols, distance);
    ck_assert(polar_multiply_symmetric(rows, cols, polar, packed, polar) == PLUMB_OK);
    ck_assert(memcmp(polar, product, (size_t)count * sizeof(float)) == 0);
    free(matrix);
    free(polar);
    free(product);
    free(packed);
    free(expected);
}
END_TEST

/* A diagonal G shows which element of the triangle is which. */
START_TEST(packed_order)
{
    float tall[4 * 3] = {-2, 0, 0, 0, 3, 0, 0, 0, -5, 0, 0, 0};
    float wide[3 * 4] = {-2, 0, 0, 0, 0, 3, 0, 0, 0, 0, -5, 0};
    float expected[6] = {2, 0, 0, 3, 0, 5};
    float packed[6];
    ck_assert(polar_factor_symmetric(4, 3, tall, packed) == PLUMB_OK);
    for (int i = 0; i < 6; i++) {
        ck_assert_float_eq_tol(packed[i], expected[i], 1e-6f);
    }
    ck_assert(polar_factor_symmetric(3, 4, wide, packed) == PLUMB_OK);
    for (int i = 0; i < 6; i++) {
        ck_assert_float_eq_tol(packed[i], expected[i], 1e-6f);
    }
}
END_TEST

/* With H = ((1, 2, 3), (2, 4, 5), (3, 5, 6)) and integers, products are exact. */
START_TEST(multiply_exactly)
{
    static const float packed[6] = {1, 2, 3, 4, 5, 6};
    static const float tall[2 * 3 * 2] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, -1, 2};
    static const float tall_expected[12] = {1, 2, 3, 2, 4, 5, 3, 5, 6, 5, 8, 10};
    static const float wide[12] = {1, 0, 0, 1, 0, 1, 0, -1, 0, 0, 1, 2};
    static const float wide_expected[12] = {1, 2, 3, 5, 2, 4, 5, 8, 3, 5, 6, 10};
    float product[12];
    ck_assert(polar_multiply_symmetric(4, 3, tall, packed, product) == PLUMB_OK);
    ck_assert(memcmp(product, tall_expected, sizeof product) == 0);
    ck_assert(polar_multiply_symmetric(3, 4, wide, packed, product) == PLUMB_OK);
    ck_assert(memcmp(product, wide_expected, sizeof product) == 0);
}
END_TEST

START_TEST(powers_of_two_scale_every_bit)
{
    enum { ROWS = 11, COLS = 7, PACKED = 28 };
    float matrix[ROWS * COLS];
    float packed[PACKED];
    float scaled[PACKED];
    fill(ROWS * COLS, 9, 1.0, matrix);
    ck_assert(polar_factor_symmetric(ROWS, COLS, matrix, packed) == PLUMB_OK);
    for (int i = 0; i < ROWS * COLS; i++) {
        matrix[i] = ldexpf(matrix[i], 77);
    }
    ck_assert(polar_factor_symmetric(ROWS, COLS, matrix, scaled) == PLUMB_OK);
    for (int i = 0; i < PACKED; i++) {
        ck_assert(scaled[i] == ldexpf(packed[i], 77));
    }
}
END_TEST

START_TEST(zero_and_wrong_input)
{
    float matrix[6] = {0};
    float packed[3] = {7, 8, 9};
    ck_assert(polar_factor_symmetric(3, 2, matrix, packed) == PLUMB_OK);
    ck_assert(packed[0] == 0.0f && packed[1] == 0.0f && packed[2] == 0.0f);
    packed[0] = 7;
    matrix[5] = NAN;
    ck_assert_int_eq(polar_factor_symmetric(3, 2, matrix, packed), PLUMB_ERROR_NONFINITE);
    matrix[5] = INFINITY;
    ck_assert_int_eq(polar_factor_symmetric(3, 2, matrix, packed), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(polar_factor_symmetric(0, 2, matrix, packed), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(polar_factor_symmetric(3, -2, matrix, packed), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(polar_multiply_symmetric(0, 2, matrix, packed, matrix), PLUMB_ERROR_ARGUMENT);
    for (int i = 0; i < 6; i++) {
        matrix[i] = FLT_MAX; /* the singular value is above the largest float */
    }
    ck_assert_int_eq(polar_factor_symmetric(3, 2, matrix, packed), PLUMB_ERROR_NUMERICAL);
    ck_assert(packed[0] == 7.0f);
    int64_t allocations;
    plumb_memory_in_use(&allocations, NULL);
    ck_assert_int_eq(allocations, 0);
}
END_TEST

/* Costs order methods and grow with the work; their unit is seconds. */
START_TEST(costs)
{
    double schulz = polar_cost(PLUMB_POLAR_NEWTON_SCHULZ, 0, 1024, 1024);
    ck_assert(schulz > 0.01 && schulz < 10.0);
    ck_assert(polar_cost(PLUMB_POLAR_NEWTON_SCHULZ, 5, 1024, 1024) == schulz);
    ck_assert(polar_cost(PLUMB_POLAR_NEWTON_SCHULZ, 10, 1024, 1024) == 2.0 * schulz);
    ck_assert(polar_cost(PLUMB_POLAR_NEWTON_SCHULZ, 0, 512, 2048) ==
              polar_cost(PLUMB_POLAR_NEWTON_SCHULZ, 0, 2048, 512));
    ck_assert(polar_cost(PLUMB_POLAR_POLAR_EXPRESS, 0, 1024, 1024) > schulz);
    ck_assert(polar_cost(PLUMB_POLAR_SVD, 0, 1024, 1024) > schulz);
    ck_assert(polar_cost(PLUMB_POLAR_NEWTON_SCHULZ, 0, INT64_C(1) << 30, INT64_C(1) << 30) > 1e9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symmetric factor");
    TCase *tcase = tcase_create("shapes");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, factor_is_the_reference_s, 0, 3 * SHAPES);
    tcase_add_loop_test(tcase, factors_give_the_matrix_back, 0, SHAPES);
    suite_add_tcase(suite, tcase);
    test_add(suite, "packed order", packed_order);
    test_add(suite, "multiply exactly", multiply_exactly);
    test_add(suite, "powers of two", powers_of_two_scale_every_bit);
    test_add(suite, "zero and wrong input", zero_and_wrong_input);
    test_add(suite, "costs", costs);
    return test_run(suite);
}
