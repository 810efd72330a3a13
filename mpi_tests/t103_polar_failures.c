/*
 * Failures below the polar factor, forced by standing in for the C library and for LAPACK: every
 * single allocation refused in turn, divide and conquer that does not converge, and no method that
 * converges. The output stays as it was, and no memory stays behind.
 *
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/polar.h"
#include "linalg/thin_svd.h"
#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

enum { ROWS = 14, COLS = 9, COUNT = ROWS * COLS, PACKED = COLS * (COLS + 1) / 2 };

static int allocations_until_failure = -1; /* negative: never */
static bool fail_dgesdd, fail_dgesvd;

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

/* A failure spoils the matrix, as LAPACK's does. */
static lapack_int spoil(int64_t count, double *a)
{
    for (int64_t i = 0; i < count; i++) {
        a[i] = 1e3 + (double)i;
    }
    return 1;
}

/* In place of LAPACKE's; only queries pass when a failure is wanted. */
lapack_int LAPACKE_dgesdd_work(int layout, char jobz, lapack_int m, lapack_int n, double *a,
                               lapack_int lda, double *s, double *u, lapack_int ldu, double *vt,
                               lapack_int ldvt, double *work, lapack_int lwork, lapack_int *iwork)
{
    lapack_int info = 0;
    ck_assert_int_eq(layout, LAPACK_COL_MAJOR);
    if (fail_dgesdd && lwork != -1) {
        return spoil((int64_t)m * n, a);
    }
    LAPACK_dgesdd(&jobz, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, iwork, &info);
    return info;
}

lapack_int LAPACKE_dgesvd_work(int layout, char jobu, char jobvt, lapack_int m, lapack_int n,
                               double *a, lapack_int lda, double *s, double *u, lapack_int ldu,
                               double *vt, lapack_int ldvt, double *work, lapack_int lwork)
{
    lapack_int info = 0;
    ck_assert_int_eq(layout, LAPACK_COL_MAJOR);
    if (fail_dgesvd && lwork != -1) {
        return spoil((int64_t)m * n, a);
    }
    LAPACK_dgesvd(&jobu, &jobvt, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, &info);
    return info;
}

/* The calls of linalg that allocate, as one kind of function: the methods, then the helpers, then a
 * batch of one and the forms that options choose. */
enum { FACTOR = 6, MULTIPLY, BATCH_FAST, BATCH_EXACT, SMALL_DELTA, TOLERANCE, CALLS };

static plumb_status call(int which, const float *matrix, const float *packed, float *result)
{
    switch (which) {
    case FACTOR:
        return polar_factor_symmetric(ROWS, COLS, matrix, result);
    case MULTIPLY:
        return polar_multiply_symmetric(ROWS, COLS, matrix, packed, result);
    case BATCH_FAST:
        return plumb_polar_batch(PLUMB_POLAR_FAST, 1, ROWS, COLS, matrix, result, NULL);
    case BATCH_EXACT:
        return plumb_polar_batch(PLUMB_POLAR_EXACT, 1, ROWS, COLS, matrix, result, NULL);
    case SMALL_DELTA:
        return plumb_polar(
            PLUMB_POLAR_FAST, ROWS, COLS, matrix, result,
            &(plumb_polar_options){.size = sizeof(plumb_polar_options), .delta = 2e-4});
    case TOLERANCE:
        return plumb_polar(
            PLUMB_POLAR_EXACT, ROWS, COLS, matrix, result,
            &(plumb_polar_options){.size = sizeof(plumb_polar_options), .rank_tolerance = 1e-4});
    default:
        return plumb_polar((plumb_polar_method)which, ROWS, COLS, matrix, result, NULL);
    }
}

/* Valgrind puts its own allocator in the place of every other one, ours included. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static void fill(int count, uint64_t seed, float *matrix)
{
    for (int i = 0; i < count; i++) {
        matrix[i] = test_value(seed, (uint64_t)i, 0);
    }
}

static void check_no_memory_held(void)
{
    int64_t allocations, bytes;
    plumb_memory_in_use(&allocations, &bytes);
    ck_assert_int_eq(allocations, 0);
    ck_assert_int_eq(bytes, 0);
}

/* Refuses the first allocation, then only the second, and so on, until none is left to refuse. */
START_TEST(every_allocation_refused)
{
    float matrix[COUNT];
    float packed[PACKED];
    float result[COUNT];
    float before[COUNT];
    int refused = 0;
    plumb_status status;
    fill(COUNT, 1, matrix);
    fill(PACKED, 2, packed);
    fill(COUNT, 3, before);
    do {
        memcpy(result, before, sizeof result);
        allocations_until_failure = refused;
        status = call(_i, matrix, packed, result);
        allocations_until_failure = -1;
        check_no_memory_held();
        if (status != PLUMB_OK) {
            ck_assert_int_eq(status, PLUMB_ERROR_MEMORY);
            ck_assert(memcmp(result, before, sizeof result) == 0);
            refused++;
        }
    } while (status != PLUMB_OK && refused < 100);
    ck_assert_msg(under_valgrind() || (refused >= 2 && refused < 20), "call %d: %d allocations", _i,
                  refused);
}
END_TEST

START_TEST(divide_and_conquer_fails)
{
    float matrix[COUNT];
    float expected[COUNT];
    float polar[COUNT];
    double wanted[COUNT];
    fill(COUNT, 1, matrix);
    ck_assert_int_eq(call(PLUMB_POLAR_SVD, matrix, NULL, expected), PLUMB_OK);
    for (int i = 0; i < COUNT; i++) {
        wanted[i] = (double)expected[i];
    }
    fail_dgesdd = true;
    ck_assert_int_eq(call(PLUMB_POLAR_SVD, matrix, NULL, polar), PLUMB_OK);
    ck_assert(reference_distance(COUNT, polar, wanted) < 2e-7);
    ck_assert_int_eq(call(PLUMB_POLAR_SVD, matrix, NULL, matrix), PLUMB_OK);
    ck_assert(memcmp(matrix, polar, sizeof polar) == 0);
    check_no_memory_held();
}
END_TEST

START_TEST(nothing_converges)
{
    float matrix[COUNT];
    float result[COUNT];
    float before[COUNT];
    fill(COUNT, 1, matrix);
    fill(COUNT, 3, result);
    fill(COUNT, 3, before);
    fail_dgesdd = true;
    fail_dgesvd = true;
    ck_assert_int_eq(call(PLUMB_POLAR_SVD, matrix, NULL, result), PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(call(FACTOR, matrix, NULL, result), PLUMB_ERROR_NUMERICAL);
    ck_assert(memcmp(result, before, sizeof result) == 0);
    check_no_memory_held();
}
END_TEST

/* Too large for LAPACK's integers: refused before the matrix is looked at. */
START_TEST(too_large_for_lapack)
{
    static const float matrix[1] = {1.0f};
    polar_prescale prescale = {.zero = false, .exponent = 0};
    thin_svd svd;
    plumb_status status = thin_svd_compute(20001, 30000, matrix, prescale, &svd);
    ck_assert_int_eq(status, PLUMB_ERROR_ARGUMENT);
    check_no_memory_held();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failures below the polar factor");
    TCase *tcase = tcase_create("refused memory");
    tcase_add_loop_test(tcase, every_allocation_refused, 0, CALLS);
    suite_add_tcase(suite, tcase);
    test_add(suite, "divide and conquer fails", divide_and_conquer_fails);
    test_add(suite, "nothing converges", nothing_converges);
    test_add(suite, "too large for LAPACK", too_large_for_lapack);
    return test_run(suite);
}
