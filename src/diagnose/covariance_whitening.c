/*
 * Both covariances from E D D' and E D' D of the deviations D: for a Kronecker product these are
 * C_L tr C_R and C_R tr C_L, right up to a factor, of which nothing depends.
 */
#include "diagnose/covariance_whitening.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "linalg/product.h"
#include "linalg/spectrum.h"

/* Least eigenvalue, in units of their mean: directions with less noise (rows of a table that are
 * not looked up, units that are dead) are not blown up further. */
static const double least = 1e-3;

void covariance_whitening_free(covariance_whitening *w)
{
    memory_free(&w->left);
    memory_free(&w->right);
    memory_free(&w->scratch);
    memory_free(&w->result);
}

/* Squared deviations into the lower triangles of left and right. */
static void add_deviations(const echo_groups *groups, covariance_whitening *w)
{
    int64_t side = groups->side, length = groups->length;
    double *mean = w->result, *fold = w->scratch;
    echo_groups_mean(groups, mean);
    for (int64_t k = 0; k < groups->folds; k++) {
        echo_groups_fold(groups, k, fold);
        for (int64_t e = 0; e < side * length; e++) {
            fold[e] -= mean[e];
        }
        product_gram(PRODUCT_LEFT, side, length, 1.0, fold, 1.0, w->left);
        product_gram(PRODUCT_RIGHT, side, length, 1.0, fold, 1.0, w->right);
    }
}

static double trace_of(int64_t n, const double *matrix)
{
    double trace = 0.0;
    for (int64_t i = 0; i < n; i++) {
        trace += matrix[i * n + i];
    }
    return trace;
}

/* The power -1/2 of a covariance in units of its mean eigenvalue, in place. */
static plumb_status inverse_root(int64_t n, double *matrix)
{
    double *values = NULL, *vectors = NULL, *scratch = NULL;
    double mean = trace_of(n, matrix) / (double)n;
    plumb_status status = memory_allocate(n, sizeof *values, &values);
    if (status == PLUMB_OK) {
        status = memory_allocate(n * n, sizeof *vectors, &vectors);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(n * n, sizeof *scratch, &scratch);
    }
    if (status == PLUMB_OK) {
        status = spectrum_compute(n, matrix, values, vectors);
    }
    if (status == PLUMB_OK) {
        for (int64_t i = 0; i < n; i++) {
            values[i] = 1.0 / sqrt(fmax(values[i] / mean, least));
        }
        spectrum_rebuild(n, vectors, values, scratch, matrix);
    }
    memory_free(&values);
    memory_free(&vectors);
    memory_free(&scratch);
    return status;
}

plumb_status covariance_whitening_create(const echo_groups *groups, covariance_whitening *w)
{
    int64_t side = groups->side, length = groups->length;
    PROPAGATE(memory_zeroed(side * side, sizeof(double), &w->left));
    PROPAGATE(memory_zeroed(length * length, sizeof(double), &w->right));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &w->scratch));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &w->result));
    add_deviations(groups, w);
    if (!(trace_of(side, w->left) > 0.0)) {
        covariance_whitening_free(w);
        return PLUMB_OK;
    }
    PROPAGATE(inverse_root(side, w->left));
    return inverse_root(length, w->right);
}

void covariance_whitening_apply(const echo_groups *groups, const covariance_whitening *w,
                                double *matrix)
{
    if (w->left != NULL) {
        product_between(groups->side, groups->length, w->left, matrix, w->right, w->scratch,
                        w->result);
        memcpy(matrix, w->result, (size_t)(groups->side * groups->length) * sizeof *matrix);
    }
}
