/*
 * Inverse roots, divided differences and the second-order term T2 against their definitions: sums
 * over exponents, quotients of differences in long double, the triple sum, and the power of a block
 * matrix
 *
 *     f [A E 0]   [f(A)  L   T2 ]
 *       [0 A E] = [  0  f(A)  L ]
 *       [0 0 A]   [  0   0  f(A)]
 *
 * by a coupled Newton iteration that knows no eigenvalue (Higham 2008, theorems 3.6 and 7.12).
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linalg/inverse_root.h"
#include "linalg/spectrum.h"
#include "support/symmetric.h"

enum { SIDE = 6, COUNT = SIDE * SIDE, BLOCK = 3 * SIDE, BLOCK_COUNT = BLOCK * BLOCK };

static const int roots[] = {1, 2, 3, 4, 6};
enum { ROOTS = 5 };

/* Eigenvalues with a pair that is equal and a pair that nearly is. */
static const double spread[SIDE] = {0.1, 0.7, 0.7, 1.3, 1.3 * (1.0 + 1e-9), 3.0};

static double base(int r, double value)
{
    return inverse_root_base(r, value);
}

/* The n-th derivative of x^(-1/r) over n!. */
static double taylor(int r, int n, double x)
{
    double coefficient = 1.0;
    for (int i = 0; i < n; i++) {
        coefficient *= (-1.0 / r - i) / (i + 1);
    }
    return coefficient * pow(x, -1.0 / r - n);
}

START_TEST(symmetric_polynomials)
{
    const double a = 0.7, b = 1.9, c = 0.4;
    for (int degree = 0; degree <= 5; degree++) {
        double pairs = 0.0, triples = 0.0;
        for (int i = 0; i <= degree; i++) {
            pairs += pow(a, i) * pow(b, degree - i);
            for (int j = 0; i + j <= degree; j++) {
                triples += pow(a, i) * pow(b, j) * pow(c, degree - i - j);
            }
        }
        ck_assert_double_eq_tol(inverse_root_pair_sum(degree, a, b) / pairs, 1.0, 1e-15);
        ck_assert_double_eq_tol(inverse_root_triple_sum(degree, a, b, c) / triples, 1.0, 1e-15);
    }
    for (int k = 0; k < ROOTS; k++) {
        ck_assert_double_eq_tol(pow(base(roots[k], 2.7), roots[k]) / 2.7, 1.0, 1e-15);
    }
}
END_TEST

/* By their definition, where nothing cancels. */
START_TEST(differences_of_distinct_values)
{
    int r = roots[_i];
    const long double x = 0.2L, y = 1.1L, z = 2.9L, power = -1.0L / r;
    long double xy = (powl(x, power) - powl(y, power)) / (x - y);
    long double yz = (powl(y, power) - powl(z, power)) / (y - z);
    double a = base(r, (double)x), b = base(r, (double)y), c = base(r, (double)z);
    ck_assert_double_eq_tol(inverse_root_first(r, a, b) / (double)xy, 1.0, 1e-14);
    long double xyz = (xy - yz) / (x - z);
    ck_assert_double_eq_tol(inverse_root_second(r, a, b, c) / (double)xyz, 1.0, 1e-14);
}
END_TEST

START_TEST(differences_are_symmetric)
{
    int r = roots[_i];
    for (uint64_t trial = 0; trial < 200; trial++) {
        double a = exp(3.0 * (double)test_value(trial, 1, 0));
        double b = exp(3.0 * (double)test_value(trial, 2, 0));
        double c = trial % 2 == 0 ? exp(3.0 * (double)test_value(trial, 3, 0)) : a * (1.0 + 1e-12);
        double value = inverse_root_second(r, a, b, c);
        const double permuted[] = {inverse_root_second(r, a, c, b), inverse_root_second(r, b, a, c),
                                   inverse_root_second(r, b, c, a), inverse_root_second(r, c, a, b),
                                   inverse_root_second(r, c, b, a)};
        for (int i = 0; i < 5; i++) {
            ck_assert_double_eq_tol(permuted[i] / value, 1.0, 1e-13);
        }
        ck_assert_double_eq_tol(inverse_root_first(r, a, b) / inverse_root_first(r, b, a), 1.0,
                                1e-13);
    }
}
END_TEST

/*
 * Equal arguments give derivatives. Nearly equal ones, x (1 + h) and x (1 - h), those at the middle
 * up to h^2; the bases are rounded, which the middle and the derivative forgive.
 */
START_TEST(differences_are_confluent)
{
    int r = roots[_i];
    for (double x = 1e-6; x < 1e7; x *= 10.0) {
        double a = base(r, x);
        ck_assert_double_eq_tol(inverse_root_first(r, a, a) / taylor(r, 1, x), 1.0, 1e-13);
        ck_assert_double_eq_tol(inverse_root_second(r, a, a, a) / taylor(r, 2, x), 1.0, 1e-13);
        for (double h = 1e-16; h < 2e-8; h *= 10.0) {
            double above = base(r, x * (1.0 + h)), below = base(r, x * (1.0 - h));
            ck_assert_double_eq_tol(inverse_root_first(r, above, below) / taylor(r, 1, x), 1.0,
                                    1e-13);
            ck_assert_double_eq_tol(inverse_root_second(r, above, a, below) / taylor(r, 2, x), 1.0,
                                    1e-13);
        }
    }
    /* What the paper's coefficients are, and a pair that is equal beside one that is not. */
    ck_assert_double_eq_tol(inverse_root_second(4, 1.0, 1.0, 1.0), 5.0 / 32.0, 1e-15);
    double x = 0.4, y = 1.7, a = base(r, x), b = base(r, y);
    double first = (pow(x, -1.0 / r) - pow(y, -1.0 / r)) / (x - y);
    double expected = (taylor(r, 1, x) - first) / (x - y);
    ck_assert_double_eq_tol(inverse_root_second(r, a, a, b) / expected, 1.0, 1e-13);
    ck_assert_double_eq_tol(inverse_root_second(r, a, b, a) / expected, 1.0, 1e-13);
}
END_TEST

/* T2 of `delta` in the eigenbasis by the definition. */
static void triple_sum(int r, const double *values, const double *delta, double *result)
{
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            double sum = 0.0;
            for (int k = 0; k < SIDE; k++) {
                sum += inverse_root_second(r, base(r, values[i]), base(r, values[k]),
                                           base(r, values[j])) *
                       delta[i * SIDE + k] * delta[k * SIDE + j];
            }
            result[i * SIDE + j] = sum;
        }
    }
}

/* By products, into a sum of zeros. */
static void by_products(int r, const double *values, const double *delta, double weight,
                        double *sum)
{
    double *scratch = malloc((size_t)inverse_root_scratch(SIDE) * sizeof *scratch);
    ck_assert_ptr_nonnull(scratch);
    memset(sum, 0, COUNT * sizeof *sum);
    inverse_root_add_second_order(SIDE, r, values, delta, weight, scratch, sum);
    free(scratch);
    spectrum_mirror(SIDE, sum);
}

START_TEST(second_order_is_the_triple_sum)
{
    int r = roots[_i];
    double delta[COUNT], expected[COUNT], actual[COUNT];
    symmetric_random(SIDE, 21, delta);
    triple_sum(r, spread, delta, expected);
    by_products(r, spread, delta, 1.0, actual);
    ck_assert_double_lt(symmetric_error(COUNT, actual, expected), 1e-13);
}
END_TEST

/* It adds, with a weight, and leaves the upper triangle alone. */
START_TEST(second_order_accumulates)
{
    double delta[COUNT], once[COUNT], sum[COUNT];
    double scratch[2 * COUNT + 2 * SIDE];
    ck_assert_int_eq(inverse_root_scratch(SIDE), (int)(sizeof scratch / sizeof *scratch));
    symmetric_random(SIDE, 21, delta);
    by_products(4, spread, delta, 1.0, once);
    for (int i = 0; i < COUNT; i++) {
        sum[i] = 0.5;
    }
    inverse_root_add_second_order(SIDE, 4, spread, delta, 0.25, scratch, sum);
    inverse_root_add_second_order(SIDE, 4, spread, delta, 0.5, scratch, sum);
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            double expected = 0.5 + (j <= i ? 0.75 * once[i * SIDE + j] : 0.0);
            ck_assert_double_eq_tol(sum[i * SIDE + j], expected, 1e-12);
        }
    }
}
END_TEST

/* product = left right, BLOCK x BLOCK. */
static void block_multiply(const long double *left, const long double *right, long double *product)
{
    for (int i = 0; i < BLOCK; i++) {
        for (int j = 0; j < BLOCK; j++) {
            long double sum = 0.0L;
            for (int k = 0; k < BLOCK; k++) {
                sum += left[i * BLOCK + k] * right[k * BLOCK + j];
            }
            product[i * BLOCK + j] = sum;
        }
    }
}

/* One step: N = ((r + 1) I - M) / r; X = X N; M = N^r M. */
static void newton_step(int r, long double *x, long double *m)
{
    static long double n[BLOCK_COUNT], product[BLOCK_COUNT];
    for (int i = 0; i < BLOCK_COUNT; i++) {
        long double unit = i % (BLOCK + 1) == 0 ? (long double)(r + 1) : 0.0L;
        n[i] = (unit - m[i]) / (long double)r;
    }
    block_multiply(x, n, product);
    memcpy(x, product, sizeof product);
    for (int power = 0; power < r; power++) {
        block_multiply(n, m, product);
        memcpy(m, product, sizeof product);
    }
}

/* x = matrix^(-1/r) for eigenvalues in (0, 4): M starts at matrix / 4, X at 4^(-1/r) I. */
static void block_root(int r, const long double *matrix, long double *x)
{
    static long double m[BLOCK_COUNT];
    for (int i = 0; i < BLOCK_COUNT; i++) {
        m[i] = matrix[i] / 4.0L;
        x[i] = i % (BLOCK + 1) == 0 ? powl(4.0L, -1.0L / r) : 0.0L;
    }
    for (int step = 0; step < 60; step++) {
        newton_step(r, x, m);
    }
}

/* T2 in the basis of the matrix by the block matrix. */
static void block_oracle(int r, const double *matrix, const double *deviation, double *result)
{
    static long double block[BLOCK_COUNT], x[BLOCK_COUNT];
    memset(block, 0, sizeof block);
    for (int p = 0; p < 3; p++) {
        for (int i = 0; i < COUNT; i++) {
            int row = p * SIDE + i / SIDE, col = p * SIDE + i % SIDE;
            block[row * BLOCK + col] = (long double)matrix[i];
            if (p < 2) {
                block[row * BLOCK + col + SIDE] = (long double)deviation[i];
            }
        }
    }
    block_root(r, block, x);
    for (int i = 0; i < COUNT; i++) {
        result[i] = (double)x[(i / SIDE) * BLOCK + 2 * SIDE + i % SIDE];
    }
}

START_TEST(second_order_is_the_block_root)
{
    int r = roots[_i];
    double matrix[COUNT], deviation[COUNT], expected[COUNT], actual[COUNT];
    double values[SIDE], vectors[COUNT], rotated[COUNT], scratch[COUNT], t2[COUNT];
    symmetric_with_values(SIDE, spread, 5, matrix);
    symmetric_random(SIDE, 22, deviation);
    block_oracle(r, matrix, deviation, expected);
    ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
    spectrum_rotate(SIDE, vectors, deviation, scratch, rotated);
    by_products(r, values, rotated, 1.0, t2);
    spectrum_rotate_back(SIDE, vectors, t2, scratch, actual);
    ck_assert_double_lt(symmetric_error(COUNT, actual, expected), 1e-11);
}
END_TEST

/* f(A)^(-r) = A, for every scale, by products of f(A)'s plain inverse: A f(A)^r = I. */
START_TEST(round_trip)
{
    static const double scales[] = {1e-100, 1e-30, 1.0, 1e30, 1e100};
    int r = roots[_i];
    for (int s = 0; s < 5; s++) {
        double known[SIDE], matrix[COUNT], values[SIDE], vectors[COUNT], root[COUNT];
        double scratch[2 * COUNT + 2 * SIDE], power[COUNT], product[COUNT], unit[COUNT] = {0.0};
        for (int i = 0; i < SIDE; i++) {
            known[i] = scales[s] * spread[i];
            unit[i * SIDE + i] = 1.0;
        }
        symmetric_with_values(SIDE, known, 6, matrix);
        ck_assert_int_eq(spectrum_compute(SIDE, matrix, values, vectors), PLUMB_OK);
        inverse_root_from_spectrum(SIDE, r, values, vectors, scratch, root);
        memcpy(power, matrix, sizeof power);
        for (int k = 0; k < r; k++) {
            symmetric_multiply(SIDE, root, power, product);
            memcpy(power, product, sizeof power);
        }
        ck_assert_double_lt(symmetric_error(COUNT, power, unit), 1e-12);
        symmetric_transpose(SIDE, root, product);
        ck_assert_mem_eq(product, root, sizeof root);
    }
}
END_TEST

/* sum over k of B_ik / f_k B_kj, 1 / f_k = bases[k]. */
static double squared(const double *bias, const double *bases, int i, int j)
{
    double sum = 0.0;
    for (int k = 0; k < SIDE; k++) {
        sum += bias[i * SIDE + k] * bases[k] * bias[k * SIDE + j];
    }
    return sum;
}

/* (f^-1 + f^-1 B f^-1 + c f^-1 B f^-1 B f^-1) times the answer is I, in the original basis. */
START_TEST(without_bias)
{
    int r = roots[_i];
    double basis[COUNT], delta[COUNT], bias[COUNT], inner[COUNT], matrix[COUNT], root[COUNT];
    double product[COUNT], unit[COUNT] = {0.0}, scratch[2 * COUNT + 2 * SIDE];
    symmetric_basis(SIDE, 7, basis);
    symmetric_random(SIDE, 23, delta);
    by_products(r, spread, delta, 0.3, bias);
    double bases[SIDE], c = _i % 2 == 0 ? 0.0 : inverse_root_third_order(r, 16);
    for (int i = 0; i < SIDE; i++) {
        bases[i] = base(r, spread[i]);
    }
    for (int i = 0; i < SIDE; i++) {
        unit[i * SIDE + i] = 1.0;
        for (int j = 0; j < SIDE; j++) {
            double a = bases[i], b = bases[j];
            double bent = bias[i * SIDE + j] + c * squared(bias, bases, i, j);
            inner[i * SIDE + j] = (i == j ? a : 0.0) + a * bent * b;
        }
    }
    spectrum_rotate_back(SIDE, basis, inner, scratch, matrix);
    ck_assert_int_eq(inverse_root_without_bias(SIDE, r, spread, basis, bias, c, scratch, root),
                     PLUMB_OK);
    symmetric_multiply(SIDE, matrix, root, product);
    ck_assert_double_lt(symmetric_error(COUNT, product, unit), 1e-11);
    ck_assert(spectrum_cholesky(SIDE, root));
}
END_TEST

/* 1 + (b - a (p+2)(p-1)/2) / a^2 (K-1)/(K+1) by hand: (.1953125 + .234375)/.140625, and so on. */
START_TEST(third_order)
{
    const int64_t many = (int64_t)1 << 50;
    ck_assert_double_eq_tol(inverse_root_third_order(1, many), 2.0, 1e-12);
    ck_assert_double_eq_tol(inverse_root_third_order(2, many), 1.0 + 0.4296875 / 0.140625, 1e-12);
    ck_assert_double_eq_tol(inverse_root_third_order(4, many), 8.5, 1e-12);
    ck_assert_double_eq_tol(inverse_root_third_order(1, 3), 1.5, 1e-14);
    ck_assert_double_eq_tol(inverse_root_third_order(4, 2), 3.5, 1e-12);
}
END_TEST

/* Refused, but by the third order, which leaves the answer positive definite up to a size. */
START_TEST(indefinite_bias)
{
    double basis[COUNT], bias[COUNT] = {0.0}, root[COUNT], scratch[2 * COUNT + 2 * SIDE];
    symmetric_basis(SIDE, 7, basis);
    bias[SIDE + 1] = -100.0;
    ck_assert_int_eq(inverse_root_without_bias(SIDE, 4, spread, basis, bias, 0.0, scratch, root),
                     PLUMB_ERROR_NUMERICAL);
    ck_assert_int_eq(inverse_root_without_bias(SIDE, 4, spread, basis, bias, 1.0, scratch, root),
                     PLUMB_OK);
    ck_assert(spectrum_cholesky(SIDE, root));
    bias[SIDE + 1] = -1e200;
    ck_assert_int_eq(inverse_root_without_bias(SIDE, 4, spread, basis, bias, 1.0, scratch, root),
                     PLUMB_ERROR_NUMERICAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inverse root");
    test_add(suite, "symmetric polynomials", symmetric_polynomials);
    test_add(suite, "second order accumulates", second_order_accumulates);
    test_add(suite, "third order", third_order);
    test_add(suite, "indefinite bias", indefinite_bias);
    TCase *loops = tcase_create("roots");
    tcase_set_timeout(loops, 120);
    tcase_add_loop_test(loops, differences_of_distinct_values, 0, ROOTS);
    tcase_add_loop_test(loops, differences_are_symmetric, 0, ROOTS);
    tcase_add_loop_test(loops, differences_are_confluent, 0, ROOTS);
    tcase_add_loop_test(loops, second_order_is_the_triple_sum, 0, ROOTS);
    tcase_add_loop_test(loops, second_order_is_the_block_root, 0, ROOTS);
    tcase_add_loop_test(loops, round_trip, 0, ROOTS);
    tcase_add_loop_test(loops, without_bias, 0, ROOTS);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
