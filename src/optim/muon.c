/*
 * Muon (K. Jordan et al. 2024): the polar factor of the momentum instead of the momentum itself,
 * scaled to the element-wise size of an AdamW update (Liu et al. 2025, arXiv 2502.16982):
 *
 *     m = beta1 m + (1 - beta1) g;   u = m  or, with Nesterov,  beta1 m + (1 - beta1) g;
 *     x = (1 - rate decay) x - rate 0.2 sqrt(max(rows, cols)) Ortho(u).
 *
 * Under orthogonalise-then-average the groups' polar factors were taken before the average, and
 * u itself takes Ortho(u)'s place.
 */
#include <math.h>

#include "base/error.h"
#include "base/vector.h"
#include "linalg/polar.h"
#include "optim/elementwise.h"
#include "optim/optimizer.h"
#include "optim/pipeline.h"

/* Root mean square over the elements of the updates AdamW makes in practice (arXiv 2502.16982). */
static const double adamw_update_size = 0.2;

VECTOR_CLONES
static void muon_momentum(int64_t count, elementwise_weight weight, const float *restrict gradient,
                          const float *restrict momentum, float *restrict new_momentum,
                          float *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        new_momentum[i] = elementwise_lerp(momentum[i], gradient[i], weight);
        direction[i] = new_momentum[i];
    }
}

VECTOR_CLONES
static void muon_look_ahead(int64_t count, elementwise_weight weight,
                            const float *restrict gradient, const float *restrict momentum,
                            float *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        direction[i] = elementwise_lerp(momentum[i], gradient[i], weight);
    }
}

VECTOR_CLONES
static void muon_apply(int64_t count, float keep, float step_size, const float *restrict values,
                       const float *restrict direction, float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        new_values[i] = keep * values[i] - step_size * direction[i];
    }
}

static plumb_status muon_update(const optimizer_input *input)
{
    const plumb_parameter_options *options = input->options;
    elementwise_weight weight = elementwise_weight_of_new(options->beta1);
    muon_momentum(input->count, weight, input->gradient, input->states[0], input->new_states[0],
                  input->scratch);
    if (options->nesterov) {
        muon_look_ahead(input->count, weight, input->gradient, input->new_states[0],
                        input->scratch);
    }
    if (pipeline_orthogonalises_last(options->pipeline)) {
        PROPAGATE(
            pipeline_polar(options, input->rows, input->cols, input->scratch, input->scratch));
    }
    double longest = (double)(input->rows > input->cols ? input->rows : input->cols);
    double step_size = input->learning_rate * adamw_update_size * sqrt(longest);
    double keep = 1.0 - input->learning_rate * options->weight_decay;
    muon_apply(input->count, (float)keep, (float)step_size, input->values, input->scratch,
               input->new_values);
    return PLUMB_OK;
}

static void muon_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.95;
    options->weight_decay = 0.1;
    options->nesterov = 1;
}

static double muon_cost(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                        int64_t count)
{
    double seconds = (double)count * elementwise_seconds;
    if (pipeline_orthogonalises_last(options->pipeline)) {
        seconds += polar_cost(options->polar, options->polar_steps, rows, cols);
    }
    return seconds;
}

const optimizer_kind optimizer_muon = {
    .name = "muon",
    .orthogonalises = true,
    .needs_scratch = true,
    .state_count = elementwise_one_state,
    .state_name = elementwise_momentum,
    .defaults = muon_defaults,
    .update = muon_update,
    .cost = muon_cost,
};
