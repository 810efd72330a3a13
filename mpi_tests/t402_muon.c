/*
 * Muon against a plain reference in double (polar factor by Newton's iteration on full-rank
 * matrices), and its promises: no dependence on the gradient's scale, nothing from nothing, no
 * polar factor of its own after orthogonalise-then-average.
 * ranks: serial
 */
#include <math.h>

#include "support/optimizer_problem.h"

enum { LONG = 11, SHORT = 7, COUNT = LONG * SHORT, STEPS = 5 };

/* x (rows x cols) becomes 1.5 x - 0.5 x x' x; from singular values in (0, sqrt 3) it ends at 1. */
static void newton_step(int rows, int cols, double *x)
{
    static double gram[LONG * LONG], product[COUNT];
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < rows; j++) {
            gram[i * rows + j] = 0.0;
            for (int k = 0; k < cols; k++) {
                gram[i * rows + j] += x[i * cols + k] * x[j * cols + k];
            }
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            product[i * cols + j] = 1.5 * x[i * cols + j];
            for (int k = 0; k < rows; k++) {
                product[i * cols + j] -= 0.5 * gram[i * rows + k] * x[k * cols + j];
            }
        }
    }
    memcpy(x, product, sizeof product);
}

static void newton_polar(int rows, int cols, double *x)
{
    double squares = 0.0;
    for (int i = 0; i < COUNT; i++) {
        squares += x[i] * x[i];
    }
    for (int i = 0; i < COUNT; i++) {
        x[i] /= sqrt(squares);
    }
    for (int step = 0; step < 60; step++) {
        newton_step(rows, cols, x);
    }
}

static void reference_muon(double *values, double *momentum, const optimizer_problem *p,
                           double rate)
{
    const plumb_parameter_options *o = &p->options;
    static double direction[COUNT];
    for (int i = 0; i < COUNT; i++) {
        double g = (double)p->gradient[i];
        momentum[i] = o->beta1 * momentum[i] + (1.0 - o->beta1) * g;
        direction[i] = o->nesterov ? o->beta1 * momentum[i] + (1.0 - o->beta1) * g : momentum[i];
    }
    if (o->pipeline != PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE) {
        newton_polar((int)p->rows, (int)p->cols, direction);
    }
    for (int i = 0; i < COUNT; i++) {
        values[i] -= rate * o->weight_decay * values[i];
        values[i] -= rate * 0.2 * sqrt((double)LONG) * direction[i];
    }
}

static void assert_follows(int64_t rows, int64_t cols, int nesterov, double weight_decay,
                           plumb_pipeline pipeline)
{
    double values[COUNT], momentum[COUNT] = {0};
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_MUON, rows, cols);
    p.options.polar = PLUMB_POLAR_SVD;
    p.options.nesterov = nesterov;
    p.options.weight_decay = weight_decay;
    p.options.pipeline = pipeline;
    for (int i = 0; i < COUNT; i++) {
        values[i] = (double)p.values[i];
    }
    for (int t = 0; t < STEPS; t++) {
        problem_gradient(&p, 0.3f);
        reference_muon(values, momentum, &p, 0.05);
        problem_step(&p, 0.05);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_msg(fabs((double)p.values[i] - values[i]) < 3e-6,
                          "%lldx%lld step %d element %d: %.9g, not %.9g", (long long)rows,
                          (long long)cols, t, i, (double)p.values[i], values[i]);
        }
    }
    problem_free(&p);
}

START_TEST(follows_reference)
{
    const plumb_pipeline usual = PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE;
    const plumb_pipeline before = PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE;
    assert_follows(LONG, SHORT, 1, 0.2, usual);
    assert_follows(LONG, SHORT, 0, 0.0, usual);
    assert_follows(SHORT, LONG, 1, 0.1, usual);
    assert_follows(SHORT, LONG, 1, 0.1, before);
    assert_follows(LONG, SHORT, 0, 0.1, before);
    assert_follows(LONG, SHORT, 1, 0.1, PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE);
}
END_TEST

/* Exact powers of two change no bit; the ends of the promised range change only rounding. */
static void assert_scale_free(plumb_polar_method method, float scale, double tolerance)
{
    optimizer_problem plain, scaled;
    problem_init(&plain, PLUMB_OPTIMIZER_MUON, LONG, SHORT);
    problem_init(&scaled, PLUMB_OPTIMIZER_MUON, LONG, SHORT);
    plain.options.polar = scaled.options.polar = method;
    for (int t = 0; t < STEPS; t++) {
        problem_gradient(&plain, 1.0f);
        problem_gradient(&scaled, scale);
        problem_step(&plain, 0.1);
        problem_step(&scaled, 0.1);
    }
    for (int i = 0; i < COUNT; i++) {
        ck_assert_double_le(fabs((double)plain.values[i] - (double)scaled.values[i]), tolerance);
    }
    problem_free(&plain);
    problem_free(&scaled);
}

START_TEST(scale_does_not_matter)
{
    assert_scale_free(PLUMB_POLAR_SVD, 0x1p-20f, 0.0);
    assert_scale_free(PLUMB_POLAR_NEWTON_SCHULZ, 0x1p30f, 0.0);
    for (int method = PLUMB_POLAR_SVD; method <= PLUMB_POLAR_POLAR_EXPRESS; method++) {
        assert_scale_free((plumb_polar_method)method, 1e-30f, 3e-5);
        assert_scale_free((plumb_polar_method)method, 1e30f, 3e-5);
    }
}
END_TEST

START_TEST(nothing_from_nothing)
{
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_MUON, LONG, SHORT);
    p.options.weight_decay = 0.0;
    problem_step(&p, 0.1);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(p.values[i] == test_value(1, 0, (uint64_t)i));
        ck_assert(p.states[0][i] == 0.0f);
    }
    problem_free(&p);
}
END_TEST

START_TEST(not_finite_is_an_error)
{
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_MUON, LONG, SHORT);
    problem_gradient(&p, 1.0f);
    p.gradient[3] = NAN;
    ck_assert_int_eq(problem_update(&p, 0.1, 0, COUNT), PLUMB_ERROR_NONFINITE);
    problem_free(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("muon");
    test_add(suite, "follows its reference", follows_reference);
    test_add(suite, "scale does not matter", scale_does_not_matter);
    test_add(suite, "nothing from nothing", nothing_from_nothing);
    test_add(suite, "not finite is an error", not_finite_is_an_error);
    return test_run(suite);
}
