/*
 * The modes of arXiv 2605.20756 that split the groups in two: fold A, the first half, gives the
 * gradient, fold B, the second, the preconditioner. As its reference implementation computes them,
 * for comparison; what is wrong with them stands in docs/corrections.md.
 *
 *     paper-cf        m follows the mean g_A over A, v the mean s_B of squares over B; u = m / p
 *                     with p = sqrt(v) + epsilon
 *     paper-inv       m follows the mean g of all, v its square; u = m max(1/p - V/p^3, 0), with
 *                     the variance V of the mean over B of p_j = sqrt(what v would be with g_j^2)
 *     paper-full      m and v of the first, inverse of the second
 *     paper-pre-ema   m and v of the first; u = m max(f - f''V/2, 0), with the variance V of v's
 *                     newest sample and f'' = b^2 (3/(4 v^1.5 p^2) + 1/(2 v p^3)), where b is that
 *                     sample's weight. The right coefficient is 1/4, not 3/4.
 *     paper-sym       the mean of paper-full's u and of the same with A and B exchanged, both from
 *                     the same old m and v, which then follow g and its square
 *
 * Mixing by w (1 minus the paper's alpha) puts (1 - w) s_B + w g_A^2 in the place of s_B, and the
 * same with every g_j^2 in V; a support clip tau multiplies u by min(1, sqrt(tau (s_B + epsilon) /
 * (g_A^2 + epsilon))).
 */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"

enum { FIRST, SECOND };

typedef enum paper_inverse { INVERSE_PLAIN, INVERSE_POST_EMA, INVERSE_PRE_EMA } paper_inverse;

/* What m and v follow. */
typedef enum paper_moments { MOMENTS_CROSSED, MOMENTS_OF_ALL, MOMENTS_SYMMETRIC } paper_moments;

typedef struct paper_mode {
    paper_moments moments;
    paper_inverse inverse;
} paper_mode;

typedef struct paper_scalars {
    average one, two;
    double half; /* groups of a half */
    double epsilon, mixing, support_clip;
} paper_scalars;

/* Of one half: mean gradient, mean of squares and sum of squared deviations from that mean. */
typedef struct half_sums {
    double gradient[STATISTICS_BLOCK], square[STATISTICS_BLOCK], spread[STATISTICS_BLOCK];
} half_sums;

/* One update, before the learning rate: moments with unbiased weights, and the inverse of p. */
typedef struct role {
    double first[STATISTICS_BLOCK], second[STATISTICS_BLOCK], inverse[STATISTICS_BLOCK];
} role;

/* The block's result: directions, and 1 for each element that met a bound. */
typedef struct outcome {
    double direction[STATISTICS_BLOCK], clipped[STATISTICS_BLOCK];
} outcome;

/* Running mean and sum of squared deviations (Welford 1962). */
VECTOR_CLONES
static void add_group(int64_t count, double number, double weight, const float *restrict gradient,
                      double *restrict mean, double *restrict square, double *restrict spread)
{
    for (int64_t i = 0; i < count; i++) {
        double g = (double)gradient[i];
        double step = g * g - square[i];
        mean[i] += weight * g;
        square[i] += step / number;
        spread[i] += step * (g * g - square[i]);
    }
}

static void half_sums_of(const correction_input *input, int half, int64_t begin, int64_t count,
                         half_sums *sums)
{
    int size = input->family.groups / 2;
    memset(sums, 0, sizeof *sums);
    for (int j = 0; j < size; j++) {
        add_group(count, j + 1, 1.0 / (double)size, input->gradients[half * size + j] + begin,
                  sums->gradient, sums->square, sums->spread);
    }
}

/* Samples of m and v: the mean of all groups and its square, ... */
VECTOR_CLONES
static void samples_of_all(int64_t count, const float *restrict mean, double *restrict first,
                           double *restrict second)
{
    for (int64_t i = 0; i < count; i++) {
        first[i] = (double)mean[i];
        second[i] = first[i] * first[i];
    }
}

/* ... or the mean of one half and the mean of squares of the other, mixed. */
VECTOR_CLONES
static void samples_of_halves(int64_t count, double mixing, const double *restrict gradient,
                              const double *restrict square, double *restrict first,
                              double *restrict second)
{
    for (int64_t i = 0; i < count; i++) {
        first[i] = gradient[i];
        second[i] = (1.0 - mixing) * square[i] + mixing * (gradient[i] * gradient[i]);
    }
}

/* samples become the averages' new values, with unbiased weights */
VECTOR_CLONES
static void advance(int64_t count, average a, const float *restrict old, double *restrict samples)
{
    for (int64_t i = 0; i < count; i++) {
        samples[i] = a.unbiased * average_step(a, (double)old[i], samples[i]);
    }
}

/* As add_group, of the roots p_j. */
VECTOR_CLONES
static void add_root(int64_t count, paper_scalars s, double number, const float *restrict gradient,
                     const double *restrict numerator, const float *restrict old,
                     double *restrict mean, double *restrict spread)
{
    for (int64_t i = 0; i < count; i++) {
        double square = (1.0 - s.mixing) * ((double)gradient[i] * (double)gradient[i]) +
                        s.mixing * (numerator[i] * numerator[i]);
        double value = sqrt(average_step(s.two, (double)old[i], square) * s.two.unbiased);
        double step = value - mean[i];
        mean[i] += step / number;
        spread[i] += step * (value - mean[i]);
    }
}

VECTOR_CLONES
static void plain(int64_t count, paper_scalars s, const double *restrict second,
                  double *restrict inverse)
{
    for (int64_t i = 0; i < count; i++) {
        inverse[i] = 1.0 / (sqrt(second[i]) + s.epsilon);
    }
}

VECTOR_CLONES
static void post_ema(int64_t count, paper_scalars s, const double *restrict second,
                     const double *restrict spread, double *restrict inverse,
                     double *restrict clipped)
{
    for (int64_t i = 0; i < count; i++) {
        double p = sqrt(second[i]) + s.epsilon;
        double variance = spread[i] / (s.half * (s.half - 1.0));
        double corrected = 1.0 / p - variance / p / p / p;
        clipped[i] = corrected < 0.0 ? 1.0 : clipped[i];
        inverse[i] = corrected > 0.0 ? corrected : 0.0;
    }
}

VECTOR_CLONES
static void pre_ema(int64_t count, paper_scalars s, const double *restrict second,
                    const double *restrict spread, double *restrict inverse,
                    double *restrict clipped)
{
    double weight = s.two.add * s.two.unbiased * (1.0 - s.mixing);
    double scale = 0.5 * weight * weight / (s.half * (s.half - 1.0));
    for (int64_t i = 0; i < count; i++) {
        double v = second[i] + 1e-200;
        double root = sqrt(v);
        double p = root + s.epsilon;
        double curvature = scale * spread[i] / v / p / p;
        double corrected = 1.0 / p - curvature * (0.75 / root + 0.5 / p);
        clipped[i] = corrected < 0.0 ? 1.0 : clipped[i];
        inverse[i] = corrected > 0.0 ? corrected : 0.0;
    }
}

VECTOR_CLONES
static void clip_support(int64_t count, paper_scalars s, const double *restrict gradient,
                         const double *restrict square, double *restrict inverse,
                         double *restrict clipped)
{
    for (int64_t i = 0; i < count; i++) {
        double ratio = (square[i] + s.epsilon) / (gradient[i] * gradient[i] + s.epsilon);
        double factor = sqrt(s.support_clip * ratio);
        clipped[i] = factor < 1.0 ? 1.0 : clipped[i];
        inverse[i] *= factor < 1.0 ? factor : 1.0;
    }
}

VECTOR_CLONES
static void add_update(int64_t count, double weight, const double *restrict first,
                       const double *restrict inverse, double *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        direction[i] += weight * (first[i] * inverse[i]);
    }
}

VECTOR_CLONES
static int64_t finish(int64_t count, const outcome *restrict result, float *restrict direction)
{
    double clipped = 0.0;
    for (int64_t i = 0; i < count; i++) {
        direction[i] = (float)result->direction[i];
        clipped += result->clipped[i];
    }
    return (int64_t)clipped;
}

/* The spread of the roots p_j over a half whose gradients meet those of `numerator`. */
static void spread_of_roots(const correction_input *input, paper_scalars s, int half, int64_t begin,
                            int64_t count, const double *numerator, double *spread)
{
    int size = input->family.groups / 2;
    double mean[STATISTICS_BLOCK];
    memset(mean, 0, sizeof mean);
    memset(spread, 0, (size_t)count * sizeof *spread);
    for (int j = 0; j < size; j++) {
        add_root(count, s, j + 1, input->gradients[half * size + j] + begin, numerator,
                 input->states[SECOND] + begin, mean, spread);
    }
}

/* What is left of the block after the moments' samples are in `r`: inverse, clip, update. */
static void play(const correction_input *input, paper_mode mode, paper_scalars s, int64_t begin,
                 int64_t count, const half_sums halves[2], int denominator, role *r,
                 outcome *result)
{
    const double *numerator = halves[1 - denominator].gradient;
    double spread[STATISTICS_BLOCK];
    advance(count, s.one, input->states[FIRST] + begin, r->first);
    advance(count, s.two, input->states[SECOND] + begin, r->second);
    switch (mode.inverse) {
    case INVERSE_POST_EMA:
        spread_of_roots(input, s, denominator, begin, count, numerator, spread);
        post_ema(count, s, r->second, spread, r->inverse, result->clipped);
        break;
    case INVERSE_PRE_EMA:
        pre_ema(count, s, r->second, halves[denominator].spread, r->inverse, result->clipped);
        break;
    case INVERSE_PLAIN:
        plain(count, s, r->second, r->inverse);
        break;
    }
    if (s.support_clip > 0.0) {
        clip_support(count, s, numerator, halves[denominator].square, r->inverse, result->clipped);
    }
    add_update(count, mode.moments == MOMENTS_SYMMETRIC ? 0.5 : 1.0, r->first, r->inverse,
               result->direction);
}

/* New states from samples. */
static void keep(const correction_input *input, paper_scalars s, int64_t begin, int64_t count,
                 const role *samples)
{
    average_doubles(count, s.one, samples->first, input->states[FIRST] + begin,
                    input->new_states[FIRST] + begin);
    average_doubles(count, s.two, samples->second, input->states[SECOND] + begin,
                    input->new_states[SECOND] + begin);
}

/* Samples of the moments where the gradient is from one half, its denominator from the other. */
static void cross(int64_t count, paper_scalars s, const half_sums halves[2], int denominator,
                  role *samples)
{
    samples_of_halves(count, s.mixing, halves[1 - denominator].gradient, halves[denominator].square,
                      samples->first, samples->second);
}

static int64_t direct(const correction_input *input, paper_mode mode, paper_scalars s,
                      int64_t begin, int64_t count)
{
    half_sums halves[2];
    role r;
    outcome result;
    memset(&result, 0, sizeof result);
    half_sums_of(input, 0, begin, count, &halves[0]);
    half_sums_of(input, 1, begin, count, &halves[1]);
    if (mode.moments == MOMENTS_CROSSED) {
        cross(count, s, halves, 1, &r);
    } else {
        samples_of_all(count, input->mean + begin, r.first, r.second);
    }
    keep(input, s, begin, count, &r);
    if (mode.moments == MOMENTS_SYMMETRIC) {
        cross(count, s, halves, 0, &r);
        play(input, mode, s, begin, count, halves, 0, &r, &result);
        cross(count, s, halves, 1, &r);
    }
    play(input, mode, s, begin, count, halves, 1, &r, &result);
    return finish(count, &result, input->direction + begin);
}

static void direct_all(const correction_input *input, paper_mode mode)
{
    int half = input->family.groups / 2;
    paper_scalars scalars = {average_of(input->beta1, input->update),
                             average_of(input->beta2, input->update),
                             (double)half,
                             input->epsilon,
                             input->mixing,
                             input->support_clip};
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        *input->clipped += direct(input, mode, scalars, first, count);
    }
}

void correction_paper_cross_fit(const correction_input *input)
{
    direct_all(input, (paper_mode){MOMENTS_CROSSED, INVERSE_PLAIN});
}

void correction_paper_inverse(const correction_input *input)
{
    direct_all(input, (paper_mode){MOMENTS_OF_ALL, INVERSE_POST_EMA});
}

void correction_paper_full(const correction_input *input)
{
    direct_all(input, (paper_mode){MOMENTS_CROSSED, INVERSE_POST_EMA});
}

void correction_paper_pre_ema(const correction_input *input)
{
    direct_all(input, (paper_mode){MOMENTS_CROSSED, INVERSE_PRE_EMA});
}

void correction_paper_symmetric(const correction_input *input)
{
    direct_all(input, (paper_mode){MOMENTS_SYMMETRIC, INVERSE_POST_EMA});
}
