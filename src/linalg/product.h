/*
 * Products of a matrix with itself and with the factors on its two sides, in double: what
 * Kronecker-factored preconditioners are made of. The left side of M (rows x cols) is its rows,
 * with M M' (rows x rows); the right side is its columns, with M' M (cols x cols).
 *
 * Matrices are row-major. Of symmetric n x n results only the lower triangle is touched.
 */
#ifndef PLUMB_LINALG_PRODUCT_H
#define PLUMB_LINALG_PRODUCT_H

#include <stdint.h>

/* A rough rate of these products on one core, for balancing owners only. */
static const double PRODUCT_FLOPS_PER_SECOND = 20e9;

typedef enum product_side { PRODUCT_LEFT = 0, PRODUCT_RIGHT = 1 } product_side;

static inline int64_t product_length(product_side side, int64_t rows, int64_t cols)
{
    return side == PRODUCT_LEFT ? rows : cols;
}

/* sum = keep sum + weight M M', or M' M. */
void product_gram(product_side side, int64_t rows, int64_t cols, double weight,
                  const double *matrix, double keep, double *sum);

/* sum = keep sum + weight (A B' + B A'), or A' B + B' A; A and B are rows x cols. */
void product_gram_pair(product_side side, int64_t rows, int64_t cols, double weight,
                       const double *a, const double *b, double keep, double *sum);

/* result = left M right. scratch and result: rows x cols. No aliases. */
void product_between(int64_t rows, int64_t cols, const double *left, const double *matrix,
                     const double *right, double *scratch, double *result);

/* result = left' M right, and its inverse for orthogonal factors: result = left M right'. */
void product_rotate(int64_t rows, int64_t cols, const double *left, const double *matrix,
                    const double *right, double *scratch, double *result);
void product_rotate_back(int64_t rows, int64_t cols, const double *left, const double *matrix,
                         const double *right, double *scratch, double *result);

/* product = A' B; all n x n. */
void product_transposed(int64_t n, const double *a, const double *b, double *product);

/* tr(C^2) of the symmetric C: the sum of its squared elements. */
double product_sum_squares(int64_t n, const double *matrix);

/* (tr C)^2 / tr(C^2) of the symmetric C, 1 to n: how many of its n directions carry it. 0 for 0. */
double product_effective_rank(int64_t n, const double *matrix);

#endif
