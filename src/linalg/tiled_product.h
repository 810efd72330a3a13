/*
 * Products of matrices that lie in the cache, cut into tiles. OpenBLAS copies the operands of a
 * product into panels first, but for small ones it has kernels that read them where they are, 10
 * to 20 % faster at sides up to about 400. It takes those by itself only where a product is small;
 * here a larger one is cut into pieces that are. Of the two forms left' right and left right';
 * the second has no good small kernel and is not cut.
 *
 * Nothing is cut where OpenBLAS has no such kernels, or is not known to have them. What is cut, and
 * how, depends on the shape and the kernels alone: the same product has the same bits everywhere in
 * a run.
 *
 * Arguments are those of cblas_sgemm and cblas_dgemm, row-major: result (rows x cols) =
 * beta result + alpha left right, left (rows x inner) or its transpose as left_form says.
 */
#ifndef PLUMB_LINALG_TILED_PRODUCT_H
#define PLUMB_LINALG_TILED_PRODUCT_H

#include <cblas.h>
#include <stdbool.h>

void tiled_product_single(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int rows, int cols,
                          int inner, float alpha, const float *left, int left_stride,
                          const float *right, int right_stride, float beta, float *result,
                          int stride);
void tiled_product_double(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int rows, int cols,
                          int inner, double alpha, const double *left, int left_stride,
                          const double *right, int right_stride, double beta, double *result,
                          int stride);

/*
 * The same for a symmetric result (n x n) of which the lower triangle is wanted: strips of rows up
 * to the diagonal, which write a little above it.
 */
void tiled_half_product_single(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int n,
                               int inner, float alpha, const float *left, int left_stride,
                               const float *right, int right_stride, float beta, float *result,
                               int stride);
void tiled_half_product_double(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int n,
                               int inner, double alpha, const double *left, int left_stride,
                               const double *right, int right_stride, double beta, double *result,
                               int stride);

/* Rows of such a strip, or of one of a triangular factor. */
int tiled_product_strip(int n);

/* Above this, factors are no longer read fast enough from where they lie. */
enum { TILED_MOST_SIDE = 512 };

/* Whether products with a square right factor of this side are cut if they are large enough. */
bool tiled_product_takes(int side);

/*
 * A distance between rows of `cols` elements that keeps them at cache lines but not at the same few
 * places of the cache, as multiples of a large power of two would.
 */
int tiled_product_stride(int cols);

#endif
