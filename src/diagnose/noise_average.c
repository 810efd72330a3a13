/*
 * Moving averages of the trace and the signal over steps. Each is averaged for itself and divided
 * at the end: a signal that is small by chance in one step would give that step a huge ratio.
 *
 * Gradients shrink by orders of magnitude in the first steps of a run. Averaged as they are, those
 * steps would outweigh all others long after beta has forgotten them. So a step's trace and signal
 * are taken over its mean squared norm of a single gradient, which has hardly any noise, and the
 * averages are multiplied by that norm's own.
 *
 * With weights w_t of sum W and squares' sum W_2, the spread of one step is
 * (sum w_t x_t^2 / W - mean^2) / (1 - W_2/W^2), and the variance of the mean that times W_2/W^2.
 */
#include <math.h>

#include "base/error.h"
#include "diagnose/noise.h"

plumb_status plumb_noise_average_init(plumb_noise_average *average, size_t size, double beta)
{
    REQUIRE(average != NULL && size == sizeof *average, PLUMB_ERROR_ARGUMENT, "%s",
            average == NULL ? "average is NULL" : "size is not that of plumb_noise_average");
    REQUIRE(beta >= 0.0 && beta < 1.0, PLUMB_ERROR_ARGUMENT, "beta is %g: it must be in [0, 1)",
            beta);
    *average = (plumb_noise_average){.size = size, .beta = beta};
    return PLUMB_OK;
}

static plumb_status check(const plumb_noise_average *average, const plumb_noise *noise)
{
    REQUIRE(average != NULL && average->size == sizeof *average, PLUMB_ERROR_ARGUMENT,
            "average is %s", average == NULL ? "NULL" : "not initialised");
    REQUIRE(noise != NULL && noise->size == sizeof *noise, PLUMB_ERROR_ARGUMENT, "noise is %s",
            noise == NULL ? "NULL" : "of another size");
    return PLUMB_OK;
}

plumb_status plumb_noise_average_add(plumb_noise_average *average, const plumb_noise *noise)
{
    PROPAGATE(check(average, noise));
    double norm = noise->small_squared_norm;
    if (!isfinite(noise->trace) || !isfinite(noise->signal) || !isfinite(norm) || norm <= 0.0) {
        return PLUMB_OK;
    }
    double trace = noise->trace / norm;
    double signal = noise->signal / norm;
    plumb_noise_average *a = average;
    double keep = a->beta;
    double add = 1.0 - keep;
    a->steps++;
    a->weight = keep * a->weight + add;
    a->squared_weight = keep * keep * a->squared_weight + add * add;
    a->norm = keep * a->norm + add * norm;
    a->trace = keep * a->trace + add * trace;
    a->signal = keep * a->signal + add * signal;
    a->trace_squares = keep * a->trace_squares + add * trace * trace;
    a->signal_squares = keep * a->signal_squares + add * signal * signal;
    a->products = keep * a->products + add * trace * signal;
    return PLUMB_OK;
}

/* (Co)variance of a mean; `share` is W_2 / W^2. */
static double variance_of(double products, double left, double right, double share)
{
    return (products - left * right) * share / (1.0 - share);
}

/* 1 - B/N of the step, from its own numbers. */
static double fraction_of(const plumb_noise *last)
{
    double fraction = (last->squared_norm - last->signal) * last->samples / last->trace;
    return fraction >= 0.0 && fraction <= 1.0 ? fraction : 1.0;
}

plumb_status plumb_noise_average_result(const plumb_noise_average *average, const plumb_noise *last,
                                        plumb_noise *noise)
{
    PROPAGATE(check(average, last));
    PROPAGATE(check(average, noise));
    plumb_noise result = noise_unknown(last->count, last->samples);
    result.squared_norm = last->squared_norm;
    result.small_squared_norm = last->small_squared_norm;
    if (average->steps >= 1) {
        double w = average->weight;
        double share = average->squared_weight / (w * w);
        double norm = average->norm / w;
        double trace = average->trace / w;
        double signal = average->signal / w;
        double covariance = NAN;
        result.trace = norm * trace;
        result.signal = norm * signal;
        /* One step, or beta = 0, which keeps one: no spread. */
        if (average->steps >= 2 && share < 1.0) {
            double of_trace = variance_of(average->trace_squares / w, trace, trace, share);
            double of_signal = variance_of(average->signal_squares / w, signal, signal, share);
            covariance = norm * norm * variance_of(average->products / w, trace, signal, share);
            result.trace_error = norm * sqrt(fmax(of_trace, 0.0));
            result.signal_error = norm * sqrt(fmax(of_signal, 0.0));
        }
        noise_relate(covariance, fraction_of(last), &result);
    }
    *noise = result;
    return PLUMB_OK;
}
