/*
 * AdamW (Kingma and Ba 2015; decoupled decay by Loshchilov and Hutter 2019), in the order of
 * operations of torch.optim.AdamW, so that trajectories can be compared to rounding:
 *
 *     x = (1 - rate decay) x;   m = lerp(m, g, 1 - beta1);   v = beta2 v + (1 - beta2) g^2;
 *     x = x - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
 */
#include <math.h>

#include "base/error.h"
#include "base/vector.h"
#include "optim/elementwise.h"
#include "optim/optimizer.h"

typedef struct adamw_scalars {
    elementwise_weight first;    /* 1 - beta1 and beta1 */
    elementwise_weight second;   /* 1 - beta2 and beta2 */
    float keep;                  /* 1 - rate decay */
    float step_size;             /* rate / (1 - beta1^t) */
    float root_of_second_weight; /* sqrt(1 - beta2^t) */
    float epsilon;
} adamw_scalars;

static adamw_scalars adamw_scalars_of(const optimizer_input *input)
{
    const plumb_parameter_options *options = input->options;
    double updates = (double)input->update;
    return (adamw_scalars){
        .first = elementwise_weight_of_new(options->beta1),
        .second = elementwise_weight_of_new(options->beta2),
        .keep = (float)(1.0 - input->learning_rate * options->weight_decay),
        .step_size = (float)(input->learning_rate / (1.0 - pow(options->beta1, updates))),
        .root_of_second_weight = (float)sqrt(1.0 - pow(options->beta2, updates)),
        .epsilon = (float)options->epsilon,
    };
}

VECTOR_CLONES
static void adamw_elements(int64_t count, adamw_scalars s, const float *restrict gradient,
                           const float *restrict values, const float *restrict first,
                           const float *restrict second, float *restrict new_values,
                           float *restrict new_first, float *restrict new_second)
{
    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i];
        float m = elementwise_lerp(first[i], g, s.first);
        float v = s.second.complement * second[i] + s.second.weight * g * g;
        float denominator = sqrtf(v) / s.root_of_second_weight + s.epsilon;
        new_first[i] = m;
        new_second[i] = v;
        new_values[i] = s.keep * values[i] - s.step_size * (m / denominator);
    }
}

static plumb_status adamw_update(const optimizer_input *input)
{
    adamw_elements(input->count, adamw_scalars_of(input), input->gradient, input->values,
                   input->states[0], input->states[1], input->new_values, input->new_states[0],
                   input->new_states[1]);
    return PLUMB_OK;
}

static void adamw_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.9;
    options->beta2 = 0.95;
    options->epsilon = 1e-8;
    options->weight_decay = 0.1;
}

static plumb_status adamw_validate(const plumb_parameter_options *options, int64_t rows,
                                   int64_t cols)
{
    (void)rows;
    (void)cols;
    REQUIRE(options->nesterov == 0, PLUMB_ERROR_UNSUPPORTED,
            "AdamW has no Nesterov form: nesterov must be 0");
    return PLUMB_OK;
}

static double adamw_cost(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                         int64_t count)
{
    (void)options;
    (void)rows;
    (void)cols;
    return (double)count * elementwise_seconds;
}

const optimizer_kind optimizer_adamw = {
    .name = "adamw",
    .element_wise = true,
    .state_count = 2,
    .state_names = {"first_moment", "second_moment"},
    .defaults = adamw_defaults,
    .validate = adamw_validate,
    .update = adamw_update,
    .cost = adamw_cost,
};
