/*
 * Quartiles, contests and the coupled Newton iteration against what is known: order statistics of
 * small sets, who ran how often, and a diagonal matrix.
 * ranks: serial
 */
#include "support/test.h"
#include "workload/contest.h"
#include "workload/coupled_newton.h"
#include "workload/polar_accuracy.h"

#include <math.h>
#include <stdlib.h>

START_TEST(quartiles_of_small_sets)
{
    double five[] = {5.0, NAN, 1.0, 4.0, 2.0, 3.0};
    quartiles q = quartiles_of(five, 6);
    ck_assert_int_eq(q.count, 5);
    ck_assert_double_eq(q.lower, 2.0);
    ck_assert_double_eq(q.median, 3.0);
    ck_assert_double_eq(q.upper, 4.0);
    double two[] = {8.0, 4.0};
    q = quartiles_of(two, 2);
    ck_assert_double_eq(q.lower, 5.0);
    ck_assert_double_eq(q.median, 6.0);
    ck_assert_double_eq(q.upper, 7.0);
    double none[] = {NAN};
    q = quartiles_of(none, 1);
    ck_assert(q.count == 0 && isnan(q.median));
    const double left[] = {2.0, NAN, 9.0}, right[] = {1.0, 5.0, 3.0};
    q = quartiles_of_ratios(left, right, 3);
    ck_assert_int_eq(q.count, 2);
    ck_assert_double_eq(q.median, 2.5);
}
END_TEST

/* Works for `loops` and counts its calls; fails at call `fail_at`. */
typedef struct worker {
    int loops, calls, fail_at;
    volatile double sum;
} worker;

static int work(void *context)
{
    worker *w = context;
    for (int i = 0; i < w->loops; i++) {
        w->sum += 1.0;
    }
    return ++w->calls == w->fail_at ? 7 : 0;
}

START_TEST(contest_runs_all_in_turns)
{
    worker unit = {.loops = 1000000}, fast = {.loops = 1000000}, slow = {.loops = 3000000};
    contest *c = calloc(1, sizeof *c);
    ck_assert_ptr_nonnull(c);
    contest_add(c, work, &unit);
    int second = contest_add(c, work, &fast), third = contest_add(c, work, &slow);
    ck_assert_int_eq(contest_run(c, 0.0), 0);
    ck_assert_int_eq(c->rounds, CONTEST_LEAST_ROUNDS);
    ck_assert_int_eq(contest_units(c, third).count, CONTEST_LEAST_ROUNDS);
    ck_assert(contest_seconds(c, 0).median > 0.0);
    ck_assert_double_eq(contest_units(c, 0).median, 1.0);
    ck_assert(contest_ratio(c, third, second).median > 0.0);
    /* A warm-up and three rounds; the unit runs between the others too. */
    ck_assert(slow.calls >= 4 && fast.calls >= 4 && unit.calls >= 1 + 3 * 3);
    fast.fail_at = fast.calls + 2;
    ck_assert_int_eq(contest_run(c, 0.0), 7);
    free(c);
}
END_TEST

START_TEST(coupled_newton_of_a_diagonal)
{
    enum { N = 8 };
    float matrix[N * N] = {0.0f}, root[N * N], *scratch;
    scratch = calloc((size_t)coupled_newton_scratch(N), sizeof *scratch);
    ck_assert_ptr_nonnull(scratch);
    for (int i = 0; i < N; i++) {
        matrix[i * (N + 1)] = (float)pow(10.0, -0.5 * i);
    }
    int iterations = coupled_newton_inverse_fourth_root(N, matrix, 1.0f, root, scratch);
    ck_assert(iterations > 3 && iterations < 30);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double expected = i == j ? pow(10.0, 0.125 * i) : 0.0;
            ck_assert_double_eq_tol((double)root[i * N + j], expected, 1e-4);
        }
    }
    free(scratch);
}
END_TEST

START_TEST(accuracy_knows_the_methods)
{
    bool wanted[POLAR_CONTESTANTS] = {
        [POLAR_SVD] = true, [POLAR_SGESDD] = true, [POLAR_NEWTON_SCHULZ] = true};
    polar_accuracy a[POLAR_CONTESTANTS];
    char message[512];
    const int64_t shapes[][2] = {{40, 24}, {24, 40}, {16, 16}};
    for (int s = 0; s < 3; s++) {
        for (int input = 0; input < POLAR_INPUTS; input++) {
            ck_assert_int_eq(polar_accuracy_measure(shapes[s][0], shapes[s][1], (polar_input)input,
                                                    wanted, a, message, sizeof message),
                             0);
            ck_assert(a[POLAR_SVD].ran && !a[POLAR_FAST].ran);
            ck_assert_double_le(a[POLAR_SVD].orthogonality, 1e-6);
            ck_assert_double_le(a[POLAR_SVD].forward, 1e-6);
            ck_assert_double_le(a[POLAR_SGESDD].orthogonality, 1e-5);
            /* Newton-Schulz never lands on 1, and leaves small singular values small. */
            ck_assert_double_ge(a[POLAR_NEWTON_SCHULZ].forward, 0.02);
            ck_assert_double_le(a[POLAR_NEWTON_SCHULZ].highest, 1.21);
            ck_assert(input < POLAR_INPUT_CONDITION_1E6 || a[POLAR_NEWTON_SCHULZ].lowest < 0.05);
            ck_assert(isnan(a[POLAR_SVD].band) && isnan(a[POLAR_SVD].forward_delta));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quartiles");
    test_add(suite, "quartiles_of_small_sets", quartiles_of_small_sets);
    test_add(suite, "contest_runs_all_in_turns", contest_runs_all_in_turns);
    test_add(suite, "coupled_newton_of_a_diagonal", coupled_newton_of_a_diagonal);
    test_add(suite, "accuracy_knows_the_methods", accuracy_knows_the_methods);
    return test_run(suite);
}
