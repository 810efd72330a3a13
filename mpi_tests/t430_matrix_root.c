/*
 * Matrix roots of preconditioners and their corrections, without chance: damping and what counts as
 * singular, the bias against second differences of the root itself and against the covariance that
 * normal samples have, and the published diagonal form.
 *
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "correct/matrix_root.h"
#include "linalg/spectrum.h"
#include "support/symmetric.h"

enum { SIDE = 7, COUNT = SIDE * SIDE };

static const int roots[] = {1, 2, 4};
enum { ROOTS = 3 };

static const double spread[SIDE] = {0.1, 0.35, 0.35, 0.8, 1.4, 2.2, 3.0};

static int allocations_until_failure = -1; /* negative: never */

/* The library's only source of memory. */
void *aligned_alloc(size_t alignment, size_t size)
{
    void *block = NULL;
    if (allocations_until_failure == 0) {
        return NULL;
    }
    allocations_until_failure -= allocations_until_failure > 0 ? 1 : 0;
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void check_no_memory_held(void)
{
    int64_t allocations;
    plumb_memory_in_use(&allocations, NULL);
    ck_assert_int_eq(allocations, 0);
}

/* Valgrind puts its own allocator in the place of every other one, ours included. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static matrix_root make(int root)
{
    matrix_root m;
    ck_assert_int_eq(matrix_root_create(SIDE, root, &m), PLUMB_OK);
    return m;
}

static void drop(matrix_root *m)
{
    matrix_root_free(m);
    matrix_root_free(m);
    check_no_memory_held();
}

/* One with the spread's eigenvalues. */
static void set_known(matrix_root *m, double damping)
{
    double statistic[COUNT];
    symmetric_with_values(SIDE, spread, 5, statistic);
    ck_assert_int_eq(matrix_root_set(m, statistic, damping, 0.0), PLUMB_OK);
}

/* basis diag((values + damping)^(-1/r)) basis' */
static void expect_root(int r, const double *values, double damping, uint64_t seed, double *root)
{
    double powers[SIDE];
    for (int i = 0; i < SIDE; i++) {
        powers[i] = pow(values[i] + damping, -1.0 / r);
    }
    symmetric_with_values(SIDE, powers, seed, root);
}

START_TEST(plain_with_damping)
{
    int r = roots[_i];
    double statistic[COUNT], expected[COUNT], root[COUNT];
    matrix_root m = make(r);
    symmetric_with_values(SIDE, spread, 5, statistic);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 0.25, 0.1), PLUMB_OK);
    ck_assert_double_eq_tol(m.damping, 0.55, 1e-14);
    expect_root(r, spread, 0.55, 5, expected);
    matrix_root_plain(&m, root);
    ck_assert_double_lt(symmetric_error(COUNT, root, expected), 1e-13);
    for (int i = 0; i < SIDE; i++) {
        ck_assert_double_eq_tol(m.undamped[i], spread[i], 1e-14);
        ck_assert_double_eq_tol(m.values[i], spread[i] + 0.55, 1e-14);
    }
    drop(&m);
}
END_TEST

/* What is singular is so whichever way its eigenvalues were rounded, and damping saves it. */
START_TEST(singular)
{
    matrix_root m = make(4);
    double values[SIDE], statistic[COUNT], expected[COUNT], root[COUNT];
    memcpy(values, spread, sizeof values);
    values[0] = values[1] = 0.0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        symmetric_with_values(SIDE, values, seed, statistic);
        ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.0), PLUMB_ERROR_NUMERICAL);
        ck_assert_int_eq(matrix_root_set(&m, statistic, 1e-12, 0.0), PLUMB_OK);
        ck_assert_double_eq(m.values[0], 1e-12);
        ck_assert_double_eq(m.undamped[0], 0.0);
    }
    ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.01), PLUMB_OK);
    expect_root(4, values, 0.03, 49, expected);
    matrix_root_plain(&m, root);
    ck_assert_double_lt(symmetric_error(COUNT, root, expected), 1e-12);
    drop(&m);
}
END_TEST

START_TEST(indefinite_and_zero)
{
    matrix_root m = make(2);
    double values[SIDE], statistic[COUNT];
    memcpy(values, spread, sizeof values);
    values[3] = -1e-6;
    symmetric_with_values(SIDE, values, 5, statistic);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.0), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 1e-7, 0.0), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 2e-6, 0.0), PLUMB_OK);
    ck_assert_double_eq_tol(m.values[0], 1e-6, 1e-14);
    ck_assert_double_eq(m.undamped[0], 0.0);
    memset(statistic, 0, sizeof statistic);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.0), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.5), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(matrix_root_set(&m, statistic, 0.25, 0.0), PLUMB_OK);
    matrix_root_plain(&m, statistic);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_double_eq_tol(statistic[i], i % (SIDE + 1) == 0 ? 2.0 : 0.0, 1e-14);
    }
    /* Relative damping does not make a negative matrix worse. */
    for (int i = 0; i < SIDE; i++) {
        statistic[i * SIDE + i] = -2.0;
    }
    ck_assert_int_eq(matrix_root_set(&m, statistic, 3.0, 10.0), PLUMB_OK);
    ck_assert_double_eq(m.values[0], 1.0);
    drop(&m);
}
END_TEST

START_TEST(failed_decompositions)
{
    matrix_root m = make(4);
    double statistic[COUNT], first[COUNT], second[COUNT];
    symmetric_with_values(SIDE, spread, 5, statistic);
    set_known(&m, 0.0);
    matrix_root_plain(&m, first);
    spectrum_faults = 1;
    ck_assert_int_eq(matrix_root_set(&m, statistic, 1.0, 0.0), PLUMB_ERROR_NUMERICAL);
    statistic[SIDE] = NAN;
    ck_assert_int_eq(matrix_root_set(&m, statistic, 1.0, 0.0), PLUMB_ERROR_NONFINITE);
    set_known(&m, 0.0);
    matrix_root_plain(&m, second);
    ck_assert_mem_eq(first, second, sizeof first);
    drop(&m);
}
END_TEST

START_TEST(refused_arguments_and_memory)
{
    matrix_root m;
    ck_assert_int_eq(matrix_root_create(0, 4, &m), PLUMB_ERROR_ARGUMENT);
    matrix_root_free(&m);
    ck_assert_int_eq(matrix_root_create(SPECTRUM_MAX_SIDE + 1, 4, &m), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(matrix_root_create(SIDE, 0, &m), PLUMB_ERROR_ARGUMENT);
    int refused = 0;
    plumb_status status;
    do {
        allocations_until_failure = refused;
        status = matrix_root_create(SIDE, 4, &m);
        allocations_until_failure = -1;
        matrix_root_free(&m);
        check_no_memory_held();
        ck_assert(status == PLUMB_OK || status == PLUMB_ERROR_MEMORY);
        refused += status == PLUMB_OK ? 0 : 1;
    } while (status != PLUMB_OK && refused < 100);
    ck_assert(under_valgrind() || refused == 8);
    /* After create there is nothing left to refuse. */
    m = make(4);
    double matrix[COUNT];
    allocations_until_failure = 0;
    set_known(&m, 0.0);
    symmetric_random(SIDE, 9, matrix);
    matrix_root_add_deviation(&m, matrix, 0.01);
    ck_assert_int_eq(matrix_root_corrected(&m, matrix), PLUMB_OK);
    allocations_until_failure = -1;
    drop(&m);
}
END_TEST

/* The bias in the original basis. */
static void bias_of(matrix_root *m, double *bias)
{
    double inner[COUNT], scratch[COUNT];
    memcpy(inner, m->bias, sizeof inner);
    spectrum_rotate_back(SIDE, m->vectors, inner, scratch, bias);
}

/*
 * (f(A + tE) + f(A - tE) - 2 f(A)) / (2 t^2) by plain roots, twice, so that what is of order t^2
 * drops out (Richardson).
 */
static void second_difference(matrix_root *m, const double *a, const double *e, double damping,
                              double *result)
{
    memset(result, 0, COUNT * sizeof *result);
    for (int step = 0; step < 2; step++) {
        double t = step == 0 ? 0.01 : 0.005, share = step == 0 ? -1.0 / 3.0 : 4.0 / 3.0;
        for (int side = -1; side <= 1; side++) {
            double shifted[COUNT], root[COUNT];
            for (int i = 0; i < COUNT; i++) {
                shifted[i] = a[i] + side * t * e[i];
            }
            ck_assert_int_eq(matrix_root_set(m, shifted, damping, 0.0), PLUMB_OK);
            matrix_root_plain(m, root);
            double weight = share * (side == 0 ? -2.0 : 1.0) / (2.0 * t * t);
            for (int i = 0; i < COUNT; i++) {
                result[i] += weight * root[i];
            }
        }
    }
}

START_TEST(deviations_against_differences)
{
    matrix_root m = make(roots[_i]);
    double statistic[COUNT], deviation[COUNT], expected[COUNT], actual[COUNT];
    symmetric_with_values(SIDE, spread, 5, statistic);
    symmetric_random(SIDE, 12, deviation);
    for (int i = 0; i < COUNT; i++) {
        deviation[i] *= 0.5;
    }
    second_difference(&m, statistic, deviation, 0.2, expected);
    set_known(&m, 0.2);
    matrix_root_add_deviation(&m, deviation, 0.25);
    matrix_root_add_deviation(&m, deviation, 0.75);
    bias_of(&m, actual);
    ck_assert_double_lt(symmetric_error(COUNT, actual, expected), 1e-6);
    /* Cleared, it counts from zero again. */
    matrix_root_clear_bias(&m);
    matrix_root_add_deviation(&m, deviation, 1.0);
    bias_of(&m, actual);
    ck_assert_double_lt(symmetric_error(COUNT, actual, expected), 1e-6);
    drop(&m);
}
END_TEST

/* Plain without bias; else F - B up to the square of B. */
START_TEST(corrected)
{
    matrix_root m = make(roots[_i]);
    double deviation[COUNT], bias[COUNT], plain[COUNT], root[COUNT];
    symmetric_random(SIDE, 12, deviation);
    set_known(&m, 0.0);
    matrix_root_plain(&m, plain);
    ck_assert_int_eq(matrix_root_corrected(&m, root), PLUMB_OK);
    ck_assert_mem_eq(root, plain, sizeof root);
    const double weight = 1e-6;
    matrix_root_add_deviation(&m, deviation, weight);
    bias_of(&m, bias);
    ck_assert_int_eq(matrix_root_corrected(&m, root), PLUMB_OK);
    for (int i = 0; i < COUNT; i++) {
        plain[i] -= root[i];
    }
    ck_assert_double_lt(symmetric_error(COUNT, plain, bias), 2e-3);
    /* A bias far beyond the root leaves it positive definite. */
    matrix_root_add_deviation(&m, deviation, 1e6);
    ck_assert_int_eq(matrix_root_corrected(&m, root), PLUMB_OK);
    ck_assert(spectrum_cholesky(SIDE, root));
    matrix_root_add_deviation(&m, deviation, -2e6);
    ck_assert_int_eq(matrix_root_corrected(&m, root), PLUMB_ERROR_NUMERICAL);
    /* Setting it anew forgets the bias. */
    set_known(&m, 0.0);
    matrix_root_plain(&m, plain);
    ck_assert_int_eq(matrix_root_corrected(&m, root), PLUMB_OK);
    ck_assert_mem_eq(root, plain, sizeof root);
    drop(&m);
}
END_TEST

/*
 * For normal samples the elements of a deviation in the eigenbasis are uncorrelated with variances
 * lambda_i lambda_k / N, twice that on the diagonal. T2 is quadratic: its expectation is the sum
 * over these elements, one by one.
 */
static void add_normal_deviations(matrix_root *m, double samples)
{
    for (int i = 0; i < SIDE; i++) {
        for (int k = 0; k <= i; k++) {
            double element[COUNT] = {0.0}, deviation[COUNT], scratch[COUNT];
            double variance = (i == k ? 2.0 : 1.0) * m->undamped[i] * m->undamped[k] / samples;
            element[i * SIDE + k] = sqrt(variance);
            element[k * SIDE + i] = sqrt(variance);
            spectrum_rotate_back(SIDE, m->vectors, element, scratch, deviation);
            matrix_root_add_deviation(m, deviation, 1.0);
        }
    }
}

START_TEST(wishart_is_the_expected_deviation)
{
    static const double dampings[] = {0.0, 0.7};
    for (int d = 0; d < 2; d++) {
        matrix_root m = make(roots[_i]);
        double full[COUNT], root[COUNT];
        set_known(&m, dampings[d]);
        add_normal_deviations(&m, 50.0);
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < i; j++) {
                ck_assert_double_lt(fabs(m.bias[i * SIDE + j]), 1e-12);
            }
        }
        ck_assert_int_eq(matrix_root_corrected(&m, full), PLUMB_OK);
        matrix_root_wishart(&m, 50.0);
        for (int i = 0; i < SIDE; i++) {
            ck_assert_double_eq_tol(m.diagonal[i] / m.bias[i * SIDE + i], 1.0, 1e-11);
        }
        ck_assert_int_eq(matrix_root_corrected(&m, root), PLUMB_OK);
        ck_assert_double_lt(symmetric_error(COUNT, root, full), 1e-12);
        drop(&m);
    }
}
END_TEST

/* One dimension, where a sample variance of N normal numbers has b = c 2 lambda^(-1/r) / N. */
START_TEST(wishart_of_one_dimension)
{
    int r = roots[_i];
    matrix_root m;
    double statistic = 2.3;
    ck_assert_int_eq(matrix_root_create(1, r, &m), PLUMB_OK);
    ck_assert_int_eq(matrix_root_set(&m, &statistic, 0.0, 0.0), PLUMB_OK);
    matrix_root_wishart(&m, 40.0);
    double expected = (1.0 / r) * (1.0 / r + 1.0) / 40.0 * pow(2.3, -1.0 / r);
    ck_assert_double_eq_tol(m.diagonal[0] / expected, 1.0, 1e-13);
    drop(&m);
}
END_TEST

/* Scaling by a power that has exact roots scales the answer exactly, up to 1e-96 and 1e96. */
START_TEST(scales)
{
    int r = roots[_i];
    static const int exponents[] = {-320, -8, 8, 320};
    double statistic[COUNT], deviation[COUNT], roots_of[3][COUNT], scaled[COUNT];
    for (int s = -1; s < 4; s++) {
        int exponent = s < 0 ? 0 : exponents[s];
        matrix_root m = make(r);
        symmetric_with_values(SIDE, spread, 5, statistic);
        symmetric_random(SIDE, 12, deviation);
        for (int i = 0; i < COUNT; i++) {
            statistic[i] = ldexp(statistic[i], exponent);
            deviation[i] = ldexp(deviation[i], exponent);
        }
        ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.125), PLUMB_OK);
        for (int form = 0; form < 3; form++) {
            if (form == 1) {
                matrix_root_add_deviation(&m, deviation, 0.01);
            } else if (form == 2) {
                matrix_root_wishart(&m, 30.0);
            }
            ck_assert_int_eq(matrix_root_corrected(&m, s < 0 ? roots_of[form] : scaled), PLUMB_OK);
            for (int i = 0; i < COUNT && s >= 0; i++) {
                ck_assert_double_eq(ldexp(scaled[i], exponent / r), roots_of[form][i]);
            }
        }
        drop(&m);
    }
}
END_TEST

/* Rotating everything rotates the answer. */
START_TEST(any_basis)
{
    double statistic[COUNT], deviation[COUNT], basis[COUNT], scratch[COUNT], turned[COUNT];
    double first[COUNT], second[COUNT];
    symmetric_with_values(SIDE, spread, 5, statistic);
    symmetric_random(SIDE, 12, deviation);
    symmetric_basis(SIDE, 31, basis);
    for (int pass = 0; pass < 2; pass++) {
        matrix_root m = make(roots[_i]);
        ck_assert_int_eq(matrix_root_set(&m, statistic, 0.0, 0.0), PLUMB_OK);
        matrix_root_add_deviation(&m, deviation, 0.05);
        ck_assert_int_eq(matrix_root_corrected(&m, pass == 0 ? first : second), PLUMB_OK);
        drop(&m);
        spectrum_rotate_back(SIDE, basis, statistic, scratch, turned);
        memcpy(statistic, turned, sizeof turned);
        spectrum_rotate_back(SIDE, basis, deviation, scratch, turned);
        memcpy(deviation, turned, sizeof turned);
    }
    spectrum_rotate_back(SIDE, basis, first, scratch, turned);
    ck_assert_double_lt(symmetric_error(COUNT, second, turned), 1e-12);
}
END_TEST

START_TEST(paper_diagonal)
{
    int r = roots[_i];
    double coefficient = r == 4 ? 5.0 / 32.0 : r == 2 ? 3.0 / 8.0 : 1.0;
    matrix_root m = make(r);
    double variance[SIDE], expected[SIDE], rebuilt[COUNT], root[COUNT];
    set_known(&m, 0.1);
    for (int clipped = 0; clipped < 2; clipped++) {
        double bound = clipped == 1 ? 0.9 : 0.0;
        for (int k = 0; k < SIDE; k++) {
            double value = m.values[k];
            variance[k] = k == 2 ? 100.0 : 0.02 * (k + 1);
            expected[k] =
                pow(value, -1.0 / r) - coefficient * pow(value, -1.0 / r - 2.0) * variance[k];
            expected[k] = fmax(expected[k], 0.0);
            expected[k] = clipped == 1 ? fmin(expected[k], bound) : expected[k];
        }
        ck_assert_double_eq(expected[2], 0.0);
        symmetric_build(SIDE, m.vectors, expected, rebuilt);
        matrix_root_paper_diagonal(&m, variance, bound, root);
        ck_assert_double_lt(symmetric_error(COUNT, root, rebuilt), 1e-13);
    }
    drop(&m);
}
END_TEST

START_TEST(rayleigh)
{
    matrix_root m = make(4);
    double sample[COUNT], transposed[COUNT], half[COUNT], whole[COUNT], estimates[SIDE];
    set_known(&m, 0.0);
    symmetric_random(SIDE, 12, sample);
    symmetric_transpose(SIDE, m.vectors, transposed);
    symmetric_multiply(SIDE, sample, m.vectors, half);
    symmetric_multiply(SIDE, transposed, half, whole);
    matrix_root_rayleigh(&m, sample, estimates);
    for (int k = 0; k < SIDE; k++) {
        ck_assert_double_eq_tol(estimates[k], whole[k * SIDE + k], 1e-14);
    }
    drop(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matrix root");
    test_add(suite, "singular", singular);
    test_add(suite, "indefinite and zero", indefinite_and_zero);
    test_add(suite, "failed decompositions", failed_decompositions);
    test_add(suite, "refused arguments and memory", refused_arguments_and_memory);
    test_add(suite, "rayleigh", rayleigh);
    TCase *loops = tcase_create("roots");
    tcase_add_loop_test(loops, plain_with_damping, 0, ROOTS);
    tcase_add_loop_test(loops, deviations_against_differences, 0, ROOTS);
    tcase_add_loop_test(loops, corrected, 0, ROOTS);
    tcase_add_loop_test(loops, wishart_is_the_expected_deviation, 0, ROOTS);
    tcase_add_loop_test(loops, wishart_of_one_dimension, 0, ROOTS);
    tcase_add_loop_test(loops, scales, 0, ROOTS);
    tcase_add_loop_test(loops, any_basis, 0, ROOTS);
    tcase_add_loop_test(loops, paper_diagonal, 0, ROOTS);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
