/*
 * Products in double, by BLAS (see product.h).
 */
#include "linalg/product.h"

#include <cblas.h>

void product_gram(product_side side, int64_t rows, int64_t cols, double weight,
                  const double *matrix, double keep, double *sum)
{
    int n = (int)product_length(side, rows, cols);
    int inner = (int)(side == PRODUCT_LEFT ? cols : rows);
    CBLAS_TRANSPOSE transposed = side == PRODUCT_LEFT ? CblasNoTrans : CblasTrans;
    cblas_dsyrk(CblasRowMajor, CblasLower, transposed, n, inner, weight, matrix, (int)cols, keep,
                sum, n);
}

void product_gram_pair(product_side side, int64_t rows, int64_t cols, double weight,
                       const double *a, const double *b, double keep, double *sum)
{
    int n = (int)product_length(side, rows, cols);
    int inner = (int)(side == PRODUCT_LEFT ? cols : rows);
    CBLAS_TRANSPOSE transposed = side == PRODUCT_LEFT ? CblasNoTrans : CblasTrans;
    cblas_dsyr2k(CblasRowMajor, CblasLower, transposed, n, inner, weight, a, (int)cols, b,
                 (int)cols, keep, sum, n);
}

static void between(int64_t rows, int64_t cols, CBLAS_TRANSPOSE left_transposed, const double *left,
                    const double *matrix, CBLAS_TRANSPOSE right_transposed, const double *right,
                    double *scratch, double *result)
{
    int m = (int)rows, n = (int)cols;
    cblas_dgemm(CblasRowMajor, left_transposed, CblasNoTrans, m, n, m, 1.0, left, m, matrix, n, 0.0,
                scratch, n);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, right_transposed, m, n, n, 1.0, scratch, n, right, n,
                0.0, result, n);
}

void product_between(int64_t rows, int64_t cols, const double *left, const double *matrix,
                     const double *right, double *scratch, double *result)
{
    between(rows, cols, CblasNoTrans, left, matrix, CblasNoTrans, right, scratch, result);
}

void product_rotate(int64_t rows, int64_t cols, const double *left, const double *matrix,
                    const double *right, double *scratch, double *result)
{
    between(rows, cols, CblasTrans, left, matrix, CblasNoTrans, right, scratch, result);
}

void product_rotate_back(int64_t rows, int64_t cols, const double *left, const double *matrix,
                         const double *right, double *scratch, double *result)
{
    between(rows, cols, CblasNoTrans, left, matrix, CblasTrans, right, scratch, result);
}

void product_transposed(int64_t n, const double *a, const double *b, double *product)
{
    int side = (int)n;
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, side, side, side, 1.0, a, side, b, side,
                0.0, product, side);
}

double product_sum_squares(int64_t n, const double *matrix)
{
    double diagonal = 0.0, below = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double *row = matrix + i * n;
        for (int64_t j = 0; j < i; j++) {
            below += row[j] * row[j];
        }
        diagonal += row[i] * row[i];
    }
    return diagonal + 2.0 * below;
}

double product_effective_rank(int64_t n, const double *matrix)
{
    double trace = 0.0, squares = product_sum_squares(n, matrix);
    for (int64_t i = 0; i < n; i++) {
        trace += matrix[i * n + i];
    }
    return squares > 0.0 ? trace / squares * trace : 0.0;
}
