/*
 * Inputs of polar factors; see polar_input.h. In here everything is by columns: the memory of a
 * rows x cols matrix by rows is its transpose.
 */
#include "workload/polar_input.h"

#include "workload/random.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* q (rows x cols, rows >= cols): orthonormal columns of normal numbers' QR. scratch[cols]. */
static int random_columns(int rows, int cols, uint64_t key, double *q, double *scratch)
{
    for (int64_t i = 0; i < (int64_t)rows * cols; i++) {
        q[i] = random_normal(key, RANDOM_INITIAL_VALUES, 0, 0, (uint64_t)i);
    }
    return LAPACKE_dgeqrf(LAPACK_COL_MAJOR, rows, cols, q, rows, scratch) != 0 ||
           LAPACKE_dorgqr(LAPACK_COL_MAJOR, rows, cols, cols, q, rows, scratch) != 0;
}

/* The columns of left (m x side) times the singular values. */
static void scale_columns(int m, int side, double condition, double *left)
{
    for (int i = 0; i < side; i++) {
        double place = side > 1 ? (double)i / (side - 1) : 0.0;
        cblas_dscal(m, pow(condition, -place), left + (ptrdiff_t)i * m, 1);
    }
}

int polar_input_make(int64_t rows, int64_t cols, double condition, float *matrix)
{
    int m = (int)cols, n = (int)rows, side = m < n ? m : n;
    int64_t elements = rows * cols;
    double *product = malloc((size_t)(elements + (rows + cols + 1) * side) * sizeof *product);
    if (product == NULL) {
        return 1;
    }
    double *left = product + elements, *right = left + cols * side, *scratch = right + rows * side;
    int failed = random_columns(m, side, 6, left, scratch) != 0 ||
                 random_columns(n, side, 7, right, scratch) != 0;
    if (!failed) {
        scale_columns(m, side, condition, left);
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, m, n, side, 1.0, left, m, right, n,
                    0.0, product, m);
        for (int64_t i = 0; i < elements; i++) {
            matrix[i] = (float)product[i];
        }
    }
    free(product);
    return failed;
}
