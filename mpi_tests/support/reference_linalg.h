/*
 * Plain linear algebra in double for the tests, independent of BLAS and LAPACK: the reference that
 * src/linalg is held against.
 */
#ifndef SUPPORT_REFERENCE_LINALG_H
#define SUPPORT_REFERENCE_LINALG_H

#include <stdint.h>

/* The thin singular value decomposition G = U S V', side = min(rows, cols). */
typedef struct reference_svd {
    int rows, cols, side;
    double *left;   /* rows x side, row-major: U; zero columns where the value is zero */
    double *values; /* side, in no particular order */
    double *right;  /* cols x side, row-major: V */
} reference_svd;

/* One-sided Jacobi (Hestenes 1958). Ends the program if there is no memory. */
reference_svd reference_svd_compute(int rows, int cols, const float *matrix);

void reference_svd_free(reference_svd *svd);

double reference_svd_largest(const reference_svd *svd);

/* The root of the sum of squares of the singular values. */
double reference_svd_norm(const reference_svd *svd);

/* result = U diag(mapped) V', rows x cols, with `side` values in the order of svd->values. */
void reference_svd_rebuild(const reference_svd *svd, const double *mapped, double *result);

/*
 * A matrix with the given min(rows, cols) singular values, up to the rounding to float, and
 * singular vectors that depend on `seed`.
 */
void reference_matrix(int rows, int cols, const double *values, uint64_t seed, float *matrix);

/* The largest |a[i] - b[i]|; NaN counts as infinity. */
double reference_distance(int64_t count, const float *a, const double *b);

/* Memory that is there, or the end of the program. */
double *reference_doubles(int64_t count);
float *reference_floats(int64_t count);

#endif
