/*
 * What an estimate of v does to f(v) = 1 / (sqrt(v) + epsilon), to second order, and the bounds
 * that keep a correction sane where v is small against its own error.
 *
 * With d = sqrt(v) + epsilon:  f' = -1/(2 sqrt(v) d^2),  f'' = 1/(4 v^(3/2) d^2) + 1/(2 v d^3).
 * An estimate of variance q raises E f by f''q/2. Subtracting that turns negative for large q, so
 * f is divided by 1 + (f''q/2)/f instead: the same to second order, always in (0, f]. In terms of
 * x = q / v^2 and the share r = sqrt(v)/d, which is 1 without epsilon, that excess is
 *
 *     of f:   x (r/8 + r^2/4)              3/8 x  at r = 1
 *     of f':  x (3/8 + 3r/4 + 3r^2/4)     15/8 x  at r = 1
 */
#ifndef PLUMB_CORRECT_INVERSE_H
#define PLUMB_CORRECT_INVERSE_H

#include <float.h>
#include <math.h>

/* No correction moves an element by more than this share of its plain update. */
static const double inverse_largest_change = 0.5;

/* q / v^2, kept so far inside the range of doubles that its product with 0 is 0. */
static inline double inverse_spread(double variance, double value)
{
    double positive = variance > 0.0 ? variance : 0.0;
    double spread = positive / (value * value + DBL_MIN);
    return spread < 1e100 ? spread : 1e100;
}

static inline double inverse_excess(double spread, double share)
{
    return spread * share * (0.125 + 0.25 * share);
}

static inline double inverse_slope_excess(double spread, double share)
{
    return spread * (0.375 + 0.75 * share * (1.0 + share));
}

/* `change` brought into [-bound, bound]; NaN stays. */
static inline double inverse_bounded(double change, double bound)
{
    double lower = change < -bound ? -bound : change;
    return lower > bound ? bound : lower;
}

#endif
