/*
 * LAPACK's divide and conquer, and QR iteration where that fails (see thin_svd.h).
 *
 * LAPACK sees the row-major G as the column-major G' = V S U'. So nothing is transposed: its left
 * vectors, column-major, are V' row-major, and its right ones are U. The work arrays are ours,
 * because all memory is counted.
 */
#include "linalg/thin_svd.h"

#include <lapacke.h>

#include "base/error.h"
#include "base/memory.h"

/* dgesdd's work array has about 4 side^2 elements, which LAPACK counts in 32-bit integers. */
enum { SIDE_MAX = 20000 };

void thin_svd_free(thin_svd *svd)
{
    memory_free(&svd->scratch);
    memory_free(&svd->values);
    memory_free(&svd->left);
    memory_free(&svd->right);
}

static plumb_status allocate(thin_svd *svd)
{
    int64_t side = svd->side;
    plumb_status status =
        memory_allocate((int64_t)svd->rows * svd->cols, sizeof(double), &svd->scratch);
    if (status == PLUMB_OK) {
        status = memory_allocate(side, sizeof(double), &svd->values);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(svd->rows * side, sizeof(double), &svd->left);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(side * svd->cols, sizeof(double), &svd->right);
    }
    return status;
}

/* One call of dgesdd; work_count -1 asks for the best size of `work`. */
static lapack_int call_dgesdd(const thin_svd *svd, double *work, lapack_int work_count,
                              lapack_int *integers)
{
    return LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', svd->cols, svd->rows, svd->scratch, svd->cols,
                               svd->values, svd->right, svd->cols, svd->left, svd->side, work,
                               work_count, integers);
}

static lapack_int call_dgesvd(const thin_svd *svd, double *work, lapack_int work_count)
{
    return LAPACKE_dgesvd_work(LAPACK_COL_MAJOR, 'S', 'S', svd->cols, svd->rows, svd->scratch,
                               svd->cols, svd->values, svd->right, svd->cols, svd->left, svd->side,
                               work, work_count);
}

/* *info > 0 afterwards: no convergence, and the matrix in `scratch` is destroyed. */
static plumb_status divide_and_conquer(const thin_svd *svd, lapack_int *info)
{
    double best = 0.0;
    lapack_int *integers = NULL;
    double *work = NULL;
    PROPAGATE(memory_allocate(8 * (int64_t)svd->side, sizeof(lapack_int), &integers));
    *info = call_dgesdd(svd, &best, -1, integers);
    plumb_status status = memory_allocate((int64_t)best, sizeof(double), &work);
    if (status == PLUMB_OK && *info == 0) {
        *info = call_dgesdd(svd, work, (lapack_int)best, integers);
    }
    memory_free(&work);
    memory_free(&integers);
    return status;
}

static plumb_status qr_iteration(const thin_svd *svd, lapack_int *info)
{
    double best = 0.0;
    double *work = NULL;
    *info = call_dgesvd(svd, &best, -1);
    PROPAGATE(memory_allocate((int64_t)best, sizeof(double), &work));
    if (*info == 0) {
        *info = call_dgesvd(svd, work, (lapack_int)best);
    }
    memory_free(&work);
    return PLUMB_OK;
}

static plumb_status decompose(const thin_svd *svd, const float *matrix, polar_prescale prescale)
{
    int64_t count = (int64_t)svd->rows * svd->cols;
    lapack_int info = 0;
    polar_prescale_double(count, matrix, prescale, svd->scratch);
    PROPAGATE(divide_and_conquer(svd, &info));
    if (info > 0) {
        polar_prescale_double(count, matrix, prescale, svd->scratch);
        PROPAGATE(qr_iteration(svd, &info));
    }
    REQUIRE(info <= 0, PLUMB_ERROR_NUMERICAL,
            "the singular value decomposition of a %d x %d matrix did not converge", svd->rows,
            svd->cols);
    REQUIRE(info == 0, PLUMB_ERROR_INTERNAL, "LAPACK refused argument %d of an SVD", (int)-info);
    return PLUMB_OK;
}

plumb_status thin_svd_compute(int rows, int cols, const float *matrix, polar_prescale prescale,
                              thin_svd *svd)
{
    int side = rows < cols ? rows : cols;
    REQUIRE(side <= SIDE_MAX, PLUMB_ERROR_ARGUMENT,
            "%d x %d is too large for a singular value decomposition: its short side may be %d",
            rows, cols, SIDE_MAX);
    *svd = (thin_svd){.rows = rows, .cols = cols, .side = side};
    plumb_status status = allocate(svd);
    if (status == PLUMB_OK) {
        status = decompose(svd, matrix, prescale);
    }
    if (status != PLUMB_OK) {
        thin_svd_free(svd);
    }
    return status;
}
