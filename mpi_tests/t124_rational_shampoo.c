/*
 * Shampoo with roots by shifted inverses: the same updates as by eigenvalues to the accuracy of the
 * roots, for both exponents, with and without a correction of the product; what is tried again with
 * more damping, what is zero, and what is refused.
 *
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "linalg/spectrum.h"
#include "optim/shampoo_decompose.h"
#include "support/matrix_problem.h"
#include "support/symmetric.h"

enum { ROWS = 12, COLS = 9, STEPS = 4 };

static void begin(matrix_problem *p, plumb_root_method method, double exponent)
{
    matrix_problem_init(p, PLUMB_OPTIMIZER_SHAMPOO, ROWS, COLS);
    p->base.options.root_interval = 1;
    p->base.options.relative_damping = 1e-3;
    p->base.options.grafting = PLUMB_GRAFTING_NONE;
    p->base.options.exponent = exponent;
    p->base.options.root_method = method;
}

/* The values after some steps; problem_gradient varies with what it is given. */
static void run(plumb_root_method method, double exponent, float *values)
{
    matrix_problem p;
    begin(&p, method, exponent);
    for (int k = 0; k < STEPS; k++) {
        problem_gradient(&p.base, 0.5f + 0.1f * (float)k);
        ck_assert_msg(matrix_problem_update(&p, 0.1) == PLUMB_OK, "%s", error_text());
        matrix_problem_commit(&p);
    }
    memcpy(values, p.base.values, ROWS * COLS * sizeof *values);
    matrix_problem_free(&p);
}

START_TEST(same_updates)
{
    double exponent = _i == 0 ? 0.25 : 0.5;
    float expected[ROWS * COLS], values[ROWS * COLS], again[ROWS * COLS];
    run(PLUMB_ROOT_EIGEN, exponent, expected);
    run(PLUMB_ROOT_RATIONAL, exponent, values);
    run(PLUMB_ROOT_RATIONAL, exponent, again);
    ck_assert_mem_eq(values, again, sizeof values);
    ck_assert_mem_ne(values, expected, sizeof values);
    double difference = 0.0, norm = 0.0;
    for (int i = 0; i < ROWS * COLS; i++) {
        difference = fmax(difference, fabs((double)values[i] - (double)expected[i]));
        norm = fmax(norm, fabs((double)expected[i]));
    }
    ck_assert_double_le(difference, 2e-3 * norm);
}
END_TEST

typedef struct outcome {
    plumb_status status;
    shampoo_outcome outcome;
    double standing, root[ROWS * ROWS];
    int64_t failed;
} outcome;

/* A factor with these eigenvalues: the largest is 1, the others `least`. */
static outcome decompose(double least, double relative_damping, double standing)
{
    double values[ROWS], statistic[ROWS * ROWS];
    outcome o = {.standing = standing};
    for (int i = 0; i < ROWS; i++) {
        values[i] = i == 0 ? 1.0 : least;
    }
    symmetric_with_values(ROWS, values, 3, statistic);
    matrix_root m = {.n = ROWS, .root = 4};
    block b = {.rows = ROWS, .cols = COLS};
    shampoo_factor factor = {.relative_damping = relative_damping,
                             .most_failures = 2,
                             .block = &b,
                             .side = PRODUCT_LEFT,
                             .standing = standing,
                             .rational = o.root};
    o.status = shampoo_decompose(&factor, &m, statistic, &o.standing, &o.outcome, &o.failed);
    return o;
}

static double trace_of_root(const outcome *o)
{
    double trace = 0.0;
    for (int i = 0; i < ROWS; i++) {
        trace += o->root[i * (ROWS + 1)];
    }
    return trace;
}

START_TEST(more_damping)
{
    outcome good = decompose(1e-2, 1e-6, shampoo_none_yet);
    ck_assert(good.status == PLUMB_OK && good.outcome == SHAMPOO_DECOMPOSED && good.failed == 0);
    ck_assert_double_eq(good.standing, shampoo_good);
    ck_assert_double_eq_tol(trace_of_root(&good) / (1.0 + (ROWS - 1) * pow(1e-2, -0.25)), 1.0,
                            1e-4);
    outcome retried = decompose(-1e-4, 1e-6, shampoo_none_yet);
    ck_assert_msg(retried.status == PLUMB_OK, "%s", error_text());
    ck_assert(retried.outcome == SHAMPOO_DECOMPOSED && retried.failed == 1);
    ck_assert_double_gt(trace_of_root(&retried), 1.0);
    outcome bad = decompose(-0.5, 1e-6, shampoo_good);
    ck_assert(bad.status == PLUMB_OK && bad.outcome == SHAMPOO_FAILED && bad.failed == 1);
    ck_assert_double_eq(bad.standing, shampoo_good + 1.0);
    bad = decompose(-0.5, 1e-6, shampoo_none_yet);
    ck_assert_int_eq(bad.status, PLUMB_ERROR_NUMERICAL);
    ck_assert(strstr(error_text(), "left factor") != NULL);
    ck_assert(strstr(error_text(), "no inverse root") != NULL);
}
END_TEST

/* Without a relative damping the condition is the largest there is. */
START_TEST(every_damping)
{
    static const double dampings[] = {0.0, 1e-12, 1e-9, 1e-3, 1.0};
    for (int i = 0; i < 5; i++) {
        outcome o = decompose(1e-3, dampings[i], shampoo_good);
        ck_assert_msg(o.status == PLUMB_OK, "%s", error_text());
        double expected =
            pow(1.0 + dampings[i], -0.25) + (ROWS - 1) * pow(1e-3 + dampings[i], -0.25);
        ck_assert_double_eq_tol(trace_of_root(&o) / expected, 1.0, 3e-3);
        ck_assert_int_eq(o.failed, 0);
    }
}
END_TEST

START_TEST(zero_and_not_finite)
{
    double statistic[ROWS * ROWS] = {0.0}, root[ROWS * ROWS], standing = 7.0;
    int64_t failed = 0;
    shampoo_outcome result;
    matrix_root m = {.n = ROWS, .root = 4};
    block b = {.rows = ROWS, .cols = COLS};
    shampoo_factor factor = {.relative_damping = 1e-6, .block = &b, .rational = root};
    ck_assert_int_eq(shampoo_decompose(&factor, &m, statistic, &standing, &result, &failed),
                     PLUMB_OK);
    ck_assert(result == SHAMPOO_ZERO && standing == shampoo_none_yet && failed == 0);
    statistic[3 * ROWS + 1] = NAN;
    ck_assert_int_eq(shampoo_decompose(&factor, &m, statistic, &standing, &result, &failed),
                     PLUMB_ERROR_NONFINITE);
}
END_TEST

static plumb_status validate(plumb_optimizer optimizer, plumb_correction correction,
                             double noise_floor)
{
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, optimizer), PLUMB_OK);
    ck_assert_int_eq(o.root_method, PLUMB_ROOT_EIGEN);
    o.root_method = PLUMB_ROOT_RATIONAL;
    o.correction = correction;
    o.noise_floor = noise_floor;
    return optimizer_validate(&o, ROWS, COLS);
}

START_TEST(what_goes_with_it)
{
    const plumb_optimizer shampoo = PLUMB_OPTIMIZER_SHAMPOO;
    ck_assert_int_eq(validate(shampoo, PLUMB_CORRECTION_NONE, 0.0), PLUMB_OK);
    ck_assert_int_eq(validate(shampoo, PLUMB_CORRECTION_JACKKNIFE, 1.0), PLUMB_OK);
    ck_assert_int_eq(validate(shampoo, PLUMB_CORRECTION_HALF_SAMPLE, 1.0), PLUMB_OK);
    ck_assert_int_eq(validate(shampoo, PLUMB_CORRECTION_SECOND_ORDER, 1.0),
                     PLUMB_ERROR_UNSUPPORTED);
    ck_assert_int_eq(validate(shampoo, PLUMB_CORRECTION_WISHART, 1.0), PLUMB_ERROR_UNSUPPORTED);
    ck_assert_int_eq(validate(shampoo, PLUMB_CORRECTION_PAPER_DIAGONAL, 0.0),
                     PLUMB_ERROR_UNSUPPORTED);
    ck_assert_int_eq(validate(PLUMB_OPTIMIZER_SOAP, PLUMB_CORRECTION_NONE, 0.0),
                     PLUMB_ERROR_UNSUPPORTED);
    ck_assert(strstr(error_text(), "root_method") != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Shampoo with rational roots");
    test_add(suite, "more damping", more_damping);
    test_add(suite, "every damping", every_damping);
    test_add(suite, "zero and not finite", zero_and_not_finite);
    test_add(suite, "what goes with it", what_goes_with_it);
    TCase *loops = tcase_create("exponents");
    tcase_add_loop_test(loops, same_updates, 0, 2);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
