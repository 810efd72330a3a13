/*
 * The loops of the moving averages.
 */
#include "correct/average.h"

#include "base/vector.h"

VECTOR_CLONES
void average_floats(int64_t count, average a, const float *restrict samples,
                    const float *restrict old, float *restrict updated)
{
    for (int64_t i = 0; i < count; i++) {
        updated[i] = (float)average_step(a, (double)old[i], (double)samples[i]);
    }
}

VECTOR_CLONES
void average_doubles(int64_t count, average a, const double *restrict samples,
                     const float *restrict old, float *restrict updated)
{
    for (int64_t i = 0; i < count; i++) {
        updated[i] = (float)average_step(a, (double)old[i], samples[i]);
    }
}

VECTOR_CLONES
void average_roots(int64_t count, average a, const double *restrict samples,
                   const float *restrict old, float *restrict updated)
{
    for (int64_t i = 0; i < count; i++) {
        updated[i] = average_root(average_step(a, average_from_root(old[i]), samples[i]));
    }
}
