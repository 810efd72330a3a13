/*
 * The jackknife over streams (Quenouille 1949): group k owns moving averages m_k and v_k of its
 * gradients and their squares, m and v are the means over the groups, m_-k and v_-k those over all
 * groups but k, and
 *
 *     u = G u(m, v) - (G-1)/G sum_k u(m_-k, v_-k),   u(m, v) = m / (sqrt(v) + epsilon),
 *
 * removes what is of order 1/G in the bias, coupling and inversion alike. It takes whatever depends
 * on G for bias: with the square of the mean it would extrapolate the noise floor to 0 and aim at
 * the sign of the gradient. Hence the mean of squares only.
 */
#include <string.h>

#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"
#include "correct/folds.h"
#include "correct/inverse.h"

VECTOR_CLONES
static void square(int64_t count, const float *restrict gradient, double *restrict squares)
{
    for (int64_t i = 0; i < count; i++) {
        squares[i] = (double)gradient[i] * (double)gradient[i];
    }
}

typedef struct jackknife_scalars {
    double first, second; /* factors that make the averages unbiased */
    double groups, epsilon;
} jackknife_scalars;

VECTOR_CLONES
static void add_fold(int64_t count, jackknife_scalars s, const float *restrict first,
                     const float *restrict second, const double *restrict mean_first,
                     const double *restrict mean_second, double *restrict direction)
{
    double others = 1.0 / (s.groups - 1.0);
    for (int64_t i = 0; i < count; i++) {
        double m = (s.groups * mean_first[i] - s.first * (double)first[i]) * others;
        double v = (s.groups * mean_second[i] - s.second * (double)second[i]) * others;
        direction[i] += m / (sqrt(v > 0.0 ? v : 0.0) + s.epsilon);
    }
}

VECTOR_CLONES
static void combine(int64_t count, jackknife_scalars s, const double *restrict first,
                    const double *restrict second, double *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        double whole = first[i] / (sqrt(second[i]) + s.epsilon);
        direction[i] = folds_jackknife(s.groups, whole, direction[i]);
    }
}

/* The tracks of a block's elements: old states and groups to new states. */
static void follow(const correction_input *input, int64_t first, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    int groups = input->family.groups;
    double squares[STATISTICS_BLOCK];
    for (int k = 0; k < groups; k++) {
        const float *gradient = input->gradients[k] + first;
        int second = groups + k;
        average_floats(count, one, gradient, input->states[k] + first,
                       input->new_states[k] + first);
        square(count, gradient, squares);
        average_doubles(count, two, squares, input->states[second] + first,
                        input->new_states[second] + first);
    }
}

static int64_t direct(const correction_input *input, int64_t begin, int64_t count)
{
    int groups = input->family.groups;
    double n = (double)groups;
    float *const *tracks = input->new_states;
    jackknife_scalars scalars = {average_of(input->beta1, input->update).unbiased,
                                 average_of(input->beta2, input->update).unbiased, n,
                                 input->epsilon};
    folds_block block;
    memset(&block, 0, sizeof block);
    for (int k = 0; k < groups; k++) {
        folds_add(count, scalars.first / n, tracks[k] + begin, block.first);
        folds_add(count, scalars.second / n, tracks[groups + k] + begin, block.second);
    }
    for (int k = 0; k < groups; k++) {
        add_fold(count, scalars, tracks[k] + begin, tracks[groups + k] + begin, block.first,
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
