/*
 * Muon's corrections against references in double: the second order from differences of polar
 * factors by Newton's iteration and the weights of every step written out, the jackknife from
 * momenta of its own. Their bias by Monte Carlo, their bound, and matrices that lost rank.
 * ranks: serial
 */
#include <math.h>

#include "support/optimizer_problem.h"
#include "support/reference_linalg.h"

enum { MOST = 8, MOST_COUNT = MOST * MOST, STEPS = 4 };

/* x (rows x cols) of full rank becomes its polar factor. */
static void newton_polar(int rows, int cols, double *x)
{
    double gram[MOST_COUNT], squares = 0.0;
    for (int i = 0; i < rows * cols; i++) {
        squares += x[i] * x[i];
    }
    for (int i = 0; i < rows * cols; i++) {
        x[i] /= sqrt(squares);
    }
    for (int step = 0; step < 100; step++) {
        for (int i = 0; i < cols * cols; i++) {
            gram[i] = i % (cols + 1) == 0 ? 1.5 : 0.0;
            for (int k = 0; k < rows; k++) {
                gram[i] -= 0.5 * x[k * cols + i / cols] * x[k * cols + i % cols];
            }
        }
        for (int i = 0; i < rows; i++) {
            double row[MOST] = {0.0};
            for (int j = 0; j < cols * cols; j++) {
                row[j % cols] += x[i * cols + j / cols] * gram[j];
            }
            memcpy(&x[i * cols], row, (size_t)cols * sizeof *row);
        }
    }
}

/* The gradients of all steps so far, in double. */
typedef struct history {
    int steps, groups;
    double gradient[STEPS][PROBLEM_MOST_GROUPS][MOST_COUNT];
} history;

static void remember(history *h, const optimizer_problem *p)
{
    h->groups = p->groups;
    for (int k = 0; k < p->groups; k++) {
        for (int64_t i = 0; i < p->count; i++) {
            h->gradient[h->steps][k][i] = (double)p->group_gradients[k][i];
        }
    }
    h->steps++;
}

/* The weight in u of the gradient of step t (0, 1, ...). */
static double weight_of(const history *h, const plumb_parameter_options *o, int t)
{
    double plain = (1.0 - o->beta1) * pow(o->beta1, h->steps - 1 - t);
    double newest = t == h->steps - 1 ? 1.0 - o->beta1 : 0.0;
    return o->nesterov ? o->beta1 * plain + newest : plain;
}

/* u of the groups first .. first + count - 1, or of all others. */
static void direction_of(const history *h, const optimizer_problem *p, int first, int count,
                         bool others, double *u)
{
    int n = others ? h->groups - count : count;
    memset(u, 0, MOST_COUNT * sizeof *u);
    for (int t = 0; t < h->steps; t++) {
        for (int k = 0; k < h->groups; k++) {
            bool inside = k >= first && k < first + count;
            for (int64_t i = 0; i < p->count && inside != others; i++) {
                u[i] += weight_of(h, &p->options, t) * h->gradient[t][k][i] / n;
            }
        }
    }
}

static void polar_of(const optimizer_problem *p, const double *u, double scale,
                     const double *displacement, double *polar)
{
    for (int64_t i = 0; i < p->count; i++) {
        polar[i] = u[i] + (displacement != NULL ? scale * displacement[i] : 0.0);
    }
    newton_polar((int)p->rows, (int)p->cols, polar);
}

static void second_order_reference(const history *h, const optimizer_problem *p, double *result)
{
    double u[MOST_COUNT], mean[MOST_COUNT] = {0.0}, plain[MOST_COUNT];
    double weights = 0.0, step = 1e-3 * (1.0 - p->options.beta1); /* u is as small */
    int n = h->groups;
    const double(*gradient)[MOST_COUNT] = h->gradient[h->steps - 1];
    direction_of(h, p, 0, n, false, u);
    polar_of(p, u, 0.0, NULL, plain);
    memcpy(result, plain, sizeof plain);
    for (int t = 0; t < h->steps; t++) {
        weights += weight_of(h, &p->options, t) * weight_of(h, &p->options, t);
    }
    for (int i = 0; i < p->count * n; i++) {
        mean[i / n] += gradient[i % n][i / n] / n;
    }
    for (int k = 0; k < n; k++) {
        double moved[MOST_COUNT], above[MOST_COUNT], below[MOST_COUNT];
        for (int i = 0; i < p->count; i++) {
            moved[i] = gradient[k][i] - mean[i];
        }
        polar_of(p, u, step, moved, above);
        polar_of(p, u, -step, moved, below);
        for (int i = 0; i < p->count; i++) {
            double term = (above[i] + below[i] - 2.0 * plain[i]) / (2.0 * step * step);
            result[i] -= weights / (n * (n - 1)) * term;
        }
    }
}

static void jackknife_reference(const history *h, const optimizer_problem *p, double *result)
{
    double u[MOST_COUNT], polar[MOST_COUNT];
    int folds = p->options.folds > 0 ? p->options.folds : h->groups;
    int size = h->groups / folds;
    direction_of(h, p, 0, h->groups, false, u);
    polar_of(p, u, 0.0, NULL, result);
    for (int i = 0; i < p->count; i++) {
        result[i] *= folds;
    }
    for (int f = 0; f < folds; f++) {
        direction_of(h, p, f * size, size, true, u);
        polar_of(p, u, 0.0, NULL, polar);
        for (int i = 0; i < p->count; i++) {
            result[i] -= (folds - 1.0) / folds * polar[i];
        }
    }
}

/* Groups around a matrix of good condition, and their mean. */
static void groups_of(optimizer_problem *p, float noise)
{
    static const double values[] = {3.0, 2.0, 1.4, 1.0, 0.8};
    float matrix[MOST_COUNT];
    reference_matrix((int)p->rows, (int)p->cols, values, 11, matrix);
    for (int k = 0; k < p->groups; k++) {
        for (int64_t i = 0; i < p->count; i++) {
            uint64_t draw = (uint64_t)p->updates * PROBLEM_MOST_GROUPS + (uint64_t)k;
            p->group_gradients[k][i] = matrix[i] + noise * test_value(4, draw, (uint64_t)i);
        }
    }
    problem_mean(p);
}

typedef void reference_function(const history *h, const optimizer_problem *p, double *result);

typedef struct setting {
    plumb_correction correction;
    int rows, cols, groups, folds, nesterov;
} setting;

static void problem_of(optimizer_problem *p, const setting *s)
{
    problem_init(p, PLUMB_OPTIMIZER_MUON, s->rows, s->cols);
    p->groups = s->groups;
    p->options.correction = s->correction;
    p->options.folds = s->folds;
    p->options.nesterov = s->nesterov;
    p->options.polar = PLUMB_POLAR_SVD;
    p->options.weight_decay = 0.0;
    const optimizer_kind *kind = optimizer_find(PLUMB_OPTIMIZER_MUON);
    ck_assert_int_eq(optimizer_validate(&p->options, s->rows, s->cols), PLUMB_OK);
    ck_assert_int_eq(kind->validate_groups(&p->options, s->groups), PLUMB_OK);
}

/* One step from zero values: the corrected polar factor. */
static void step(optimizer_problem *p, double *polar)
{
    double longest = (double)(p->rows > p->cols ? p->rows : p->cols);
    memset(p->values, 0, (size_t)p->count * sizeof *p->values);
    problem_step(p, 1.0);
    for (int64_t i = 0; i < p->count; i++) {
        polar[i] = -(double)p->values[i] / (0.2 * sqrt(longest));
    }
}

static void assert_follows(const setting *s, reference_function *reference, float noise)
{
    static history h;
    optimizer_problem p;
    double polar[MOST_COUNT], expected[MOST_COUNT];
    problem_of(&p, s);
    h.steps = 0;
    for (int t = 0; t < STEPS; t++) {
        groups_of(&p, noise);
        remember(&h, &p);
        reference(&h, &p, expected);
        step(&p, polar);
        for (int i = 0; i < p.count; i++) {
            ck_assert_msg(fabs(polar[i] - expected[i]) <= 3e-6,
                          "correction %d, %d x %d, G %d F %d, step %d, element %d: %.9g, not %.9g",
                          (int)s->correction, s->rows, s->cols, s->groups, s->folds, t, i, polar[i],
                          expected[i]);
        }
    }
    ck_assert_int_eq(p.counts.corrected, STEPS * p.count);
    ck_assert_int_eq(p.counts.clipped, 0);
    problem_free(&p);
}

START_TEST(second_order_follows_reference)
{
    static const setting settings[] = {{PLUMB_CORRECTION_SECOND_ORDER, 7, 4, 8, 0, 1},
                                       {PLUMB_CORRECTION_SECOND_ORDER, 4, 6, 4, 0, 0},
                                       {PLUMB_CORRECTION_SECOND_ORDER, 5, 5, 2, 0, 1},
                                       {PLUMB_CORRECTION_SECOND_ORDER, 1, 7, 3, 0, 1}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        assert_follows(&settings[i], second_order_reference, 0.7f);
    }
}
END_TEST

START_TEST(jackknife_follows_reference)
{
    static const setting settings[] = {{PLUMB_CORRECTION_JACKKNIFE, 7, 4, 8, 0, 1},
                                       {PLUMB_CORRECTION_JACKKNIFE, 4, 6, 8, 4, 0},
                                       {PLUMB_CORRECTION_JACKKNIFE, 5, 5, 8, 2, 1},
                                       {PLUMB_CORRECTION_JACKKNIFE, 7, 1, 2, 0, 1}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        assert_follows(&settings[i], jackknife_reference, 0.5f);
    }
}
END_TEST

/* Mean 0 and variance 1, nearly normal: a sum of uniform numbers. */
static float noise_of(uint64_t draw, uint64_t group, uint64_t element)
{
    float sum = 0.0f;
    for (uint64_t i = 0; i < 6; i++) {
        sum += test_value(draw * 64 + group, element, i);
    }
    return 0.70710678f * sum;
}

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, GROUPS = 16, PAIRS = 3000 };

/* |E u - Ortho(mean)|_F over pairs of opposite noise, which take away what is odd in it. */
static double bias_of(plumb_correction correction)
{
    static const double values[] = {3.0, 2.0, 1.4, 1.0};
    setting s = {correction, ROWS, COLS, GROUPS, 0, 0};
    float matrix[COUNT], target[COUNT];
    double polar[COUNT], sum[COUNT] = {0.0}, squares = 0.0;
    reference_matrix(ROWS, COLS, values, 5, matrix);
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, matrix, target, NULL), PLUMB_OK);
    optimizer_problem p;
    problem_of(&p, &s);
    p.options.beta1 = 0.0;
    for (uint64_t draw = 0; draw < 2 * PAIRS; draw++) {
        for (int k = 0; k < GROUPS; k++) {
            for (int i = 0; i < COUNT; i++) {
                float sign = draw % 2 == 0 ? 0.9f : -0.9f;
                p.group_gradients[k][i] =
                    matrix[i] + sign * noise_of(draw / 2, (uint64_t)k, (uint64_t)i);
            }
        }
        problem_mean(&p);
        step(&p, polar);
        for (int i = 0; i < COUNT; i++) {
            sum[i] += (polar[i] - (double)target[i]) / (2 * PAIRS);
        }
    }
    problem_free(&p);
    for (int i = 0; i < COUNT; i++) {
        squares += sum[i] * sum[i];
    }
    return sqrt(squares);
}

/* Predicted for the plain factor: tau^2 |b| with tau^2 = 0.81 / 16 and |b| = 1.68. */
START_TEST(bias)
{
    double plain = bias_of(PLUMB_CORRECTION_NONE);
    double second_order = bias_of(PLUMB_CORRECTION_SECOND_ORDER);
    double jackknife = bias_of(PLUMB_CORRECTION_JACKKNIFE);
    ck_assert_double_eq_tol(plain, 0.085, 0.01);
    ck_assert_msg(second_order < plain / 10.0, "plain %g second order %g", plain, second_order);
    ck_assert_msg(jackknife < plain / 10.0, "plain %g jackknife %g", plain, jackknife);
}
END_TEST

/* Noise that dwarfs the mean: half of the norm of the plain factor is all that changes. */
START_TEST(bounded)
{
    for (int c = 0; c < 2; c++) {
        setting s = {
            c == 0 ? PLUMB_CORRECTION_SECOND_ORDER : PLUMB_CORRECTION_JACKKNIFE, 6, 4, 8, 0, 0};
        optimizer_problem p;
        double polar[MOST_COUNT], plain[MOST_COUNT], change = 0.0;
        problem_of(&p, &s);
        p.options.beta1 = 0.0;
        groups_of(&p, 100.0f);
        for (int i = 0; i < p.count; i++) {
            plain[i] = (double)p.gradient[i];
        }
        newton_polar(6, 4, plain);
        step(&p, polar);
        for (int i = 0; i < p.count; i++) {
            change += (polar[i] - plain[i]) * (polar[i] - plain[i]);
        }
        ck_assert_double_eq_tol(sqrt(change), 0.5 * sqrt(4.0), 1e-5);
        ck_assert_int_eq(p.counts.clipped, p.count);
        problem_free(&p);
    }
}
END_TEST

START_TEST(equal_groups_need_no_correction)
{
    setting s = {
        _i == 0 ? PLUMB_CORRECTION_SECOND_ORDER : PLUMB_CORRECTION_JACKKNIFE, 6, 4, 4, 0, 1};
    setting none = {PLUMB_CORRECTION_NONE, 6, 4, 4, 0, 1};
    optimizer_problem p, plain;
    double polar[MOST_COUNT], expected[MOST_COUNT];
    problem_of(&p, &s);
    problem_of(&plain, &none);
    for (int t = 0; t < STEPS; t++) {
        groups_of(&p, 0.0f);
        groups_of(&plain, 0.0f);
        step(&p, polar);
        step(&plain, expected);
        for (int i = 0; i < p.count; i++) {
            ck_assert_double_eq_tol(polar[i], expected[i], 1e-6);
        }
    }
    ck_assert_int_eq(p.counts.clipped, 0);
    ck_assert_int_eq(plain.counts.corrected, 0);
    problem_free(&p);
    problem_free(&plain);
}
END_TEST

/* u without full rank: no correction, all elements counted, and the plain factor. */
START_TEST(lost_rank)
{
    setting s = {PLUMB_CORRECTION_SECOND_ORDER, 6, 4, 4, 0, 1};
    setting none = {PLUMB_CORRECTION_NONE, 6, 4, 4, 0, 1};
    optimizer_problem p, plain;
    double polar[MOST_COUNT], expected[MOST_COUNT];
    problem_of(&p, &s);
    problem_of(&plain, &none);
    step(&p, polar);
    for (int i = 0; i < p.count; i++) {
        ck_assert(polar[i] == 0.0);
    }
    ck_assert_int_eq(p.counts.clipped, p.count);
    step(&plain, expected);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < p.count; i++) {
            p.group_gradients[k][i] = plain.group_gradients[k][i] = (float)((k + 1) * (i % 4 + 1));
        }
    }
    problem_mean(&p);
    problem_mean(&plain);
    step(&p, polar);
    step(&plain, expected);
    ck_assert_mem_eq(polar, expected, (size_t)p.count * sizeof *polar);
    ck_assert_int_eq(p.counts.clipped, 2 * p.count);
    problem_free(&p);
    problem_free(&plain);
}
END_TEST

/* Exact powers of two change no bit. */
START_TEST(scale_does_not_matter)
{
    static const float scales[] = {0x1p-60f, 0x1p-7f, 0x1p80f};
    setting s = {
        _i == 0 ? PLUMB_CORRECTION_SECOND_ORDER : PLUMB_CORRECTION_JACKKNIFE, 4, 6, 4, 0, 1};
    for (int j = 0; j < 3; j++) {
        optimizer_problem one, scaled;
        double polar[MOST_COUNT], other[MOST_COUNT];
        problem_of(&one, &s);
        problem_of(&scaled, &s);
        for (int t = 0; t < STEPS; t++) {
            groups_of(&one, 0.5f);
            groups_of(&scaled, 0.5f);
            for (int k = 0; k < 4; k++) {
                for (int i = 0; i < scaled.count; i++) {
                    scaled.group_gradients[k][i] *= scales[j];
                }
            }
            problem_mean(&scaled);
            step(&one, polar);
            step(&scaled, other);
            ck_assert_mem_eq(polar, other, (size_t)one.count * sizeof *polar);
        }
        problem_free(&one);
        problem_free(&scaled);
    }
}
END_TEST

START_TEST(not_finite_is_an_error)
{
    setting s = {
        _i == 0 ? PLUMB_CORRECTION_SECOND_ORDER : PLUMB_CORRECTION_JACKKNIFE, 6, 4, 4, 0, 1};
    int64_t allocations = -1;
    optimizer_problem p;
    problem_of(&p, &s);
    groups_of(&p, 0.5f);
    p.gradient[3] = p.group_gradients[0][3] = NAN;
    ck_assert_int_eq(problem_update(&p, 0.1, 0, p.count), PLUMB_ERROR_NONFINITE);
    ck_assert_int_eq(plumb_memory_in_use(&allocations, NULL), PLUMB_OK);
    ck_assert_int_eq(allocations, 0);
    problem_free(&p);
}
END_TEST

static void add_for_both(Suite *suite, const char *name, const TTest *test)
{
    TCase *cases = tcase_create(name);
    tcase_add_loop_test(cases, test, 0, 2);
    suite_add_tcase(suite, cases);
}

int main(void)
{
    Suite *suite = suite_create("muon corrections");
    test_add(suite, "second order follows its reference", second_order_follows_reference);
    test_add(suite, "jackknife follows its reference", jackknife_follows_reference);
    test_add(suite, "bias", bias);
    test_add(suite, "bounded", bounded);
    add_for_both(suite, "equal groups need no correction", equal_groups_need_no_correction);
    test_add(suite, "lost rank", lost_rank);
    add_for_both(suite, "scale does not matter", scale_does_not_matter);
    add_for_both(suite, "not finite is an error", not_finite_is_an_error);
    return test_run(suite);
}
