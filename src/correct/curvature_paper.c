/*
 * The modes of arXiv 2605.20756 for Sophia, which split the groups in two: fold A, the first half,
 * gives the gradient, fold B, the second, the curvature. As its reference implementation computes
 * them, for comparison; what is wrong with them stands in docs/corrections.md.
 *
 *     paper-cf        m follows the mean over A, h the mean over B; u = m / p, p = rho h + epsilon
 *     paper-inv       m and h follow the means over all; u = m max(1/p - V/p^3, 0), with the
 *                     variance V of the mean over B of p_j = p as it would be with c_j alone
 *     paper-full      m and h of the first, inverse of the second
 *     paper-pre-ema   takes V from the newest sample before the moving average: the same, since p
 *                     is linear in it
 *
 * V belongs to the newest curvature only and serves until there is a newer one.
 */
#include <string.h>

#include "base/vector.h"
#include "correct/curvature_correction.h"

enum { FIRST, CURVATURE, DEVIATION };

typedef struct paper_mode {
    bool crossed; /* A and B, else all groups for both */
    bool inverse; /* corrected */
} paper_mode;

/* Running mean and sum of squared deviations (Welford 1962). */
VECTOR_CLONES
static void run(int64_t count, double number, const float *restrict values, double *restrict mean,
                double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        double step = (double)values[i] - mean[i];
        mean[i] += step / number;
        squares[i] += step * ((double)values[i] - mean[i]);
    }
}

/* Mean over groups begin .. end - 1, and the sum of squared deviations from it. */
static void spread(const float *const *groups, int begin, int end, int64_t first, int64_t count,
                   double *mean, double *squares)
{
    memset(mean, 0, (size_t)count * sizeof *mean);
    memset(squares, 0, (size_t)count * sizeof *squares);
    for (int k = begin; k < end; k++) {
        run(count, (double)(k - begin + 1), groups[k] + first, mean, squares);
    }
}

static void widen(int64_t count, const float *values, double *wide)
{
    for (int64_t i = 0; i < count; i++) {
        wide[i] = (double)values[i];
    }
}

static void follow_gradient(const curvature_input *input, paper_mode mode, int64_t first,
                            int64_t count)
{
    double mean[STATISTICS_BLOCK], squares[STATISTICS_BLOCK];
    if (mode.crossed) {
        spread(input->gradients, 0, input->groups / 2, first, count, mean, squares);
    } else {
        widen(count, input->mean + first, mean);
    }
    curvature_follow(input, FIRST, average_of(input->beta1, 1), mean, first, count);
}

static void keep_curvature(const curvature_input *input, paper_mode mode, int64_t first,
                           int64_t count)
{
    curvature_follow(input, CURVATURE, (average){0}, NULL, first, count);
    if (mode.inverse) {
        curvature_follow(input, DEVIATION, (average){0}, NULL, first, count);
    }
}

static void follow_curvature(const curvature_input *input, paper_mode mode, int64_t first,
                             int64_t count)
{
    int half = input->groups / 2;
    average two = average_of(input->beta2, 1);
    double mean[STATISTICS_BLOCK], squares[STATISTICS_BLOCK];
    spread(input->curvatures, half, input->groups, first, count, mean, squares);
    if (mode.inverse) {
        float *deviation = input->new_states[DEVIATION] + first;
        double pairs = (double)half * ((double)half - 1.0);
        for (int64_t i = 0; i < count; i++) {
            deviation[i] = (float)(two.add * sqrt(squares[i] / pairs));
        }
    }
    if (!mode.crossed) {
        widen(count, input->curvature + first, mean);
    }
    curvature_follow(input, CURVATURE, two, mean, first, count);
}

VECTOR_CLONES
static int64_t subtract(int64_t count, double rho, double epsilon, const float *restrict first,
                        const float *restrict curvature, const float *restrict deviation,
                        double *restrict direction)
{
    int64_t bounded = 0;
    for (int64_t i = 0; i < count; i++) {
        double h = (double)curvature[i];
        double p = rho * (h > 0.0 ? h : 0.0) + epsilon;
        double s = deviation == NULL ? 0.0 : rho * (double)deviation[i];
        double left = 1.0 - s / p * (s / p);
        bounded += left < 0.0;
        direction[i] = (double)first[i] * ((left > 0.0 ? left : 0.0) / p);
    }
    return bounded;
}

static int64_t direct(const curvature_input *input, paper_mode mode, int64_t first, int64_t count,
                      double *direction)
{
    follow_gradient(input, mode, first, count);
    if (input->curvature == NULL) {
        keep_curvature(input, mode, first, count);
    } else {
        follow_curvature(input, mode, first, count);
    }
    return subtract(count, input->rho, input->epsilon, input->new_states[FIRST] + first,
                    input->new_states[CURVATURE] + first,
                    mode.inverse ? input->new_states[DEVIATION] + first : NULL, direction);
}

int64_t curvature_paper_cross_fit(const curvature_input *input, int64_t first, int64_t count,
                                  double *direction)
{
    return direct(input, (paper_mode){true, false}, first, count, direction);
}

int64_t curvature_paper_inverse(const curvature_input *input, int64_t first, int64_t count,
                                double *direction)
{
    return direct(input, (paper_mode){false, true}, first, count, direction);
}

int64_t curvature_paper_full(const curvature_input *input, int64_t first, int64_t count,
                             double *direction)
{
    return direct(input, (paper_mode){true, true}, first, count, direction);
}
