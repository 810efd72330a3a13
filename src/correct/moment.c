/*
 * The moment correction: no folds, one track. From moving averages m and v, the variance q of v
 * and the covariance C of m and v, all four with unbiased weights,
 *
 *     u = m f / (1 + e) + clip( -f' C / (1 + e'), +- |m| f / 2 ),    f = 1 / (sqrt(v) + epsilon),
 *
 * with the excesses e of f and e' of f' (inverse.h). Without epsilon, x = q/v^2:
 *
 *     u = m v^(-1/2) / (1 + 3/8 x) + clip( C v^(-3/2) / 2 / (1 + 15/8 x), +- |m| v^(-1/2) / 2 ).
 *
 * The unbounded form, m f - m f''q/2 - f'C, has the smaller bias on paper and cannot be used: at
 * the first steps, where v is small against its error, its updates reach any size.
 */
#include "base/vector.h"
#include "correct/average.h"
#include "correct/correction.h"
#include "correct/inverse.h"

enum { FIRST, SECOND, DEVIATION, COVARIANCE };

typedef struct moment_scalars {
    double first, second, variance, covariance; /* factors that make the averages unbiased */
    double epsilon;
} moment_scalars;

VECTOR_CLONES
static int64_t bounded_form(int64_t count, moment_scalars s, const float *restrict first,
                            const float *restrict second, const float *restrict deviation,
                            const float *restrict covariance_root, float *restrict direction)
{
    int64_t clipped = 0;
    for (int64_t i = 0; i < count; i++) {
        double m = s.first * (double)first[i];
        double v = s.second * (double)second[i];
        double spread = inverse_spread(s.variance * average_from_root(deviation[i]), v);
        double root = sqrt(v);
        double inverse = 1.0 / (root + s.epsilon);
        double share = root * inverse;
        double covariance = s.covariance * average_from_root(covariance_root[i]);
        double coupling = covariance / (root + DBL_MIN) * (0.5 * inverse * inverse) /
                          (1.0 + inverse_slope_excess(spread, share));
        double bound = inverse_largest_change * fabs(m) * inverse;
        clipped += fabs(coupling) > bound;
        direction[i] = (float)(m * inverse / (1.0 + inverse_excess(spread, share)) +
                               inverse_bounded(coupling, bound));
    }
    return clipped;
}

/* The averages of a block's elements: old states and groups to new states. */
static void follow(const correction_input *input, int64_t first, int64_t count)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    const float *mean = input->mean + first;
    const float *const *old = input->states;
    float *const *updated = input->new_states;
    statistics_sums sums;
    double sample[STATISTICS_BLOCK];
    statistics_sums_of(first, count, input->family, input->gradients, input->mean, &sums);
    average_floats(count, one, mean, old[FIRST] + first, updated[FIRST] + first);
    statistics_second(count, input->family, mean, &sums, sample);
    average_doubles(count, two, sample, old[SECOND] + first, updated[SECOND] + first);
    statistics_variance(count, input->family, mean, &sums, sample);
    average_roots(count, average_product(two, two), sample, old[DEVIATION] + first,
                  updated[DEVIATION] + first);
    statistics_covariance(count, input->family, mean, &sums, sample);
    average_roots(count, average_product(one, two), sample, old[COVARIANCE] + first,
                  updated[COVARIANCE] + first);
}

void correction_moment(const correction_input *input)
{
    average one = average_of(input->beta1, input->update);
    average two = average_of(input->beta2, input->update);
    moment_scalars scalars = {one.unbiased, two.unbiased, average_product(two, two).unbiased,
                              average_product(one, two).unbiased, input->epsilon};
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        follow(input, first, count);
        *input->clipped +=
            bounded_form(count, scalars, input->new_states[FIRST] + first,
                         input->new_states[SECOND] + first, input->new_states[DEVIATION] + first,
                         input->new_states[COVARIANCE] + first, input->direction + first);
    }
}
