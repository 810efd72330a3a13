/*
 * The leave-one-out modes of arXiv 2605.20756, as its reference implementation computes them: all
 * folds share the old moments m and v, which follow the mean gradient and its square. With g_-r the
 * mean gradient without group r,
 *
 *     m_r = beta1 m + (1 - beta1) g_r,   p_r = sqrt(beta2 v + (1 - beta2) g_-r^2) + epsilon,
 *
 * both with unbiased weights, paper-loo moves by u = 1/G sum m_r / p_r. paper-loo-jensen subtracts
 * V 1/G sum m_r / p_r^3 with the plain sample variance V of the p_r, and stays at 0 where that
 * would turn the sign. Only what m and v share in this one step is removed, and V is short of a
 * factor (G-1)^2 / G: docs/corrections.md.
 */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"

enum { FIRST, SECOND };

typedef struct fold_scalars {
    average one, two;
    double groups, epsilon;
} fold_scalars;

/* Sums over the folds, and running mean and squared deviations of p_r (Welford 1962). */
typedef struct fold_sums {
    double inverse[STATISTICS_BLOCK], cube[STATISTICS_BLOCK];
    double mean[STATISTICS_BLOCK], squares[STATISTICS_BLOCK];
} fold_sums;

VECTOR_CLONES
static void denominators(int64_t count, fold_scalars s, const float *restrict gradient,
                         const float *restrict mean, const float *restrict old_second,
                         double *restrict p)
{
    for (int64_t i = 0; i < count; i++) {
        double others = (s.groups * (double)mean[i] - (double)gradient[i]) / (s.groups - 1.0);
        double v = average_step(s.two, (double)old_second[i], others * others);
        p[i] = sqrt(s.two.unbiased * v) + s.epsilon;
    }
}

VECTOR_CLONES
static void add_fold(int64_t count, fold_scalars s, const float *restrict gradient,
                     const float *restrict old_first, const double *restrict p,
                     double *restrict inverse, double *restrict cube)
{
    for (int64_t i = 0; i < count; i++) {
        double m = s.one.unbiased * average_step(s.one, (double)old_first[i], (double)gradient[i]);
        double term = m / p[i] / s.groups;
        inverse[i] += term;
        cube[i] += term / p[i] / p[i];
    }
}

VECTOR_CLONES
static void run_denominators(int64_t count, double number, const double *restrict p,
                             double *restrict mean, double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        double step = p[i] - mean[i];
        mean[i] += step / number;
        squares[i] += step * (p[i] - mean[i]);
    }
}

VECTOR_CLONES
static int64_t finish(int64_t count, double jensen, const double *restrict inverse,
                      const double *restrict cube, const double *restrict squares,
                      float *restrict direction)
{
    int64_t clipped = 0;
    for (int64_t i = 0; i < count; i++) {
        double corrected = inverse[i] - jensen * squares[i] * cube[i];
        double sign = inverse[i] > 0.0 ? 1.0 : -1.0;
        double kept = sign * corrected;
        clipped += kept < 0.0;
        direction[i] = (float)(kept > 0.0 ? corrected : 0.0);
    }
    return clipped;
}

VECTOR_CLONES
static void square(int64_t count, const float *restrict mean, double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        squares[i] = (double)mean[i] * (double)mean[i];
    }
}

/* jensen: 1/(G-1), which makes the squared deviations a sample variance, or 0 to leave it out. */
static int64_t direct(const correction_input *input, fold_scalars scalars, double jensen,
                      int64_t begin, int64_t count)
{
    fold_sums sums;
    double p[STATISTICS_BLOCK];
    const float *mean = input->mean + begin;
    const float *old_first = input->states[FIRST] + begin;
    const float *old_second = input->states[SECOND] + begin;
    memset(&sums, 0, sizeof sums);
    for (int r = 0; r < input->family.groups; r++) {
        const float *gradient = input->gradients[r] + begin;
        denominators(count, scalars, gradient, mean, old_second, p);
        add_fold(count, scalars, gradient, old_first, p, sums.inverse, sums.cube);
        run_denominators(count, r + 1, p, sums.mean, sums.squares);
    }
    average_floats(count, scalars.one, mean, old_first, input->new_states[FIRST] + begin);
    square(count, mean, p);
    average_doubles(count, scalars.two, p, old_second, input->new_states[SECOND] + begin);
    return finish(count, jensen, sums.inverse, sums.cube, sums.squares, input->direction + begin);
}

static void direct_all(const correction_input *input, bool jensen)
{
    double groups = (double)input->family.groups;
    fold_scalars scalars = {average_of(input->beta1, input->update),
                            average_of(input->beta2, input->update), groups, input->epsilon};
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        *input->clipped +=
            direct(input, scalars, jensen ? 1.0 / (groups - 1.0) : 0.0, first, count);
    }
}

void correction_paper_leave_one_out(const correction_input *input)
{
    direct_all(input, false);
}

void correction_paper_jensen(const correction_input *input)
{
    direct_all(input, true);
}
