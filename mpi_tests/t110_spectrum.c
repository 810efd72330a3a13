/*
 * Eigenvalues and changes of basis against matrices of known spectrum and plain loops: which
 * triangle is read, which way vectors stand, scales from 1e-300 to 1e300, and every failure, those
 * of LAPACK and of memory forced by standing in for them.
 *
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/spectrum.h"
#include "support/symmetric.h"

enum { SIDE = 12, COUNT = SIDE * SIDE };

static int allocations_until_failure = -1; /* negative: never */
static bool fail_dsyevd, fail_dsyev;

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

static lapack_int spoil(int n, double *a)
{
    for (int i = 0; i < n * n; i++) {
        a[i] = 1e3 + i;
    }
    return 1;
}

/* In place of LAPACKE's. */
lapack_int LAPACKE_dsyevd_work(int layout, char jobz, char uplo, lapack_int n, double *a,
                               lapack_int lda, double *w, double *work, lapack_int lwork,
                               lapack_int *iwork, lapack_int liwork)
{
    lapack_int info = 0;
    ck_assert_int_eq(layout, LAPACK_COL_MAJOR);
    if (fail_dsyevd) {
        return spoil(n, a);
    }
    LAPACK_dsyevd(&jobz, &uplo, &n, a, &lda, w, work, &lwork, iwork, &liwork, &info);
    return info;
}

lapack_int LAPACKE_dsyev_work(int layout, char jobz, char uplo, lapack_int n, double *a,
                              lapack_int lda, double *w, double *work, lapack_int lwork)
{
    lapack_int info = 0;
    ck_assert_int_eq(layout, LAPACK_COL_MAJOR);
    if (fail_dsyev) {
        return spoil(n, a);
    }
    LAPACK_dsyev(&jobz, &uplo, &n, a, &lda, w, work, &lwork, &info);
    return info;
}

static void check_no_memory_held(void)
{
    int64_t allocations, bytes;
    plumb_memory_in_use(&allocations, &bytes);
    ck_assert_int_eq(allocations, 0);
    ck_assert_int_eq(bytes, 0);
}

/* Valgrind puts its own allocator in the place of every other one, ours included. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* -2.5, ..., 3, one of them doubled, not in order when built. */
static void known_values(double *values)
{
    for (int i = 0; i < SIDE; i++) {
        values[i] = 0.5 * ((i * 5) % SIDE) - 2.5;
    }
    values[0] = values[1];
}

static void known_matrix(double *values, double *matrix)
{
    known_values(values);
    symmetric_with_values(SIDE, values, 3, matrix);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* What `vectors` and `values` stand for is the matrix, and the vectors are orthonormal columns. */
static void check_decomposition(int n, const double *matrix, const double *values,
                                const double *vectors, double tolerance)
{
    double rebuilt[COUNT], transposed[COUNT], products[COUNT], unit[COUNT] = {0.0};
    for (int i = 0; i < n; i++) {
        unit[i * n + i] = 1.0;
        ck_assert(i == 0 || values[i - 1] <= values[i]);
    }
    symmetric_build(n, vectors, values, rebuilt);
    ck_assert_double_lt(symmetric_error(n * n, rebuilt, matrix), tolerance);
    symmetric_transpose(n, vectors, transposed);
    symmetric_multiply(n, transposed, vectors, products);
    ck_assert_double_lt(symmetric_error(n * n, products, unit), tolerance);
}

START_TEST(known_spectrum)
{
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    known_matrix(known, matrix);
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    check_decomposition(SIDE, matrix, values, vectors, 2e-14);
    qsort(known, SIDE, sizeof *known, ascending);
    ck_assert_double_lt(symmetric_error(SIDE, values, known), 1e-14);
    check_no_memory_held();
}
END_TEST

/* An eigenvector stands in a column, not in a row: 2 x 2 with the vector (3, 4) / 5. */
START_TEST(vectors_are_columns)
{
    double matrix[] = {9.0, 12.0, 12.0, 16.0}, values[2], vectors[4];
    ck_assert_int_eq(spectrum_compute(2, matrix, values, vectors), PLUMB_OK);
    ck_assert_double_eq_tol(values[1], 25.0, 1e-13);
    ck_assert_double_eq_tol(fabs(vectors[1]), 0.6, 1e-14);
    ck_assert_double_eq_tol(vectors[3] / vectors[1], 4.0 / 3.0, 1e-13);
}
END_TEST

START_TEST(upper_triangle_is_not_read)
{
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    double other_values[SIDE], other_vectors[COUNT];
    known_matrix(known, matrix);
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    for (int i = 0; i < SIDE; i++) {
        for (int j = i + 1; j < SIDE; j++) {
            matrix[i * SIDE + j] = NAN;
        }
    }
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, other_values, other_vectors), PLUMB_OK);
    ck_assert_mem_eq(values, other_values, sizeof values);
    ck_assert_mem_eq(vectors, other_vectors, sizeof vectors);
    double whole[COUNT], part[COUNT], scratch[COUNT];
    spectrum_rotate(SIDE, vectors, matrix, scratch, part);
    known_matrix(known, matrix);
    spectrum_rotate(SIDE, vectors, matrix, scratch, whole);
    ck_assert_mem_eq(whole, part, sizeof whole);
}
END_TEST

/* A power of two changes no bit but the values' exponents. */
START_TEST(powers_of_two)
{
    static const int exponents[] = {-900, -332, -1, 1, 332, 1000};
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    double scaled_values[SIDE], scaled_vectors[COUNT];
    known_matrix(known, matrix);
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    for (int i = 0; i < COUNT; i++) {
        matrix[i] = ldexp(matrix[i], exponents[_i]);
    }
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, scaled_values, scaled_vectors), PLUMB_OK);
    ck_assert_mem_eq(vectors, scaled_vectors, sizeof vectors);
    for (int i = 0; i < SIDE; i++) {
        ck_assert_double_eq(scaled_values[i], ldexp(values[i], exponents[_i]));
    }
}
END_TEST

/* The ends of the range, subnormal matrices included, and the smallest sides. */
START_TEST(extreme_scales)
{
    double one[] = {-7.0}, value, vector;
    ck_assert_int_eq(spectrum_compute(1, one, &value, &vector), PLUMB_OK);
    ck_assert_double_eq(value, -7.0);
    ck_assert_double_eq(fabs(vector), 1.0);
    static const double scales[] = {1e-310, 1e-300, 1e300, 4e307};
    for (int s = 0; s < 4; s++) {
        double matrix[] = {2.0 * scales[s], scales[s], scales[s], 2.0 * scales[s]};
        double values[2], vectors[4];
        ck_assert_int_eq(spectrum_compute(2, matrix, values, vectors), PLUMB_OK);
        ck_assert_double_eq_tol(values[0] / scales[s], 1.0, 1e-12);
        ck_assert_double_eq_tol(values[1] / scales[s], 3.0, 1e-12);
    }
}
END_TEST

START_TEST(zero_and_equal_values)
{
    double matrix[COUNT] = {0.0}, values[SIDE], vectors[COUNT];
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    check_decomposition(SIDE, matrix, values, vectors, 1e-15);
    for (int i = 0; i < SIDE; i++) {
        matrix[i * SIDE + i] = 0.3;
    }
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    check_decomposition(SIDE, matrix, values, vectors, 1e-15);
    ck_assert_double_eq(values[0], 0.3);
    ck_assert_double_eq(values[SIDE - 1], 0.3);
}
END_TEST

/* Rotations against plain loops, there and back, with vectors that belong to another matrix. */
START_TEST(rotations)
{
    double basis[COUNT], transposed[COUNT], matrix[COUNT], half[COUNT], expected[COUNT];
    double rotated[COUNT], back[COUNT], scratch[COUNT], diagonal[SIDE];
    symmetric_basis(SIDE, 8, basis);
    symmetric_random(SIDE, 9, matrix);
    symmetric_transpose(SIDE, basis, transposed);
    symmetric_multiply(SIDE, matrix, basis, half);
    symmetric_multiply(SIDE, transposed, half, expected);
    spectrum_rotate(SIDE, basis, matrix, scratch, rotated);
    ck_assert_double_lt(symmetric_error(COUNT, rotated, expected), 1e-14);
    symmetric_transpose(SIDE, rotated, half);
    ck_assert_mem_eq(half, rotated, sizeof half);
    spectrum_rotate_back(SIDE, basis, rotated, scratch, back);
    ck_assert_double_lt(symmetric_error(COUNT, back, matrix), 1e-14);
    symmetric_transpose(SIDE, back, half);
    ck_assert_mem_eq(half, back, sizeof half);
    spectrum_rayleigh(SIDE, basis, matrix, scratch, diagonal);
    for (int k = 0; k < SIDE; k++) {
        ck_assert_double_eq_tol(diagonal[k], expected[k * SIDE + k], 1e-14);
    }
}
END_TEST

START_TEST(rebuilding_and_cholesky)
{
    double basis[COUNT], values[SIDE], matrix[COUNT], rebuilt[COUNT], scratch[COUNT];
    symmetric_basis(SIDE, 8, basis);
    for (int i = 0; i < SIDE; i++) {
        values[i] = i * 0.25;
    }
    symmetric_build(SIDE, basis, values, matrix);
    spectrum_rebuild(SIDE, basis, values, scratch, rebuilt);
    ck_assert_double_lt(symmetric_error(COUNT, rebuilt, matrix), 1e-14);
    symmetric_transpose(SIDE, rebuilt, scratch);
    ck_assert_mem_eq(scratch, rebuilt, sizeof scratch);
    for (int i = 0; i < SIDE; i++) {
        rebuilt[i * SIDE + i] += 0.1;
    }
    memcpy(matrix, rebuilt, sizeof matrix);
    ck_assert(spectrum_cholesky(SIDE, rebuilt));
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = 0.0;
            for (int k = 0; k <= j; k++) {
                sum += rebuilt[i * SIDE + k] * rebuilt[j * SIDE + k];
            }
            ck_assert_double_eq_tol(sum, matrix[i * SIDE + j], 1e-14);
        }
    }
    matrix[0] = -0.1;
    ck_assert(!spectrum_cholesky(SIDE, matrix));
}
END_TEST

START_TEST(not_finite)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    known_matrix(known, matrix);
    matrix[(SIDE - 1) * SIDE + _i] = bad[_i];
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_ERROR_NONFINITE);
    ck_assert(isinf(spectrum_largest(SIDE, matrix)));
    check_no_memory_held();
}
END_TEST

/* Refused before anything is read. */
START_TEST(sides_out_of_range)
{
    double one = 1.0, value, vector;
    ck_assert_int_eq(spectrum_compute(0, &one, &value, &vector), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(spectrum_compute(-3, &one, &value, &vector), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(spectrum_compute(SPECTRUM_MAX_SIDE + 1, &one, &value, &vector),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert(spectrum_doubles(SPECTRUM_MAX_SIDE) <= INT32_MAX);
    check_no_memory_held();
}
END_TEST

START_TEST(injected_failures)
{
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    known_matrix(known, matrix);
    spectrum_faults = 2;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_ERROR_NUMERICAL);
    }
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    check_no_memory_held();
}
END_TEST

START_TEST(lapack_fails)
{
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    known_matrix(known, matrix);
    fail_dsyevd = true;
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    check_decomposition(SIDE, matrix, values, vectors, 2e-14);
    fail_dsyev = true;
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_ERROR_NUMERICAL);
    fail_dsyevd = fail_dsyev = false;
    check_no_memory_held();
}
END_TEST

START_TEST(every_allocation_refused)
{
    double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT];
    int refused = 0;
    plumb_status status;
    known_matrix(known, matrix);
    do {
        allocations_until_failure = refused;
        status = spectrum_compute(SIDE, matrix, values, vectors);
        allocations_until_failure = -1;
        check_no_memory_held();
        ck_assert(status == PLUMB_OK || status == PLUMB_ERROR_MEMORY);
        refused += status == PLUMB_OK ? 0 : 1;
    } while (status != PLUMB_OK && refused < 100);
    ck_assert(under_valgrind() || refused == 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spectrum");
    test_add(suite, "known spectrum", known_spectrum);
    test_add(suite, "vectors are columns", vectors_are_columns);
    test_add(suite, "upper triangle is not read", upper_triangle_is_not_read);
    test_add(suite, "extreme scales", extreme_scales);
    test_add(suite, "zero and equal values", zero_and_equal_values);
    test_add(suite, "rotations", rotations);
    test_add(suite, "rebuilding and Cholesky", rebuilding_and_cholesky);
    test_add(suite, "sides out of range", sides_out_of_range);
    test_add(suite, "injected failures", injected_failures);
    test_add(suite, "LAPACK fails", lapack_fails);
    test_add(suite, "every allocation refused", every_allocation_refused);
    TCase *loops = tcase_create("loops");
    tcase_add_loop_test(loops, powers_of_two, 0, 6);
    tcase_add_loop_test(loops, not_finite, 0, 3);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
