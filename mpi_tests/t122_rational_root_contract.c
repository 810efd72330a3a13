/*
 * What plumb_inverse_root promises of its rational method apart from accuracy: what is not positive
 * definite, zero, scales, what is read, equal bits, and every refusal with the result untouched and
 * no memory held.
 *
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plumb.h"
#include "support/symmetric.h"

enum { SIDE = 37, COUNT = SIDE * SIDE };

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

/* Valgrind puts its own allocator in the place of every other one, ours included. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static plumb_inverse_root_options rational(void)
{
    return (plumb_inverse_root_options){.size = sizeof(plumb_inverse_root_options),
                                        .method = PLUMB_ROOT_RATIONAL};
}

/* Eigenvalues from `lowest` to 1, even in the logarithm if it is positive. */
static void make(double lowest, double *matrix)
{
    double values[SIDE];
    for (int i = 0; i < SIDE; i++) {
        double share = (double)i / (SIDE - 1);
        values[i] = lowest > 0.0 ? pow(lowest, share) : 1.0 + (lowest - 1.0) * share;
    }
    symmetric_with_values(SIDE, values, 5, matrix);
}

static void solve(int root, const double *matrix, const plumb_inverse_root_options *options,
                  double *result)
{
    plumb_status status = plumb_inverse_root(root, SIDE, 1, matrix, result, options);
    ck_assert_msg(status == PLUMB_OK, "%s", plumb_error_message(NULL));
    int64_t allocations;
    plumb_memory_in_use(&allocations, NULL);
    ck_assert_int_eq(allocations, 0);
}

static void refused(plumb_status expected, const char *part, int root, int64_t n, int64_t count,
                    const double *samples, const plumb_inverse_root_options *options)
{
    double result[COUNT], before[COUNT];
    symmetric_random(SIDE, 70, before);
    memcpy(result, before, sizeof result);
    ck_assert_int_eq(plumb_inverse_root(root, n, count, samples, result, options), expected);
    ck_assert_msg(strstr(plumb_error_message(NULL), part) != NULL, "%s", plumb_error_message(NULL));
    ck_assert_mem_eq(result, before, sizeof result);
    int64_t allocations;
    plumb_memory_in_use(&allocations, NULL);
    ck_assert_int_eq(allocations, 0);
}

START_TEST(not_positive_definite)
{
    double matrix[COUNT];
    plumb_inverse_root_options options = rational();
    static const double lowest[] = {-1.0, -1e-2, -1e-3};
    for (int i = 0; i < 3; i++) {
        make(lowest[i], matrix);
        for (int root = 1; root <= 4; root *= 2) {
            refused(PLUMB_ERROR_NUMERICAL, "no inverse root", root, SIDE, 1, matrix, &options);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        matrix[i] = -matrix[i];
    }
    refused(PLUMB_ERROR_NUMERICAL, "no inverse root", 4, SIDE, 1, matrix, &options);
    make(-1e-2, matrix);
    options.damping = 0.02;
    double result[COUNT];
    solve(4, matrix, &options, result);
}
END_TEST

START_TEST(zero)
{
    double matrix[COUNT] = {0.0}, result[COUNT];
    plumb_inverse_root_options options = rational();
    refused(PLUMB_ERROR_NUMERICAL, "no inverse root", 4, SIDE, 1, matrix, &options);
    options.relative_damping = 0.5;
    refused(PLUMB_ERROR_NUMERICAL, "no inverse root", 4, SIDE, 1, matrix, &options);
    options.damping = 16.0;
    solve(4, matrix, &options, result);
    for (int i = 0; i < COUNT; i++) {
        double expected = i % (SIDE + 1) == 0 ? 0.5 : 0.0;
        ck_assert_double_eq_tol(result[i], expected, 4e-5);
    }
}
END_TEST

/* A damping beyond all eigenvalues, and one below all of them. */
START_TEST(damping_alone)
{
    double matrix[COUNT], result[COUNT];
    plumb_inverse_root_options options = rational();
    make(1e-2, matrix);
    options.damping = 1e40;
    solve(4, matrix, &options, result);
    ck_assert_double_eq_tol(result[0] / 1e-10, 1.0, 7e-5);
    options.damping = 1e-300;
    double plain[COUNT];
    plumb_inverse_root_options none = rational();
    solve(4, matrix, &options, result);
    solve(4, matrix, &none, plain);
    ck_assert_mem_eq(result, plain, sizeof plain);
}
END_TEST

/* No eigenvalue is positive before the damping is added. */
START_TEST(damping_of_negative)
{
    plumb_inverse_root_options options = rational();
    options.damping = 3.0;
    for (int n = 1; n <= 2; n++) {
        double matrix[] = {-1.0, 0.0, 0.0, -2.0}, result[4];
        plumb_status status = plumb_inverse_root(2, n, 1, matrix, result, &options);
        ck_assert_msg(status == PLUMB_OK, "%s", plumb_error_message(NULL));
        ck_assert_double_eq_tol(result[0], sqrt(0.5), 5e-5);
    }
}
END_TEST

/* Powers of two whose roots are powers of two change the exponents only. */
START_TEST(scales)
{
    static const int exponents[] = {-1000, -512, -100, -4, 4, 64, 252, 1000};
    double matrix[COUNT], scaled[COUNT], unit[COUNT], result[COUNT];
    plumb_inverse_root_options options = rational();
    options.relative_damping = 1e-5;
    make(1e-4, matrix);
    for (int root = 1; root <= 4; root *= 2) {
        solve(root, matrix, &options, unit);
        for (int k = 0; k < 8; k++) {
            for (int i = 0; i < COUNT; i++) {
                scaled[i] = ldexp(matrix[i], exponents[k]);
            }
            solve(root, scaled, &options, result);
            for (int i = 0; i < COUNT; i++) {
                ck_assert_double_eq(result[i], ldexp(unit[i], -exponents[k] / root));
            }
        }
        for (int i = 0; i < COUNT; i++) {
            scaled[i] = 3e-7 * matrix[i];
        }
        solve(root, scaled, &options, result);
        for (int i = 0; i < COUNT; i++) {
            result[i] *= pow(3e-7, 1.0 / root);
        }
        ck_assert_double_lt(symmetric_error(COUNT, result, unit), 7e-5);
    }
}
END_TEST

START_TEST(smallest_and_largest)
{
    plumb_inverse_root_options options = rational();
    double tiny = 1e-310, large = 1.7e308, result = 7.0, two[] = {1.7e308, 1.7e308};
    ck_assert_int_eq(plumb_inverse_root(1, 1, 1, &tiny, &result, &options), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(plumb_inverse_root(1, 1, 2, two, &result, &options), PLUMB_ERROR_NONFINITE);
    ck_assert_double_eq(result, 7.0);
    ck_assert_int_eq(plumb_inverse_root(4, 1, 1, &tiny, &result, &options), PLUMB_OK);
    ck_assert_double_eq_tol(result / pow(1e-310, -0.25), 1.0, 7e-5);
    ck_assert_int_eq(plumb_inverse_root(4, 1, 1, &large, &result, &options), PLUMB_OK);
    ck_assert_double_eq_tol(result / pow(1.7e308, -0.25), 1.0, 7e-5);
}
END_TEST

/* The same bits in place, again, whatever stands above the diagonal, and as the mean of itself. */
START_TEST(same_bits)
{
    double matrix[2 * COUNT], whole[COUNT], result[COUNT];
    plumb_inverse_root_options options = rational();
    options.condition = 1e6;
    make(1e-6, matrix);
    memcpy(matrix + COUNT, matrix, sizeof whole);
    for (int root = 1; root <= 4; root *= 2) {
        solve(root, matrix, &options, whole);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_double_eq(whole[i], whole[i % SIDE * SIDE + i / SIDE]);
        }
        ck_assert_int_eq(plumb_inverse_root(root, SIDE, 2, matrix, result, &options), PLUMB_OK);
        ck_assert_mem_eq(result, whole, sizeof whole);
        memcpy(result, matrix, sizeof result);
        for (int i = 0; i < COUNT; i++) {
            result[i] = i % SIDE > i / SIDE ? NAN : result[i];
        }
        solve(root, result, &options, result);
        ck_assert_mem_eq(result, whole, sizeof whole);
    }
}
END_TEST

/* ---- Refusals -------------------------------------------------------------------------------- */

START_TEST(wrong_options)
{
    static const double conditions[] = {-1.0, 0.5, 1.01e10, NAN, INFINITY};
    static const double tolerances[] = {-1.0, 9e-7, 0.11, NAN, INFINITY};
    double matrix[COUNT];
    make(0.1, matrix);
    for (int method = 0; method < 2; method++) {
        for (int i = 0; i < 5; i++) {
            plumb_inverse_root_options options = rational();
            options.method = (plumb_root_method)method;
            options.condition = conditions[i];
            refused(PLUMB_ERROR_ARGUMENT, "condition is", 4, SIDE, 1, matrix, &options);
            options.condition = 0.0;
            options.tolerance = tolerances[i];
            refused(PLUMB_ERROR_ARGUMENT, "tolerance is", 4, SIDE, 1, matrix, &options);
        }
    }
    plumb_inverse_root_options options = rational();
    options.method = (plumb_root_method)2;
    refused(PLUMB_ERROR_ARGUMENT, "no method", 4, SIDE, 1, matrix, &options);
    options.method = (plumb_root_method)-1;
    refused(PLUMB_ERROR_ARGUMENT, "no method", 4, SIDE, 1, matrix, &options);
    options = rational();
    options.size -= 8;
    refused(PLUMB_ERROR_ARGUMENT, "size", 4, SIDE, 1, matrix, &options);
    options = rational();
    options.condition = 1e10;
    options.tolerance = 1e-6;
    refused(PLUMB_ERROR_ARGUMENT, "16 inverses", 4, SIDE, 1, matrix, &options);
    options.damping = -1.0;
    refused(PLUMB_ERROR_ARGUMENT, "damping is", 4, SIDE, 1, matrix, &options);
}
END_TEST

START_TEST(no_corrections)
{
    static const plumb_correction corrections[] = {
        PLUMB_CORRECTION_SECOND_ORDER, PLUMB_CORRECTION_WISHART, PLUMB_CORRECTION_JACKKNIFE,
        PLUMB_CORRECTION_HALF_SAMPLE, PLUMB_CORRECTION_PAPER_DIAGONAL};
    double matrix[2 * COUNT];
    make(0.1, matrix);
    make(0.2, matrix + COUNT);
    for (int i = 0; i < 5; i++) {
        plumb_inverse_root_options options = rational();
        options.wishart_samples = 100.0;
        options.correction = corrections[i];
        refused(PLUMB_ERROR_ARGUMENT, "eigenvalues", 4, SIDE, 2, matrix, &options);
    }
}
END_TEST

START_TEST(wrong_input)
{
    double matrix[2 * COUNT];
    plumb_inverse_root_options options = rational();
    make(0.1, matrix);
    make(0.1, matrix + COUNT);
    refused(PLUMB_ERROR_ARGUMENT, "side must", 4, 0, 1, matrix, &options);
    refused(PLUMB_ERROR_ARGUMENT, "side must", 4, 1 << 20, 1, matrix, &options);
    refused(PLUMB_ERROR_ARGUMENT, "count is", 4, SIDE, 0, matrix, &options);
    refused(PLUMB_ERROR_ARGUMENT, "root is", 3, SIDE, 1, matrix, &options);
    matrix[COUNT + SIDE] = NAN;
    refused(PLUMB_ERROR_NONFINITE, "sample 1", 4, SIDE, 2, matrix, &options);
    matrix[COUNT + SIDE] = -INFINITY;
    refused(PLUMB_ERROR_NONFINITE, "sample 1", 4, SIDE, 2, matrix, &options);
}
END_TEST

/* Condition 1e8: some of it is done in double. */
START_TEST(every_allocation_refused)
{
    double matrix[2 * COUNT], result[COUNT];
    plumb_inverse_root_options options = rational();
    options.condition = 1e8;
    make(1e-8, matrix);
    make(1e-7, matrix + COUNT);
    for (int number = 0; number < 7 && !under_valgrind(); number++) {
        allocations_until_failure = number;
        refused(PLUMB_ERROR_MEMORY, "no memory", 4, SIDE, 2, matrix, &options);
        allocations_until_failure = -1;
    }
    allocations_until_failure = 7;
    ck_assert_int_eq(plumb_inverse_root(4, SIDE, 2, matrix, result, &options), PLUMB_OK);
    allocations_until_failure = -1;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract of rational inverse roots");
    test_add(suite, "not positive definite", not_positive_definite);
    test_add(suite, "zero", zero);
    test_add(suite, "damping alone", damping_alone);
    test_add(suite, "damping of negative", damping_of_negative);
    test_add(suite, "scales", scales);
    test_add(suite, "smallest and largest", smallest_and_largest);
    test_add(suite, "same bits", same_bits);
    test_add(suite, "wrong options", wrong_options);
    test_add(suite, "no corrections", no_corrections);
    test_add(suite, "wrong input", wrong_input);
    test_add(suite, "every allocation refused", every_allocation_refused);
    return test_run(suite);
}
