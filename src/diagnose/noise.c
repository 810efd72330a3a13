/*
 * plumb_noise_scale and plumb_noise_from_norms (see noise.h).
 *
 * From a Gram matrix the scatter is formed of the squared distances between gradients,
 *
 *     T = sum_{j<k} b_j b_k |g_j - g_k|^2 / (B (K-1)),
 *
 * which is the same sum, and exactly zero for equal gradients.
 *
 * Standard errors are the jackknife's. With t_k the statistic of all gradients but g_k and
 * w_k = b_k / B,
 *
 *     variance = sum_k (1 - w_k) (t_k - t)^2,   t = sum_k (1 - w_k) t_k / (K-1).
 *
 * For equal b_k it is Tukey's. For a weighted mean with Var g_k = V / b_k it is unbiased whatever
 * the b_k: t_k - t = -b_k (g_k - t) / (B - b_k) has the variance b_k V / (B (B - b_k)). And the
 * scatter, to which every gradient adds a term of equal variance, is treated so up to 1/K. Where
 * products of noise dominate, as in a signal that is far below tr S / B, a jackknife's variance is
 * up to twice the true one (Efron and Stein 1981): it errs on the side of "undetermined".
 * Drawing without replacement from a finite population leaves 1 - B/N of the variance.
 */
#include "diagnose/noise.h"

#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "diagnose/gram.h"

plumb_noise noise_unknown(int64_t count, double samples)
{
    return (plumb_noise){.size = sizeof(plumb_noise),
                         .count = count,
                         .samples = samples,
                         .squared_norm = NAN,
                         .small_squared_norm = NAN,
                         .trace = NAN,
                         .trace_error = NAN,
                         .signal = NAN,
                         .signal_error = NAN,
                         .scale = NAN,
                         .scale_error = NAN,
                         .plateau = NAN};
}

void noise_relate(double covariance, double fraction, plumb_noise *noise)
{
    noise->scale = NAN;
    noise->scale_error = NAN;
    noise->plateau = NAN;
    bool within_error = !isnan(noise->signal_error) && noise->signal <= 2.0 * noise->signal_error;
    if (!(noise->signal > 0.0) || within_error) {
        return;
    }
    noise->scale = noise->trace / noise->signal;
    noise->plateau = 1.0 / (1.0 + noise->scale * fraction / noise->samples);
    /* The error of a ratio to first order, with relative errors so that nothing overflows. */
    double of_signal = noise->signal_error / noise->signal;
    double of_trace = noise->trace_error / noise->signal;
    double variance = of_trace * of_trace + noise->scale * noise->scale * of_signal * of_signal -
                      2.0 * noise->scale * (covariance / noise->signal / noise->signal);
    noise->scale_error = isnan(variance) ? NAN : sqrt(fmax(variance, 0.0));
}

plumb_status noise_fraction(double samples, double population, double *fraction)
{
    REQUIRE(population == 0.0 || (isfinite(population) && population >= samples),
            PLUMB_ERROR_ARGUMENT, "a population of %g for %g samples", population, samples);
    *fraction = population > 0.0 ? 1.0 - samples / population : 1.0;
    return PLUMB_OK;
}

/* Sums over the gradients, from which every one can be taken away again. */
typedef struct sums {
    int64_t count;
    const double *samples, *gram;
    double population;
    double weight;    /* B */
    double products;  /* |sum b_k g_k|^2 */
    double distances; /* sum_{j<k} b_j b_k |g_j - g_k|^2 */
    double norms;     /* sum b_k |g_k|^2 */
} sums;

/* What gradient k has to do with the others. */
typedef struct share {
    double samples, product, distance; /* b_k, <g_k, sum b_j g_j>, sum_j b_k b_j |g_j - g_k|^2 */
} share;

static share share_of(const sums *s, int64_t k)
{
    share own = {.samples = gram_samples(s->samples, k)};
    for (int64_t j = 0; j < s->count; j++) {
        double other = gram_samples(s->samples, j);
        own.product += other * s->gram[k * s->count + j];
        own.distance += own.samples * other * gram_distance(s->count, s->gram, k, j);
    }
    return own;
}

static sums sums_of(int64_t count, const double *samples, const double *gram, double population)
{
    sums s = {.count = count, .samples = samples, .gram = gram, .population = population};
    for (int64_t k = 0; k < count; k++) {
        share own = share_of(&s, k);
        s.weight += own.samples;
        s.products += own.samples * own.product;
        s.distances += 0.5 * own.distance;
        s.norms += own.samples * gram[k * count + k];
    }
    return s;
}

static double signal_of(double squared_norm, double trace, double samples, double population)
{
    double fraction = population > 0.0 ? 1.0 - samples / population : 1.0;
    return squared_norm - fraction * trace / samples;
}

/* Trace and signal without gradient k. */
static void leave_out(const sums *s, int64_t k, double *trace, double *signal)
{
    share own = share_of(s, k);
    double weight = s->weight - own.samples;
    double norm = s->gram[k * s->count + k];
    double products =
        s->products - 2.0 * own.samples * own.product + own.samples * own.samples * norm;
    *trace = fmax(s->distances - own.distance, 0.0) / (weight * (double)(s->count - 2));
    *signal = signal_of(products / (weight * weight), *trace, weight, s->population);
}

typedef struct jackknife {
    double trace, signal; /* means */
    double trace_variance, signal_variance, covariance;
} jackknife;

static jackknife jackknife_of(const sums *s)
{
    jackknife j = {0};
    double weights = (double)(s->count - 1);
    for (int64_t k = 0; k < s->count; k++) {
        double trace, signal;
        double weight = 1.0 - gram_samples(s->samples, k) / s->weight;
        leave_out(s, k, &trace, &signal);
        j.trace += weight * trace / weights;
        j.signal += weight * signal / weights;
    }
    for (int64_t k = 0; k < s->count; k++) {
        double trace, signal;
        double weight = 1.0 - gram_samples(s->samples, k) / s->weight;
        leave_out(s, k, &trace, &signal);
        trace -= j.trace;
        signal -= j.signal;
        j.trace_variance += weight * trace * trace;
        j.signal_variance += weight * signal * signal;
        j.covariance += weight * trace * signal;
    }
    return j;
}

static void estimate_errors(const sums *s, double fraction, plumb_noise *noise)
{
    double covariance = NAN;
    if (s->count >= 3) {
        jackknife j = jackknife_of(s);
        noise->trace_error = sqrt(fraction * j.trace_variance);
        noise->signal_error = sqrt(fraction * j.signal_variance);
        covariance = fraction * j.covariance;
    }
    noise_relate(covariance, fraction, noise);
}

static plumb_status check_result(const plumb_noise *noise)
{
    REQUIRE(noise != NULL, PLUMB_ERROR_ARGUMENT, "noise is NULL");
    REQUIRE(noise->size == sizeof *noise, PLUMB_ERROR_ARGUMENT,
            "size of plumb_noise is %zu: set it to sizeof(plumb_noise)", noise->size);
    return PLUMB_OK;
}

plumb_status plumb_noise_scale(int64_t count, const double *samples, const double *gram,
                               double population, plumb_noise *noise)
{
    double fraction = 1.0;
    PROPAGATE(check_result(noise));
    PROPAGATE(gram_check(count, samples, gram));
    sums s = sums_of(count, samples, gram, population);
    PROPAGATE(noise_fraction(s.weight, population, &fraction));
    plumb_noise result = noise_unknown(count, s.weight);
    result.squared_norm = fmax(s.products, 0.0) / (s.weight * s.weight);
    result.small_squared_norm = s.norms / s.weight;
    if (count >= 2) {
        result.trace = s.distances / (s.weight * (double)(count - 1));
        result.signal = signal_of(result.squared_norm, result.trace, s.weight, population);
        estimate_errors(&s, fraction, &result);
    }
    *noise = result;
    return PLUMB_OK;
}

static plumb_status check_norms(int64_t count, const double *norms, double mean)
{
    REQUIRE(count >= 1 && norms != NULL, PLUMB_ERROR_ARGUMENT, "%s",
            norms == NULL ? "squared_norms is NULL" : "there is no gradient");
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(isfinite(norms[k]), PLUMB_ERROR_NONFINITE, "squared norm %lld is not finite",
                (long long)k);
        REQUIRE(norms[k] >= 0.0, PLUMB_ERROR_ARGUMENT, "squared norm %lld is %g", (long long)k,
                norms[k]);
    }
    REQUIRE(isfinite(mean), PLUMB_ERROR_NONFINITE, "the mean's squared norm is not finite");
    REQUIRE(mean >= 0.0, PLUMB_ERROR_ARGUMENT, "the mean's squared norm is %g", mean);
    return PLUMB_OK;
}

plumb_status plumb_noise_from_norms(int64_t count, const double *samples,
                                    const double *squared_norms, double mean_squared_norm,
                                    double population, plumb_noise *noise)
{
    double fraction = 1.0;
    double weight = 0.0;
    double norms = 0.0;
    PROPAGATE(check_result(noise));
    PROPAGATE(check_norms(count, squared_norms, mean_squared_norm));
    PROPAGATE(gram_check_samples(count, samples));
    for (int64_t k = 0; k < count; k++) {
        weight += gram_samples(samples, k);
        norms += gram_samples(samples, k) * squared_norms[k];
    }
    PROPAGATE(noise_fraction(weight, population, &fraction));
    /* No mean is longer than its parts; 1e-3 is room for means and norms in single precision. */
    REQUIRE(mean_squared_norm <= (1.0 + 1e-3) * norms / weight, PLUMB_ERROR_ARGUMENT,
            "the mean's squared norm %g is larger than its parts' %g", mean_squared_norm,
            norms / weight);
    plumb_noise result = noise_unknown(count, weight);
    result.squared_norm = mean_squared_norm;
    result.small_squared_norm = norms / weight;
    if (count >= 2) {
        double scatter = norms - weight * mean_squared_norm;
        result.trace = fmax(scatter, 0.0) / (double)(count - 1);
        result.signal = signal_of(mean_squared_norm, result.trace, weight, population);
        noise_relate(NAN, fraction, &result);
    }
    *noise = result;
    return PLUMB_OK;
}
