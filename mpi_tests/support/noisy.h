/*
 * Gradients of known mean and covariance, as counter-based normal numbers: what the tests of noise
 * and spectra draw from.
 */
#ifndef SUPPORT_NOISY_H
#define SUPPORT_NOISY_H

#include <math.h>
#include <stdint.h>

static inline uint64_t noisy_bits(uint64_t key, uint64_t i)
{
    uint64_t z = (key + 1) * UINT64_C(0xD1342543DE82EF95) + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Uniform in (0, 1). */
static inline double noisy_uniform(uint64_t key, uint64_t i)
{
    return ((double)(noisy_bits(key, i) >> 11) + 0.5) * 0x1p-53;
}

/* Number i of the standard normal sequence `key`. */
static inline double noisy_normal(uint64_t key, uint64_t i)
{
    double radius = sqrt(-2.0 * log(noisy_uniform(key, 2 * i)));
    return radius * cos(6.283185307179586 * noisy_uniform(key, 2 * i + 1));
}

/* Mean and standard error of values that arrive one by one. */
typedef struct noisy_mean {
    double count, sum, squares;
} noisy_mean;

static inline void noisy_add(noisy_mean *m, double value)
{
    m->count += 1.0;
    m->sum += value;
    m->squares += value * value;
}

static inline double noisy_average(const noisy_mean *m)
{
    return m->sum / m->count;
}

static inline double noisy_variance(const noisy_mean *m)
{
    double mean = m->sum / m->count;
    return (m->squares - m->count * mean * mean) / (m->count - 1.0);
}

static inline double noisy_error(const noisy_mean *m)
{
    return sqrt(noisy_variance(m) / m->count);
}

#endif
