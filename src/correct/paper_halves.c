/*
 * The modes of arXiv 2605.20756 that split the groups in two: fold A, the first half, gives the
 * gradient, fold B, the second, the preconditioner. As its reference implementation computes them,
 * for comparison; what is wrong with them stands in docs/corrections.md.
 *
 *     paper-cf        m follows the mean over A, v the mean of squares over B; u = m / p with
 *                     p = sqrt(v) + epsilon
 *     paper-inv       m follows the mean g of all, v its square; u = m max(1/p - V/p^3, 0), with
 *                     the variance V of the mean over B of p_j = sqrt(what v would be with g_j^2)
 *     paper-full      m and v of the first, inverse of the second
 *     paper-pre-ema   m and v of the first; u = m max(f - f''V/2, 0), with the variance V of v's
 *                     newest sample and f'' = b^2 (3/(4 v^1.5 p^2) + 1/(2 v p^3)), where b is that
 *                     sample's weight. The right coefficient is 1/4, not 3/4.
 */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"

enum { FIRST, SECOND };

typedef enum paper_inverse { INVERSE_PLAIN, INVERSE_POST_EMA, INVERSE_PRE_EMA } paper_inverse;

typedef struct paper_mode {
    bool crossed; /* A and B, else all groups for both */
    paper_inverse inverse;
} paper_mode;

typedef struct paper_scalars {
    average one, two;
    double half; /* groups of B */
    double epsilon;
} paper_scalars;

/* Running mean and sum of squared deviations (Welford 1962). */
typedef struct running {
    double mean[STATISTICS_BLOCK], squares[STATISTICS_BLOCK];
} running;

VECTOR_CLONES
static void add_to_mean(int64_t count, double weight, const float *restrict gradient,
                        double *restrict mean)
{
    for (int64_t i = 0; i < count; i++) {
        mean[i] += weight * (double)gradient[i];
    }
}

VECTOR_CLONES
static void copy_mean(int64_t count, const float *restrict mean, double *restrict gradient,
                      double *restrict square)
{
    for (int64_t i = 0; i < count; i++) {
        gradient[i] = (double)mean[i];
        square[i] = gradient[i] * gradient[i];
    }
}

VECTOR_CLONES
static void run_squares(int64_t count, double number, const float *restrict gradient,
                        double *restrict mean, double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        double value = (double)gradient[i] * (double)gradient[i];
        double step = value - mean[i];
        mean[i] += step / number;
        squares[i] += step * (value - mean[i]);
    }
}

VECTOR_CLONES
static void run_roots(int64_t count, average two, double number, const float *restrict gradient,
                      const float *restrict old, double *restrict mean, double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        double square = (double)gradient[i] * (double)gradient[i];
        double value = sqrt(average_step(two, (double)old[i], square) * two.unbiased);
        double step = value - mean[i];
        mean[i] += step / number;
        squares[i] += step * (value - mean[i]);
    }
}

VECTOR_CLONES
static void plain(int64_t count, paper_scalars s, const float *restrict first,
                  const float *restrict second, float *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        double p = sqrt(s.two.unbiased * (double)second[i]) + s.epsilon;
        direction[i] = (float)(s.one.unbiased * (double)first[i] / p);
    }
}

VECTOR_CLONES
static int64_t post_ema(int64_t count, paper_scalars s, const float *restrict first,
                        const float *restrict second, const double *restrict squares,
                        float *restrict direction)
{
    int64_t clipped = 0;
    for (int64_t i = 0; i < count; i++) {
        double p = sqrt(s.two.unbiased * (double)second[i]) + s.epsilon;
        double variance = squares[i] / (s.half * (s.half - 1.0));
        double inverse = 1.0 / p - variance / p / p / p;
        clipped += inverse < 0.0;
        direction[i] = (float)(s.one.unbiased * (double)first[i] * (inverse > 0.0 ? inverse : 0.0));
    }
    return clipped;
}

VECTOR_CLONES
static int64_t pre_ema(int64_t count, paper_scalars s, const float *restrict first,
                       const float *restrict second, const double *restrict squares,
                       float *restrict direction)
{
    double weight = s.two.add * s.two.unbiased;
    double scale = 0.5 * weight * weight / (s.half * (s.half - 1.0));
    int64_t clipped = 0;
    for (int64_t i = 0; i < count; i++) {
        double v = s.two.unbiased * (double)second[i] + 1e-200;
        double root = sqrt(v);
        double p = root + s.epsilon;
        double curvature = scale * squares[i] / v / p / p;
        double inverse = 1.0 / p - curvature * (0.75 / root + 0.5 / p);
        clipped += inverse < 0.0;
        direction[i] = (float)(s.one.unbiased * (double)first[i] * (inverse > 0.0 ? inverse : 0.0));
    }
    return clipped;
}

/* The newest samples of m and v, and over B the spread of what the inverse's variance needs. */
static void gather(const correction_input *input, paper_mode mode, int64_t begin, int64_t count,
                   double *gradient, double *square, running *spread)
{
    int half = input->family.groups / 2;
    running squares;
    memset(&squares, 0, sizeof squares);
    memset(spread, 0, sizeof *spread);
    memset(gradient, 0, (size_t)count * sizeof *gradient);
    for (int j = 0; j < half; j++) {
        const float *other = input->gradients[half + j] + begin;
        add_to_mean(count, 1.0 / (double)half, input->gradients[j] + begin, gradient);
        run_squares(count, j + 1, other, squares.mean, squares.squares);
        if (mode.inverse == INVERSE_POST_EMA) {
            run_roots(count, average_of(input->beta2, input->update), j + 1, other,
                      input->states[SECOND] + begin, spread->mean, spread->squares);
        }
    }
    memcpy(square, squares.mean, (size_t)count * sizeof *square);
    if (mode.inverse == INVERSE_PRE_EMA) {
        *spread = squares;
    }
    if (!mode.crossed) {
        copy_mean(count, input->mean + begin, gradient, square);
    }
}

static int64_t direct(const correction_input *input, paper_mode mode, paper_scalars scalars,
                      int64_t begin, int64_t count)
{
    double gradient[STATISTICS_BLOCK], square[STATISTICS_BLOCK];
    running spread;
    gather(input, mode, begin, count, gradient, square, &spread);
    float *first = input->new_states[FIRST] + begin;
    float *second = input->new_states[SECOND] + begin;
    float *direction = input->direction + begin;
    average_doubles(count, scalars.one, gradient, input->states[FIRST] + begin, first);
    average_doubles(count, scalars.two, square, input->states[SECOND] + begin, second);
    switch (mode.inverse) {
    case INVERSE_POST_EMA:
        return post_ema(count, scalars, first, second, spread.squares, direction);
    case INVERSE_PRE_EMA:
        return pre_ema(count, scalars, first, second, spread.squares, direction);
    case INVERSE_PLAIN:
        break;
    }
    plain(count, scalars, first, second, direction);
    return 0;
}

static void direct_all(const correction_input *input, paper_mode mode)
{
    int half = input->family.groups / 2;
    paper_scalars scalars = {average_of(input->beta1, input->update),
                             average_of(input->beta2, input->update), (double)half, input->epsilon};
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        *input->clipped += direct(input, mode, scalars, first, count);
    }
}

void correction_paper_cross_fit(const correction_input *input)
{
    direct_all(input, (paper_mode){true, INVERSE_PLAIN});
}

void correction_paper_inverse(const correction_input *input)
{
    direct_all(input, (paper_mode){false, INVERSE_POST_EMA});
}

void correction_paper_full(const correction_input *input)
{
    direct_all(input, (paper_mode){true, INVERSE_POST_EMA});
}

void correction_paper_pre_ema(const correction_input *input)
{
    direct_all(input, (paper_mode){true, INVERSE_PRE_EMA});
}
