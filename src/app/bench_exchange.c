/*
 * `plumb bench exchange`: how long the ranks need from their gradients to the mean, and to new
 * values, against MPI_Allreduce of the same payload.
 */
#include "app/bench_exchange.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const owner_words[] = {"rank0", "sharded", NULL};
static const char *const switch_words[] = {"on", "off", NULL};

#define AT(member) offsetof(bench_exchange_options, member)
static const option entries[] = {
    {.name = "sizes",
     .kind = OPTION_TEXT,
     .offset = AT(sizes),
     .unit = "LIST",
     .initial = "64KiB,1MiB,16MiB,64MiB",
     .help = "Bytes of one rank's gradient, with commas between; KiB and MiB are 1024s."},
    BENCH_INTEGER(bench_exchange_options, "parameters", parameters, "N", "1", 1, 10000,
                  "Equal parameters that share them."),
    {.name = "owners",
     .kind = OPTION_CHOICE,
     .offset = AT(owners),
     .initial = "sharded",
     .choices = owner_words,
     .help = "Who owns the parameters."},
    {.name = "shared-memory",
     .kind = OPTION_CHOICE,
     .offset = AT(shared_memory),
     .initial = "on",
     .choices = switch_words,
     .help = "Whether ranks of a node read each other's memory."},
    BENCH_SECONDS(bench_exchange_options, "40",
                  "How long to measure, about, all sizes together; five rounds at least."),
    BENCH_PROGRESS(bench_exchange_options),
    BENCH_JSON(bench_exchange_options),
};

static const option_table table = {
    .options = entries,
    .count = sizeof entries / sizeof entries[0],
    .usage = "mpirun -np P plumb bench exchange [options]",
    .about =
        "Measures the way from every rank's gradient to the mean on all ranks, one micro-batch a\n"
        "rank, against MPI_Allreduce of the same floats in place and nothing else, in turns; and\n"
        "to new values, as a step by SGD of the library's and one of MPI's own collectives. The\n"
        "library's time is plumb_begin_step plus all from the first plumb_accumulate to the end\n"
        "of plumb_end_step; writing the gradients is not counted. Times are the slowest rank's,\n"
        "ratios medians over rounds with quartiles. Goals are for 2 ranks, on one node or two;\n"
        "exit code 1 if one was missed.",
};

/* Sizes in bytes of a text such as "64KiB,1MiB"; how many, or 0 with a failure. */
static int parse_sizes(const char *text, int64_t *sizes, failure *f)
{
    int count = 0;
    const char *at = text;
    while (f->code == EXIT_OK && (count == 0 || *at == ',')) {
        char *end;
        at += count > 0;
        long long number = strtoll(at, &end, 10);
        int64_t factor = 1;
        if (strncmp(end, "KiB", 3) == 0 || strncmp(end, "MiB", 3) == 0) {
            factor = *end == 'K' ? 1024 : 1048576;
            end += 3;
        }
        bool whole = end != at && (*end == ',' || *end == '\0');
        bool outside = number < 1 || number > INT64_C(8000000000) / factor;
        if (!whole || outside || number * factor < 4 || number * factor / 4 > INT32_MAX ||
            count == BENCH_EXCHANGE_MOST_SIZES) {
            failure_set(f, EXIT_USAGE,
                        "--sizes '%s': expected up to %d sizes from 4 to 8000000000 bytes such as "
                        "64KiB,1MiB",
                        text, BENCH_EXCHANGE_MOST_SIZES);
            return 0;
        }
        sizes[count++] = number * factor;
        at = end;
    }
    return count;
}

/* Two ranks of one node. */
static void set_node_goals(const bench_exchange_result *result, bench_goals *goals)
{
    static const struct {
        int64_t bytes;
        bench_exchange_way way;
        double bound;
    } known[] = {{64 << 20, EXCHANGE_BUFFER, 0.6},
                 {64 << 20, EXCHANGE_ACCUMULATE, 0.8},
                 {16 << 20, EXCHANGE_BUFFER, 1.1},
                 {1 << 20, EXCHANGE_BUFFER, 1.1},
                 {64 << 10, EXCHANGE_BUFFER, 1.3}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].bytes == result->bytes) {
            char name[96];
            snprintf(name, sizeof name, "%" PRId64 " KiB, %s: time over MPI_Allreduce",
                     result->bytes / 1024, bench_exchange_way_names[known[i].way]);
            bench_goals_most(goals, name, result->ratio[known[i].way], known[i].bound);
        }
    }
}

/* Two nodes with one rank each, from 16 MiB on. */
static void set_network_goals(const bench_exchange_result *result, bench_goals *goals)
{
    char name[96];
    if (result->bytes < 16 << 20) {
        return;
    }
    snprintf(name, sizeof name, "%" PRId64 " KiB, two nodes: time over MPI_Allreduce",
             result->bytes / 1024);
    bench_goals_most(goals, name, result->ratio[EXCHANGE_BUFFER], 1.05);
    snprintf(name, sizeof name, "%" PRId64 " KiB, two nodes: bytes over a ring's",
             result->bytes / 1024);
    bench_goals_most(goals, name,
                     bench_number(result->sent[EXCHANGE_BUFFER] / result->sent[EXCHANGE_MPI]),
                     1.02);
}

static void print_table(const ranks *r, const bench_exchange_result *results, int count,
                        const bench_goals *goals)
{
    printf("%d ranks; bytes: of all ranks over those of a ring, 2 (P - 1) payloads\n", r->count);
    printf("%10s  %-18s %10s %8s %16s %8s %8s %7s\n", "KiB", "way", "ms", "ratio", "quartiles",
           "GB/s", "bytes", "rounds");
    for (int i = 0; i < count; i++) {
        const bench_exchange_result *one = &results[i];
        for (int way = 0; way < EXCHANGE_WAYS; way++) {
            printf("%10.0f  %-18s %10.4f %8.3f %7.3f to %5.3f %8.2f %8.3f %7" PRId64 "\n",
                   (double)one->bytes / 1024.0, bench_exchange_way_names[way],
                   1e3 * one->seconds[way].median, one->ratio[way].median, one->ratio[way].lower,
                   one->ratio[way].upper, 1e-9 * (double)one->bytes / one->seconds[way].median,
                   one->sent[way] / one->sent[EXCHANGE_MPI], one->rounds);
        }
    }
    bench_goals_print(goals);
}

static json_t *result_json(const bench_exchange_result *result)
{
    json_t *ways = json_array();
    for (int way = 0; way < EXCHANGE_WAYS; way++) {
        json_t *one = json_pack("{s:s}", "way", bench_exchange_way_names[way]);
        bench_quartiles_json(one, "seconds", result->seconds[way]);
        bench_quartiles_json(one, "ratio", result->ratio[way]);
        json_object_set_new(one, "update_seconds", bench_number_json(result->update[way]));
        json_object_set_new(one, "exchange_bytes", json_real(result->sent[way]));
        json_object_set_new(one, "exchange_bytes_over_ring",
                            bench_number_json(result->sent[way] / result->sent[EXCHANGE_MPI]));
        json_array_append_new(ways, one);
    }
    return json_pack("{s:I, s:I, s:o}", "bytes", (json_int_t)result->bytes, "rounds",
                     (json_int_t)result->rounds, "ways", ways);
}

static void print_json(const ranks *r, const bench_exchange_options *o, bool one_node,
                       const bench_exchange_result *results, int count, const bench_goals *goals)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(array, result_json(&results[i]));
    }
    bench_print_json(json_pack("{s:s, s:i, s:b, s:s, s:b, s:I, s:o, s:o}", "bench", "exchange",
                               "ranks", r->count, "one_node", one_node, "owners",
                               owner_words[o->owners], "shared_memory", o->shared_memory == 0,
                               "parameters", (json_int_t)o->parameters, "sizes", array, "goals",
                               bench_goals_json(goals)));
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_exchange_options *o = options;
    static bench_exchange_result results[BENCH_EXCHANGE_MOST_SIZES];
    int64_t sizes[BENCH_EXCHANGE_MOST_SIZES];
    bench_goals goals = {.count = 0};
    int count = parse_sizes(o->sizes, sizes, f);
    if (r->count < 2) {
        failure_set(f, EXIT_USAGE,
                    "an exchange needs two ranks: mpirun -np 2 plumb bench exchange");
        return;
    }
    bool one_node = bench_one_node(r);
    bool judged = r->count == 2 && o->owners == PLUMB_OWNERS_SHARDED && o->shared_memory == 0 &&
                  o->parameters == 1;
    double start = MPI_Wtime();
    progress line;
    progress_start(&line, (progress_mode)o->progress, r->rank == 0, count, "size");
    for (int i = 0; i < count && f->code == EXIT_OK; i++) {
        bench_exchange_measure(r, o, sizes[i], o->seconds / count, &results[i], f);
        if (judged && f->code == EXIT_OK) {
            (one_node ? set_node_goals : set_network_goals)(&results[i], &goals);
        }
        double seconds = MPI_Wtime() - start;
        progress_show(&line, i + 1, NAN, (i + 1) / seconds, seconds, seconds);
    }
    progress_clear(&line);
    if (f->code != EXIT_OK) {
        return;
    }
    if (r->rank == 0 && o->json) {
        print_json(r, o, one_node, results, count, &goals);
    } else if (r->rank == 0) {
        print_table(r, results, count, &goals);
    }
    bench_goals_judge(r, &goals, f);
}

static int check(const void *options, failure *f)
{
    const bench_exchange_options *o = options;
    int64_t sizes[BENCH_EXCHANGE_MOST_SIZES];
    int count = parse_sizes(o->sizes, sizes, f);
    for (int i = 0; i < count; i++) {
        if (sizes[i] / 4 < o->parameters) {
            failure_set(f, EXIT_USAGE,
                        "--sizes: %" PRId64 " bytes are less than a float for each "
                        "of %" PRId64 " --parameters",
                        sizes[i], o->parameters);
        }
    }
    return f->code;
}

int bench_exchange_command(int argc, char **argv, char **all_arguments)
{
    bench_exchange_options options;
    const command_task task = {"bench exchange", &table, &options, check, measure};
    return command_run(&task, argc, argv, all_arguments);
}
