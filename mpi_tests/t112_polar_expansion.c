/*
 * The expansion of polar factors against differences of polar factors from Newton's iteration in
 * double, the mean of its second-order term over independent entries against the closed form and
 * against polar factors of noisy matrices, and the matrices that have no expansion.
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "linalg/polar_expansion.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { MOST = 8, MOST_COUNT = MOST * MOST };

/* x (rows x cols) of full rank becomes its polar factor: x = 1.5 x - 0.5 x x' x. */
static void newton_polar(int rows, int cols, double *x)
{
    double product[MOST_COUNT], squares = 0.0;
    for (int i = 0; i < rows * cols; i++) {
        squares += x[i] * x[i];
    }
    for (int i = 0; i < rows * cols; i++) {
        x[i] /= sqrt(squares);
    }
    for (int step = 0; step < 60; step++) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < cols; j++) {
                product[i * cols + j] = 1.5 * x[i * cols + j];
                for (int k = 0; k < rows; k++) {
                    for (int l = 0; l < cols; l++) {
                        product[i * cols + j] -=
                            0.5 * x[i * cols + l] * x[k * cols + l] * x[k * cols + j];
                    }
                }
            }
        }
        memcpy(x, product, (size_t)(rows * cols) * sizeof *x);
    }
}

typedef struct setting {
    int rows, cols;
    float matrix[MOST_COUNT], displaced[MOST_COUNT];
} setting;

static setting setting_of(int rows, int cols, float scale)
{
    static const double values[] = {3.0, 2.0, 1.4, 1.0, 0.8};
    setting s = {.rows = rows, .cols = cols};
    reference_matrix(rows, cols, values, 17, s.matrix);
    for (int i = 0; i < rows * cols; i++) {
        s.displaced[i] = scale * (s.matrix[i] + 0.5f * test_value(3, 0, (uint64_t)i));
        s.matrix[i] *= scale;
    }
    return s;
}

/* The polar factor of matrix + step (displaced - matrix). */
static void polar_at(const setting *s, double step, double *polar)
{
    for (int i = 0; i < s->rows * s->cols; i++) {
        double from = (double)s->matrix[i];
        polar[i] = from + step * ((double)s->displaced[i] - from);
    }
    newton_polar(s->rows, s->cols, polar);
}

static void expand(const setting *s, int order, double *term)
{
    polar_expansion e;
    ck_assert_int_eq(polar_expansion_create(s->rows, s->cols, s->matrix, &e), PLUMB_OK);
    ck_assert(polar_expansion_regular(&e));
    if (order == 1) {
        polar_expansion_add_first(&e, s->displaced, s->matrix);
    } else if (order == 2) {
        polar_expansion_add_second(&e, s->displaced, s->matrix);
    }
    polar_expansion_result(&e, order == 0 ? 1.0 : 0.0, 1.0, term);
    double squares = 0.0;
    for (int i = 0; i < s->rows * s->cols && order > 0; i++) {
        squares += term[i] * term[i];
    }
    ck_assert_double_eq_tol(polar_expansion_norm(&e), sqrt(squares), 1e-12);
    polar_expansion_free(&e);
}

static void assert_near(const setting *s, const double *term, const double *expected,
                        double tolerance, const char *what)
{
    for (int i = 0; i < s->rows * s->cols; i++) {
        ck_assert_msg(fabs(term[i] - expected[i]) <= tolerance,
                      "%s order, %d x %d, element %d: %.9g, not %.9g", what, s->rows, s->cols, i,
                      term[i], expected[i]);
    }
}

START_TEST(differences)
{
    static const int shapes[][2] = {{7, 4}, {4, 7}, {5, 5}, {8, 2}, {6, 1}, {1, 6}, {1, 1}};
    const double h = 1e-3;
    double middle[MOST_COUNT], above[MOST_COUNT], below[MOST_COUNT], term[MOST_COUNT];
    setting s = setting_of(shapes[_i][0], shapes[_i][1], 1.0f);
    polar_at(&s, 0.0, middle);
    polar_at(&s, h, above);
    polar_at(&s, -h, below);
    expand(&s, 0, term);
    assert_near(&s, term, middle, 1e-12, "zeroth");
    for (int i = 0; i < s.rows * s.cols; i++) {
        double odd = (above[i] - below[i]) / (2.0 * h);
        below[i] = (above[i] + below[i] - 2.0 * middle[i]) / (2.0 * h * h);
        above[i] = odd;
    }
    expand(&s, 1, term);
    assert_near(&s, term, above, 1e-6, "first");
    expand(&s, 2, term);
    assert_near(&s, term, below, 1e-6, "second");
}
END_TEST

START_TEST(scale_does_not_matter)
{
    static const float scales[] = {0x1p-90f, 0x1p-3f, 0x1p100f};
    double one[MOST_COUNT], other[MOST_COUNT];
    setting s = setting_of(4, 6, 1.0f);
    expand(&s, 2, one);
    for (int i = 0; i < 3; i++) {
        setting scaled = setting_of(4, 6, scales[i]);
        expand(&scaled, 2, other);
        ck_assert_mem_eq(one, other, 24 * sizeof(double));
    }
}
END_TEST

/* Nearly normal, mean 0, variance 1: twelve uniform numbers. */
static double noise(uint64_t draw, uint64_t element)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < 12; i++) {
        sum += (double)test_value(draw, element, i);
    }
    return 0.5 * sum;
}

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, DRAWS = 30000 };

static const double spectrum[COLS] = {3.0, 2.0, 1.4, 1.0};

/* b_i of E Ortho(G + tau E) - Ortho(G) = -tau^2 U diag(b) V' */
static double shrinkage(int i)
{
    double s = spectrum[i];
    double b = (double)(ROWS - COLS) / (2.0 * s * s);
    for (int k = 0; k < COLS; k++) {
        b += k == i ? 0.0 : 1.0 / ((s + spectrum[k]) * (s + spectrum[k]));
    }
    return b;
}

/* Even part of the polar factor of matrix + tau E, and E's term of second order, both summed. */
static void add_draw(polar_expansion *e, const float *matrix, double tau, uint64_t draw,
                     double *sum)
{
    float moved[COUNT], polar[COUNT];
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < COUNT; i++) {
            double error = (double)sign * tau * noise(draw, (uint64_t)i);
            moved[i] = (float)((double)matrix[i] + error);
        }
        ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, moved, polar, NULL), PLUMB_OK);
        for (int i = 0; i < COUNT; i++) {
            sum[i] += 0.5 * (double)polar[i];
        }
    }
    polar_expansion_add_second(e, moved, matrix);
}

/* u_i' x v_i */
static double along(const polar_expansion *e, const double *x, int i)
{
    double sum = 0.0;
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLS; c++) {
            sum += e->frame[r * COLS + i] * x[r * COLS + c] * e->turn[i * COLS + c];
        }
    }
    return sum;
}

START_TEST(independent_entries)
{
    const double tau = 0.05;
    float matrix[COUNT];
    double sum[COUNT] = {0}, term[COUNT];
    polar_expansion e;
    reference_matrix(ROWS, COLS, spectrum, 5, matrix);
    ck_assert_int_eq(polar_expansion_create(ROWS, COLS, matrix, &e), PLUMB_OK);
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        add_draw(&e, matrix, tau, draw, sum);
    }
    polar_expansion_result(&e, 0.0, 1.0, term);
    for (int i = 0; i < COLS; i++) {
        double predicted = -tau * tau * shrinkage(i);
        ck_assert_double_eq_tol((along(&e, sum, i) / DRAWS - 1.0) / predicted, 1.0, 0.02);
        ck_assert_double_eq_tol(along(&e, term, i) / DRAWS / predicted, 1.0, 0.02);
    }
    polar_expansion_free(&e);
}
END_TEST

static bool is_regular(int rows, int cols, const float *matrix)
{
    polar_expansion e;
    ck_assert_int_eq(polar_expansion_create(rows, cols, matrix, &e), PLUMB_OK);
    bool regular = polar_expansion_regular(&e);
    polar_expansion_free(&e);
    return regular;
}

START_TEST(lost_rank)
{
    static const double full[] = {1.0, 0.5, 1e-4}, nearly[] = {1.0, 0.5, 1e-8};
    float matrix[MOST_COUNT] = {0.0f};
    int64_t allocations = -1;
    ck_assert(!is_regular(5, 3, matrix));
    reference_matrix(5, 3, full, 3, matrix);
    ck_assert(is_regular(5, 3, matrix));
    reference_matrix(3, 5, nearly, 3, matrix);
    ck_assert(!is_regular(3, 5, matrix));
    polar_expansion e;
    matrix[4] = NAN;
    ck_assert_int_eq(polar_expansion_create(3, 5, matrix, &e), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_memory_in_use(&allocations, NULL), PLUMB_OK);
    ck_assert_int_eq(allocations, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("polar expansion");
    TCase *cases = tcase_create("differences");
    tcase_add_loop_test(cases, differences, 0, 7);
    suite_add_tcase(suite, cases);
    test_add(suite, "scale does not matter", scale_does_not_matter);
    test_add(suite, "independent entries", independent_entries);
    test_add(suite, "lost rank", lost_rank);
    return test_run(suite);
}
