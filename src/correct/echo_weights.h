/*
 * Weights of the singular directions of an averaged gradient, by how much of each the groups of
 * this step agree on: sum w_i u_i v_i' in place of the polar factor, in which all weights are 1.
 *
 * Let u = sum_t a_t g_t be a momentum over steps t, g the mean of this step's K groups with the
 * weight a, and S = sum a_t^2. For each k the singular values s_i and directions u_i, v_i are those
 * of the momentum without group k,
 *
 *     u_-k = u + a (g - G_k) / (K-1),
 *
 * and G_k, which has no part in them, tells by how much their part of g is noise that they follow:
 *
 *     e_i = u_i' (g_-k - G_k) v_i = K/(K-1) u_i' (g - G_k) v_i,
 *     E e_i = E u_i' (noise of g_-k) v_i.
 *
 * With D a gradient's error of one group, g_-k has the error variance D/(K-1) and all of u_-k has
 * (a^2/(K-1) + P/K) D, P = S - a^2 that of the past, if every step has the same noise. Directions
 * see the errors in their sum alone, so of normal errors the part of one term is its share of the
 * variance: the noise in s_i is, whatever the covariance D,
 *
 *     E u_i' (noise of u_-k) v_i = E e_i (a^2/(K-1) + P/K) / (a/(K-1)) = E e_i (a + P (K-1)/(K a)),
 *
 * and r_i = 1 - that / s_i, numerator and denominator averaged over k, is the share of s_i that is
 * signal: what is left of the momentum without errors, wherever the gradient has moved since. At
 * the first step it is the held-out singular value u_i' G_k v_i over that of the others. r is made
 * non-increasing (isotonic regression with weights s_i^2, since the error of e does not depend on
 * i) and brought into [0, 1].
 *
 * The weight that brings sum w_i u_i v_i' nearest to the true polar factor is the echo
 * <u_i, true u><v_i, true v>, and r_i s_i = (true s) echo. In noise of entries with variance n2,
 * echo^2 = r (1 - rows cols n2^2 / (true s)^4) (Benaych-Georges and Nadakuditi 2012), hence
 *
 *     h = r s,   (true s)^2 = (h s + sqrt(h^2 s^2 + 4 rows cols n2^2)) / 2,   w = h / (true s)
 *
 * with n2 from the spread of the groups. For noise of other forms the last step is approximate; it
 * matters to directions near the threshold, whose weight is small in any case.
 *
 * Without noise all weights are 1, and the result is the polar factor over the singular values
 * above about 1e-6 of the largest. Nothing is scaled up to make good for weights below 1.
 */
#ifndef PLUMB_CORRECT_ECHO_WEIGHTS_H
#define PLUMB_CORRECT_ECHO_WEIGHTS_H

#include "plumb.h"

typedef struct echo_weights {
    int64_t rows, cols;
    int groups;                    /* K, 2 or more, of equal samples */
    const float *const *gradients; /* [groups][rows][cols] */
    const float *mean;             /* rows x cols: g */
    double newest;                 /* a */
    double squared;                /* S */
} echo_weights;

/*
 * direction (rows x cols): u, then the weighted directions. weights[min(rows, cols)] in descending
 * order of the singular values, or NULL. Errors: ARGUMENT (too large), NONFINITE, MEMORY,
 * NUMERICAL; `direction` is untouched then.
 */
plumb_status echo_weights_apply(const echo_weights *problem, float *direction, double *weights);

/* Seconds of it by a rough model. */
double echo_weights_cost(int64_t rows, int64_t cols, int groups);

#endif
