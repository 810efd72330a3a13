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

/*
 * f / (1 + e + 3 e^2) for an estimate of v and one of its variance q from the same samples. The
 * last term is of the order that the excess e leaves: without epsilon, an average with third
 * cumulant k3 and covariance k with the estimate of q leaves
 *
 *     -105/128 x^2 + 9/64 x^2 - 5/16 k3/v^3 + 15/16 k/v^3
 *
 * of f, which for moving averages (sum w^3 = 4/3 (sum w^2)^2) of squares of normal means is 0.3 x^2
 * where the mean is as large as its error, and up to 0.9 x^2 where noise prevails: 3 e^2 = 0.42 x^2
 * leaves little of either. With r = sqrt(v), d = r + epsilon, s = d^2 r^3 and y = e s it is
 * s^2 / (d (s^2 + s y + 3 y^2)): one division, inside the range of doubles for every v and q = z^2
 * that floats v and z can have. Where v is 0 the smallest root stands for it.
 */
static inline double inverse_corrected(double variance, double value, double epsilon)
{
    double root = sqrt(value + 1e-50);
    double denominator = root + epsilon;
    double scale = denominator * denominator * (root * root * root);
    double excess = variance * (0.125 * denominator + 0.25 * root);
    double square = scale * scale;
    return square / (denominator * (square + excess * (scale + 3.0 * excess)));
}

/* `change` brought into [-bound, bound]; NaN stays. */
static inline double inverse_bounded(double change, double bound)
{
    double lower = change < -bound ? -bound : change;
    return lower > bound ? bound : lower;
}

#endif
