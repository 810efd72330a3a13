/*
 * The leave-one-out correction: group k owns a first moment m_k of its own gradients, and a second
 * moment v_k of all the others', which therefore share no sample, now or earlier:
 *
 *     u = 1/G sum m_k f(v_k) / (1 + e_k),   f = 1 / (sqrt(v) + epsilon),
 *
 * with the excess e_k (inverse.h) from v_k itself and the variance q G/(G-1) of a statistic from
 * G - 1 of G groups. v_k follows the second moment of the others at the noise floor of the whole
 * (statistics.h), so that the target stays what it was.
 *
 * That statistic may be negative for small noise floors: v_k is at least a quarter of the mean over
 * the tracks, which is the second moment of the whole. In the long run it never gets there: the
 * tracks differ by a few percent.
 */
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"
#include "correct/folds.h"
#include "correct/inverse.h"

/* The deviation, then G first moments, then G second moments of the others. */
enum { DEVIATION, TRACKS };

static const double smallest_share = 0.25;

typedef struct fold_scalars {
    double first, second, variance, epsilon;
} fold_scalars;

VECTOR_CLONES
static void add_fold(int64_t count, fold_scalars s, const float *restrict first,
                     const float *restrict second, const float *restrict deviation,
                     const double *restrict least, double *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        double own = s.second * (double)second[i];
        double v = own > least[i] ? own : least[i];
        double spread = inverse_spread(s.variance * average_from_root(deviation[i]), v);
        double root = sqrt(v);
        double inverse = 1.0 / (root + s.epsilon);
        double excess = inverse_excess(spread, root * inverse);
        direction[i] += s.first * (double)first[i] * inverse / (1.0 + excess);
    }
}

VECTOR_CLONES
static void least_second(int64_t count, const double *restrict mean_second, double *restrict least)
{
    for (int64_t i = 0; i < count; i++) {
        double share = smallest_share * mean_second[i];
        least[i] = share > 0.0 ? share : 0.0;
    }
}

/* The tracks of a block's elements: old states and groups to new states. */
static void follow(const correction_input *input, int64_t first, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    const float *const *old = input->states + TRACKS;
    float *const *updated = input->new_states + TRACKS;
    int groups = input->family.groups;
    const float *mean = input->mean + first;
    statistics_sums sums;
    double sample[STATISTICS_BLOCK];
    statistics_sums_of(first, count, input->family, input->gradients, input->mean, &sums);
    statistics_variance(count, input->family, mean, &sums, sample);
    average_roots(count, average_product(two, two), sample, input->states[DEVIATION] + first,
                  input->new_states[DEVIATION] + first);
    for (int k = 0; k < groups; k++) {
        const float *gradient = input->gradients[k] + first;
        int others = groups + k;
        average_floats(count, one, gradient, old[k] + first, updated[k] + first);
        statistics_second_without(count, input->family, gradient, mean, &sums, sample);
        average_doubles(count, two, sample, old[others] + first, updated[others] + first);
    }
}

static int64_t direct(const correction_input *input, int64_t begin, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    int groups = input->family.groups;
    double n = (double)groups;
    float *const *tracks = input->new_states + TRACKS;
    fold_scalars scalars = {one.unbiased / n, two.unbiased,
                            average_product(two, two).unbiased * n / (n - 1.0), input->epsilon};
    folds_block block;
    double least[STATISTICS_BLOCK];
    memset(&block, 0, sizeof block);
    for (int k = 0; k < groups; k++) {
        folds_add(count, one.unbiased / n, tracks[k] + begin, block.first);
        folds_add(count, two.unbiased / n, tracks[groups + k] + begin, block.second);
    }
    least_second(count, block.second, least);
    for (int k = 0; k < groups; k++) {
        add_fold(count, scalars, tracks[k] + begin, tracks[groups + k] + begin,
                 input->new_states[DEVIATION] + begin, least, block.direction);
    }
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
