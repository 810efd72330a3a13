/*
 * plumb_nuclear_noise_scale. A step that orthogonalises moves along O = Ortho(g): to first order it
 * gains <G, O(g)> >= |G|_* - 2 |g - G|_* of the true gradient G. Nuclear norms thus take the place
 * that Frobenius norms have for SGD; dual norms as measures of noise are due to Naganuma et al.
 * 2026 (arXiv 2602.03001).
 *
 * Noise. The nuclear norm of one sample's deviation says little of a batch: single deviations are
 * of low rank, their mean is not, and it falls slower than 1/sqrt(b) until it is normal. So the
 * groups are mixed: with u of norm 1 and sum_k u_k sqrt(b_k) = 0, sum_k u_k sqrt(b_k) g_k has the
 * covariance of one sample's gradient and, all groups being in it, nearly the distribution that
 * sqrt(B) (mean - G) has, whose mean nuclear norm is wanted. The u are those of a Hartley transform
 * (Bracewell 1983), orthogonal to each other where all b_k are equal.
 *
 * Signal. |mean|_* is too large: with q/B = the second-order term E<e, dO(e)> of the noise e,
 * it exceeds |G|_* by q/(2B). The cross-validated sum_k w_k <g_k, Ortho(mean of the others)> is too
 * small, by half of q sum_k w_k / (B - b_k): O does not change with the length of G, so
 * <G, O(G + e)> = |G + e|_* - <e, O(G + e)>. Weighted by each other's bias the two cancel it. What
 * is left is of third order; where noise is as large as the signal, it is an upward bias of the
 * signal, and the scale is too small.
 *
 * The error is that of the noise's mean and of the cross-validated signal, from their spread over
 * the groups, to first order. Noise alone correlates the terms of the latter, each being in the
 * means of the others: a signal not above three times its error gives NAN.
 */
#include "diagnose/nuclear_noise.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "diagnose/gram.h"

/* Nuclear norms of noise differ by a few percent from each other: enough for their mean. */
enum { MOST_CONTRASTS = 4 };

static const double TURN = 6.283185307179586;

typedef struct nuclear {
    int64_t rows, cols, length, count;
    const double *samples;
    const float *const *groups;
    const nuclear_signal *known; /* or NULL */
    double weight;               /* B */
    double *mean;                /* length */
    float *matrix;               /* length */
    float *polar;                /* length */
    int64_t contrasts;
    double *noise; /* contrasts: their nuclear norms */
    double *part;  /* count: u_k sqrt(b_k) */
    double *gain;  /* count: <g_k, Ortho(mean of the others)> */
} nuclear;

/* The polar factor of n->matrix; directions that are rounding are left out. */
static plumb_status orthogonalise(nuclear *n)
{
    plumb_polar_options options = {.size = sizeof options, .rank_tolerance = 1e-6};
    plumb_status status =
        plumb_polar(PLUMB_POLAR_EXACT, n->rows, n->cols, n->matrix, n->polar, &options);
    if (status == PLUMB_ERROR_NUMERICAL) {
        status = plumb_polar(PLUMB_POLAR_SVD, n->rows, n->cols, n->matrix, n->polar, &options);
    }
    return status;
}

static double dot(int64_t length, const float *left, const float *right)
{
    double sum = 0.0;
    for (int64_t i = 0; i < length; i++) {
        sum += (double)left[i] * (double)right[i];
    }
    return sum;
}

/* The nuclear norm <M, Ortho(M)> of n->matrix; n->polar is its polar factor afterwards. */
static plumb_status find_norm(nuclear *n, double *norm)
{
    PROPAGATE(orthogonalise(n));
    *norm = fmax(dot(n->length, n->matrix, n->polar), 0.0);
    return PLUMB_OK;
}

static void form_mean(nuclear *n)
{
    for (int64_t i = 0; i < n->length; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < n->count; k++) {
            sum += gram_samples(n->samples, k) * (double)n->groups[k][i];
        }
        n->mean[i] = sum / n->weight;
    }
}

/* u_k sqrt(b_k) of contrast s = 1, 2, ... */
static void form_contrast(nuclear *n, int64_t s)
{
    double common = 0.0;
    double squares = 0.0;
    for (int64_t k = 0; k < n->count; k++) {
        double angle = TURN * (double)(s * k % n->count) / (double)n->count;
        n->part[k] = cos(angle) + sin(angle);
        common += n->part[k] * sqrt(gram_samples(n->samples, k)) / n->weight;
    }
    for (int64_t k = 0; k < n->count; k++) {
        n->part[k] -= common * sqrt(gram_samples(n->samples, k));
        squares += n->part[k] * n->part[k];
    }
    for (int64_t k = 0; k < n->count; k++) {
        n->part[k] *= sqrt(gram_samples(n->samples, k) / squares);
    }
}

/* matrix = sum_k part_k (g_k - mean). */
static void mix_groups(nuclear *n)
{
    for (int64_t i = 0; i < n->length; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < n->count; k++) {
            sum += n->part[k] * ((double)n->groups[k][i] - n->mean[i]);
        }
        n->matrix[i] = (float)sum;
    }
}

static plumb_status measure_noise(nuclear *n)
{
    for (int64_t s = 1; s <= n->contrasts; s++) {
        form_contrast(n, s);
        mix_groups(n);
        PROPAGATE(find_norm(n, &n->noise[s - 1]));
    }
    return PLUMB_OK;
}

/* matrix = the mean without group k; -1: the mean. */
static void leave_out(nuclear *n, int64_t k)
{
    double b = k < 0 ? 0.0 : gram_samples(n->samples, k);
    double others = n->weight - b;
    for (int64_t i = 0; i < n->length; i++) {
        double own = k < 0 ? 0.0 : b / others * (double)n->groups[k][i];
        n->matrix[i] = (float)(n->weight / others * n->mean[i] - own);
    }
}

static plumb_status measure_signal(nuclear *n, double *mean_norm)
{
    if (n->known != NULL) {
        *mean_norm = n->known->mean_norm;
        memcpy(n->gain, n->known->gains, (size_t)n->count * sizeof *n->gain);
        return PLUMB_OK;
    }
    leave_out(n, -1);
    PROPAGATE(find_norm(n, mean_norm));
    for (int64_t k = 0; k < n->count; k++) {
        leave_out(n, k);
        PROPAGATE(orthogonalise(n));
        n->gain[k] = dot(n->length, n->groups[k], n->polar);
    }
    return PLUMB_OK;
}

/* Mean of values[count] with these weights (NULL: equal), and its standard error. */
static double mean_of(int64_t count, const double *weights, const double *values, double *error)
{
    double sum = 0.0;
    double mean = 0.0;
    double squares = 0.0;
    for (int64_t k = 0; k < count; k++) {
        sum += gram_samples(weights, k);
        mean += gram_samples(weights, k) * values[k];
    }
    mean /= sum;
    for (int64_t k = 0; k < count; k++) {
        squares += gram_samples(weights, k) / sum * (values[k] - mean) * (values[k] - mean);
    }
    *error = sqrt(squares / (double)(count - 1));
    return mean;
}

static void conclude(const nuclear *n, double mean_norm, double *scale, double *error)
{
    double noise_error, gain_error;
    double noise = mean_of(n->contrasts, NULL, n->noise, &noise_error);
    double gain = mean_of(n->count, n->samples, n->gain, &gain_error);
    double lack = 0.0; /* bias of the gain over that of the mean's norm */
    for (int64_t k = 0; k < n->count; k++) {
        double b = gram_samples(n->samples, k);
        lack += b / (n->weight - b);
    }
    if (!(gain > 3.0 * gain_error)) {
        return;
    }
    double signal = (lack * mean_norm + gain) / (lack + 1.0);
    double ratio = noise / signal;
    *scale = ratio * ratio;
    *error = 2.0 * ratio * hypot(noise_error / signal, ratio * gain_error / signal);
}

static plumb_status check(const nuclear *n)
{
    REQUIRE(n->rows >= 1 && n->cols >= 1 && n->rows <= INT32_MAX && n->cols <= INT32_MAX,
            PLUMB_ERROR_ARGUMENT, "a matrix of %lld x %lld", (long long)n->rows,
            (long long)n->cols);
    REQUIRE(n->count >= 1 && n->groups != NULL, PLUMB_ERROR_ARGUMENT, "%s",
            n->groups == NULL ? "groups is NULL" : "there is no group");
    for (int64_t k = 0; k < n->count; k++) {
        REQUIRE(n->groups[k] != NULL, PLUMB_ERROR_ARGUMENT, "groups[%lld] is NULL", (long long)k);
    }
    return gram_check_samples(n->count, n->samples);
}

static plumb_status run(nuclear *n, double *scale, double *error)
{
    double mean_norm;
    n->length = n->rows * n->cols;
    for (int64_t k = 0; k < n->count; k++) {
        REQUIRE(vector_all_finite(n->length, n->groups[k]), PLUMB_ERROR_NONFINITE,
                "group %lld is not finite", (long long)k);
        n->weight += gram_samples(n->samples, k);
    }
    if (n->count < 2) {
        return PLUMB_OK;
    }
    PROPAGATE(memory_allocate(n->length, sizeof(double), &n->mean));
    PROPAGATE(memory_allocate(n->length, sizeof(float), &n->matrix));
    PROPAGATE(memory_allocate(n->length, sizeof(float), &n->polar));
    n->contrasts = n->count - 1 < MOST_CONTRASTS ? n->count - 1 : MOST_CONTRASTS;
    PROPAGATE(memory_allocate(n->contrasts, sizeof(double), &n->noise));
    PROPAGATE(memory_allocate(n->count, sizeof(double), &n->part));
    PROPAGATE(memory_allocate(n->count, sizeof(double), &n->gain));
    form_mean(n);
    PROPAGATE(measure_noise(n));
    PROPAGATE(measure_signal(n, &mean_norm));
    conclude(n, mean_norm, scale, error);
    return PLUMB_OK;
}

plumb_status nuclear_noise_scale(int64_t rows, int64_t cols, int64_t count, const double *samples,
                                 const float *const *groups, const nuclear_signal *known,
                                 double *scale, double *error)
{
    nuclear n = {.rows = rows,
                 .cols = cols,
                 .count = count,
                 .samples = samples,
                 .groups = groups,
                 .known = known};
    double result = NAN;
    double result_error = NAN;
    REQUIRE(scale != NULL, PLUMB_ERROR_ARGUMENT, "scale is NULL");
    PROPAGATE(check(&n));
    plumb_status status = run(&n, &result, &result_error);
    memory_free(&n.mean);
    memory_free(&n.matrix);
    memory_free(&n.polar);
    memory_free(&n.noise);
    memory_free(&n.part);
    memory_free(&n.gain);
    PROPAGATE(status);
    *scale = result;
    if (error != NULL) {
        *error = result_error;
    }
    return PLUMB_OK;
}

plumb_status plumb_nuclear_noise_scale(int64_t rows, int64_t cols, int64_t count,
                                       const double *samples, const float *const *groups,
                                       double *scale, double *error)
{
    return nuclear_noise_scale(rows, cols, count, samples, groups, NULL, scale, error);
}
