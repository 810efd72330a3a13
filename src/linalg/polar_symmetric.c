/*
 * The symmetric factor H of the polar decomposition (see polar.h), and its product with the other
 * factor. H = V S V' of the short side comes from the singular value decomposition in double: the
 * square root of the Gram matrix would lose the singular values below 1e-8 of the largest.
 */
#include "linalg/polar.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "linalg/thin_svd.h"

static int shorter(int64_t rows, int64_t cols)
{
    return (int)(rows < cols ? rows : cols);
}

static plumb_status check_shape(int64_t rows, int64_t cols)
{
    REQUIRE(rows >= 1 && cols >= 1 && rows <= INT_MAX && cols <= INT_MAX, PLUMB_ERROR_ARGUMENT,
            "a matrix of %lld x %lld: both must be in 1..%d", (long long)rows, (long long)cols,
            INT_MAX);
    return PLUMB_OK;
}

/* The upper triangle of V S V' (rows >= cols) or U S U' into svd->scratch, side x side. */
static void form_symmetric(const thin_svd *svd)
{
    bool tall = svd->rows >= svd->cols;
    double *vectors = tall ? svd->right : svd->left; /* side x side; one vector a row if tall */
    int64_t side = svd->side;
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j < side; j++) {
            vectors[i * side + j] *= sqrt(svd->values[tall ? i : j]);
        }
    }
    cblas_dsyrk(CblasRowMajor, CblasUpper, tall ? CblasTrans : CblasNoTrans, svd->side, svd->side,
                1.0, vectors, svd->side, 0.0, svd->scratch, svd->side);
}

/* False if an element, scaled back, is beyond the range of a float. */
static bool fits_single(const thin_svd *svd, double scale)
{
    for (int64_t i = 0; i < svd->side; i++) { /* the diagonal bounds a semidefinite matrix */
        double element = scale * svd->scratch[i * svd->side + i];
        if (isinf((float)element)) {
            return false;
        }
    }
    return true;
}

static void pack(const thin_svd *svd, double scale, float *packed)
{
    for (int64_t i = 0; i < svd->side; i++) {
        for (int64_t j = i; j < svd->side; j++) {
            *packed++ = (float)(scale * svd->scratch[i * svd->side + j]);
        }
    }
}

plumb_status polar_factor_symmetric(int64_t rows, int64_t cols, const float *matrix, float *packed)
{
    PROPAGATE(check_shape(rows, cols));
    polar_prescale prescale;
    PROPAGATE(polar_prescale_find(rows * cols, matrix, &prescale));
    int64_t side = shorter(rows, cols);
    if (prescale.zero) {
        memset(packed, 0, (size_t)(side * (side + 1) / 2) * sizeof(float));
        return PLUMB_OK;
    }
    thin_svd svd;
    PROPAGATE(thin_svd_compute((int)rows, (int)cols, matrix, prescale, &svd));
    form_symmetric(&svd);
    double scale = ldexp(1.0, prescale.exponent);
    bool fits = fits_single(&svd, scale);
    if (fits) {
        pack(&svd, scale, packed);
    }
    thin_svd_free(&svd);
    REQUIRE(fits, PLUMB_ERROR_NUMERICAL, "the symmetric factor is beyond the range of a float");
    return PLUMB_OK;
}

/* symmetric: side x side */
static void unpack(int64_t side, const float *packed, float *symmetric)
{
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = i; j < side; j++) {
            symmetric[i * side + j] = *packed;
            symmetric[j * side + i] = *packed;
            packed++;
        }
    }
}

plumb_status polar_multiply_symmetric(int64_t rows, int64_t cols, const float *polar,
                                      const float *packed, float *product)
{
    PROPAGATE(check_shape(rows, cols));
    int side = shorter(rows, cols);
    bool tall = rows >= cols;
    float *symmetric = NULL;
    float *result = NULL;
    PROPAGATE(memory_allocate((int64_t)side * side, sizeof(float), &symmetric));
    plumb_status status = memory_allocate(rows * cols, sizeof(float), &result);
    if (status == PLUMB_OK) {
        unpack(side, packed, symmetric);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)cols, side, 1.0f,
                    tall ? polar : symmetric, side, tall ? symmetric : polar, (int)cols, 0.0f,
                    result, (int)cols);
        memcpy(product, result, (size_t)(rows * cols) * sizeof(float));
    }
    memory_free(&result);
    memory_free(&symmetric);
    return status;
}
