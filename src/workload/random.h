/*
 * Random numbers as a function: Philox4x32-10 (Salmon et al. 2011, by Random123), keyed by the
 * run's seed and a stream, counted by step, micro-batch and draw. No state, so no order of calls
 * and no rank count can change a number.
 */
#ifndef WORKLOAD_RANDOM_H
#define WORKLOAD_RANDOM_H

#include <stdint.h>

/* What a number is for; different streams never share numbers. */
typedef enum random_stream {
    RANDOM_INITIAL_VALUES = 1,
    RANDOM_BATCH = 2,
    RANDOM_GENERATION = 3,
    RANDOM_LABELS = 4, /* labels drawn from the model */
    RANDOM_PROBE = 5,  /* signs of Hutchinson's probes */
    RANDOM_NOISE = 6   /* noise in the training text */
} random_stream;

/* 64 random bits for draw `draw` of (step, micro_batch). */
uint64_t random_bits(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                     uint64_t draw);

/* Uniform integer in [0, bound), bound >= 1, without bias worth speaking of (64-bit multiply). */
uint64_t random_below(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                      uint64_t draw, uint64_t bound);

/* Uniform in (0, 1). */
double random_uniform(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                      uint64_t draw);

/* Standard normal (Box-Muller). */
double random_normal(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                     uint64_t draw);

#endif
