/*
 * The fast polar factor in panels: calls for the panels in any order, with the Gram matrices added
 * in canonical order and the poles in theirs, give the bits of the whole; and what the cut into
 * panels promises.
 *
 * ranks: serial
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/polar_panels.h"
#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { UNIT = 4096 };

typedef struct parts {
    int rows, cols, count;
    const float *matrix;
    int exponent;
    float *grams; /* one behind the other */
    float *result;
} parts;

static int64_t first_row(const parts *p, int panel)
{
    return polar_panel_first(p->rows, p->cols, UNIT, panel);
}

static const float *panel_of(const parts *p, int panel)
{
    return p->matrix + first_row(p, panel) * p->cols;
}

/* A caller's order: the last panel first, then every other one. */
static int shuffled(int i, int count)
{
    return count - 1 - (i % 2 == 0 ? i / 2 : count - 1 - i / 2);
}

static int largest_exponent(const parts *p)
{
    int largest = INT_MIN;
    for (int i = 0; i < p->count; i++) {
        int exponent;
        int64_t rows = first_row(p, i + 1) - first_row(p, i);
        ck_assert_int_eq(polar_panel_exponent(rows, p->cols, panel_of(p, i), &exponent), PLUMB_OK);
        largest = exponent > largest ? exponent : largest;
    }
    return largest;
}

/* The tree over `count` matrices from `first` that splits at the largest power of two below
 * count. */
static void add_tree(float *grams, int64_t square, int first, int count)
{
    if (count < 2) {
        return;
    }
    int left = 1;
    while (2 * left < count) {
        left *= 2;
    }
    add_tree(grams, square, first, left);
    add_tree(grams, square, first + left, count - left);
    for (int64_t i = 0; i < square; i++) {
        grams[first * square + i] += grams[(first + left) * square + i];
    }
}

static void form_grams(const parts *p)
{
    int64_t square = (int64_t)p->cols * p->cols;
    for (int i = 0; i < p->count; i++) {
        int panel = shuffled(i, p->count);
        int64_t rows = first_row(p, panel + 1) - first_row(p, panel);
        ck_assert_int_eq(polar_panel_gram(rows, p->cols, panel_of(p, panel), p->exponent,
                                          p->grams + panel * square),
                         PLUMB_OK);
    }
    add_tree(p->grams, square, 0, p->count);
}

/* The poles one by one, the last one first, each from the Gram matrix alone. */
static float *form_factor(const parts *p, const polar_fast *fast)
{
    int64_t square = (int64_t)p->cols * p->cols;
    float scale;
    float *factor = reference_floats(square);
    float *inverses = reference_floats(square * fast->fractions.poles);
    ck_assert_int_eq(polar_fast_scale(fast, p->grams, &scale), PLUMB_OK);
    for (int pole = fast->fractions.poles - 1; pole >= 0; pole--) {
        ck_assert_int_eq(polar_fast_pole(fast, p->grams, scale, pole, inverses + pole * square),
                         PLUMB_OK);
    }
    polar_fast_begin_factor(fast, scale, factor);
    for (int pole = 0; pole < fast->fractions.poles; pole++) {
        polar_fast_add_pole(fast, inverses + pole * square, factor);
    }
    polar_fast_end_factor(fast, factor);
    free(inverses);
    return factor;
}

static void compute(parts *p, const polar_fast *fast)
{
    p->exponent = largest_exponent(p);
    form_grams(p);
    float *factor = form_factor(p, fast);
    for (int i = 0; i < p->count; i++) {
        int panel = shuffled(i, p->count);
        int64_t rows = first_row(p, panel + 1) - first_row(p, panel);
        ck_assert_int_eq(polar_panel_apply(rows, p->cols, panel_of(p, panel), p->exponent, factor,
                                           p->result + first_row(p, panel) * p->cols),
                         PLUMB_OK);
    }
    free(factor);
}

static void compare_with_whole(int rows, int cols, double delta, int poles, float scale)
{
    int64_t count = (int64_t)rows * cols;
    float *matrix = reference_floats(count), *whole = reference_floats(count);
    parts p = {.rows = rows, .cols = cols, .count = polar_panel_count(rows, cols, UNIT)};
    p.matrix = matrix;
    p.result = reference_floats(count);
    p.grams = reference_floats((int64_t)cols * cols * p.count);
    for (int64_t i = 0; i < count; i++) {
        matrix[i] = scale * (1.0f + (float)(i / cols % 7)) * test_value(1, (uint64_t)i, 2);
    }
    polar_fast fast;
    ck_assert_int_eq(polar_fast_create(cols, delta, poles, &fast), PLUMB_OK);
    plumb_polar_options options = {.size = sizeof options, .steps = poles, .delta = delta};
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_FAST, rows, cols, matrix, whole, &options), PLUMB_OK);
    compute(&p, &fast);
    ck_assert_msg(memcmp(whole, p.result, (size_t)count * sizeof(float)) == 0, "%d x %d", rows,
                  cols);
    free(p.grams);
    free(p.result);
    free(whole);
    free(matrix);
}

START_TEST(panels_are_the_whole)
{
    ck_assert_int_gt(polar_panel_count(9000, 256, UNIT), 3);
    compare_with_whole(9000, 256, 0.0, 0, 1.0f);
    ck_assert_int_eq(polar_panel_count(70000, 64, UNIT), 8);
    compare_with_whole(70000, 64, 5e-3, 4, 1e-30f);
    ck_assert_int_gt(polar_panel_count(1100, 1000, UNIT), 1);
    compare_with_whole(1100, 1000, 0.0, 2, 1e25f);
    compare_with_whole(300, 200, 0.0, 0, 3.0f);
}
END_TEST

/* Every row belongs to one panel, and panels but the last end at a border of the unit. */
static void check_cut(int64_t rows, int64_t cols)
{
    int count = polar_panel_count(rows, cols, UNIT);
    ck_assert(count >= 1 && count <= POLAR_MOST_PANELS);
    ck_assert_int_eq(polar_panel_first(rows, cols, UNIT, 0), 0);
    ck_assert_int_eq(polar_panel_first(rows, cols, UNIT, count), rows);
    for (int i = 0; i < count; i++) {
        int64_t first = polar_panel_first(rows, cols, UNIT, i);
        int64_t end = polar_panel_first(rows, cols, UNIT, i + 1);
        ck_assert(first < end);
        ck_assert(i + 1 == count || (end * cols) % UNIT == 0);
        ck_assert(i + 1 == count || count == 1 || (end - first) * 4 >= cols);
    }
}

START_TEST(cuts)
{
    static const int64_t sides[] = {1, 2, 3, 63, 64, 100, 255, 768, 769, 1024, 1536, 4096, 50257};
    enum { SIDES = sizeof sides / sizeof *sides };
    for (int i = 0; i < SIDES; i++) {
        for (int j = 0; j < SIDES; j++) {
            check_cut(sides[i], sides[j]);
            if (sides[i] < sides[j] || sides[i] * sides[j] < 1 << 19) {
                ck_assert_int_eq(polar_panel_count(sides[i], sides[j], UNIT), 1);
            }
        }
    }
    ck_assert_int_eq(polar_panel_count(4096, 1024, UNIT), 8);
    ck_assert_int_eq(polar_panel_count(50257, 768, UNIT), 8);
}
END_TEST

START_TEST(exponents)
{
    float panel[12] = {0};
    int exponent = 7;
    ck_assert_int_eq(polar_panel_exponent(4, 3, panel, &exponent), PLUMB_OK);
    ck_assert_int_eq(exponent, INT_MIN);
    panel[11] = -6.0f;
    ck_assert_int_eq(polar_panel_exponent(4, 3, panel, &exponent), PLUMB_OK);
    ck_assert_int_eq(exponent, 3);
    panel[5] = NAN;
    ck_assert_int_eq(polar_panel_exponent(4, 3, panel, &exponent), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(exponent, 3);
}
END_TEST

/* A panel of zeros among others; and a result in the place of the panel. */
START_TEST(zero_panel_and_in_place)
{
    enum { ROWS = 40, SIDE = 24 };
    float panel[ROWS * SIDE] = {0}, gram[SIDE * SIDE], factor[SIDE * SIDE], result[ROWS * SIDE];
    ck_assert_int_eq(polar_panel_gram(ROWS, SIDE, panel, 5, gram), PLUMB_OK);
    for (int i = 0; i < SIDE * SIDE; i++) {
        ck_assert(gram[i] == 0.0f);
        factor[i] = test_value(1, (uint64_t)(i % SIDE + i / SIDE), 0);
    }
    for (int i = 0; i < ROWS * SIDE; i++) {
        panel[i] = test_value(2, (uint64_t)i, 0);
    }
    ck_assert_int_eq(polar_panel_apply(ROWS, SIDE, panel, 2, factor, result), PLUMB_OK);
    ck_assert_int_eq(polar_panel_apply(ROWS, SIDE, panel, 2, factor, panel), PLUMB_OK);
    ck_assert(memcmp(panel, result, sizeof result) == 0);
}
END_TEST

START_TEST(wrong_arguments)
{
    polar_fast fast;
    ck_assert_int_eq(polar_fast_create(0, 0.0, 0, &fast), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(polar_fast_create(8, 2.0, 0, &fast), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(polar_fast_create(8, NAN, 0, &fast), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(polar_fast_create(8, 0.0, 17, &fast), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(polar_fast_create(8, 0.0, -1, &fast), PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("polar panels");
    TCase *tcase = tcase_create("panels");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, panels_are_the_whole);
    tcase_add_test(tcase, cuts);
    tcase_add_test(tcase, exponents);
    tcase_add_test(tcase, zero_panel_and_in_place);
    tcase_add_test(tcase, wrong_arguments);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
