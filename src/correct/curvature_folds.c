/*
 * The corrections of curvature by folds, each of which owns moving averages m_f of its gradients
 * and h_f of its curvature. Curvature is linear, so that of all folds but one is
 * h_-f = (F h - h_f) / (F-1), with h the mean over the folds.
 *
 * Leave-one-out: the gradient of a fold meets the curvature of the others, with which it shares no
 * sample, now or earlier, in the safe form (curvature_inverse.h) for the variance V F/(F-1) of
 * h_-f, V that of h:
 *
 *     u = 1/F sum m_f p_-f / (p_-f^2 + rho^2 V F/(F-1)),   p = max(rho h, epsilon).
 *
 * Jackknife (Quenouille 1949):
 *
 *     u = F m/p - (F-1)/F sum m_-f/p_-f,
 *
 * brought to within half of m/p of that plain update: where h_-f is small it may go anywhere.
 */
#include <string.h>

#include "base/vector.h"
#include "correct/curvature_correction.h"
#include "correct/curvature_inverse.h"
#include "correct/folds.h"
#include "correct/inverse.h"

/* The tracks of a block: F first moments from state `tracks` on, then F averages of curvature. */
static void follow(const curvature_input *input, int tracks, int64_t first, int64_t count)
{
    double mean[STATISTICS_BLOCK];
    int size = input->groups / input->folds;
    for (int f = 0; f < input->folds; f++) {
        folds_mean(first, count, size, f, input->gradients, mean);
        curvature_follow(input, tracks + f, average_of(input->beta1, 1), mean, first, count);
        if (input->curvature != NULL) {
            folds_mean(first, count, size, f, input->curvatures, mean);
        }
        curvature_follow(input, tracks + input->folds + f, average_of(input->beta2, 1),
                         input->curvature == NULL ? NULL : mean, first, count);
    }
}

/* Sums over the tracks of a block. */
static void sum_tracks(const curvature_input *input, int tracks, int64_t first, int64_t count,
                       double *sum)
{
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (int f = 0; f < input->folds; f++) {
        folds_add(count, 1.0, input->new_states[tracks + f] + first, sum);
    }
}

typedef struct fold_scalars {
    double folds, rho, epsilon;
    double deviation; /* of h_-f over that of h, times rho */
} fold_scalars;

VECTOR_CLONES
static void add_crossed(int64_t count, fold_scalars s, const float *restrict first,
                        const float *restrict curvature, const float *restrict deviation,
                        const double *restrict sum, double *restrict direction,
                        double *restrict bounded)
{
    for (int64_t i = 0; i < count; i++) {
        double others = (sum[i] - (double)curvature[i]) / (s.folds - 1.0);
        double p = curvature_denominator(others, s.rho, s.epsilon);
        double d = s.deviation * (double)deviation[i];
        direction[i] += (double)first[i] * curvature_safe_inverse(p, d) / s.folds;
        bounded[i] += curvature_inverse_bounded(p, d) ? 1.0 : 0.0;
    }
}

static int64_t count_positive(int64_t count, const double *values)
{
    int64_t positive = 0;
    for (int64_t i = 0; i < count; i++) {
        positive += values[i] > 0.0;
    }
    return positive;
}

static fold_scalars scalars_of(const curvature_input *input)
{
    double folds = (double)input->folds;
    return (fold_scalars){folds, input->rho, input->epsilon,
                          input->rho * sqrt(folds / (folds - 1.0))};
}

int64_t curvature_leave_one_out(const curvature_input *input, int64_t first, int64_t count,
                                double *direction)
{
    enum { DEVIATION, TRACKS };
    int folds = input->folds;
    float *const *tracks = input->new_states + TRACKS;
    double sum[STATISTICS_BLOCK], bounded[STATISTICS_BLOCK] = {0};
    follow(input, TRACKS, first, count);
    curvature_follow_deviation(input, DEVIATION, first, count);
    sum_tracks(input, TRACKS + folds, first, count, sum);
    memset(direction, 0, (size_t)count * sizeof *direction);
    for (int f = 0; f < folds; f++) {
        add_crossed(count, scalars_of(input), tracks[f] + first, tracks[folds + f] + first,
                    input->new_states[DEVIATION] + first, sum, direction, bounded);
    }
    return count_positive(count, bounded);
}

VECTOR_CLONES
static void add_left_out(int64_t count, fold_scalars s, const float *restrict first,
                         const float *restrict curvature, const double *restrict first_sum,
                         const double *restrict curvature_sum, double *restrict direction)
{
    double others = 1.0 / (s.folds - 1.0);
    for (int64_t i = 0; i < count; i++) {
        double m = (first_sum[i] - (double)first[i]) * others;
        double h = (curvature_sum[i] - (double)curvature[i]) * others;
        direction[i] += m / curvature_denominator(h, s.rho, s.epsilon);
    }
}

/* From the sum of the estimates that leave one out to the jackknife within its bound. */
VECTOR_CLONES
static int64_t combine(int64_t count, fold_scalars s, const double *restrict first_sum,
                       const double *restrict curvature_sum, double *restrict direction)
{
    int64_t bounded = 0;
    for (int64_t i = 0; i < count; i++) {
        double p = curvature_denominator(curvature_sum[i] / s.folds, s.rho, s.epsilon);
        double plain = first_sum[i] / s.folds / p;
        double change = folds_jackknife(s.folds, plain, direction[i]) - plain;
        double bound = inverse_largest_change * fabs(plain);
        bounded += fabs(change) > bound;
        direction[i] = plain + inverse_bounded(change, bound);
    }
    return bounded;
}

int64_t curvature_jackknife(const curvature_input *input, int64_t first, int64_t count,
                            double *direction)
{
    int folds = input->folds;
    float *const *tracks = input->new_states;
    double first_sum[STATISTICS_BLOCK], curvature_sum[STATISTICS_BLOCK];
    follow(input, 0, first, count);
    sum_tracks(input, 0, first, count, first_sum);
    sum_tracks(input, folds, first, count, curvature_sum);
    memset(direction, 0, (size_t)count * sizeof *direction);
    for (int f = 0; f < folds; f++) {
        add_left_out(count, scalars_of(input), tracks[f] + first, tracks[folds + f] + first,
                     first_sum, curvature_sum, direction);
    }
    return combine(count, scalars_of(input), first_sum, curvature_sum, direction);
}
