/*
 * The variance of entry (i, j) is taken to be a_i b_j, fitted in turns: with b known, a_i is the
 * mean over j of variance_ij / b_j, which is the likelihood's answer for normal noise.
 *
 * Full covariances of rows and columns would make the noise of correlated entries equal too, but
 * they need inverses of matrices that a few groups determine badly, and the directions in which
 * those are too small are the ones in which the same groups seem to agree. Of noise alone, 8
 * groups of 40 x 60, cross-validation then told the leading directions an echo of 0.6; with row and
 * column variances, which are side + length numbers, it tells 0.2, as without whitening.
 */
#include "diagnose/whitening.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/memory.h"

enum { TURNS = 20 };

typedef struct variances {
    int64_t side, length;
    double *entries; /* side x length: sums over folds of squared deviations */
    double *fold;    /* side x length */
    double *mean;    /* side x length */
} variances;

void whitening_free(echo_whitening *whitening)
{
    memory_free(&whitening->left);
    memory_free(&whitening->right);
}

static void variances_free(variances *v)
{
    memory_free(&v->entries);
    memory_free(&v->fold);
    memory_free(&v->mean);
}

static plumb_status variances_allocate(variances *v)
{
    PROPAGATE(memory_zeroed(v->side * v->length, sizeof(double), &v->entries));
    PROPAGATE(memory_allocate(v->side * v->length, sizeof(double), &v->fold));
    return memory_allocate(v->side * v->length, sizeof(double), &v->mean);
}

/* Returns the sum of all. */
static double sum_deviations(const echo_groups *groups, variances *v)
{
    double sum = 0.0;
    echo_groups_mean(groups, v->mean);
    for (int64_t k = 0; k < groups->folds; k++) {
        echo_groups_fold(groups, k, v->fold);
        for (int64_t e = 0; e < v->side * v->length; e++) {
            double deviation = v->fold[e] - v->mean[e];
            v->entries[e] += deviation * deviation;
            sum += deviation * deviation;
        }
    }
    return sum;
}

/* Brings the mean of those that are not zero to 1, and sets the others to 1: they have no noise
 * that could be made equal. */
static void balance(int64_t count, double *values)
{
    double sum = 0.0, positive = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
        positive += values[i] > 0.0 ? 1.0 : 0.0;
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = values[i] > 0.0 ? values[i] * (positive / sum) : 1.0;
    }
}

static void fit_rows(const variances *v, const double *cols, double *rows)
{
    for (int64_t i = 0; i < v->side; i++) {
        rows[i] = 0.0;
        for (int64_t j = 0; j < v->length; j++) {
            rows[i] += v->entries[i * v->length + j] / cols[j];
        }
    }
    balance(v->side, rows);
}

static void fit_cols(const variances *v, const double *rows, double *cols)
{
    for (int64_t j = 0; j < v->length; j++) {
        cols[j] = 0.0;
    }
    for (int64_t i = 0; i < v->side; i++) {
        for (int64_t j = 0; j < v->length; j++) {
            cols[j] += v->entries[i * v->length + j] / rows[i];
        }
    }
    balance(v->length, cols);
}

static void take_roots(int64_t count, double *values)
{
    for (int64_t i = 0; i < count; i++) {
        values[i] = 1.0 / sqrt(values[i]);
    }
}

static void fit(const variances *v, const echo_whitening *w)
{
    for (int64_t j = 0; j < v->length; j++) {
        w->right[j] = 1.0;
    }
    for (int turn = 0; turn < TURNS; turn++) {
        fit_rows(v, w->right, w->left);
        fit_cols(v, w->left, w->right);
    }
    take_roots(v->side, w->left);
    take_roots(v->length, w->right);
}

plumb_status whitening_create(const echo_groups *groups, echo_whitening *whitening)
{
    variances v = {.side = groups->side, .length = groups->length};
    bool noise = false;
    *whitening = (echo_whitening){.left = NULL};
    plumb_status status = variances_allocate(&v);
    if (status == PLUMB_OK) {
        noise = sum_deviations(groups, &v) > 0.0;
    }
    if (status == PLUMB_OK && noise) {
        status = memory_allocate(groups->side, sizeof(double), &whitening->left);
    }
    if (status == PLUMB_OK && noise) {
        status = memory_allocate(groups->length, sizeof(double), &whitening->right);
    }
    if (status == PLUMB_OK && noise) {
        fit(&v, whitening);
    } else {
        whitening_free(whitening);
    }
    variances_free(&v);
    return status;
}
