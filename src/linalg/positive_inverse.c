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

/* ---- Gauss-Jordan elimination, in single precision alone ---------------------------------- */

/* Lower triangle of result (n x n) += alpha left' right, both inner x n. */
static void add_half_transposed(int n, int inner, float alpha, const float *left, int left_stride,
                                const float *right, int right_stride, float *result, int stride)
{
    int block = single_block_rows(n);
    for (int i = 0; i < n; i += block) {
        int rows = n - i < block ? n - i : block;
        single_multiply(CblasTrans, CblasNoTrans, rows, i + rows, inner, alpha, left + i,
                        left_stride, right, right_stride, 1, result + (int64_t)i * stride, stride);
    }
}

/* to = the transpose of from (rows x cols). */
static void transpose(int rows, int cols, const float *from, int from_stride, float *to,
                      int to_stride)
{
    enum { TILE = 16 };
    for (int i0 = 0; i0 < rows; i0 += TILE) {
        int i1 = i0 + TILE < rows ? i0 + TILE : rows;
        for (int j0 = 0; j0 < cols; j0 += TILE) {
            int j1 = j0 + TILE < cols ? j0 + TILE : cols;
            for (int i = i0; i < i1; i++) {
                for (int j = j0; j < j1; j++) {
                    to[(int64_t)j * to_stride + i] = from[(int64_t)i * from_stride + j];
                }
            }
        }
    }
}

/* Gauss-Jordan elimination in place of the first n of `width` rows and columns. */
static inline bool eliminate(int n, int width, float *restrict leaf)
{
    float row[LEAF], column[LEAF];
    for (int k = 0; k < n; k++) {
        float pivot = leaf[k * width + k];
        if (!(pivot > 0)) {
            return false;
        }
        float inverse = 1 / pivot;
        for (int i = 0; i < width; i++) {
            row[i] = leaf[k * width + i] * inverse;
            column[i] = leaf[i * width + k];
        }
        for (int i = 0; i < width; i++) {
            for (int j = 0; j < width; j++) {
                leaf[i * width + j] -= column[i] * row[j];
            }
        }
        for (int i = 0; i < width; i++) {
            leaf[i * width + k] = -column[i] * inverse;
        }
        for (int j = 0; j < width; j++) {
            leaf[k * width + j] = row[j];
        }
        leaf[k * width + k] = inverse;
    }
    return true;
}

VECTOR_CLONES
static bool invert_leaf(int n, float *matrix, int stride)
{
    float leaf[LEAF * LEAF] __attribute__((aligned(64)));
    bool narrow = n <= LEAF / 2;
    int width = narrow ? LEAF / 2 : LEAF;
    single_load_leaf(n, width, matrix, stride, leaf);
    bool positive = narrow ? eliminate(n, LEAF / 2, leaf) : eliminate(n, LEAF, leaf);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            matrix[(int64_t)i * stride + j] = leaf[i * width + j];
            matrix[(int64_t)j * stride + i] = leaf[i * width + j];
        }
    }
    return positive;
}

/*
 * The inverse in place by blocks, with B = A11^-1, W = A21 B, C = (A22 - W A21')^-1:
 *
 *     A^-1 = [ B + W'C W   -W'C ]
 *            [ -C W           C ]
 */
static bool invert(int n, float *matrix, int stride, float *scratch)
{
    if (n <= LEAF) {
        return invert_leaf(n, matrix, stride);
    }
    int first = leading_part(n), rest = n - first;
    float *lower = matrix + (int64_t)first * stride, *last = lower + first; /* A21, A22 */
    float *product = scratch;                                               /* W: rest x first */
    scratch += (int64_t)rest * first;
    if (!invert(first, matrix, stride, scratch)) {
        return false;
    }
    single_multiply(CblasNoTrans, CblasNoTrans, rest, first, first, 1, lower, stride, matrix,
                    stride, 0, product, first);
    single_add_half(rest, first, -1, product, first, lower, stride, last, stride);
    if (!invert(rest, last, stride, scratch)) {
        return false;
    }
    single_multiply(CblasNoTrans, CblasNoTrans, rest, first, rest, -1, last, stride, product, first,
                    0, lower, stride);
    add_half_transposed(first, rest, -1, product, first, lower, stride, matrix, stride);
    single_mirror(first, matrix, stride);
    transpose(rest, first, lower, stride, matrix + first, stride);
    return true;
}

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
    return invert(n, inverse, n, scratch);
}

void positive_mirror_single(int n, float *matrix)
{
    single_mirror(n, matrix, n);
}

void positive_mirror_double(int n, double *matrix)
{
    double_mirror(n, matrix, n);
}
