/*
 * SGD and AdamW against plain references in double over several steps, and any cut into slices
 * against the whole, bit for bit.
 * ranks: serial
 */
#include <math.h>

#include "support/optimizer_problem.h"

enum { ROWS = 37, COLS = 29, COUNT = ROWS * COLS, STEPS = 7 };

typedef struct reference {
    double values[COUNT], first[COUNT], second[COUNT];
} reference;

static void reference_init(reference *r, const optimizer_problem *p)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < COUNT; i++) {
        r->values[i] = (double)p->values[i];
    }
}

/* v = beta1 v + g; x -= rate decay x + rate (v or g + beta1 v). */
static void reference_sgd(reference *r, const optimizer_problem *p, double rate)
{
    const plumb_parameter_options *o = &p->options;
    for (int i = 0; i < COUNT; i++) {
        double g = (double)p->gradient[i];
        r->first[i] = o->beta1 * r->first[i] + g;
        double direction = o->nesterov ? g + o->beta1 * r->first[i] : r->first[i];
        r->values[i] = r->values[i] * (1.0 - rate * o->weight_decay) - rate * direction;
    }
}

/* Loshchilov and Hutter 2019, algorithm 2, with the corrected moments written out. */
static void reference_adamw(reference *r, const optimizer_problem *p, double rate)
{
    const plumb_parameter_options *o = &p->options;
    double t = (double)(p->updates + 1);
    for (int i = 0; i < COUNT; i++) {
        double g = (double)p->gradient[i];
        r->first[i] = o->beta1 * r->first[i] + (1.0 - o->beta1) * g;
        r->second[i] = o->beta2 * r->second[i] + (1.0 - o->beta2) * g * g;
        double mean = r->first[i] / (1.0 - pow(o->beta1, t));
        double square = r->second[i] / (1.0 - pow(o->beta2, t));
        r->values[i] -= rate * o->weight_decay * r->values[i];
        r->values[i] -= rate * mean / (sqrt(square) + o->epsilon);
    }
}

typedef void reference_step(reference *r, const optimizer_problem *p, double rate);

static void assert_follows(plumb_optimizer optimizer, reference_step *step, double beta1,
                           double weight_decay, int nesterov)
{
    static reference r;
    optimizer_problem p;
    problem_init(&p, optimizer, ROWS, COLS);
    p.options.beta1 = beta1;
    p.options.weight_decay = weight_decay;
    p.options.nesterov = nesterov;
    reference_init(&r, &p);
    for (int t = 0; t < STEPS; t++) {
        double rate = 0.02 / (t + 1);
        problem_gradient(&p, 0.5f);
        step(&r, &p, rate);
        problem_step(&p, rate);
        for (int i = 0; i < COUNT; i++) {
            double error = fabs((double)p.values[i] - r.values[i]);
            ck_assert_msg(error <= 1e-6 * (fabs(r.values[i]) + 0.1),
                          "beta1 %g decay %g nesterov %d step %d element %d: %.9g, not %.9g", beta1,
                          weight_decay, nesterov, t, i, (double)p.values[i], r.values[i]);
        }
    }
    problem_free(&p);
}

START_TEST(sgd_follows_reference)
{
    assert_follows(PLUMB_OPTIMIZER_SGD, reference_sgd, 0.0, 0.0, 0);
    assert_follows(PLUMB_OPTIMIZER_SGD, reference_sgd, 0.9, 0.0, 0);
    assert_follows(PLUMB_OPTIMIZER_SGD, reference_sgd, 0.9, 0.3, 0);
    assert_follows(PLUMB_OPTIMIZER_SGD, reference_sgd, 0.8, 0.3, 1);
}
END_TEST

START_TEST(adamw_follows_reference)
{
    assert_follows(PLUMB_OPTIMIZER_ADAMW, reference_adamw, 0.9, 0.0, 0);
    assert_follows(PLUMB_OPTIMIZER_ADAMW, reference_adamw, 0.9, 0.4, 0);
    assert_follows(PLUMB_OPTIMIZER_ADAMW, reference_adamw, 0.3, 0.1, 0);
    assert_follows(PLUMB_OPTIMIZER_ADAMW, reference_adamw, 0.0, 0.1, 0);
}
END_TEST

START_TEST(adamw_of_nothing_is_nothing)
{
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    p.options.weight_decay = 0.0;
    problem_step(&p, 0.1);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(p.values[i] == test_value(1, 0, (uint64_t)i));
    }
    problem_free(&p);
}
END_TEST

/* Without momentum the first moment is the gradient itself, however large the last one was. */
START_TEST(no_momentum_is_the_gradient)
{
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    p.options.beta1 = 0.0;
    for (int t = 0; t < STEPS; t++) {
        problem_gradient(&p, t % 2 == 0 ? 1e6f : 1e-3f);
        problem_step(&p, 0.01);
        ck_assert_mem_eq(p.states[0], p.gradient, COUNT * sizeof(float));
    }
    problem_free(&p);
}
END_TEST

/* The whole by steps of one slice against steps cut at odd places. */
static void assert_slices(plumb_optimizer optimizer, int nesterov)
{
    static const int64_t cuts[] = {0, 1, 2, 19, 64, 65, 500, COUNT};
    optimizer_problem whole, sliced;
    problem_init(&whole, optimizer, ROWS, COLS);
    problem_init(&sliced, optimizer, ROWS, COLS);
    whole.options.nesterov = sliced.options.nesterov = nesterov;
    size_t bytes = COUNT * sizeof(float);
    for (int t = 0; t < STEPS; t++) {
        problem_gradient(&whole, 1.0f);
        problem_gradient(&sliced, 1.0f);
        problem_step(&whole, 0.01);
        for (size_t s = 0; s + 1 < sizeof cuts / sizeof cuts[0]; s++) {
            ck_assert_int_eq(problem_update(&sliced, 0.01, cuts[s], cuts[s + 1] - cuts[s]),
                             PLUMB_OK);
        }
        problem_commit(&sliced);
        ck_assert_mem_eq(whole.values, sliced.values, bytes);
        for (int s = 0; s < PROBLEM_MOST_STATES; s++) {
            ck_assert_mem_eq(whole.states[s], sliced.states[s], bytes);
        }
    }
    problem_free(&whole);
    problem_free(&sliced);
}

START_TEST(slices_equal_the_whole)
{
    assert_slices(PLUMB_OPTIMIZER_SGD, 0);
    assert_slices(PLUMB_OPTIMIZER_SGD, 1);
    assert_slices(PLUMB_OPTIMIZER_ADAMW, 0);
}
END_TEST

START_TEST(old_state_stays)
{
    optimizer_problem p;
    problem_init(&p, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    problem_gradient(&p, 1.0f);
    problem_step(&p, 0.01);
    static float values[COUNT], first[COUNT], second[COUNT];
    memcpy(values, p.values, sizeof values);
    memcpy(first, p.states[0], sizeof first);
    memcpy(second, p.states[1], sizeof second);
    problem_gradient(&p, 1.0f);
    ck_assert_int_eq(problem_update(&p, 0.01, 0, COUNT), PLUMB_OK);
    ck_assert_mem_eq(values, p.values, sizeof values);
    ck_assert_mem_eq(first, p.states[0], sizeof first);
    ck_assert_mem_eq(second, p.states[1], sizeof second);
    ck_assert_mem_ne(p.values, p.new_values, sizeof values);
    problem_free(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("element-wise optimizers");
    test_add(suite, "sgd follows its reference", sgd_follows_reference);
    test_add(suite, "adamw follows its reference", adamw_follows_reference);
    test_add(suite, "adamw of nothing is nothing", adamw_of_nothing_is_nothing);
    test_add(suite, "no momentum is the gradient", no_momentum_is_the_gradient);
    test_add(suite, "slices equal the whole", slices_equal_the_whole);
    test_add(suite, "old state stays", old_state_stays);
    return test_run(suite);
}
