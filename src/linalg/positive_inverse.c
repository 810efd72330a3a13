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
#include "linalg/tiled_product.h"

/* Rows of a leaf: two vectors of 16 floats. */
enum { LEAF = 32 };

/* Rows and columns of a tile that is transposed. */
enum { TILE = 16 };

/* The rows of the leading block: about half, such that blocks begin at multiples of a leaf. */
static int leading_part(int n)
{
    return (n / 2 + LEAF - 1) / LEAF * LEAF;
}

#define REAL float
#define REAL_SQRT sqrtf
#define NAME(x) single_##x
#define MULTIPLY tiled_product_single
#define HALF tiled_half_product_single
#include "linalg/triangles_real.h"
#include "linalg/positive_inverse_real.h"
#undef REAL
#undef REAL_SQRT
#undef NAME
#undef MULTIPLY
#undef HALF

#define REAL double
#define REAL_SQRT sqrt
#define NAME(x) double_##x
#define MULTIPLY tiled_product_double
#define HALF tiled_half_product_double
#include "linalg/triangles_real.h"
#include "linalg/positive_inverse_real.h"

/* A square, and beside it a product of a quarter or those of a recursion, or the leaves' columns. */
int64_t positive_inverse_scratch(int n)
{
    int64_t half = leading_part(n), stride = tiled_product_stride(n);
    return n * stride + half * tiled_product_stride((int)half) * 3 / 2 + (int64_t)LEAF * (n + LEAF);
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
    return single_inverse_conditioned(n, matrix, shift, inverse, scratch);
}

bool positive_inverse_conditioned_double(int n, const double *matrix, double shift, double *inverse,
                                         double *scratch)
{
    return double_inverse_conditioned(n, matrix, shift, inverse, scratch);
}

void positive_begin_single(int n, float value, float *sum)
{
    single_begin(n, value, sum);
}

void positive_begin_double(int n, double value, double *sum)
{
    double_begin(n, value, sum);
}

void positive_add_single(int n, float weight, const float *matrix, float *sum)
{
    single_add(n, weight, matrix, sum);
}

void positive_add_double(int n, double weight, const double *matrix, double *sum)
{
    double_add(n, weight, matrix, sum);
}

void positive_mirror_single(int n, float *matrix)
{
    single_mirror(n, matrix, n);
}

void positive_mirror_double(int n, double *matrix)
{
    double_mirror(n, matrix, n);
}
