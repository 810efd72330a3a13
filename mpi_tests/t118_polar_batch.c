/*
 * plumb_polar_batch: the bits of plumb_polar one by one, for every method, with zeros and different
 * scales among the matrices; in place; an error names its matrix, and no memory stays behind.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { MATRICES = 7, METHODS = 6 };

static const int shapes[][2] = {{1, 1}, {16, 16}, {20, 33}, {64, 40}, {140, 130}};

static float *make_batch(int64_t elements)
{
    float *batch = reference_floats(MATRICES * elements);
    for (int64_t i = 0; i < MATRICES * elements; i++) {
        int64_t matrix = i / elements;
        batch[i] =
            matrix == 2 ? 0.0f : test_value(1, (uint64_t)i, 5) * powf(10.0f, 3 * (float)matrix);
    }
    return batch;
}

static void compare(plumb_polar_method method, int rows, int cols,
                    const plumb_polar_options *options)
{
    int64_t elements = (int64_t)rows * cols;
    size_t bytes = (size_t)(MATRICES * elements) * sizeof(float);
    float *batch = make_batch(elements);
    float *together = reference_floats(MATRICES * elements);
    float *alone = reference_floats(MATRICES * elements);
    ck_assert_int_eq(plumb_polar_batch(method, MATRICES, rows, cols, batch, together, options),
                     PLUMB_OK);
    for (int i = 0; i < MATRICES; i++) {
        ck_assert_int_eq(
            plumb_polar(method, rows, cols, batch + i * elements, alone + i * elements, options),
            PLUMB_OK);
    }
    ck_assert_msg(memcmp(together, alone, bytes) == 0, "method %d, %d x %d", (int)method, rows,
                  cols);
    ck_assert_int_eq(plumb_polar_batch(method, MATRICES, rows, cols, batch, batch, options),
                     PLUMB_OK);
    ck_assert(memcmp(batch, together, bytes) == 0);
    free(alone);
    free(together);
    free(batch);
}

static void check_no_memory_held(void)
{
    int64_t allocations;
    ck_assert_int_eq(plumb_memory_in_use(&allocations, NULL), PLUMB_OK);
    ck_assert_int_eq(allocations, 0);
}

START_TEST(same_bits_as_alone)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        compare((plumb_polar_method)_i, shapes[i][0], shapes[i][1], NULL);
    }
    check_no_memory_held();
}
END_TEST

START_TEST(options_count)
{
    plumb_polar_options options = {.size = sizeof options, .delta = 0.05, .steps = 2};
    compare(PLUMB_POLAR_FAST, 30, 20, &options);
    options = (plumb_polar_options){.size = sizeof options, .delta = 3e-4};
    compare(PLUMB_POLAR_FAST, 30, 20, &options);
    options = (plumb_polar_options){.size = sizeof options, .rank_tolerance = 1e-3};
    compare(PLUMB_POLAR_EXACT, 30, 20, &options);
    check_no_memory_held();
}
END_TEST

START_TEST(errors_name_the_matrix)
{
    enum { ELEMENTS = 12 };
    float *batch = make_batch(ELEMENTS);
    batch[4 * ELEMENTS + 5] = NAN;
    ck_assert_int_eq(plumb_polar_batch((plumb_polar_method)_i, MATRICES, 4, 3, batch, batch, NULL),
                     PLUMB_ERROR_NONFINITE);
    ck_assert_ptr_nonnull(strstr(error_text(), "matrix 4"));
    check_no_memory_held();
    free(batch);
}
END_TEST

START_TEST(wrong_arguments)
{
    float memory[64] = {0};
    plumb_polar_method method = (plumb_polar_method)_i;
    ck_assert_int_eq(plumb_polar_batch(method, 0, 2, 2, memory, memory, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_batch(method, 3, 2, 2, memory, memory + 11, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_batch(method, INT64_MAX / 4, 2, 2, memory, memory, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_batch(method, 2, 0, 2, memory, memory, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_polar_batch((plumb_polar_method)METHODS, 2, 2, 2, memory, memory, NULL),
                     PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("batches of polar factors");
    TCase *tcase = tcase_create("every method");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, same_bits_as_alone, 0, METHODS);
    tcase_add_test(tcase, options_count);
    tcase_add_loop_test(tcase, errors_name_the_matrix, 0, METHODS);
    tcase_add_loop_test(tcase, wrong_arguments, 0, METHODS);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
