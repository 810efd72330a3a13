/*
 * The jackknife over streams (Quenouille 1949): fold k of F folds of the groups owns moving
 * averages m_k and v_k of its gradients' mean and of the mean of their squares, m and v are the
 * means over the folds, m_-k and v_-k those over all folds but k, and
 *
 *     u = F u(m, v) - (F-1)/F sum_k u(m_-k, v_-k),   u(m, v) = m / (sqrt(v) + epsilon),
 *
 * removes what is of order 1/G in the bias, coupling and inversion alike. It takes whatever depends
 * on the number of groups for bias: with the square of the mean it would extrapolate the noise
 * floor to 0 and aim at the sign of the gradient. Hence the mean of squares only.
 */
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"
#include "correct/folds.h"
#include "correct/inverse.h"

typedef struct jackknife_scalars {
    double first, second; /* factors that make the averages unbiased */
    double folds, epsilon;
} jackknife_scalars;

VECTOR_CLONES
static void add_fold(int64_t count, jackknife_scalars s, const float *restrict first,
                     const float *restrict second, const double *restrict mean_first,
                     const double *restrict mean_second, double *restrict direction)
{
    double others = 1.0 / (s.folds - 1.0);
    for (int64_t i = 0; i < count; i++) {
        double m = (s.folds * mean_first[i] - s.first * (double)first[i]) * others;
        double v = (s.folds * mean_second[i] - s.second * (double)second[i]) * others;
        direction[i] += m / (sqrt(v > 0.0 ? v : 0.0) + s.epsilon);
    }
}

VECTOR_CLONES
static void combine(int64_t count, jackknife_scalars s, const double *restrict first,
                    const double *restrict second, double *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        double whole = first[i] / (sqrt(second[i]) + s.epsilon);
        direction[i] = folds_jackknife(s.folds, whole, direction[i]);
    }
}

/* What a fold adds up of its groups: gradients and their squares. */
typedef struct fold_sums {
    double gradient[STATISTICS_BLOCK], square[STATISTICS_BLOCK];
} fold_sums;

VECTOR_CLONES
static void add_group(int64_t count, double weight, const float *restrict gradient,
                      double *restrict sum, double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        double g = (double)gradient[i];
        sum[i] += weight * g;
        squares[i] += weight * (g * g);
    }
}

/* The tracks of a block's elements: old states and groups to new states. */
static void follow(const correction_input *input, int64_t first, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    int folds = input->folds, size = input->family.groups / folds;
    for (int f = 0; f < folds; f++) {
        fold_sums sums;
        memset(&sums, 0, sizeof sums);
        for (int k = f * size; k < (f + 1) * size; k++) {
            add_group(count, 1.0 / (double)size, input->gradients[k] + first, sums.gradient,
                      sums.square);
        }
        int second = folds + f;
        average_doubles(count, one, sums.gradient, input->states[f] + first,
                        input->new_states[f] + first);
        average_doubles(count, two, sums.square, input->states[second] + first,
                        input->new_states[second] + first);
    }
}

static int64_t direct(const correction_input *input, int64_t begin, int64_t count)
{
    int folds = input->folds;
    double n = (double)folds;
    float *const *tracks = input->new_states;
    jackknife_scalars scalars = {average_of(input->beta1, input->update).unbiased,
                                 average_of(input->beta2, input->update).unbiased, n,
                                 input->epsilon};
    folds_block block;
    memset(&block, 0, sizeof block);
    for (int f = 0; f < folds; f++) {
        folds_add(count, scalars.first / n, tracks[f] + begin, block.first);
        folds_add(count, scalars.second / n, tracks[folds + f] + begin, block.second);
    }
    for (int f = 0; f < folds; f++) {
        add_fold(count, scalars, tracks[f] + begin, tracks[folds + f] + begin, block.first,
                 block.second, block.direction);
    }
    combine(count, scalars, block.first, block.second, block.direction);
    return folds_bound(count, input->epsilon, &block, input->direction + begin);
}

void correction_jackknife(const correction_input *input)
{
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        follow(input, first, count);
        *input->clipped += direct(input, first, count);
    }
}
