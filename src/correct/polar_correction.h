/*
 * Corrections of a polar factor Ortho(u) whose u has errors: its expectation is not the polar
 * factor of u's, by a term of second order. Both remove most of that. Neither result is an
 * isometry: part of the bias is a shrinkage, which orthogonalising once more would bring back; and
 * they are a little noisier than Ortho(u) itself (docs/corrections.md).
 *
 * Both stay within half of the norm of Ortho(u) from it. A change that would be larger is scaled
 * back as a whole, and all elements of the matrix count as clipped.
 */
#ifndef PLUMB_CORRECT_POLAR_CORRECTION_H
#define PLUMB_CORRECT_POLAR_CORRECTION_H

#include "plumb.h"

typedef struct polar_correction {
    int64_t rows, cols;
    plumb_polar_method method; /* second order: SVD, which is what it expands */
    int steps;                 /* polar_steps and polar_delta of the parameter */
    double delta;
    int64_t *clipped; /* elements that met the bound are added */
} polar_correction;

/*
 * Ortho(u) - w / (G (G-1)) sum_k T(u; g_k - mean) in place of u, T the second-order term of
 * polar_expansion.h: the plug-in for errors of u whose covariance is w times that of the mean.
 * Where u has lost rank there is no expansion: the result is Ortho(u), and all elements count as
 * clipped. Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL.
 */
plumb_status polar_correction_second_order(const polar_correction *correction, int groups,
                                           const float *const *gradients, const float *mean,
                                           double squared_weights, float *direction);

/*
 * F Ortho(u) - (F-1)/F sum_f Ortho(u_-f), u the mean of the folds' directions[F] and u_-f that of
 * all but one. Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL.
 */
plumb_status polar_correction_jackknife(const polar_correction *correction, int folds,
                                        const float *const *directions, float *result);

#endif
