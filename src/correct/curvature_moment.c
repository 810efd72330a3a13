/*
 * The moment correction of curvature: no folds, one track. From the moving averages m and h and the
 * variance V of h, followed with the squares of h's weights,
 *
 *     u = m p / (p^2 + rho^2 V),   p = max(rho h, epsilon),
 *
 * with the bound of curvature_inverse.h. Coupling is left alone: the labels that curvature is drawn
 * from are independent of those that the gradient has.
 */
#include "base/vector.h"
#include "correct/curvature_correction.h"
#include "correct/curvature_inverse.h"

enum { FIRST, CURVATURE, DEVIATION };

VECTOR_CLONES
static int64_t safe_form(int64_t count, double rho, double epsilon, const float *restrict first,
                         const float *restrict curvature, const float *restrict deviation,
                         double *restrict direction)
{
    int64_t bounded = 0;
    for (int64_t i = 0; i < count; i++) {
        double p = curvature_denominator((double)curvature[i], rho, epsilon);
        double s = rho * (double)deviation[i];
        direction[i] = (double)first[i] * curvature_safe_inverse(p, s);
        bounded += curvature_inverse_bounded(p, s);
    }
    return bounded;
}

int64_t curvature_moment(const curvature_input *input, int64_t first, int64_t count,
                         double *direction)
{
    const float *const *old = input->states;
    float *const *updated = input->new_states;
    average_floats(count, average_of(input->beta1, 1), input->mean + first, old[FIRST] + first,
                   updated[FIRST] + first);
    if (input->curvature == NULL) {
        curvature_follow(input, CURVATURE, (average){0}, NULL, first, count);
    } else {
        average_floats(count, average_of(input->beta2, 1), input->curvature + first,
                       old[CURVATURE] + first, updated[CURVATURE] + first);
    }
    curvature_follow_deviation(input, DEVIATION, first, count);
    return safe_form(count, input->rho, input->epsilon, updated[FIRST] + first,
                     updated[CURVATURE] + first, updated[DEVIATION] + first, direction);
}
