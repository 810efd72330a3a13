/*
 * What plumb_polar promises for every method: indifference to scale, bit for bit under powers of
 * two; zero gives zero; NaN, infinities and wrong arguments give an error and leave the output
 * alone; in place is allowed; the same input gives the same bits; no memory stays behind.
 *
 * ranks: serial
 */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { ROWS = 37, COLS = 21, COUNT = ROWS * COLS };

static const plumb_polar_method methods[] = {
    PLUMB_POLAR_SVD,  PLUMB_POLAR_NEWTON_SCHULZ, PLUMB_POLAR_POLAR_EXPRESS,
    PLUMB_POLAR_FAST, PLUMB_POLAR_EXACT,         PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC};
enum { METHODS = sizeof methods / sizeof *methods };

static int64_t allocations_before, bytes_before;

static void remember_memory(void)
{
    plumb_memory_in_use(&allocations_before, &bytes_before);
}

static void compare_memory(void)
{
    int64_t allocations, bytes;
    plumb_memory_in_use(&allocations, &bytes);
    ck_assert_int_eq(allocations, allocations_before);
    ck_assert_int_eq(bytes, bytes_before);
}

static void fill(float *matrix)
{
    for (int i = 0; i < COUNT; i++) {
        matrix[i] = test_value(41, (uint64_t)i, 0);
    }
}

static bool same_bits(const float *a, const float *b)
{
    return memcmp(a, b, COUNT * sizeof(float)) == 0;
}

START_TEST(powers_of_two_change_no_bit)
{
    float matrix[COUNT];
    float scaled[COUNT];
    float expected[COUNT];
    float polar[COUNT];
    fill(matrix);
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, expected, NULL) == PLUMB_OK);
    for (int exponent = -100; exponent <= 120; exponent += 11) {
        for (int i = 0; i < COUNT; i++) {
            scaled[i] = ldexpf(matrix[i], exponent);
        }
        ck_assert(plumb_polar(methods[_i], ROWS, COLS, scaled, polar, NULL) == PLUMB_OK);
        ck_assert_msg(same_bits(polar, expected), "2^%d", exponent);
    }
}
END_TEST

/* Scales that are no powers of two, down to subnormal matrices and up to the largest float. */
START_TEST(any_scale_changes_little)
{
    static const double scale[] = {1e-30, 1e-18, 1e-7, 3.0, 1e7, 1e15, 1e30, 3.4e38};
    float matrix[COUNT];
    float scaled[COUNT];
    float polar[COUNT];
    float reference[COUNT];
    double expected[COUNT];
    fill(matrix);
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, reference, NULL) == PLUMB_OK);
    for (int i = 0; i < COUNT; i++) {
        expected[i] = (double)reference[i];
    }
    for (size_t s = 0; s < sizeof scale / sizeof *scale; s++) {
        for (int i = 0; i < COUNT; i++) {
            scaled[i] = (float)(scale[s] * (double)matrix[i]);
        }
        ck_assert(plumb_polar(methods[_i], ROWS, COLS, scaled, polar, NULL) == PLUMB_OK);
        double distance = reference_distance(COUNT, polar, expected);
        ck_assert_msg(distance < 2e-5, "scale %g: %g", scale[s], distance);
    }
}
END_TEST

/* The smallest matrix that is not zero. */
START_TEST(smallest_subnormal)
{
    float matrix[6] = {0, 0, 0, FLT_TRUE_MIN, 0, 0};
    float polar[6];
    ck_assert(plumb_polar(methods[_i], 2, 3, matrix, polar, NULL) == PLUMB_OK);
    for (int i = 0; i < 6; i++) {
        ck_assert_float_eq_tol(polar[i], i == 3 ? 1.0f : 0.0f, 0.35f);
        ck_assert(i == 3 || polar[i] == 0.0f);
    }
}
END_TEST

START_TEST(zero_gives_zero)
{
    float matrix[COUNT] = {0};
    float zero[COUNT] = {0};
    float polar[COUNT];
    matrix[3] = -0.0f;
    fill(polar);
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, polar, NULL) == PLUMB_OK);
    ck_assert(same_bits(polar, zero));
}
END_TEST

START_TEST(not_finite_is_refused)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float matrix[COUNT];
    float polar[COUNT];
    float untouched[COUNT];
    for (int i = 0; i < COUNT; i++) {
        untouched[i] = (float)i;
    }
    for (int k = 0; k < 3; k++) {
        for (int place = 0; place < COUNT; place += 97) {
            fill(matrix);
            matrix[place] = bad[k];
            memcpy(polar, untouched, sizeof polar);
            plumb_status status = plumb_polar(methods[_i], ROWS, COLS, matrix, polar, NULL);
            ck_assert_int_eq(status, PLUMB_ERROR_NONFINITE);
            ck_assert(same_bits(polar, untouched));
        }
    }
    compare_memory();
}
END_TEST

START_TEST(in_place)
{
    float matrix[COUNT];
    float polar[COUNT];
    fill(matrix);
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, polar, NULL) == PLUMB_OK);
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, matrix, NULL) == PLUMB_OK);
    ck_assert(same_bits(polar, matrix));
    compare_memory();
}
END_TEST

/* Neither repetition nor the alignment of the caller's memory may show in the bits. */
START_TEST(same_bits_again)
{
    float *memory = reference_floats(2 * (COUNT + 16));
    float first[COUNT];
    for (int shift = 0; shift < 16; shift++) {
        float *matrix = memory + shift;
        float *polar = memory + COUNT + 16 + (shift * 7) % 16;
        fill(matrix);
        ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, polar, NULL) == PLUMB_OK);
        if (shift == 0) {
            memcpy(first, polar, sizeof first);
        }
        ck_assert_msg(same_bits(first, polar), "shift %d", shift);
    }
    free(memory);
    compare_memory();
}
END_TEST

/* Calls with a wrong shape or pointer, which are refused before the matrix is read. */
static void refuse_shape(plumb_polar_method method, int64_t rows, int64_t cols, const float *matrix,
                         float *polar)
{
    ck_assert_int_eq(plumb_polar(method, rows, cols, matrix, polar, NULL), PLUMB_ERROR_ARGUMENT);
}

START_TEST(wrong_shapes_and_pointers)
{
    float memory[2 * COUNT];
    float before[COUNT];
    fill(memory);
    fill(memory + COUNT);
    fill(before);
    float *matrix = memory;
    float *polar = memory + COUNT;
    plumb_polar_method method = methods[_i];
    refuse_shape(method, 0, COLS, matrix, polar);
    refuse_shape(method, ROWS, 0, matrix, polar);
    refuse_shape(method, -1, COLS, matrix, polar);
    refuse_shape(method, ROWS, -COLS, matrix, polar);
    refuse_shape(method, (int64_t)INT_MAX + 1, 1, matrix, polar);
    ck_assert_ptr_nonnull(strstr(error_text(), "1..2147483647"));
    refuse_shape(method, 1, INT64_MAX, matrix, polar);
    ck_assert_ptr_nonnull(strstr(error_text(), "1..2147483647"));
    refuse_shape(method, ROWS, COLS, NULL, polar);
    refuse_shape(method, ROWS, COLS, matrix, NULL);
    refuse_shape(method, ROWS, COLS, matrix, matrix + 1);
    refuse_shape(method, ROWS, COLS, matrix + 1, matrix);
    refuse_shape(method, ROWS, COLS, matrix, matrix + COUNT - 1);
    ck_assert(same_bits(matrix, before));
    ck_assert(same_bits(polar, before));
    compare_memory();
}
END_TEST

static void refuse_options(plumb_polar_method method, plumb_polar_options options)
{
    float matrix[COUNT];
    float polar[COUNT];
    float before[COUNT];
    fill(matrix);
    fill(polar);
    fill(before);
    plumb_status status = plumb_polar(method, ROWS, COLS, matrix, polar, &options);
    ck_assert_int_eq(status, PLUMB_ERROR_ARGUMENT);
    ck_assert(same_bits(polar, before));
    compare_memory();
}

START_TEST(wrong_options)
{
    size_t size = sizeof(plumb_polar_options);
    refuse_options(methods[_i], (plumb_polar_options){.size = 0});
    refuse_options(methods[_i], (plumb_polar_options){.size = size - 1});
    refuse_options(methods[_i], (plumb_polar_options){.size = size + 8});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .steps = -1});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .steps = 101});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .rank_tolerance = -1e-9});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .rank_tolerance = 1.0});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .rank_tolerance = NAN});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .delta = -1e-2});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .delta = 9e-5});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .delta = 1.01});
    refuse_options(methods[_i], (plumb_polar_options){.size = size, .delta = NAN});
}
END_TEST

START_TEST(wrong_options_of_one_method)
{
    size_t size = sizeof(plumb_polar_options);
    refuse_options(PLUMB_POLAR_FAST, (plumb_polar_options){.size = size, .steps = 17});
    refuse_options(PLUMB_POLAR_EXACT, (plumb_polar_options){.size = size, .rank_tolerance = 9e-7});
}
END_TEST

START_TEST(unknown_methods)
{
    refuse_options((plumb_polar_method)6, (plumb_polar_options){.size = 0});
    refuse_shape((plumb_polar_method)6, ROWS, COLS, (float[COUNT]){0}, (float[COUNT]){0});
    refuse_shape((plumb_polar_method)77, ROWS, COLS, (float[COUNT]){0}, (float[COUNT]){0});
}
END_TEST

/* Options with zeros are the defaults: no options at all, or the defaults spelled out. */
START_TEST(default_options)
{
    static const int steps[METHODS] = {0, 5, 6, 3, 0, 5};
    static const double tolerance[METHODS] = {3e-8, 3e-8, 3e-8, 3e-8, 0, 3e-8};
    float matrix[COUNT];
    float expected[COUNT];
    float polar[COUNT];
    fill(matrix);
    plumb_polar_options zeros = {.size = sizeof zeros};
    plumb_polar_options spelled = {
        .size = sizeof spelled, .steps = steps[_i], .rank_tolerance = tolerance[_i], .delta = 1e-2};
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, expected, NULL) == PLUMB_OK);
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, polar, &zeros) == PLUMB_OK);
    ck_assert(same_bits(polar, expected));
    ck_assert(plumb_polar(methods[_i], ROWS, COLS, matrix, polar, &spelled) == PLUMB_OK);
    ck_assert(same_bits(polar, expected));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract of plumb_polar");
    TCase *tcase = tcase_create("every method");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, remember_memory, compare_memory);
    tcase_add_loop_test(tcase, powers_of_two_change_no_bit, 0, METHODS);
    tcase_add_loop_test(tcase, any_scale_changes_little, 0, METHODS);
    tcase_add_loop_test(tcase, smallest_subnormal, 0, METHODS);
    tcase_add_loop_test(tcase, zero_gives_zero, 0, METHODS);
    tcase_add_loop_test(tcase, not_finite_is_refused, 0, METHODS);
    tcase_add_loop_test(tcase, in_place, 0, METHODS);
    tcase_add_loop_test(tcase, same_bits_again, 0, METHODS);
    tcase_add_loop_test(tcase, wrong_shapes_and_pointers, 0, METHODS);
    tcase_add_loop_test(tcase, wrong_options, 0, METHODS);
    tcase_add_loop_test(tcase, default_options, 0, METHODS);
    tcase_add_test(tcase, unknown_methods);
    tcase_add_test(tcase, wrong_options_of_one_method);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
