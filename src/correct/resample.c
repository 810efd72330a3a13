/*
 * Jackknife and half-sample combinations (see resample.h), in the order of the samples.
 */
#include "correct/resample.h"

#include <string.h>

#include "base/error.h"
#include "linalg/spectrum.h"

void resample_mean(const resample_samples *s, int64_t first, int64_t end, double *mean)
{
    int64_t elements = s->n * s->n;
    memcpy(mean, s->values + first * elements, (size_t)elements * sizeof *mean);
    for (int64_t k = first + 1; k < end; k++) {
        for (int64_t i = 0; i < elements; i++) {
            mean[i] += s->values[k * elements + i];
        }
    }
    for (int64_t i = 0; i < elements; i++) {
        mean[i] /= (double)(end - first);
    }
    spectrum_mirror(s->n, mean);
}

/* result = or += weight f(matrix); value: n x n scratch. */
static plumb_status combine(int64_t n, resample_function f, const double *matrix, double weight,
                            bool first, double *value, double *result)
{
    PROPAGATE(f.apply(f.context, matrix, value));
    for (int64_t i = 0; i < n * n; i++) {
        result[i] = (first ? 0.0 : result[i]) + weight * value[i];
    }
    return PLUMB_OK;
}

/* The mean without sample k: of what is left itself, since K mean - S_k would cancel. */
static void mean_without(const resample_samples *s, int64_t k, double *mean)
{
    int64_t elements = s->n * s->n;
    memset(mean, 0, (size_t)elements * sizeof *mean);
    for (int64_t other = 0; other < s->count; other++) {
        for (int64_t i = 0; i < elements && other != k; i++) {
            mean[i] += s->values[other * elements + i];
        }
    }
    for (int64_t i = 0; i < elements; i++) {
        mean[i] /= (double)(s->count - 1);
    }
    spectrum_mirror(s->n, mean);
}

plumb_status resample_jackknife(const resample_samples *s, resample_function f, double *scratch,
                                double *result)
{
    double *mean = scratch, *value = scratch + s->n * s->n;
    double count = (double)s->count;
    resample_mean(s, 0, s->count, mean);
    PROPAGATE(combine(s->n, f, mean, count, true, value, result));
    for (int64_t k = 0; k < s->count; k++) {
        mean_without(s, k, mean);
        PROPAGATE(combine(s->n, f, mean, -(count - 1.0) / count, false, value, result));
    }
    return PLUMB_OK;
}

plumb_status resample_half_sample(const resample_samples *s, resample_function f, double *scratch,
                                  double *result)
{
    double *mean = scratch, *value = scratch + s->n * s->n;
    resample_mean(s, 0, s->count, mean);
    PROPAGATE(combine(s->n, f, mean, 2.0, true, value, result));
    resample_mean(s, 0, s->count / 2, mean);
    PROPAGATE(combine(s->n, f, mean, -0.5, false, value, result));
    resample_mean(s, s->count / 2, s->count, mean);
    return combine(s->n, f, mean, -0.5, false, value, result);
}
