/*
 * Speed of the GPT workload (see gpt_benchmark.h).
 */
#include "workload/gpt_benchmark.h"

#include "workload/quartiles.h"
#include "workload/random_text.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ROUNDS = 1000, LEAST_ROUNDS = 3 };

typedef struct benchmark {
    workload *model;
    float *gradient;               /* as large as the largest parameter */
    float *left, *right, *product; /* largest square each */
    double model_rates[MOST_ROUNDS], product_rates[MOST_ROUNDS], ratios[MOST_ROUNDS];
} benchmark;

enum { SQUARE_SIZES = 2, LARGEST_SQUARE = 1024 };
static const int square_sizes[SQUARE_SIZES] = {512, LARGEST_SQUARE};

static int destination(void *context, int parameter, float **gradient)
{
    (void)parameter;
    *gradient = ((benchmark *)context)->gradient;
    return 0;
}

static int complete(void *context, int parameter)
{
    (void)context;
    (void)parameter;
    return 0;
}

static int64_t largest_parameter(const workload *w)
{
    int64_t largest = 0;
    for (int i = 0; i < w->parameter_count; i++) {
        int64_t size = w->parameters[i].rows * w->parameters[i].cols;
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* Seconds of one micro-batch. */
static double time_model(benchmark *b, int64_t step)
{
    workload_sink sink = {.context = b, .destination = destination, .complete = complete};
    workload_result result;
    double start = quartiles_clock();
    b->model->kind->micro_batch(b->model, step, 0, &sink, &result);
    return quartiles_clock() - start;
}

/* Flops per second of n x n products, repeated for `seconds`. */
static double product_rate(const benchmark *b, int n, double seconds)
{
    double start = quartiles_clock();
    double elapsed;
    double flops = 0.0;
    do {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, b->left, n, b->right,
                    n, 0.0f, b->product, n);
        flops += 2.0 * n * n * n;
        elapsed = quartiles_clock() - start;
    } while (elapsed < seconds);
    return flops / elapsed;
}

static void measure_round(benchmark *b, int64_t round)
{
    double seconds = time_model(b, round);
    const workload_options *options = &b->model->options;
    double tokens = (double)(options->micro_batch_size * options->context);
    double fastest = 0.0;
    for (int i = 0; i < SQUARE_SIZES; i++) {
        double rate = product_rate(b, square_sizes[i], seconds / SQUARE_SIZES);
        fastest = rate > fastest ? rate : fastest;
    }
    b->model_rates[round] = b->model->flops_per_token * tokens / seconds;
    b->product_rates[round] = fastest;
    b->ratios[round] = b->model_rates[round] / fastest;
}

static void run(benchmark *b, double seconds, gpt_benchmark_result *result)
{
    time_model(b, 0); /* touches all memory once */
    double start = quartiles_clock();
    int64_t rounds = 0;
    while (rounds < LEAST_ROUNDS || (quartiles_clock() - start < seconds && rounds < MOST_ROUNDS)) {
        measure_round(b, rounds++);
    }
    result->model_rate = quartiles_of(b->model_rates, rounds).median;
    result->product_rate = quartiles_of(b->product_rates, rounds).median;
    result->ratio = quartiles_of(b->ratios, rounds).median;
    result->tokens_per_second = result->model_rate / b->model->flops_per_token;
    result->rounds = rounds;
}

static int allocate(benchmark *b)
{
    size_t square = (size_t)LARGEST_SQUARE * LARGEST_SQUARE;
    b->gradient = malloc((size_t)largest_parameter(b->model) * sizeof *b->gradient);
    b->left = calloc(3 * square, sizeof *b->left);
    if (b->gradient == NULL || b->left == NULL) {
        return 1;
    }
    b->right = b->left + square;
    b->product = b->right + square;
    for (size_t i = 0; i < 2 * square; i++) {
        b->left[i] = (float)(i % 17) - 8.0f;
    }
    return 0;
}

int gpt_benchmark(const workload_options *options, double seconds, gpt_benchmark_result *result,
                  char *message, size_t message_size)
{
    benchmark *b = calloc(1, sizeof *b);
    if (b == NULL) {
        snprintf(message, message_size, "not enough memory for the benchmark");
        return 1;
    }
    int failed = workload_create_random_gpt(options, &b->model, message, message_size) != 0;
    if (!failed) {
        failed = allocate(b);
        if (failed) {
            snprintf(message, message_size, "not enough memory for the benchmark");
        } else {
            run(b, seconds, result);
        }
        workload_destroy(&b->model);
    }
    free(b->gradient);
    free(b->left);
    free(b);
    return failed;
}
