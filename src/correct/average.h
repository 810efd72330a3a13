/*
 * Moving averages of samples, kept as 32-bit floats between steps and formed in double: plain ones
 * for the moments, and, for their variances and covariances, sums of squared or multiplied weights,
 * which are kept as signed roots. A variance of squared gradients scales as the fourth power of the
 * gradient and leaves the range of floats at 1e-10 already; its root has the second moment's range.
 */
#ifndef PLUMB_CORRECT_AVERAGE_H
#define PLUMB_CORRECT_AVERAGE_H

#include <math.h>
#include <stdint.h>

/* average = keep average + add sample; times `unbiased` it has weights that sum to 1. */
typedef struct average {
    double keep, add, unbiased;
} average;

/* The moving average with the fraction `beta` kept, in its update number `update` (1, 2, ...). */
static inline average average_of(double beta, int64_t update)
{
    return (average){beta, 1.0 - beta, 1.0 / (1.0 - pow(beta, (double)update))};
}

/*
 * What the covariance of two moving averages obeys when that of their samples is put in at every
 * step, samples of different steps being independent: sum (1-a)(1-b) (a b)^j c_(t-j).
 */
static inline average average_product(average a, average b)
{
    return (average){a.keep * b.keep, a.add * b.add, a.unbiased * b.unbiased};
}

static inline double average_step(average a, double old, double sample)
{
    return a.keep * old + a.add * sample;
}

static inline float average_root(double value)
{
    return (float)copysign(sqrt(fabs(value)), value);
}

static inline double average_from_root(float root)
{
    return (double)root * fabs((double)root);
}

/* One step of `count` averages; the third keeps signed roots. */
void average_floats(int64_t count, average a, const float *samples, const float *old,
                    float *updated);
void average_doubles(int64_t count, average a, const double *samples, const float *old,
                     float *updated);
void average_roots(int64_t count, average a, const double *samples, const float *old,
                   float *updated);

#endif
