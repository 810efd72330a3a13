/*
 * `plumb bench`: how fast an engine is against the thing it stands on, in one process and in
 * turns. Absolute times mean little on a shared machine; the ratios are the result.
 */
#include "app/bench_step.h"
#include "app/blas_restart.h"
#include "app/command.h"
#include "app/options.h"
#include "app/ranks.h"
#include "workload/gpt_benchmark.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    int64_t layers, width, heads, context, micro_batch_size;
    double seconds;
    bool json;
} bench_options;

static const option entries[] = {
    {.name = "layers",
     .kind = OPTION_INTEGER,
     .offset = offsetof(bench_options, layers),
     .unit = "N",
     .initial = "4",
     .lowest = 1,
     .highest = 1000,
     .help = "Transformer blocks."},
    {.name = "width",
     .kind = OPTION_INTEGER,
     .offset = offsetof(bench_options, width),
     .unit = "N",
     .initial = "256",
     .lowest = 1,
     .highest = 65536,
     .help = "Of the residual stream."},
    {.name = "heads",
     .kind = OPTION_INTEGER,
     .offset = offsetof(bench_options, heads),
     .unit = "N",
     .initial = "4",
     .lowest = 1,
     .highest = 65536,
     .help = "Attention heads; must divide the width."},
    {.name = "context",
     .kind = OPTION_INTEGER,
     .offset = offsetof(bench_options, context),
     .unit = "TOKENS",
     .initial = "256",
     .lowest = 2,
     .highest = 65536,
     .help = "Length of a sequence."},
    {.name = "micro-batch-size",
     .kind = OPTION_INTEGER,
     .offset = offsetof(bench_options, micro_batch_size),
     .unit = "N",
     .initial = "8",
     .lowest = 1,
     .highest = 65536,
     .help = "Sequences of a micro-batch."},
    {.name = "seconds",
     .kind = OPTION_REAL,
     .offset = offsetof(bench_options, seconds),
     .unit = "S",
     .initial = "10",
     .lowest = 0.1,
     .highest = 3600,
     .help = "How long to measure, about; three rounds at least."},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(bench_options, json),
     .help = "Print JSON in place of the table."},
};

enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

static const option_table table = {
    .options = entries,
    .count = ENTRY_COUNT,
    .usage = "plumb bench [gpt] [options]",
    .about = "Measures the gpt workload: model flops of forward and backward passes,\n"
             "6(12 L D^2 + V D) + 12 L T D a token, over the flops of square single-precision\n"
             "products by the same BLAS kernel, in turns, on one core. What corrections cost:\n"
             "plumb bench step --help.",
};

static void print_table(const bench_options *o, const gpt_benchmark_result *result,
                        const plumb_environment *environment)
{
    printf("model           %" PRId64 " layers, width %" PRId64 ", %" PRId64
           " heads, context %" PRId64 ", micro-batches of %" PRId64 "\n",
           o->layers, o->width, o->heads, o->context, o->micro_batch_size);
    printf("BLAS kernel     %s, %d thread\n", environment->blas_kernel, environment->blas_threads);
    printf("model           %.1f Gflop/s, %.0f tokens/s\n", result->model_rate * 1e-9,
           result->tokens_per_second);
    printf("product         %.1f Gflop/s\n", result->product_rate * 1e-9);
    printf("ratio           %.3f, median of %" PRId64 " rounds\n", result->ratio, result->rounds);
}

static void print_json(const bench_options *o, const gpt_benchmark_result *result,
                       const plumb_environment *environment)
{
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:I}", "bench", "gpt", "layers",
        (json_int_t)o->layers, "width", (json_int_t)o->width, "heads", (json_int_t)o->heads,
        "context", (json_int_t)o->context, "micro_batch_size", (json_int_t)o->micro_batch_size,
        "blas_kernel", environment->blas_kernel, "model_flops_per_second", result->model_rate,
        "product_flops_per_second", result->product_rate, "ratio", result->ratio,
        "tokens_per_second", result->tokens_per_second, "rounds", (json_int_t)result->rounds);
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

/* Every rank measures, so that under mpirun memory is shared as in a run; rank 0 prints. */
static void measure(const ranks *r, const bench_options *o, failure *f)
{
    workload_options model = {.layers = o->layers,
                              .width = o->width,
                              .heads = o->heads,
                              .context = o->context,
                              .micro_batch_size = o->micro_batch_size,
                              .seed = 1};
    gpt_benchmark_result result;
    char message[512];
    plumb_environment environment = {.size = sizeof environment};
    failure_from_library(f, plumb_inspect_environment(&environment), NULL);
    if (gpt_benchmark(&model, o->seconds, &result, message, sizeof message) != 0) {
        failure_set(f, EXIT_USAGE, "%s", message);
    }
    if (ranks_agree(r, f) == EXIT_OK && r->rank == 0) {
        (o->json ? print_json : print_table)(o, &result, &environment);
    }
}

int bench_command(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[2], "step") == 0) {
        return bench_step_command(argc - 3, argv + 3, argv);
    }
    failure f = {0, ""};
    bench_options options;
    bool given[ENTRY_COUNT] = {false};
    bool help = false;
    int skipped = argc > 2 && strcmp(argv[2], "gpt") == 0 ? 1 : 0;
    options_set_defaults(&table, &options);
    options_parse(&table, &options, given, argc - 2 - skipped, argv + 2 + skipped, &help, &f);
    if (f.code == EXIT_OK && help) {
        FILE *stream = command_help_stream();
        if (stream != NULL) {
            options_help(&table, stream);
        }
        return EXIT_OK;
    }
    blas_prepare(1, argv);
    char *text = options_text(&table, "bench gpt", &options);
    ranks r;
    if (ranks_start(&r, text, &f) == EXIT_OK) {
        measure(&r, &options, &f);
    }
    free(text);
    return ranks_finish(&r, &f);
}
