/*
 * Speed of the GPT workload against the matrix product it stands on: model flops per second of
 * forward and backward passes over flops per second of square products, in one process and in
 * turns, so that a busy machine slows both.
 */
#ifndef WORKLOAD_GPT_BENCHMARK_H
#define WORKLOAD_GPT_BENCHMARK_H

#include "workload/workload.h"

typedef struct gpt_benchmark_result {
    double model_rate;   /* model flops per second (flops_per_token), median over rounds */
    double product_rate; /* of the faster of two square sizes (512, 1024), median over rounds */
    double ratio;        /* median over rounds of model_rate / product_rate */
    double tokens_per_second; /* median over rounds */
    int64_t rounds;
} gpt_benchmark_result;

/*
 * Measures for about `seconds`, at least three rounds, on random bytes; options->data is not used.
 * Returns 0, or 1 with a line in `message`.
 */
int gpt_benchmark(const workload_options *options, double seconds, gpt_benchmark_result *result,
                  char *message, size_t message_size);

#endif
