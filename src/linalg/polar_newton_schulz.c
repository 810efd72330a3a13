/*
 * Muon's Newton-Schulz iteration as published (K. Jordan 2024): one polynomial for every step,
 * chosen for its slope at zero. With x a singular value over the Frobenius norm, five steps map
 * [0.01, 1] into about [0.68, 1.13] and never converge. The published 1e-7 in the normalisation is
 * left out, since it turns small matrices into zero; the prescale makes it unnecessary.
 */
#include "linalg/polar_quintic.h"

static quintic newton_schulz_step(int step)
{
    (void)step;
    return (quintic){.linear = 3.4445f, .cubic = -4.7750f, .quintic = 2.0315f};
}

plumb_status polar_by_newton_schulz(const polar_problem *problem)
{
    return polar_by_quintics(problem, newton_schulz_step, QUINTIC_FULL_PRODUCTS);
}

plumb_status polar_by_newton_schulz_symmetric(const polar_problem *problem)
{
    return polar_by_quintics(problem, newton_schulz_step, QUINTIC_HALF_PRODUCTS);
}
