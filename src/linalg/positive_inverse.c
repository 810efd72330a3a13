/*
 * Inverses of positive definite matrices by recursion (see positive_inverse.h). LAPACK's potrf and
 * potri spend much of their time in small triangular solves; here nearly all of it goes into
 * general products, of which the halves that symmetry gives for nothing are left out.
 *
 * Gauss-Jordan elimination by blocks takes n^3 multiplications and additions, the Cholesky form
 * about the same where triangles are used to the full and a quarter more as done here; but the
 * first multiplies with explicit inverses of leading blocks, so that its Schur complements have
 * errors in proportion to the condition number, the second those of a Cholesky factorisation
 * (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapters 10 and 14).
 */
#include "linalg/positive_inverse.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/vector.h"

/* Rows of a leaf: two vectors of 16 floats. */
enum { LEAF = 32 };

/* The rows of the leading block: about half, such that blocks begin at multiples of a leaf. */
static int leading_part(int n)
{
    return (n / 2 + LEAF - 1) / LEAF * LEAF;
}

#define REAL float
#define REAL_SQRT sqrtf
#define NAME(x) single_##x
#define GEMM cblas_sgemm
#include "linalg/positive_inverse_real.h"
#undef REAL
#undef REAL_SQRT
#undef NAME
#undef GEMM

#define REAL double
#define REAL_SQRT sqrt
#define NAME(x) double_##x
#define GEMM cblas_dgemm
#include "linalg/positive_inverse_real.h"

/* A factor, and beside it a product of a quarter, or the leaves' columns. */
int64_t positive_inverse_scratch(int n)
{
    int64_t half = leading_part(n);
    return (int64_t)n * n + half * half + (int64_t)LEAF * n;
}

bool positive_inverse_single(int n, const float *matrix, float shift, float *inverse,
                             float *scratch)
{
    return single_inverse(n, matrix, shift, inverse, scratch);
}

bool positive_inverse_double(int n, const double *matrix, double shift, double *inverse,
                             double *scratch)
{
    return double_inverse(n, matrix, shift, inverse, scratch);
}

bool positive_inverse_conditioned(int n, const float *matrix, float shift, float *inverse,
                                  float *scratch)
{
    single_copy_shifted(n, matrix, shift, inverse);
    return single_invert(n, inverse, n, scratch);
}

bool positive_inverse_conditioned_double(int n, const double *matrix, double shift, double *inverse,
                                         double *scratch)
{
    double_copy_shifted(n, matrix, shift, inverse);
    return double_invert(n, inverse, n, scratch);
}

void positive_mirror_single(int n, float *matrix)
{
    single_mirror(n, matrix, n);
}

void positive_mirror_double(int n, double *matrix)
{
    double_mirror(n, matrix, n);
}
