/*
 * The leave-one-out correction: of F folds of the groups, each fold owns a first moment m_f of its
 * own gradients, and a second moment v_f of all the others' with its variance q_f, which therefore
 * share no sample with m_f, now or earlier:
 *
 *     u = 1/F sum m_f f(v_f) / (1 + e_f + 3 e_f^2),   f = 1 / (sqrt(v) + epsilon),
 *
 * with the excess e_f (inverse.h) from v_f and q_f. Both follow the statistics of the others at the
 * noise floor of the whole (statistics.h), so that the target is the same for every F. F = G leaves
 * one group out; F = 2 is the symmetric two-fold. One q from all groups would do with less memory,
 * but it shares m_f's samples: the correction itself would then be coupled to what it multiplies.
 *
 * The statistic of the others may be negative for small noise floors: v_f is at least a quarter of
 * the second moment of all groups. In the long run it seldom gets there.
 */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"
#include "correct/folds.h"
#include "correct/inverse.h"

/* The second moment of all groups, then F first moments, and of the others F second moments and F
 * deviations of these. */
enum { SECOND, TRACKS };

static const double smallest_share = 0.25;

VECTOR_CLONES
static void follow_first(int64_t count, average one, double inverse_size,
                         const float *restrict mean, const double *restrict deviation,
                         const float *restrict old, float *restrict updated)
{
    for (int64_t i = 0; i < count; i++) {
        double gradient = (double)mean[i] + deviation[i] * inverse_size;
        updated[i] = (float)average_step(one, (double)old[i], gradient);
    }
}

/* Old states and groups of a block's elements to new states. */
static void follow(const correction_input *input, int64_t begin, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    int folds = input->folds;
    double inverse_size = (double)folds / (double)input->family.groups;
    const float *mean = input->mean + begin;
    const float *const *old = input->states;
    float *const *updated = input->new_states;
    statistics_sums sums;
    statistics_fold fold;
    double second[STATISTICS_BLOCK], variance[STATISTICS_BLOCK];
    statistics_sums_of(begin, count, input->family, input->gradients, input->mean, &sums);
    statistics_second(count, input->family, mean, &sums, second);
    average_doubles(count, two, second, old[SECOND] + begin, updated[SECOND] + begin);
    for (int f = 0; f < folds; f++) {
        int own = TRACKS + f, others = own + folds, deviation = others + folds;
        statistics_fold_of(begin, count, input->family, folds, f, input->gradients, input->mean,
                           &fold);
        statistics_of_others(count, input->family, folds, mean, &sums, &fold, second, variance);
        follow_first(count, one, inverse_size, mean, fold.first, old[own] + begin,
                     updated[own] + begin);
        average_doubles(count, two, second, old[others] + begin, updated[others] + begin);
        average_roots(count, average_product(two, two), variance, old[deviation] + begin,
                      updated[deviation] + begin);
    }
}

typedef struct fold_scalars {
    double first, second, variance; /* factors that make the averages unbiased */
    double inverse_folds, epsilon;
} fold_scalars;

VECTOR_CLONES
static void add_fold(int64_t count, fold_scalars s, const float *restrict whole,
                     const float *restrict first, const float *restrict second,
                     const float *restrict deviation, double *restrict mean_first,
                     double *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        double least = smallest_share * s.second * (double)whole[i];
        double own = s.second * (double)second[i];
        double v = own > least ? own : least;
        double tracked = s.variance * average_from_root(deviation[i]);
        double m = s.first * (double)first[i] * s.inverse_folds;
        mean_first[i] += m;
        direction[i] += m * inverse_corrected(tracked > 0.0 ? tracked : 0.0, v, s.epsilon);
    }
}

static int64_t direct(const correction_input *input, int64_t begin, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    int folds = input->folds;
    const float *whole = input->new_states[SECOND] + begin;
    fold_scalars scalars = {one.unbiased, two.unbiased, average_product(two, two).unbiased,
                            1.0 / (double)folds, input->epsilon};
    folds_block block;
    memset(&block, 0, sizeof block);
    for (int f = 0; f < folds; f++) {
        float *const *tracks = input->new_states + TRACKS + f;
        add_fold(count, scalars, whole, tracks[0] + begin, tracks[folds] + begin,
                 tracks[2 * folds] + begin, block.first, block.direction);
    }
    folds_add(count, two.unbiased, whole, block.second);
    return folds_bound(count, input->epsilon, &block, input->direction + begin);
}

void correction_leave_one_out(const correction_input *input)
{
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        follow(input, first, count);
        *input->clipped += direct(input, first, count);
    }
}
