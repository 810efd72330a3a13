/*
 * Polar Express (Amsel, Persson, Musco, Gower: arXiv 2505.16932): step t's polynomial is the best
 * one, in the maximum norm, for the interval that the steps before it leave, starting from
 * [0.001, 1]. Six steps map that into [0.994, 1.002], eight to 1 within single precision.
 *
 * Coefficients: the table of the paper's appendix A with its safety factor of 1.01 in every
 * polynomial but the last, p(x/1.01), so that rounding above 1 does no harm. The paper's program
 * also divides the matrix by 1.01 and adds 1e-7 to its norm, both for bfloat16; here the norm is
 * exact to single precision, and the matrix is divided by it alone.
 */
#include "linalg/polar_quintic.h"

static const double SAFETY = 1.01;

/* Steps with a polynomial of their own; all later ones share the limit of the table. */
enum { TABLE_STEPS = 7 };

static const double table[TABLE_STEPS][3] = {
    {8.28721201814563, -23.595886519098837, 17.300387312530933},
    {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
    {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
    {3.3184196573706015, -2.488488024314874, 0.51004894012372},
    {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
    {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
    {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
};

static quintic polar_express_step(int step)
{
    if (step >= TABLE_STEPS) {
        return (quintic){.linear = 1.875f, .cubic = -1.25f, .quintic = 0.375f};
    }
    double square = SAFETY * SAFETY;
    return (quintic){.linear = (float)(table[step][0] / SAFETY),
                     .cubic = (float)(table[step][1] / (SAFETY * square)),
                     .quintic = (float)(table[step][2] / (SAFETY * square * square))};
}

plumb_status polar_by_polar_express(const polar_problem *problem)
{
    return polar_by_quintics(problem, polar_express_step, QUINTIC_FULL_PRODUCTS);
}
