/*
 * Products cut into tiles against plain sums of integers, which are exact in any order: sizes
 * around every border of a tile and of what is cut, all forms, strides wider than rows, and the
 * elements between rows, which nobody may touch.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>

#include "linalg/blas_environment.h"
#include "linalg/tiled_product.h"
#include "support/reference_linalg.h"
#include "support/test.h"

/* rows, cols, inner: of one tile, of pieces of tiles, long and narrow ones, and too large to cut. */
static const int shapes[][3] = {
    {1, 1, 1},      {48, 80, 256},  {49, 81, 257},   {47, 79, 512},  {100, 100, 100},
    {101, 100, 99}, {33, 500, 300}, {300, 511, 17},  {600, 64, 64},  {1, 512, 512},
    {129, 1, 511},  {96, 160, 96},  {130, 513, 128}, {90, 100, 513},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct operand {
    CBLAS_TRANSPOSE form;
    int stride;
    float *singles;
    double *doubles;
} operand;

/* The matrix rows x cols, or its transpose, in memory with some elements between its lines. */
static operand make_operand(bool transposed, int rows, int cols, uint64_t seed)
{
    int lines = transposed ? cols : rows, length = transposed ? rows : cols;
    operand o = {.form = transposed ? CblasTrans : CblasNoTrans, .stride = length + 3};
    int64_t count = (int64_t)lines * o.stride;
    o.singles = reference_floats(count);
    o.doubles = reference_doubles(count);
    for (int64_t i = 0; i < count; i++) {
        int64_t line = i / o.stride, place = i % o.stride;
        int64_t row = transposed ? place : line, col = transposed ? line : place;
        o.singles[i] = place < length ? test_integer(seed, (uint64_t)row, (uint64_t)col, 4) : NAN;
        o.doubles[i] = (double)o.singles[i];
    }
    return o;
}

static void free_operand(operand *o)
{
    free(o->singles);
    free(o->doubles);
}

/* The sums, rows x cols, of the untransposed operands of these seeds. */
static double *plain_product(int rows, int cols, int inner, uint64_t left_seed, uint64_t right_seed)
{
    operand left = make_operand(false, rows, inner, left_seed);
    operand right = make_operand(false, inner, cols, right_seed);
    double *sums = reference_doubles((int64_t)rows * cols);
    for (int64_t i = 0; i < (int64_t)rows * cols; i++) {
        sums[i] = 0.0;
    }
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < inner; k++) {
            double factor = left.doubles[(int64_t)i * left.stride + k];
            for (int j = 0; j < cols; j++) {
                sums[(int64_t)i * cols + j] +=
                    factor * right.doubles[(int64_t)k * right.stride + j];
            }
        }
    }
    free_operand(&right);
    free_operand(&left);
    return sums;
}

enum { BETWEEN = 7 };

/* Both kinds against the sums; of a half product the lower triangle. */
static void compare(const operand *left, const operand *right, const double *sums, int rows,
                    int cols, int inner, bool half, double beta)
{
    int stride = cols + BETWEEN;
    int64_t count = (int64_t)rows * stride, wrong = 0;
    float *singles = reference_floats(count);
    double *doubles = reference_doubles(count);
    for (int64_t i = 0; i < count; i++) {
        singles[i] = beta == 0.0 ? NAN : (float)(i % 5);
        doubles[i] = (double)singles[i];
    }
    if (half) {
        tiled_half_product_single(left->form, right->form, rows, inner, 3.0f, left->singles,
                                  left->stride, right->singles, right->stride, (float)beta, singles,
                                  stride);
        tiled_half_product_double(left->form, right->form, rows, inner, 3.0, left->doubles,
                                  left->stride, right->doubles, right->stride, beta, doubles,
                                  stride);
    } else {
        tiled_product_single(left->form, right->form, rows, cols, inner, 3.0f, left->singles,
                             left->stride, right->singles, right->stride, (float)beta, singles,
                             stride);
        tiled_product_double(left->form, right->form, rows, cols, inner, 3.0, left->doubles,
                             left->stride, right->doubles, right->stride, beta, doubles, stride);
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t row = i / stride, col = i % stride;
        if (half && col > row) {
            continue;
        }
        double before = beta == 0.0 ? NAN : (double)(i % 5);
        double kept = beta == 0.0 ? 0.0 : beta * before;
        double value = col < cols ? 3.0 * sums[row * cols + col] + kept : before;
        bool same = isnan(value) ? isnan(singles[i]) && isnan(doubles[i])
                                 : (double)singles[i] == value && doubles[i] == value;
        wrong += !same;
    }
    ck_assert_msg(wrong == 0, "%d x %d x %d, half %d, beta %g: %lld elements", rows, cols, inner,
                  half, beta, (long long)wrong);
    free(doubles);
    free(singles);
}

START_TEST(every_form)
{
    int rows = shapes[_i][0], cols = shapes[_i][1], inner = shapes[_i][2];
    double *sums = plain_product(rows, cols, inner, 1, 2);
    for (int form = 0; form < 4; form++) {
        operand left = make_operand(form / 2 == 1, rows, inner, 1);
        operand right = make_operand(form % 2 == 1, inner, cols, 2);
        compare(&left, &right, sums, rows, cols, inner, false, form % 2 == 0 ? 0.0 : 2.0);
        compare(&left, &right, sums, rows, cols, inner, false, -1.0);
        free_operand(&right);
        free_operand(&left);
    }
    free(sums);
}
END_TEST

START_TEST(lower_triangles)
{
    static const int sides[] = {1, 31, 33, 150, 257, 520};
    for (int i = 0; i < 6; i++) {
        int n = sides[i], inner = 40 + n / 2;
        double *sums = plain_product(n, n, inner, 3, 4);
        for (int form = 0; form < 4; form++) {
            operand left = make_operand(form / 2 == 1, n, inner, 3);
            operand right = make_operand(form % 2 == 1, inner, n, 4);
            compare(&left, &right, sums, n, n, inner, true, form < 2 ? 0.0 : 1.0);
            free_operand(&right);
            free_operand(&left);
        }
        free(sums);
    }
}
END_TEST

/* Lines of the cache begin where rows do, and not at a multiple of 256 bytes from each other. */
START_TEST(strides)
{
    for (int cols = 1; cols < 2000; cols++) {
        int stride = tiled_product_stride(cols);
        ck_assert_int_ge(stride, cols);
        ck_assert_int_le(stride, cols + 31);
        ck_assert(cols < 64 || (stride % 16 == 0 && stride % 64 != 0));
    }
}
END_TEST

START_TEST(what_is_cut)
{
    ck_assert(tiled_product_takes(TILED_MOST_SIDE) == blas_has_small_kernels());
    ck_assert(!tiled_product_takes(TILED_MOST_SIDE + 1));
    for (int n = 1; n < 3000; n++) {
        ck_assert_int_ge(tiled_product_strip(n), 32);
        ck_assert_int_le(tiled_product_strip(n), 256);
    }
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("tiled products");
    TCase *tcase = tcase_create("tiles");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, every_form, 0, SHAPES);
    tcase_add_test(tcase, lower_triangles);
    tcase_add_test(tcase, strides);
    tcase_add_test(tcase, what_is_cut);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
