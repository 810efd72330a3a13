/*
 * Singular values and vectors of M (rows x cols, rows <= cols) in double from the eigenvectors of
 * M M': several times faster than a full decomposition. The price: values below about 1e-6 of the
 * largest are lost, and count as zero. Of a float matrix they are rounding errors anyway.
 *
 * Matrices are row-major; singular directions are in descending order of their values.
 */
#ifndef PLUMB_LINALG_GRAM_SVD_H
#define PLUMB_LINALG_GRAM_SVD_H

#include "plumb.h"

typedef struct gram_svd {
    int64_t rows, cols;
    double *values;      /* rows: descending, 0 where they are lost */
    double *vectors;     /* rows x rows: columns are left vectors, in *ascending* order */
    double *eigenvalues; /* the rest is work space: rows, */
    double *gram;        /* rows x rows, */
    double *scratch;     /* rows x rows, */
    double *doubles;     /* and LAPACK's */
    int *integers;
} gram_svd;

/* Memory for decompositions of this shape. Errors: ARGUMENT, MEMORY; nothing to free then. */
plumb_status gram_svd_create(int64_t rows, int64_t cols, gram_svd *svd);
void gram_svd_free(gram_svd *svd);

/* Errors: NONFINITE, NUMERICAL; the values and vectors are undefined then. */
plumb_status gram_svd_compute(gram_svd *svd, const double *matrix);

/*
 * strengths[rows] of the decomposition of `matrix`: u_i' other v_i, without forming v; 0 where the
 * value is. `other` is of the same shape. Any scale of `matrix` is fine.
 */
void gram_svd_meet(gram_svd *svd, const double *matrix, const double *other, double *strengths);

/* left[i][.] = u_i (rows x rows), right[i][.] = v_i (rows x cols), 0 where the value is. */
void gram_svd_frames(const gram_svd *svd, const double *matrix, double *left, double *right);

/* sum[rows][cols] = left' diag(weights) right, of such frames; right is scaled by the weights. */
void gram_svd_rebuild(int64_t rows, int64_t cols, const double *weights, const double *left,
                      double *right, double *sum);

/* overlaps[i][j] = a_i . b_j of count vectors each, rows of matrices of `length` columns. */
void gram_svd_overlaps(int64_t count, int64_t length, const double *a, const double *b,
                       double *overlaps);

#endif
