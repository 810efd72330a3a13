/*
 * Many small polar factors in one call against the same one by one; see polar_benchmark.h.
 */
#include "workload/polar_benchmark.h"

#include "plumb.h"
#include "workload/contest.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct batch_arena {
    int64_t count, side;
    float *matrices, *polars; /* [count][side][side] */
    char *message;
    size_t message_size;
} batch_arena;

static int run_products(void *context)
{
    const batch_arena *a = context;
    int n = (int)a->side;
    for (int64_t i = 0; i < a->count; i++) {
        const float *matrix = a->matrices + i * n * n;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, matrix, n,
                    a->matrices, n, 0.0f, a->polars + i * n * n, n);
    }
    return 0;
}

static int check(const batch_arena *a, plumb_status status)
{
    if (status != PLUMB_OK) {
        snprintf(a->message, a->message_size, "%s", plumb_error_message(NULL));
    }
    return status != PLUMB_OK;
}

static int run_batch(void *context)
{
    const batch_arena *a = context;
    return check(a, plumb_polar_batch(PLUMB_POLAR_FAST, a->count, a->side, a->side, a->matrices,
                                      a->polars, NULL));
}

static int run_singly(const batch_arena *a, plumb_polar_method method)
{
    int64_t elements = a->side * a->side;
    for (int64_t i = 0; i < a->count; i++) {
        if (check(a, plumb_polar(method, a->side, a->side, a->matrices + i * elements,
                                 a->polars + i * elements, NULL)) != 0) {
            return 1;
        }
    }
    return 0;
}

static int run_single(void *context)
{
    return run_singly(context, PLUMB_POLAR_FAST);
}

static int run_newton_schulz(void *context)
{
    return run_singly(context, PLUMB_POLAR_NEWTON_SCHULZ);
}

int polar_batch_benchmark(int64_t count, int64_t side, double seconds, polar_batch_speeds *speeds,
                          char *message, size_t message_size)
{
    size_t elements = (size_t)(count * side * side);
    contest *c = calloc(1, sizeof *c);
    batch_arena arena = {.count = count,
                         .side = side,
                         .matrices = malloc(elements * sizeof(float)),
                         .polars = malloc(elements * sizeof(float)),
                         .message = message,
                         .message_size = message_size};
    int failed = c == NULL || arena.matrices == NULL || arena.polars == NULL;
    if (failed) {
        snprintf(message, message_size, "not enough memory for the benchmark");
    } else {
        polar_benchmark_fill((int64_t)elements, 3, arena.matrices);
        contest_add(c, run_products, &arena);
        int batch = contest_add(c, run_batch, &arena);
        int single = contest_add(c, run_single, &arena);
        int newton_schulz = contest_add(c, run_newton_schulz, &arena);
        failed = contest_run(c, seconds);
        *speeds = (polar_batch_speeds){.product_seconds = contest_seconds(c, 0).median,
                                       .batch = contest_units(c, batch),
                                       .single = contest_units(c, single),
                                       .newton_schulz = contest_units(c, newton_schulz),
                                       .batch_over_single = contest_ratio(c, batch, single)};
    }
    free(arena.matrices);
    free(arena.polars);
    free(c);
    return failed;
}
