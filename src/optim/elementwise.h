/*
 * What the optimizers' element-wise loops share: the moving average in the form torch.lerp uses,
 * and the cost of passing over memory once.
 */
#ifndef PLUMB_OPTIM_ELEMENTWISE_H
#define PLUMB_OPTIM_ELEMENTWISE_H

#include <stdint.h>

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

#endif
