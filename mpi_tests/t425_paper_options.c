/*
 * The paper modes that split the groups in halves, with mixing, support clip and the symmetric
 * form, against a plain reference in double; settings of these options that change nothing; and
 * how often they act.
 * ranks: serial
 */
#include <math.h>

#include "correct/correction.h"
#include "support/optimizer_problem.h"

enum { ROWS = 17, COLS = 13, COUNT = ROWS * COLS, STEPS = 5, GROUPS = 8, HALF = GROUPS / 2 };

/* One element's history. */
typedef struct element {
    double first, second, value;
    int64_t clipped;
} element;

/* One element in one step. */
typedef struct setting {
    const plumb_parameter_options *o;
    double t; /* number of the update */
    const double *g;
} setting;

static double mean_of(const double *g, int count)
{
    double sum = 0.0;
    for (int k = 0; k < count; k++) {
        sum += g[k] / count;
    }
    return sum;
}

static double squares_of(const double *g)
{
    double sum = 0.0;
    for (int k = 0; k < HALF; k++) {
        sum += g[k] * g[k] / HALF;
    }
    return sum;
}

/* Average with unbiased weights after one more sample. */
static double after(double old, double beta, double sample, double t)
{
    return (beta * old + (1.0 - beta) * sample) / (1.0 - pow(beta, t));
}

static double variance_of_mean(const double *x)
{
    double mean = mean_of(x, HALF), sum = 0.0;
    for (int k = 0; k < HALF; k++) {
        sum += (x[k] - mean) * (x[k] - mean);
    }
    return sum / (HALF * (HALF - 1));
}

/* 1/p less what the mode takes away, from the half whose squares make it. */
static double inverse_of(element *e, const setting *s, double v, const double *half,
                         double other_square, int *met)
{
    const plumb_parameter_options *o = s->o;
    double p = sqrt(v) + o->epsilon, roots[HALF], samples[HALF];
    for (int k = 0; k < HALF; k++) {
        samples[k] = (1.0 - o->paper_mixing) * half[k] * half[k] + o->paper_mixing * other_square;
        roots[k] = sqrt(after(e->second, o->beta2, samples[k], s->t));
    }
    double inverse = 1.0 / p;
    if (o->correction == PLUMB_CORRECTION_PAPER_PRE_EMA) {
        double b = (1.0 - o->beta2) / (1.0 - pow(o->beta2, s->t));
        double bend = b * b * (0.75 / (pow(v, 1.5) * p * p) + 0.5 / (v * p * p * p));
        inverse -= 0.5 * bend * variance_of_mean(samples);
    } else if (o->correction != PLUMB_CORRECTION_PAPER_CF) {
        inverse -= variance_of_mean(roots) / (p * p * p);
    }
    *met |= inverse < 0.0;
    return fmax(inverse, 0.0);
}

/* The update that takes its gradient from one half and its denominator from the other. */
static double update_of(element *e, const setting *s, const double *numerator,
                        const double *denominator, double first, double second, int *met)
{
    const plumb_parameter_options *o = s->o;
    double gradient = mean_of(numerator, HALF), squares = squares_of(denominator);
    double m = after(e->first, o->beta1, first, s->t);
    double v = after(e->second, o->beta2, second, s->t);
    double inverse = inverse_of(e, s, v, denominator, gradient * gradient, met);
    double tau = o->paper_support_clip, clip = 1.0;
    if (tau > 0.0) {
        clip = sqrt(tau * (squares + o->epsilon) / (gradient * gradient + o->epsilon));
        *met |= clip < 1.0;
    }
    return m * inverse * fmin(1.0, clip);
}

static double mixed(const setting *s, const double *numerator, const double *denominator)
{
    double gradient = mean_of(numerator, HALF), alpha = s->o->paper_mixing;
    return (1.0 - alpha) * squares_of(denominator) + alpha * gradient * gradient;
}

static double direction_of(element *e, const setting *s)
{
    const plumb_parameter_options *o = s->o;
    const double *a = s->g, *b = s->g + HALF;
    double whole = mean_of(s->g, GROUPS), first = mean_of(a, HALF), second = mixed(s, a, b);
    int met = 0;
    double u = 0.0;
    if (o->correction == PLUMB_CORRECTION_PAPER_SYM) {
        u = 0.5 * update_of(e, s, a, b, first, second, &met);
        u += 0.5 * update_of(e, s, b, a, mean_of(b, HALF), mixed(s, b, a), &met);
    }
    if (o->correction == PLUMB_CORRECTION_PAPER_SYM ||
        o->correction == PLUMB_CORRECTION_PAPER_INV) {
        first = whole;
        second = whole * whole;
    }
    if (o->correction != PLUMB_CORRECTION_PAPER_SYM) {
        u = update_of(e, s, a, b, first, second, &met);
    }
    e->clipped += met;
    e->first = o->beta1 * e->first + (1.0 - o->beta1) * first;
    e->second = o->beta2 * e->second + (1.0 - o->beta2) * second;
    return u;
}

static void problem_of(optimizer_problem *p, plumb_correction correction, double mixing,
                       double support_clip)
{
    problem_init(p, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    p->options.correction = correction;
    p->options.paper_mixing = mixing;
    p->options.paper_support_clip = support_clip;
    p->groups = GROUPS;
    ck_assert_int_eq(optimizer_validate(&p->options, ROWS, COLS), PLUMB_OK);
    ck_assert_int_eq(optimizer_find(PLUMB_OPTIMIZER_ADAMW)->validate_groups(&p->options, GROUPS),
                     PLUMB_OK);
}

static void step_reference(element *elements, const optimizer_problem *p, double rate)
{
    double g[GROUPS];
    setting s = {&p->options, (double)(p->updates + 1), g};
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < GROUPS; k++) {
            g[k] = (double)p->group_gradients[k][i];
        }
        double u = direction_of(&elements[i], &s);
        elements[i].value -= rate * (p->options.weight_decay * elements[i].value + u);
    }
}

static int64_t clipped_of(const element *elements)
{
    int64_t sum = 0;
    for (int i = 0; i < COUNT; i++) {
        sum += elements[i].clipped;
    }
    return sum;
}

static void assert_follows(plumb_correction correction, double mixing, double support_clip)
{
    static element elements[COUNT];
    memset(elements, 0, sizeof elements);
    optimizer_problem p;
    problem_of(&p, correction, mixing, support_clip);
    for (int i = 0; i < COUNT; i++) {
        elements[i].value = (double)p.values[i];
    }
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&p, 0.25f);
        step_reference(elements, &p, 0.02);
        problem_step(&p, 0.02);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_msg(fabs((double)p.values[i] - elements[i].value) <= 1e-6,
                          "correction %d alpha %g tau %g step %d element %d: %.9g, not %.9g",
                          (int)correction, mixing, support_clip, t, i, (double)p.values[i],
                          elements[i].value);
        }
    }
    ck_assert_int_eq(p.counts.clipped, clipped_of(elements));
    if (support_clip > 0.0) {
        ck_assert_int_gt(p.counts.clipped, 0);
        ck_assert_int_lt(p.counts.clipped, STEPS * COUNT);
    }
    problem_free(&p);
}

START_TEST(modes_follow_reference)
{
    static const plumb_correction modes[] = {PLUMB_CORRECTION_PAPER_CF, PLUMB_CORRECTION_PAPER_FULL,
                                             PLUMB_CORRECTION_PAPER_PRE_EMA,
                                             PLUMB_CORRECTION_PAPER_SYM};
    for (int i = 0; i < 4; i++) {
        assert_follows(modes[i], 0.0, 0.0);
        assert_follows(modes[i], 0.3, 0.0);
        assert_follows(modes[i], 1.0, 0.0);
        assert_follows(modes[i], 0.0, 0.4);
        assert_follows(modes[i], 0.5, 0.7);
    }
    assert_follows(PLUMB_CORRECTION_PAPER_INV, 0.0, 0.0);
    assert_follows(PLUMB_CORRECTION_PAPER_INV, 0.0, 0.5);
}
END_TEST

/* Bit for bit, over some steps. */
static void assert_equal(plumb_correction left, double left_mixing, double left_clip,
                         plumb_correction right, double right_mixing)
{
    optimizer_problem one, other;
    problem_of(&one, left, left_mixing, left_clip);
    problem_of(&other, right, right_mixing, 0.0);
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&one, 0.25f);
        problem_groups(&other, 0.25f);
        problem_step(&one, 0.02);
        problem_step(&other, 0.02);
        ck_assert_mem_eq(one.values, other.values, COUNT * sizeof(float));
        ck_assert_int_eq(one.counts.clipped, other.counts.clipped);
    }
    problem_free(&one);
    problem_free(&other);
}

/* A clip that nothing reaches; one moment for all groups leaves no spread to correct for. */
START_TEST(what_changes_nothing)
{
    static const plumb_correction modes[] = {
        PLUMB_CORRECTION_PAPER_CF, PLUMB_CORRECTION_PAPER_INV, PLUMB_CORRECTION_PAPER_FULL,
        PLUMB_CORRECTION_PAPER_PRE_EMA, PLUMB_CORRECTION_PAPER_SYM};
    for (int i = 0; i < 5; i++) {
        assert_equal(modes[i], 0.0, 1e30, modes[i], 0.0);
    }
    assert_equal(PLUMB_CORRECTION_PAPER_FULL, 1.0, 0.0, PLUMB_CORRECTION_PAPER_CF, 1.0);
    assert_equal(PLUMB_CORRECTION_PAPER_PRE_EMA, 1.0, 0.0, PLUMB_CORRECTION_PAPER_CF, 1.0);
}
END_TEST

/* Exchanging the halves exchanges the two updates of the symmetric form. */
START_TEST(halves_of_symmetric_form)
{
    optimizer_problem one, other;
    problem_of(&one, PLUMB_CORRECTION_PAPER_SYM, 0.3, 0.8);
    problem_of(&other, PLUMB_CORRECTION_PAPER_SYM, 0.3, 0.8);
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&one, 0.25f);
        problem_groups(&other, 0.25f);
        for (int k = 0; k < HALF; k++) {
            problem_swap(&other.group_gradients[k], &other.group_gradients[HALF + k]);
        }
        problem_mean(&other);
        problem_step(&one, 0.02);
        problem_step(&other, 0.02);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_float_eq_tol(one.values[i], other.values[i], 1e-6f);
        }
    }
    ck_assert_int_eq(one.counts.clipped, other.counts.clipped);
    problem_free(&one);
    problem_free(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("paper options");
    test_add(suite, "modes follow their reference", modes_follow_reference);
    test_add(suite, "what changes nothing", what_changes_nothing);
    test_add(suite, "halves of the symmetric form", halves_of_symmetric_form);
    return test_run(suite);
}
