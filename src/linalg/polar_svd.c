/*
 * The reference polar factor: U_r V_r' over the singular values above the rank tolerance, in
 * double, rounded once. Without the tolerance an SVD completes a rank-deficient matrix to a full
 * isometry by vectors that are nothing but rounding.
 */
#include <cblas.h>

#include "linalg/polar_methods.h"
#include "linalg/thin_svd.h"

static int numerical_rank(const thin_svd *svd, double tolerance)
{
    int rank = 0;
    while (rank < svd->side && svd->values[rank] > tolerance * svd->values[0]) {
        rank++;
    }
    return rank;
}

plumb_status polar_by_svd(const polar_problem *problem)
{
    thin_svd svd;
    plumb_status status =
        thin_svd_compute(problem->rows, problem->cols, problem->matrix, problem->prescale, &svd);
    if (status != PLUMB_OK) {
        return status;
    }
    int rank = numerical_rank(&svd, problem->rank_tolerance);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, svd.rows, svd.cols, rank, 1.0, svd.left,
                svd.side, svd.right, svd.cols, 0.0, svd.scratch, svd.cols);
    int64_t count = (int64_t)svd.rows * svd.cols;
    for (int64_t i = 0; i < count; i++) {
        problem->polar[i] = (float)svd.scratch[i];
    }
    thin_svd_free(&svd);
    return PLUMB_OK;
}
