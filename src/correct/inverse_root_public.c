/*
 * plumb_inverse_root: the root of a mean of samples, plain or corrected, without a handle. Checks
 * the arguments, works in memory of its own, and writes the result when nothing can fail any more.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "correct/matrix_root.h"
#include "correct/resample.h"
#include "linalg/rational_root.h"
#include "linalg/spectrum.h"

typedef struct inverse_root {
    resample_samples samples;
    plumb_inverse_root_options options;
    matrix_root m;
    double *mean;    /* n x n */
    double *answer;  /* n x n */
    double *scratch; /* 2 n^2 */
    double *moments; /* [3][n]: estimates, and their running means and sums of squares */
} inverse_root;

static bool is_offered(plumb_correction correction)
{
    switch (correction) {
    case PLUMB_CORRECTION_NONE:
    case PLUMB_CORRECTION_SECOND_ORDER:
    case PLUMB_CORRECTION_WISHART:
    case PLUMB_CORRECTION_JACKKNIFE:
    case PLUMB_CORRECTION_HALF_SAMPLE:
    case PLUMB_CORRECTION_PAPER_DIAGONAL:
        return true;
    default:
        return false;
    }
}

static bool is_damping(double value)
{
    return value >= 0.0 && isfinite(value);
}

/* False for NaN. */
static bool is_between(double value, double lowest, double highest)
{
    return value >= lowest && value <= highest;
}

static plumb_status check_method(const plumb_inverse_root_options *options)
{
    REQUIRE(options->method == PLUMB_ROOT_EIGEN || options->method == PLUMB_ROOT_RATIONAL,
            PLUMB_ERROR_ARGUMENT, "there is no method %d of an inverse root", (int)options->method);
    REQUIRE(options->condition == 0.0 ||
                is_between(options->condition, 1.0, RATIONAL_ROOT_MOST_CONDITION),
            PLUMB_ERROR_ARGUMENT, "condition is %g: it must be 0 or in [1, %g]", options->condition,
            RATIONAL_ROOT_MOST_CONDITION);
    REQUIRE(options->tolerance == 0.0 ||
                is_between(options->tolerance, RATIONAL_ROOT_LEAST_TOLERANCE,
                           RATIONAL_ROOT_MOST_TOLERANCE),
            PLUMB_ERROR_ARGUMENT, "tolerance is %g: it must be 0 or in [%g, %g]",
            options->tolerance, RATIONAL_ROOT_LEAST_TOLERANCE, RATIONAL_ROOT_MOST_TOLERANCE);
    REQUIRE(options->method == PLUMB_ROOT_EIGEN || options->correction == PLUMB_CORRECTION_NONE,
            PLUMB_ERROR_ARGUMENT,
            "corrections need eigenvalues: the rational method has none of them");
    return PLUMB_OK;
}

static plumb_status check_options(const plumb_inverse_root_options *options)
{
    PROPAGATE(check_method(options));
    REQUIRE(is_damping(options->damping), PLUMB_ERROR_ARGUMENT,
            "damping is %g: it must be at least 0 and finite", options->damping);
    REQUIRE(is_damping(options->relative_damping), PLUMB_ERROR_ARGUMENT,
            "relative_damping is %g: it must be at least 0 and finite", options->relative_damping);
    REQUIRE(is_offered(options->correction), PLUMB_ERROR_ARGUMENT,
            "there is no correction %d of an inverse root", (int)options->correction);
    bool needs_samples = options->correction == PLUMB_CORRECTION_WISHART;
    REQUIRE(!needs_samples ||
                (options->wishart_samples > 0.0 && isfinite(options->wishart_samples)),
            PLUMB_ERROR_ARGUMENT, "wishart_samples is %g: it must be above 0 and finite",
            options->wishart_samples);
    return PLUMB_OK;
}

static plumb_status read_options(const plumb_inverse_root_options *options, inverse_root *work)
{
    if (options == NULL) {
        return PLUMB_OK;
    }
    REQUIRE(options->size == sizeof *options, PLUMB_ERROR_ARGUMENT,
            "plumb_inverse_root_options.size is %zu, this library's is %zu", options->size,
            sizeof *options);
    PROPAGATE(check_options(options));
    work->options = *options;
    return PLUMB_OK;
}

static plumb_status check_count(const inverse_root *work)
{
    plumb_correction correction = work->options.correction;
    int64_t count = work->samples.count;
    bool alone = correction == PLUMB_CORRECTION_NONE || correction == PLUMB_CORRECTION_WISHART;
    REQUIRE(alone || count >= 2, PLUMB_ERROR_ARGUMENT,
            "a correction by the spread of samples needs two of them, not %lld", (long long)count);
    REQUIRE(correction != PLUMB_CORRECTION_HALF_SAMPLE || count % 2 == 0, PLUMB_ERROR_ARGUMENT,
            "the half-sample correction needs an even number of samples, not %lld",
            (long long)count);
    return PLUMB_OK;
}

static plumb_status check_samples(const resample_samples *s)
{
    for (int64_t k = 0; k < s->count; k++) {
        REQUIRE(isfinite(spectrum_largest(s->n, s->values + k * s->n * s->n)),
                PLUMB_ERROR_NONFINITE, "sample %lld of an inverse root holds a NaN or an infinity",
                (long long)k);
    }
    return PLUMB_OK;
}

static plumb_status set(inverse_root *work, const double *matrix)
{
    return matrix_root_set(&work->m, matrix, work->options.damping, work->options.relative_damping);
}

/* A resample_function. */
static plumb_status plain_root(void *context, const double *matrix, double *result)
{
    inverse_root *work = context;
    PROPAGATE(set(work, matrix));
    matrix_root_plain(&work->m, result);
    return PLUMB_OK;
}

static plumb_status second_order(inverse_root *work)
{
    const resample_samples *s = &work->samples;
    int64_t elements = s->n * s->n;
    double count = (double)s->count;
    PROPAGATE(set(work, work->mean));
    for (int64_t k = 0; k < s->count; k++) {
        for (int64_t i = 0; i < elements; i++) {
            work->scratch[i] = s->values[k * elements + i] - work->mean[i];
        }
        matrix_root_add_deviation(&work->m, work->scratch, 1.0 / (count * (count - 1.0)));
    }
    matrix_root_third_order(&work->m, s->count);
    return matrix_root_corrected(&work->m, work->answer);
}

static plumb_status wishart(inverse_root *work)
{
    PROPAGATE(set(work, work->mean));
    matrix_root_wishart(&work->m, work->options.wishart_samples);
    return matrix_root_corrected(&work->m, work->answer);
}

/* A jackknife or half-sample, or the second order where that is not positive definite. */
static plumb_status resampled(inverse_root *work)
{
    const resample_samples *s = &work->samples;
    resample_function f = {plain_root, work};
    PROPAGATE(work->options.correction == PLUMB_CORRECTION_JACKKNIFE
                  ? resample_jackknife(s, f, work->scratch, work->answer)
                  : resample_half_sample(s, f, work->scratch, work->answer));
    memcpy(work->scratch, work->answer, (size_t)(s->n * s->n) * sizeof(double));
    return spectrum_cholesky(s->n, work->scratch) ? PLUMB_OK : second_order(work);
}

/* The variance of the mean of the samples' eigenvalue estimates, by Welford's updates. */
static plumb_status paper_diagonal(inverse_root *work)
{
    const resample_samples *s = &work->samples;
    double *estimates = work->moments, *means = estimates + s->n, *variance = means + s->n;
    PROPAGATE(set(work, work->mean));
    memset(means, 0, (size_t)(2 * s->n) * sizeof *means);
    for (int64_t k = 0; k < s->count; k++) {
        matrix_root_rayleigh(&work->m, s->values + k * s->n * s->n, estimates);
        for (int64_t i = 0; i < s->n; i++) {
            double change = estimates[i] - means[i];
            means[i] += change / (double)(k + 1);
            variance[i] += change * (estimates[i] - means[i]);
        }
    }
    for (int64_t i = 0; i < s->n; i++) {
        variance[i] /= (double)s->count * (double)(s->count - 1);
    }
    matrix_root_paper_diagonal(&work->m, variance, 0.0, work->answer);
    return PLUMB_OK;
}

static plumb_status solve(inverse_root *work)
{
    resample_mean(&work->samples, 0, work->samples.count, work->mean);
    switch (work->options.correction) {
    case PLUMB_CORRECTION_SECOND_ORDER:
        return second_order(work);
    case PLUMB_CORRECTION_WISHART:
        return wishart(work);
    case PLUMB_CORRECTION_JACKKNIFE:
    case PLUMB_CORRECTION_HALF_SAMPLE:
        return resampled(work);
    case PLUMB_CORRECTION_PAPER_DIAGONAL:
        return paper_diagonal(work);
    default:
        return plain_root(work, work->mean, work->answer);
    }
}

static plumb_status deliver(const inverse_root *work, double *result)
{
    int64_t n = work->samples.n;
    REQUIRE(isfinite(spectrum_largest(n, work->answer)), PLUMB_ERROR_NUMERICAL,
            "an inverse root is beyond the range of doubles");
    memcpy(result, work->answer, (size_t)(n * n) * sizeof *result);
    return PLUMB_OK;
}

static plumb_status run_eigen(int root, inverse_root *work, double *result)
{
    int64_t n = work->samples.n;
    PROPAGATE(matrix_root_create(n, root, &work->m));
    PROPAGATE(check_samples(&work->samples));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &work->mean));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &work->answer));
    PROPAGATE(memory_allocate(2 * n * n, sizeof(double), &work->scratch));
    PROPAGATE(memory_allocate(3 * n, sizeof(double), &work->moments));
    PROPAGATE(solve(work));
    return deliver(work, result);
}

/* A single sample is its own mean: time counts here. */
static plumb_status run_rational(int root, inverse_root *work, double *result)
{
    const plumb_inverse_root_options *o = &work->options;
    const resample_samples *s = &work->samples;
    rational_root_form form = {
        .root = root,
        .damping = o->damping,
        .relative_damping = o->relative_damping,
        .condition = o->condition > 0.0 ? o->condition : RATIONAL_ROOT_DEFAULT_CONDITION,
        .tolerance = o->tolerance > 0.0 ? o->tolerance : RATIONAL_ROOT_DEFAULT_TOLERANCE};
    PROPAGATE(rational_root_check_side(s->n));
    PROPAGATE(check_samples(s));
    if (s->count == 1) {
        return rational_root(&form, s->n, s->values, result);
    }
    PROPAGATE(memory_allocate(s->n * s->n, sizeof(double), &work->mean));
    resample_mean(s, 0, s->count, work->mean);
    REQUIRE(isfinite(spectrum_largest(s->n, work->mean)), PLUMB_ERROR_NONFINITE,
            "the mean of the samples of an inverse root is beyond the range of doubles");
    return rational_root(&form, s->n, work->mean, result);
}

static plumb_status run(int root, inverse_root *work, double *result)
{
    return work->options.method == PLUMB_ROOT_RATIONAL ? run_rational(root, work, result)
                                                       : run_eigen(root, work, result);
}

plumb_status plumb_inverse_root(int root, int64_t n, int64_t count, const double *samples,
                                double *result, const plumb_inverse_root_options *options)
{
    inverse_root work = {.samples = {n, count, samples}};
    REQUIRE(root == 1 || root == 2 || root == 4, PLUMB_ERROR_ARGUMENT,
            "root is %d: it must be 1, 2 or 4", root);
    REQUIRE(count >= 1, PLUMB_ERROR_ARGUMENT, "count is %lld: it must be at least 1",
            (long long)count);
    REQUIRE(samples != NULL && result != NULL, PLUMB_ERROR_ARGUMENT, "%s is NULL",
            samples == NULL ? "samples" : "result");
    PROPAGATE(read_options(options, &work));
    PROPAGATE(check_count(&work));
    plumb_status status = run(root, &work, result);
    matrix_root_free(&work.m);
    memory_free(&work.mean);
    memory_free(&work.answer);
    memory_free(&work.scratch);
    memory_free(&work.moments);
    return status;
}
