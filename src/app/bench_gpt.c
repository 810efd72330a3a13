/*
 * `plumb bench gpt`: how fast the gpt workload is against the matrix products it stands on, in one
 * process and in turns. Absolute times mean little on a shared machine; the ratio is the result.
 */
#include "app/bench.h"
#include "workload/gpt_benchmark.h"

#include <inttypes.h>

typedef struct bench_gpt_options {
    int64_t layers, width, heads, context, micro_batch_size;
    double seconds;
    bool json;
} bench_gpt_options;

/* Least ratio to the products' rate, for the default model. */
static const double ratio_goal = 0.7;

static const option entries[] = {
    BENCH_MODEL(bench_gpt_options, "256", "256"),
    BENCH_SECONDS(bench_gpt_options, "10", "How long to measure, about; three rounds at least."),
    BENCH_JSON(bench_gpt_options),
};

static const option_table table = {
    .options = entries,
    .count = sizeof entries / sizeof entries[0],
    .usage = "plumb bench [gpt] [options]",
    .about =
        "Measures the gpt workload: model flops of forward and backward passes,\n"
        "6(12 L D^2 + V D) + 12 L T D a token, over the flops of square single-precision\n"
        "products by the same BLAS kernel, in turns, on one core. There is a goal for the\n"
        "model of the defaults; exit code 1 if it was missed.\n"
        "Other benches: plumb bench step, scaling, exchange, polar, root, diagnostics; each has "
        "--help.",
};

/* The default model, whatever the micro-batch. */
static bool has_goal(const bench_gpt_options *o)
{
    return o->layers == 4 && o->width == 256 && o->heads == 4 && o->context == 256;
}

static void print_table(const bench_gpt_options *o, const gpt_benchmark_result *result,
                        const plumb_environment *environment, const bench_goals *goals)
{
    printf("model           %" PRId64 " layers, width %" PRId64 ", %" PRId64
           " heads, context %" PRId64 ", micro-batches of %" PRId64 "\n",
           o->layers, o->width, o->heads, o->context, o->micro_batch_size);
    printf("BLAS kernel     %s, %d thread\n", environment->blas_kernel, environment->blas_threads);
    printf("model           %.1f Gflop/s, %.0f tokens/s\n", result->model_rate * 1e-9,
           result->tokens_per_second);
    printf("product         %.1f Gflop/s\n", result->product_rate * 1e-9);
    printf("ratio           %.3f, median of %" PRId64 " rounds\n", result->ratio, result->rounds);
    bench_goals_print(goals);
}

static void print_json(const bench_gpt_options *o, const gpt_benchmark_result *result,
                       const plumb_environment *environment, const bench_goals *goals)
{
    bench_print_json(
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:I, s:o}", "bench",
                  "gpt", "layers", (json_int_t)o->layers, "width", (json_int_t)o->width, "heads",
                  (json_int_t)o->heads, "context", (json_int_t)o->context, "micro_batch_size",
                  (json_int_t)o->micro_batch_size, "blas_kernel", environment->blas_kernel,
                  "model_flops_per_second", result->model_rate, "product_flops_per_second",
                  result->product_rate, "ratio", result->ratio, "tokens_per_second",
                  result->tokens_per_second, "rounds", (json_int_t)result->rounds, "goals",
                  bench_goals_json(goals)));
}

/* Every rank measures, so that under mpirun memory is shared as in a run; rank 0 prints. */
static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_gpt_options *o = options;
    bench_goals goals = {.count = 0};
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
    if (ranks_agree(r, f) != EXIT_OK) {
        return;
    }
    if (has_goal(o)) {
        bench_goals_least(&goals, "model flops over those of products", bench_number(result.ratio),
                          ratio_goal);
    }
    if (r->rank == 0) {
        (o->json ? print_json : print_table)(o, &result, &environment, &goals);
    }
    bench_goals_judge(r, &goals, f);
}

int bench_gpt_command(int argc, char **argv, char **all_arguments)
{
    bench_gpt_options options;
    const command_task task = {"bench gpt", &table, &options, NULL, measure};
    return command_run(&task, argc, argv, all_arguments);
}
