/*
 * What the optimizers' element-wise loops share: the moving average in the form torch.lerp uses,
 * the cost of passing over memory once, and the state of those that keep a momentum and nothing
 * else.
 */
#ifndef PLUMB_OPTIM_ELEMENTWISE_H
#define PLUMB_OPTIM_ELEMENTWISE_H

#include <stdint.h>

#include "plumb.h"

/* Seconds per element of a loop over about seven float arrays: memory traffic, nothing else. */
static const double elementwise_seconds = 1.5e-9;

/* A weight w in [0, 1] and its complement, each rounded to float once. */
typedef struct elementwise_weight {
    float weight, complement;
} elementwise_weight;

/* The weight of new values in a moving average that keeps the fraction `kept` of old ones. */
static inline elementwise_weight elementwise_weight_of_new(double kept)
{
    return (elementwise_weight){(float)(1.0 - kept), (float)kept};
}

/*
 * from + w (to - from), taken from the nearer end, so that w = 1 gives `to` itself: what torch.lerp
 * computes.
 */
static inline float elementwise_lerp(float from, float to, elementwise_weight w)
{
    float difference = to - from;
    return w.weight < 0.5f ? from + w.weight * difference : to - w.complement * difference;
}

/* state_count and state_name of an optimizer_kind with one momentum. */
static inline int elementwise_one_state(const plumb_parameter_options *options, int groups)
{
    (void)options;
    (void)groups;
    return 1;
}

static inline const char *elementwise_momentum(const plumb_parameter_options *options, int groups,
                                               int state, int *group)
{
    (void)options;
    (void)groups;
    (void)state;
    *group = -1;
    return "momentum";
}

#endif
