/*
 * A^(-1/r) by a sum of shifted inverses against matrices whose root is known, D and reflections of
 * it, and against the eigenvalue method: roots 1, 2, 4, conditions 10 to 1e8, sides 1 to 200 and
 * one larger, three kinds of spectrum.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "linalg/rational_root.h"
#include "plumb.h"
#include "support/test.h"

static const int roots[] = {1, 2, 4};
enum { ROOTS = 3, CONDITIONS = 8 };

typedef enum spectrum_kind { EVEN, TWO_HEAPS, ONE_LARGE, SPECTRA } spectrum_kind;

static double eigenvalue(spectrum_kind kind, int n, int i, double condition)
{
    double exponent = n > 1 ? (double)i / (double)(n - 1) : 0.0;
    switch (kind) {
    case EVEN:
        return pow(condition, -exponent);
    case TWO_HEAPS:
        return i < n / 2 ? 1.0 : 1.0 / condition;
    default:
        return i == 0 ? 1.0 : 1.0 / condition;
    }
}

/* matrix = H matrix H for the reflection H = I - 2 v v'. */
static void reflect(int n, uint64_t seed, double *matrix)
{
    double *v = malloc(2 * (size_t)n * sizeof *v), *product = v + n, norm = 0.0, inner = 0.0;
    ck_assert_ptr_nonnull(v);
    for (int i = 0; i < n; i++) {
        v[i] = (double)test_value(seed, (uint64_t)i, 1) + 1e-3;
        norm += v[i] * v[i];
    }
    for (int i = 0; i < n; i++) {
        v[i] /= sqrt(norm);
    }
    for (int i = 0; i < n; i++) {
        product[i] = 0.0;
        for (int j = 0; j < n; j++) {
            product[i] += matrix[(int64_t)i * n + j] * v[j];
        }
        inner += v[i] * product[i];
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double change =
                4.0 * inner * v[i] * v[j] - 2.0 * (v[i] * product[j] + product[i] * v[j]);
            matrix[(int64_t)i * n + j] += change;
            matrix[(int64_t)j * n + i] = matrix[(int64_t)i * n + j];
        }
    }
    free(v);
}

/* The power of the matrix of that spectrum, times scale^power. */
static void build(spectrum_kind kind, int n, double condition, double scale, double power,
                  double *matrix)
{
    memset(matrix, 0, (size_t)n * (size_t)n * sizeof *matrix);
    for (int i = 0; i < n; i++) {
        matrix[(int64_t)i * n + i] = pow(scale * eigenvalue(kind, n, i, condition), power);
    }
    for (uint64_t seed = 1; seed <= 3; seed++) {
        reflect(n, seed, matrix);
    }
}

/* |actual - expected| / |expected|, Frobenius; both exactly symmetric. */
static double distance(int n, const double *actual, const double *expected)
{
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            double change = actual[i * n + j] - expected[i * n + j];
            ck_assert_double_eq(actual[i * n + j], actual[j * n + i]);
            difference += change * change;
            norm += expected[i * n + j] * expected[i * n + j];
        }
    }
    return sqrt(difference / norm);
}

typedef struct arena {
    double *matrix, *expected, *result;
} arena;

static arena open_arena(int n)
{
    size_t size = (size_t)n * (size_t)n * sizeof(double);
    arena a = {malloc(size), malloc(size), malloc(size)};
    ck_assert(a.matrix != NULL && a.expected != NULL && a.result != NULL);
    return a;
}

static void close_arena(arena *a)
{
    free(a->matrix);
    free(a->expected);
    free(a->result);
}

static double error_of(arena *a, int root, spectrum_kind kind, int n, double condition,
                       double tolerance)
{
    plumb_inverse_root_options options = {.size = sizeof options,
                                          .method = PLUMB_ROOT_RATIONAL,
                                          .condition = condition,
                                          .tolerance = tolerance};
    build(kind, n, condition, 0.37, 1.0, a->matrix);
    build(kind, n, condition, 0.37, -1.0 / root, a->expected);
    plumb_status status = plumb_inverse_root(root, n, 1, a->matrix, a->result, &options);
    ck_assert_msg(status == PLUMB_OK, "root %d, side %d, spectrum %d, condition %g: %s", root, n,
                  (int)kind, condition, plumb_error_message(NULL));
    return distance(n, a->result, a->expected);
}

/* Whatever the spectrum, the error in the Frobenius norm is below what was asked for. */
START_TEST(accuracy)
{
    static const int sides[] = {1, 2, 3, 16, 33, 65, 100, 200};
    static const double tolerances[] = {1e-2, 5e-4, 6.5e-5};
    int n = sides[_i];
    arena a = open_arena(n);
    for (int k = 0; k < ROOTS * CONDITIONS * SPECTRA; k++) {
        int decade = 1 + k / (ROOTS * SPECTRA);
        double condition = pow(10.0, decade);
        spectrum_kind kind = (spectrum_kind)(k / ROOTS % SPECTRA);
        int root = roots[k % ROOTS];
        for (int t = n > 100 ? 2 : 0; t < 3; t++) {
            double error = error_of(&a, root, kind, n, condition, tolerances[t]);
            ck_assert_msg(error <= tolerances[t], "root %d, side %d, spectrum %d, condition %g: %g",
                          root, n, (int)kind, condition, error);
        }
    }
    close_arena(&a);
}
END_TEST

/* Down to the least tolerance, where next to everything is done in double. */
START_TEST(tight)
{
    arena a = open_arena(96);
    for (int k = 0; k < ROOTS * SPECTRA; k++) {
        for (double condition = 10.0; condition < 2e6; condition *= 10.0) {
            double error = error_of(&a, roots[k / SPECTRA], (spectrum_kind)(k % SPECTRA), 96,
                                    condition, RATIONAL_ROOT_LEAST_TOLERANCE);
            ck_assert_msg(error <= 1.5 * RATIONAL_ROOT_LEAST_TOLERANCE, "%d, %g: %g", k, condition,
                          error);
        }
    }
    close_arena(&a);
}
END_TEST

/* The promise of the defaults, at a size where rounding counts; and a method that is an
 * approximation cannot be right to the last digit, which tells it from the other one. */
START_TEST(defaults)
{
    arena a = open_arena(640);
    double error = error_of(&a, 4, EVEN, 640, 1e4, 0.0);
    ck_assert_double_le(error, 5e-5);
    ck_assert_double_ge(error, 1e-6);
    build(EVEN, 640, 1e4, 0.37, 1.0, a.matrix);
    plumb_inverse_root_options options = {.size = sizeof options, .method = PLUMB_ROOT_RATIONAL};
    double *again = malloc(640 * 640 * sizeof *again);
    ck_assert_ptr_nonnull(again);
    ck_assert_int_eq(plumb_inverse_root(4, 640, 1, a.matrix, again, &options), PLUMB_OK);
    ck_assert_mem_eq(again, a.result, 640 * 640 * sizeof *again);
    free(again);
    close_arena(&a);
}
END_TEST

/* The other method's answer, several samples and damping included; the largest eigenvalue that
 * damping may be relative to is an estimate here. */
START_TEST(against_eigenvalues)
{
    enum { SIDE = 40, COUNT = SIDE * SIDE, SAMPLES = 3 };
    double samples[SAMPLES * COUNT], expected[COUNT], result[COUNT];
    for (int k = 0; k < SAMPLES; k++) {
        build((spectrum_kind)k, SIDE, 1e3, 1.0 + k, 1.0, samples + k * COUNT);
    }
    plumb_inverse_root_options options = {.size = sizeof options, .damping = 0.02};
    for (int k = 0; k < 2 * ROOTS; k++) {
        int root = roots[k % ROOTS];
        options.relative_damping = k < ROOTS ? 0.0 : 1e-2;
        options.method = PLUMB_ROOT_EIGEN;
        ck_assert_int_eq(plumb_inverse_root(root, SIDE, SAMPLES, samples, expected, &options),
                         PLUMB_OK);
        options.method = PLUMB_ROOT_RATIONAL;
        ck_assert_int_eq(plumb_inverse_root(root, SIDE, SAMPLES, samples, result, &options),
                         PLUMB_OK);
        double error = distance(SIDE, result, expected);
        ck_assert_double_le(error, k < ROOTS ? 6.5e-5 : 5e-3);
    }
}
END_TEST

/* Eigenvalues far below the largest over `condition` have a power near that one's, and no more. */
START_TEST(beyond_the_condition)
{
    arena a = open_arena(48);
    plumb_inverse_root_options options = {
        .size = sizeof options, .method = PLUMB_ROOT_RATIONAL, .condition = 1e3};
    build(ONE_LARGE, 48, 1e12, 1.0, 1.0, a.matrix);
    ck_assert_int_eq(plumb_inverse_root(4, 48, 1, a.matrix, a.result, &options), PLUMB_OK);
    double trace = 0.0;
    for (int i = 0; i < 48; i++) {
        trace += a.result[i * 49];
    }
    double power = (trace - 1.0) / 47.0;
    ck_assert_double_ge(power, pow(1e3, 0.25));
    ck_assert_double_le(power, 2.0 * pow(1e3, 0.25));
    close_arena(&a);
}
END_TEST

int main(void)
{
    test_with_best_kernel();
    Suite *suite = suite_create("rational inverse roots");
    test_add(suite, "tight", tight);
    test_add(suite, "defaults", defaults);
    test_add(suite, "against eigenvalues", against_eigenvalues);
    test_add(suite, "beyond the condition", beyond_the_condition);
    TCase *loops = tcase_create("sides");
    tcase_set_timeout(loops, 300.0);
    tcase_add_loop_test(loops, accuracy, 0, TEST_SANITIZED ? 6 : 8);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
