/*
 * What the error of an average curvature h does to its inverse, and the form of the inverse that is
 * safe against it.
 *
 * With p = max(rho h, epsilon) the update is m / p before it is clipped. An estimate of variance V
 * has E[1/h] = 1/H + V/H^3 + ..., H = E h. Subtracting that turns negative for V > h^2; instead
 *
 *     h / (h^2 + V),
 *
 * the same to second order, positive, at most 1 / (2 sqrt(V)): a Wiener filter. It has this largest
 * value at h = sqrt(V) and stays there for smaller h, or else an element of negative curvature,
 * which only Hutchinson estimates have, would not move at all; without error it is 1/p.
 * Averages of curvature that is not negative never get below: sum w c >= sqrt(sum w^2 c^2).
 */
#ifndef PLUMB_CORRECT_CURVATURE_INVERSE_H
#define PLUMB_CORRECT_CURVATURE_INVERSE_H

#include <math.h>
#include <stdbool.h>

static inline double curvature_denominator(double curvature, double rho, double epsilon)
{
    double scaled = rho * curvature;
    return scaled > epsilon ? scaled : epsilon;
}

/* `deviation` is the standard deviation of the denominator. */
static inline double curvature_safe_inverse(double denominator, double deviation)
{
    double larger = denominator > deviation ? denominator : deviation;
    return larger / (larger * larger + deviation * deviation);
}

/* Is the inverse at its largest value? Not where rounding alone makes the deviation the larger. */
static inline bool curvature_inverse_bounded(double denominator, double deviation)
{
    return deviation > denominator * (1.0 + 1e-6);
}

#endif
