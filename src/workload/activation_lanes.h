/*
 * What the element-wise loops share inside: compilation for several vector units, and sums over a
 * fixed number of lanes. Only for activation*.c.
 */
#ifndef WORKLOAD_ACTIVATION_LANES_H
#define WORKLOAD_ACTIVATION_LANES_H

#include <stdint.h>

/* Compiled for several vector units; the loader picks one. Sanitizers need it switched off. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(PLUMB_NO_VECTOR_CLONES)
#define WORKLOAD_CLONES                                                                            \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WORKLOAD_CLONES
#endif

/* Part of a function that is compiled for several vector units. */
#define WORKLOAD_INLINE static inline __attribute__((always_inline))

/* Running sums of a reduction: element i belongs to lane i mod LANES, whatever the vector unit. */
enum { LANES = 16 };

/* The lanes in a fixed order: halves onto halves. */
WORKLOAD_INLINE float lanes_sum(float lanes[LANES])
{
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int lane = 0; lane < width; lane++) {
            lanes[lane] += lanes[lane + width];
        }
    }
    return lanes[0];
}

WORKLOAD_INLINE float row_sum(int64_t count, const float *row)
{
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            lanes[lane] += row[i + lane];
        }
    }
    for (int lane = 0; i < count; i++, lane++) {
        lanes[lane] += row[i];
    }
    return lanes_sum(lanes);
}

#endif
