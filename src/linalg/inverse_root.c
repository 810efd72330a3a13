/*
 * The parts of inverse roots that are products of matrices (see inverse_root.h). As all a_i are
 * positive, D diag(a)^(q-1) D is Y Y' with Y = D diag(a)^((q-1)/2): half of a full product's work.
 */
#include "linalg/inverse_root.h"

#include <cblas.h>

#include "base/error.h"
#include "linalg/spectrum.h"

void inverse_root_from_spectrum(int64_t n, int r, const double *values, const double *vectors,
                                double *scratch, double *root)
{
    double *diagonal = scratch + n * n;
    for (int64_t i = 0; i < n; i++) {
        diagonal[i] = 1.0 / inverse_root_base(r, values[i]);
    }
    spectrum_rebuild(n, vectors, diagonal, scratch, root);
}

/* Y of q = 0: Y_ij = delta_ij / (h(a_i, a_j) sqrt(a_j)). */
static void divide_delta(int64_t n, int r, const double *bases, const double *base_roots,
                         const double *delta, double *scaled)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = inverse_root_pair_sum(r - 1, bases[i], bases[j]);
            scaled[i * n + j] = delta[i * n + j] / (sum * base_roots[j]);
        }
    }
}

static void scale_columns(int64_t n, const double *factors, double *matrix)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            matrix[i * n + j] *= factors[j];
        }
    }
}

/* One q's share of T2; product: Y Y', lower triangle. */
static void add_product(int64_t n, int r, int q, const double *bases, const double *product,
                        double weight, double *sum)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double a = bases[i], b = bases[j];
            double share = inverse_root_pair_sum(r - 1 - q, a, b) /
                           (a * b * inverse_root_pair_sum(r - 1, a, b));
            sum[i * n + j] += weight * (share * product[i * n + j]);
        }
    }
}

void inverse_root_add_second_order(int64_t n, int r, const double *values, const double *delta,
                                   double weight, double *scratch, double *sum)
{
    int side = (int)n;
    double *scaled = scratch, *product = scratch + n * n;
    double *bases = scratch + 2 * n * n, *base_roots = bases + n;
    for (int64_t i = 0; i < n; i++) {
        bases[i] = inverse_root_base(r, values[i]);
        base_roots[i] = sqrt(bases[i]);
    }
    divide_delta(n, r, bases, base_roots, delta, scaled);
    for (int q = 0; q < r; q++) {
        if (q > 0) {
            scale_columns(n, base_roots, scaled);
        }
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, side, side, 1.0, scaled, side, 0.0,
                    product, side);
        add_product(n, r, q, bases, product, weight, sum);
    }
}

/* inner = I + X + c X^2, lower, for X = f^(-1/2) bias f^(-1/2). base_roots: f^(-1/2); relative:
 * room for X. */
static void prepare_inner(int64_t n, const double *base_roots, const double *bias, double third,
                          double *relative, double *inner)
{
    int side = (int)n;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            relative[i * n + j] = base_roots[i] * bias[i * n + j] * base_roots[j];
        }
    }
    spectrum_mirror(n, relative);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, side, side, third, relative, side, 0.0,
                inner, side);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            inner[i * n + j] += relative[i * n + j] + (i == j ? 1.0 : 0.0);
        }
    }
}

/* turned = f^(1/2) Q'. */
static void turn(int64_t n, const double *base_roots, const double *vectors, double *turned)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            turned[i * n + j] = vectors[j * n + i] / base_roots[i];
        }
    }
}

/* With inner = L L' and Z = L^-1 turned, the answer is Z' Z. */
plumb_status inverse_root_without_bias(int64_t n, int r, const double *values,
                                       const double *vectors, const double *bias, double third,
                                       double *scratch, double *root)
{
    int side = (int)n;
    double *inner = scratch, *turned = scratch + n * n, *base_roots = scratch + 2 * n * n;
    for (int64_t i = 0; i < n; i++) {
        base_roots[i] = sqrt(inverse_root_base(r, values[i]));
    }
    prepare_inner(n, base_roots, bias, third, turned, inner);
    REQUIRE(isfinite(spectrum_largest(n, inner)) && spectrum_cholesky(n, inner),
            PLUMB_ERROR_NUMERICAL,
            "a root's bias is not positive semidefinite or too large: the corrected root has no "
            "inverse");
    turn(n, base_roots, vectors, turned);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, side, side, 1.0,
                inner, side, turned, side);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, side, side, 1.0, turned, side, 0.0, root,
                side);
    spectrum_mirror(n, root);
    return PLUMB_OK;
}
