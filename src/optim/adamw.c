/*
 * AdamW (Kingma and Ba 2015; decoupled decay by Loshchilov and Hutter 2019), in the order of
 * operations of torch.optim.AdamW, so that trajectories can be compared to rounding:
 *
 *     x = (1 - rate decay) x;   m = lerp(m, g, 1 - beta1);   v = beta2 v + (1 - beta2) g^2;
 *     x = x - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
 *
 * With a correction, what follows the rate comes from src/correct, which then also owns the states.
 */
#include <math.h>

#include "base/error.h"
#include "base/vector.h"
#include "correct/correction.h"
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

/* new_values holds the direction on entry. */
VECTOR_CLONES
static void adamw_apply(int64_t count, float keep, float rate, const float *restrict values,
                        float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        new_values[i] = keep * values[i] - rate * new_values[i];
    }
}

static void adamw_corrected(const optimizer_input *input, const correction_kind *kind)
{
    const plumb_parameter_options *options = input->options;
    correction_input correction = correction_input_of(options, input->group_count);
    correction.count = input->count;
    correction.update = input->update;
    correction.gradients = input->groups;
    correction.mean = input->gradient;
    correction.states = input->states;
    correction.new_states = input->new_states;
    correction.direction = input->new_values;
    correction.clipped = &input->counts->clipped;
    kind->direct(&correction);
    input->counts->corrected += input->count;
    adamw_apply(input->count, (float)(1.0 - input->learning_rate * options->weight_decay),
                (float)input->learning_rate, input->values, input->new_values);
}

static plumb_status adamw_update(const optimizer_input *input)
{
    const correction_kind *kind = correction_find(input->options->correction);
    if (kind != NULL) {
        adamw_corrected(input, kind);
        return PLUMB_OK;
    }
    adamw_elements(input->count, adamw_scalars_of(input), input->gradient, input->values,
                   input->states[0], input->states[1], input->new_values, input->new_states[0],
                   input->new_states[1]);
    return PLUMB_OK;
}

static bool adamw_wants_groups(const plumb_parameter_options *options)
{
    return options->correction != PLUMB_CORRECTION_NONE;
}

static int adamw_state_count(const plumb_parameter_options *options, int groups)
{
    bool corrected = options->correction != PLUMB_CORRECTION_NONE;
    return corrected ? correction_states(options, groups) : 2;
}

static const char *adamw_state_name(const plumb_parameter_options *options, int groups, int state,
                                    int *group)
{
    if (options->correction != PLUMB_CORRECTION_NONE) {
        return correction_state_name(options, groups, state, group);
    }
    *group = -1;
    return state == 0 ? "first_moment" : "second_moment";
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
    return correction_validate(options);
}

static plumb_status adamw_validate_groups(const plumb_parameter_options *options, int groups)
{
    bool corrected = options->correction != PLUMB_CORRECTION_NONE;
    return corrected ? correction_check_groups(options, groups) : PLUMB_OK;
}

static double adamw_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                         int64_t cols, int64_t count)
{
    (void)rows;
    (void)cols;
    bool corrected = options->correction != PLUMB_CORRECTION_NONE;
    return (double)count * (corrected ? correction_cost(options, groups) : elementwise_seconds);
}

const optimizer_kind optimizer_adamw = {
    .name = "adamw",
    .element_wise = true,
    .corrections = CORRECTIONS_OF_MOMENTS,
    .state_count = adamw_state_count,
    .state_name = adamw_state_name,
    .wants_groups = adamw_wants_groups,
    .defaults = adamw_defaults,
    .validate = adamw_validate,
    .validate_groups = adamw_validate_groups,
    .update = adamw_update,
    .cost = adamw_cost,
};
