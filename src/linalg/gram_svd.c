/*
 * By LAPACK's symmetric eigenproblem (see gram_svd.h). Where only numbers u' X v are wanted, the
 * right vectors v = M' u / s are never formed: u' X v = u' (X M') u / s.
 */
#include "linalg/gram_svd.h"

#include <cblas.h>
#include <float.h>
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "linalg/product.h"
#include "linalg/spectrum.h"

void gram_svd_free(gram_svd *svd)
{
    memory_free(&svd->values);
    memory_free(&svd->vectors);
    memory_free(&svd->eigenvalues);
    memory_free(&svd->gram);
    memory_free(&svd->scratch);
    memory_free(&svd->doubles);
    memory_free(&svd->integers);
}

static plumb_status allocate(gram_svd *svd)
{
    int64_t n = svd->rows;
    PROPAGATE(memory_allocate(n, sizeof(double), &svd->values));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &svd->vectors));
    PROPAGATE(memory_allocate(n, sizeof(double), &svd->eigenvalues));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &svd->gram));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &svd->scratch));
    PROPAGATE(memory_allocate(spectrum_doubles(n), sizeof(double), &svd->doubles));
    return memory_allocate(spectrum_integers(n), sizeof(int), &svd->integers);
}

plumb_status gram_svd_create(int64_t rows, int64_t cols, gram_svd *svd)
{
    *svd = (gram_svd){.rows = rows, .cols = cols};
    REQUIRE(rows >= 1 && rows <= SPECTRUM_MAX_SIDE && cols >= rows && cols <= INT32_MAX,
            PLUMB_ERROR_ARGUMENT,
            "a decomposition of %lld x %lld elements: 1 to %d rows, and no fewer columns",
            (long long)rows, (long long)cols, SPECTRUM_MAX_SIDE);
    plumb_status status = allocate(svd);
    if (status != PLUMB_OK) {
        gram_svd_free(svd);
    }
    return status;
}

plumb_status gram_svd_compute(gram_svd *svd, const double *matrix)
{
    int64_t n = svd->rows;
    product_gram(PRODUCT_LEFT, n, svd->cols, 1.0, matrix, 0.0, svd->gram);
    PROPAGATE(spectrum_compute_in(n, svd->gram, svd->eigenvalues, svd->vectors, svd->doubles,
                                  svd->integers));
    double largest = svd->eigenvalues[n - 1];
    double lost = 4.0 * (double)n * DBL_EPSILON * (largest > 0.0 ? largest : 0.0);
    for (int64_t i = 0; i < n; i++) {
        double square = svd->eigenvalues[n - 1 - i];
        svd->values[i] = square > lost ? sqrt(square) : 0.0;
    }
    return PLUMB_OK;
}

void gram_svd_meet(gram_svd *svd, const double *matrix, const double *other, double *strengths)
{
    int64_t n = svd->rows;
    product_gram_pair(PRODUCT_LEFT, n, svd->cols, 0.5, other, matrix, 0.0, svd->gram);
    spectrum_rayleigh(n, svd->vectors, svd->gram, svd->scratch, svd->eigenvalues);
    for (int64_t i = 0; i < n; i++) {
        double met = svd->eigenvalues[n - 1 - i];
        strengths[i] = svd->values[i] > 0.0 ? met / svd->values[i] : 0.0;
    }
}

/* Scales a vector to length 1, or to 0 if it has none that counts. */
static void normalise(int64_t count, double value, double *vector)
{
    double norm = cblas_dnrm2((int)count, vector, 1);
    cblas_dscal((int)count, value > 0.0 && norm > 0.0 ? 1.0 / norm : 0.0, vector, 1);
}

void gram_svd_frames(const gram_svd *svd, const double *matrix, double *left, double *right)
{
    int n = (int)svd->rows, cols = (int)svd->cols;
    for (int64_t i = 0; i < n; i++) {
        cblas_dcopy(n, svd->vectors + n - 1 - i, n, left + i * n, 1);
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, cols, n, 1.0, left, n, matrix, cols,
                0.0, right, cols);
    for (int64_t i = 0; i < n; i++) {
        normalise(cols, svd->values[i], right + i * cols);
        if (svd->values[i] == 0.0) {
            cblas_dscal(n, 0.0, left + i * n, 1);
        }
    }
}

void gram_svd_rebuild(int64_t rows, int64_t cols, const double *weights, const double *left,
                      double *right, double *sum)
{
    int n = (int)rows, length = (int)cols;
    for (int64_t i = 0; i < rows; i++) {
        cblas_dscal(length, weights[i], right + i * cols, 1);
    }
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, length, n, 1.0, left, n, right, length,
                0.0, sum, length);
}

void gram_svd_overlaps(int64_t count, int64_t length, const double *a, const double *b,
                       double *overlaps)
{
    int n = (int)count, inner = (int)length;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, inner, 1.0, a, inner, b, inner, 0.0,
                overlaps, n);
}
