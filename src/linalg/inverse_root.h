/*
 * f(A) = A^(-1/r) of a positive definite matrix, and how its expectation differs from f of the
 * expectation when A is an estimate. In the eigenbasis of A, with a_i = lambda_i^(1/r),
 *
 *     f(A + E) = f(A) + f[i,j] E_ij + sum_k f[i,k,j] E_ik E_kj + ...
 *
 * with the divided differences of f at the eigenvalues (Higham, Functions of Matrices, 2008,
 * chapters 3 and B.16). The quadratic term is called T2 here. The usual quotients of differences
 * cancel where eigenvalues are close; through the complete homogeneous symmetric polynomials
 * h_q(a, b) = sum a^i b^(q-i) nothing is ever subtracted:
 *
 *     f[x,y]   = -1 / (a b h(a,b))                                       h = h_(r-1)
 *     f[x,y,z] = h(a,b,c) / (a b c h(a,b) h(b,c) h(a,c))
 *
 * All matrices are n x n, row-major and in double; r is at least 1.
 */
#ifndef PLUMB_LINALG_INVERSE_ROOT_H
#define PLUMB_LINALG_INVERSE_ROOT_H

#include <math.h>
#include <stdbool.h>

#include "plumb.h"

/* value^(1/r). */
static inline double inverse_root_base(int r, double value)
{
    switch (r) {
    case 1:
        return value;
    case 2:
        return sqrt(value);
    case 4:
        return sqrt(sqrt(value));
    default:
        return pow(value, 1.0 / (double)r);
    }
}

/* h_degree(a, b). */
static inline double inverse_root_pair_sum(int degree, double a, double b)
{
    double sum = 1.0, power = 1.0;
    for (int q = 1; q <= degree; q++) {
        power *= a;
        sum = b * sum + power;
    }
    return sum;
}

/* h_degree(a, b, c). */
static inline double inverse_root_triple_sum(int degree, double a, double b, double c)
{
    double sum = 1.0, pair = 1.0, power = 1.0;
    for (int q = 1; q <= degree; q++) {
        power *= a;
        pair = b * pair + power;
        sum = c * sum + pair;
    }
    return sum;
}

/* f[x, y] for a = x^(1/r), b = y^(1/r). */
static inline double inverse_root_first(int r, double a, double b)
{
    return -1.0 / (a * b * inverse_root_pair_sum(r - 1, a, b));
}

/* f[x, y, z] for a = x^(1/r), b = y^(1/r), c = z^(1/r). The order keeps products in range. */
static inline double inverse_root_second(int r, double a, double b, double c)
{
    double ab = inverse_root_pair_sum(r - 1, a, b);
    double bc = inverse_root_pair_sum(r - 1, b, c);
    double ac = inverse_root_pair_sum(r - 1, a, c);
    return inverse_root_triple_sum(r - 1, a, b, c) / ab / bc / ac / (a * b * c);
}

/* Elements of scratch memory that the functions below need. */
static inline int64_t inverse_root_scratch(int64_t n)
{
    return 2 * n * n + 2 * n;
}

/* root = Q diag(values^(-1/r)) Q'; values positive, Q = vectors. Exactly symmetric. */
void inverse_root_from_spectrum(int64_t n, int r, const double *values, const double *vectors,
                                double *scratch, double *root);

/*
 * sum += weight T2(delta), lower triangles: `delta` is symmetric, both triangles given, and stands
 * in the eigenbasis. r products of half a matrix each:
 *
 *     T2   = W o sum over q < r of h_(r-1-q)(a_i, a_j) o (D diag(a)^(q-1) D)
 *     D_ij = delta_ij / h(a_i, a_j),   W_ij = 1 / (a_i a_j h(a_i, a_j))
 */
void inverse_root_add_second_order(int64_t n, int r, const double *values, const double *delta,
                                   double weight, double *scratch, double *sum);

/*
 * The coefficient `third` below for the mean of `samples` independent parts whose spread is what
 * the bias was estimated from. From one dimension: let the mean have relative variance v and be
 * gamma distributed, as a mean of squares is, and let T2 = a v f with v estimated by the same
 * samples. With p = 1/r, E f = f (1 + a v + b v^2), a = p(p+1)/2, b = p(p+1)(p+2)((p+3)/8 - 1/3),
 * and E (T2/f) = a v (1 + v (p+2)(p-1)/2): what is left is of order v^3 if third - 1 is
 * (b - a(p+2)(p-1)/2)/a^2, divided by (K+1)/(K-1), the mean square of an estimated variance (of K
 * normal samples) over the square of its mean. Below 8.5, 4.06, 2 for r = 4, 2, 1.
 */
static inline double inverse_root_third_order(int r, int64_t samples)
{
    double p = 1.0 / (double)r, count = (double)samples;
    double a = p * (p + 1.0) / 2.0;
    double b = p * (p + 1.0) * (p + 2.0) * ((p + 3.0) / 8.0 - 1.0 / 3.0);
    double excess = (b - a * (p + 2.0) * (p - 1.0) / 2.0) / (a * a);
    return 1.0 + excess * (count - 1.0) / (count + 1.0);
}

/*
 * What is left of f when T2, `bias` in the eigenbasis (its lower triangle is read), is taken away
 * such that the answer stays positive definite:
 *
 *     root = Q (f^-1 + f^-1 B f^-1 + third f^-1 B f^-1 B f^-1)^-1 Q' = Q (f - B + ...) Q',
 *     f = diag(values^(-1/r)), B the bias
 *
 * With third = 0 it is f - B to second order, no more. Errors: NUMERICAL if the bias is not finite,
 * too large, or so indefinite that there is no such matrix (not if third > 1/4). `root` is
 * undefined then.
 */
plumb_status inverse_root_without_bias(int64_t n, int r, const double *values,
                                       const double *vectors, const double *bias, double third,
                                       double *scratch, double *root);

#endif
