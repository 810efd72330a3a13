/*
 * The variance whose exact law is nearest to measured echoes of known signals. The sum of squares
 * has a kink wherever a signal crosses the threshold and can have several minima, so the whole
 * range is looked over on a logarithmic grid before the best place is narrowed down.
 *
 * (1/echo - 1 on 1/s^2, a straight line by the Hill form, is biased: for square matrices the exact
 * law gives n sigma^2 / (s^2 - n sigma^2).)
 */
#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "diagnose/echo_law.h"

enum { GRID = 400, NARROWINGS = 100 };

/* The grid ends this far below the variance at which the weakest signal is at its threshold. */
static const double LEAST_RELATIVE = 1e-12;

typedef struct echo_fit {
    int64_t rows, cols, count;
    const double *signals, *echoes;
} echo_fit;

static double residuals(const echo_fit *fit, double variance)
{
    double sum = 0.0;
    for (int64_t i = 0; i < fit->count; i++) {
        double ratio = echo_law_ratio(fit->rows, fit->cols, variance, fit->signals[i]);
        double residual = fit->echoes[i] - echo_law_at(fit->rows, fit->cols, ratio);
        sum += fit->signals[i] > 0.0 ? residual * residual : 0.0;
    }
    return sum;
}

/* The variance at which a signal is at its threshold. */
static double threshold_variance(const echo_fit *fit, double signal)
{
    return signal * (signal / sqrt((double)fit->rows * (double)fit->cols));
}

/* Golden section in the logarithm between two places that the best one lies between. */
static double narrow(const echo_fit *fit, double low, double high)
{
    const double share = 0.5 * (sqrt(5.0) - 1.0);
    double left = high - share * (high - low), right = low + share * (high - low);
    double at_left = residuals(fit, exp(left)), at_right = residuals(fit, exp(right));
    for (int i = 0; i < NARROWINGS; i++) {
        if (at_left <= at_right) {
            high = right;
            right = left;
            at_right = at_left;
            left = high - share * (high - low);
            at_left = residuals(fit, exp(left));
        } else {
            low = left;
            left = right;
            at_left = at_right;
            right = low + share * (high - low);
            at_right = residuals(fit, exp(right));
        }
    }
    return exp(0.5 * (low + high));
}

/* No variance at all is a candidate of its own. */
static double search(const echo_fit *fit, double weakest, double strongest)
{
    double low = log(threshold_variance(fit, weakest) * LEAST_RELATIVE);
    double step = (log(threshold_variance(fit, strongest)) - low) / (GRID - 1), least = INFINITY;
    int best = 0;
    for (int i = 0; i < GRID; i++) {
        double here = residuals(fit, exp(low + i * step));
        best = here < least ? i : best;
        least = fmin(here, least);
    }
    double found = narrow(fit, low + (best - 1) * step, low + (best + 1) * step);
    return residuals(fit, 0.0) <= residuals(fit, found) ? 0.0 : found;
}

/* Gauss-Newton: the residuals' variance over the sum of squared slopes. */
static double standard_error(const echo_fit *fit, int64_t informative, double variance,
                             double weakest)
{
    double slopes = 0.0, width = 1e-5 * fmax(variance, 1e-3 * threshold_variance(fit, weakest));
    for (int64_t i = 0; i < fit->count; i++) {
        double below = fmax(variance - width, 0.0), above = variance + width;
        double low = echo_law_ratio(fit->rows, fit->cols, below, fit->signals[i]);
        double high = echo_law_ratio(fit->rows, fit->cols, above, fit->signals[i]);
        double slope =
            (echo_law_at(fit->rows, fit->cols, high) - echo_law_at(fit->rows, fit->cols, low)) /
            (above - below);
        slopes += slope * slope;
    }
    double freedom = (double)(informative - 1);
    return informative > 1 && slopes > 0.0 ? sqrt(residuals(fit, variance) / freedom / slopes)
                                           : NAN;
}

static plumb_status check(const echo_fit *fit)
{
    PROPAGATE(echo_law_check(fit->rows, fit->cols, 0.0, 0.0));
    REQUIRE(fit->count >= 1 && fit->signals != NULL && fit->echoes != NULL, PLUMB_ERROR_ARGUMENT,
            "a fit of the echo needs at least one signal and its echo");
    for (int64_t i = 0; i < fit->count; i++) {
        REQUIRE(isfinite(fit->signals[i]) && fit->signals[i] >= 0.0 && isfinite(fit->echoes[i]),
                PLUMB_ERROR_ARGUMENT,
                "signal %lld is %g with echo %g: it may not be negative, and both must be finite",
                (long long)i, fit->signals[i], fit->echoes[i]);
    }
    return PLUMB_OK;
}

plumb_status plumb_echo_fit(int64_t rows, int64_t cols, int64_t count, const double *signals,
                            const double *echoes, double *variance, double *error)
{
    echo_fit fit = {rows, cols, count, signals, echoes};
    double weakest = INFINITY, strongest = 0.0;
    int64_t informative = 0;
    REQUIRE(variance != NULL, PLUMB_ERROR_ARGUMENT, "there is no place for the variance");
    PROPAGATE(check(&fit));
    for (int64_t i = 0; i < count; i++) {
        weakest = signals[i] > 0.0 ? fmin(weakest, signals[i]) : weakest;
        strongest = fmax(strongest, signals[i]);
        informative += signals[i] > 0.0 ? 1 : 0;
    }
    double found = informative > 0 ? search(&fit, weakest, strongest) : NAN;
    /* All below their thresholds: any larger variance would do as well. */
    bool known = informative > 0 && residuals(&fit, found) < residuals(&fit, INFINITY);
    *variance = known ? found : NAN;
    if (error != NULL) {
        *error = known ? standard_error(&fit, informative, found, weakest) : NAN;
    }
    return PLUMB_OK;
}
