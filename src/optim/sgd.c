/*
 * Stochastic gradient descent with momentum (Polyak 1964), Nesterov's form as Sutskever et al.
 * 2013 write it for networks, and decoupled weight decay:
 *
 *     v = beta1 v + g;   x = (1 - rate decay) x - rate (v  or, with Nesterov,  g + beta1 v).
 */
#include "base/vector.h"
#include "optim/elementwise.h"
#include "optim/optimizer.h"

typedef struct sgd_scalars {
    float momentum, keep, rate;
} sgd_scalars;

static sgd_scalars sgd_scalars_of(const optimizer_input *input)
{
    const plumb_parameter_options *options = input->options;
    return (sgd_scalars){
        .momentum = (float)options->beta1,
        .keep = (float)(1.0 - input->learning_rate * options->weight_decay),
        .rate = (float)input->learning_rate,
    };
}

VECTOR_CLONES
static void sgd_plain(int64_t count, sgd_scalars s, const float *restrict gradient,
                      const float *restrict values, const float *restrict momentum,
                      float *restrict new_values, float *restrict new_momentum)
{
    for (int64_t i = 0; i < count; i++) {
        float velocity = s.momentum * momentum[i] + gradient[i];
        new_momentum[i] = velocity;
        new_values[i] = s.keep * values[i] - s.rate * velocity;
    }
}

VECTOR_CLONES
static void sgd_nesterov(int64_t count, sgd_scalars s, const float *restrict gradient,
                         const float *restrict values, const float *restrict momentum,
                         float *restrict new_values, float *restrict new_momentum)
{
    for (int64_t i = 0; i < count; i++) {
        float velocity = s.momentum * momentum[i] + gradient[i];
        float ahead = gradient[i] + s.momentum * velocity;
        new_momentum[i] = velocity;
        new_values[i] = s.keep * values[i] - s.rate * ahead;
    }
}

/* Without momentum: v is the gradient. */
VECTOR_CLONES
static void sgd_bare(int64_t count, sgd_scalars s, const float *restrict gradient,
                     const float *restrict values, float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        new_values[i] = s.keep * values[i] - s.rate * gradient[i];
    }
}

static plumb_status sgd_update(const optimizer_input *input)
{
    sgd_scalars scalars = sgd_scalars_of(input);
    if (input->options->beta1 == 0.0) {
        sgd_bare(input->count, scalars, input->gradient, input->values, input->new_values);
    } else if (input->options->nesterov) {
        sgd_nesterov(input->count, scalars, input->gradient, input->values, input->states[0],
                     input->new_values, input->new_states[0]);
    } else {
        sgd_plain(input->count, scalars, input->gradient, input->values, input->states[0],
                  input->new_values, input->new_states[0]);
    }
    return PLUMB_OK;
}

/* The momentum; none to keep if it is forgotten at once. */
static int sgd_states(const plumb_parameter_options *options, int groups)
{
    return options->beta1 == 0.0 ? 0 : elementwise_one_state(options, groups);
}

static void sgd_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.9;
}

static double sgd_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                       int64_t cols, int64_t count)
{
    (void)options;
    (void)groups;
    (void)rows;
    (void)cols;
    return (double)count * elementwise_seconds;
}

const optimizer_kind optimizer_sgd = {
    .name = "sgd",
    .element_wise = true,
    .state_count = sgd_states,
    .state_name = elementwise_momentum,
    .defaults = sgd_defaults,
    .update = sgd_update,
    .cost = sgd_cost,
};
