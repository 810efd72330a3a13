/*
 * `plumb bench step`: what corrections cost in whole training steps of the gpt workload, as ratios
 * to the plain optimizer, which runs in turns with the corrected one.
 */
#include "app/bench_step.h"
#include "app/update_options.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Largest ratio of times, of bytes where there are no more groups than ranks, and of the plain
 * optimizer's bytes to those of a ring all-reduce, 2 n (1 - 1/P) floats a rank. */
static const double time_goal = 1.10, bytes_goal = 1.01, plain_bytes_goal = 1.02;

static const char *const only_words[] = {"all",     "goals", "adamw", "sophia",
                                         "shampoo", "soap",  "muon",  NULL};
enum { ONLY_ALL, ONLY_GOALS };

#define AT(member) offsetof(bench_step_options, member)
static const option entries[] = {
    BENCH_DATA(bench_step_options),
    BENCH_MODEL(bench_step_options, "128", "128"),
    BENCH_INTEGER(bench_step_options, "micro-batches", micro_batches, "K", "8", 1, 65536,
                  "Micro-batches of a step, over all ranks."),
    BENCH_INTEGER(bench_step_options, "groups", groups, "G", "8", 1, 65536,
                  "Groups, but in the row that says 4; must divide K."),
    BENCH_INTEGER(bench_step_options, "pairs", pairs, "N", "20", 1, 1000000,
                  "Pairs of a plain and a corrected step in every row, at least; whole intervals "
                  "between curvatures or roots."),
    {.name = "only",
     .kind = OPTION_CHOICE,
     .offset = AT(only),
     .initial = "all",
     .choices = only_words,
     .help = "Rows to measure: those with a goal, or an optimizer's."},
    BENCH_PROGRESS(bench_step_options),
    BENCH_JSON(bench_step_options),
};

enum { ENTRY_COUNT = sizeof entries / sizeof entries[0], MOST_ROWS = 32 };

static const option_table table = {
    .options = entries,
    .count = ENTRY_COUNT,
    .usage = "[mpirun -np P] plumb bench step [options]",
    .about =
        "Measures what corrections cost: whole training steps of the gpt workload, gradients,\n"
        "curvature, exchange and update, in turns with those of the plain optimizer. Ratios\n"
        "of times are medians over pairs of steps, or over whole intervals between\n"
        "curvatures or roots, with their quartiles.",
};

typedef struct bench_step_rows {
    const bench_step_case *cases[MOST_ROWS];
    bench_step_result results[MOST_ROWS];
    int count;
    int ranks;
    int64_t elements;
} bench_step_rows;

static double bytes_ratio(const bench_step_result *result)
{
    return result->plain_bytes > 0.0 ? result->corrected_bytes / result->plain_bytes : NAN;
}

/*
 * Of a plain optimizer's bytes to 2 n (1 - 1/P) floats a rank; NaN on one rank. Sophia's are no
 * measure of it: curvature travels with them.
 */
static double plain_bytes_ratio(const bench_step_rows *rows)
{
    double least = 8.0 * (double)rows->elements * (double)(rows->ranks - 1);
    for (int i = 0; i < rows->count && least > 0.0; i++) {
        if (rows->cases[i]->optimizer != PLUMB_OPTIMIZER_SOPHIA) {
            return rows->results[i].plain_bytes / least;
        }
    }
    return NAN;
}

static const char *verdict(double value, double goal)
{
    return value <= goal ? "met" : "missed";
}

static bool bytes_have_goal(const bench_step_rows *rows, int row)
{
    const bench_step_result *result = &rows->results[row];
    return result->groups <= rows->ranks && rows->ranks > 1 &&
           rows->cases[row]->optimizer == PLUMB_OPTIMIZER_ADAMW;
}

static void print_row(const bench_step_rows *rows, int row)
{
    const bench_step_case *c = rows->cases[row];
    const bench_step_result *result = &rows->results[row];
    printf("%-8s %-17s %3d %9.4f %9.4f %7.3f  %.3f to %.3f ", update_optimizer_name(c->optimizer),
           update_correction_name(c->correction), result->groups, result->plain_seconds,
           result->corrected_seconds, result->ratio, result->lower, result->upper);
    if (isnan(bytes_ratio(result))) {
        printf("%7s ", "-");
    } else {
        printf("%7.3f ", bytes_ratio(result));
    }
    if (c->goal) {
        printf(" time at most %.2f: %s", time_goal, verdict(result->ratio, time_goal));
    }
    if (bytes_have_goal(rows, row)) {
        printf(" bytes at most %.2f: %s", bytes_goal, verdict(bytes_ratio(result), bytes_goal));
    }
    putchar('\n');
}

static void print_table(const bench_step_options *o, const bench_step_rows *rows)
{
    printf("model     %" PRId64 " layers, width %" PRId64 ", %" PRId64 " heads, context %" PRId64
           ": %" PRId64 " parameters\n",
           o->layers, o->width, o->heads, o->context, rows->elements);
    printf("step      %" PRId64 " micro-batches of %" PRId64 " sequences on %d rank%s\n",
           o->micro_batches, o->micro_batch_size, rows->ranks, rows->ranks == 1 ? "" : "s");
    printf("%-8s %-17s %3s %9s %9s %7s  %-14s %7s\n", "", "correction", "G", "plain s", "with s",
           "ratio", "quartiles", "bytes");
    for (int i = 0; i < rows->count; i++) {
        print_row(rows, i);
    }
    double plain = plain_bytes_ratio(rows);
    if (!isnan(plain)) {
        printf("plain bytes over 2n(1-1/P) floats a rank: %.4f, at most %.2f: %s\n", plain,
               plain_bytes_goal, verdict(plain, plain_bytes_goal));
    }
}

static json_t *row_to_json(const bench_step_rows *rows, int row)
{
    const bench_step_case *c = rows->cases[row];
    const bench_step_result *r = &rows->results[row];
    json_t *object =
        json_pack("{s:s, s:s, s:i, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "optimizer",
                  update_optimizer_name(c->optimizer), "correction",
                  update_correction_name(c->correction), "groups", r->groups, "steps_of_a_window",
                  bench_step_interval(c), "windows", (json_int_t)r->windows, "plain_seconds",
                  r->plain_seconds, "corrected_seconds", r->corrected_seconds, "ratio", r->ratio,
                  "ratio_lower_quartile", r->lower, "ratio_upper_quartile", r->upper,
                  "plain_exchange_bytes", r->plain_bytes, "corrected_exchange_bytes",
                  r->corrected_bytes, "exchange_bytes_ratio", bench_number_json(bytes_ratio(r)));
    if (c->goal) {
        json_object_set_new(object, "ratio_goal", json_real(time_goal));
        json_object_set_new(object, "ratio_verdict", json_string(verdict(r->ratio, time_goal)));
    }
    if (bytes_have_goal(rows, row)) {
        json_object_set_new(object, "exchange_bytes_goal", json_real(bytes_goal));
        json_object_set_new(object, "exchange_bytes_verdict",
                            json_string(verdict(bytes_ratio(r), bytes_goal)));
    }
    return object;
}

static void print_json(const bench_step_options *o, const bench_step_rows *rows)
{
    json_t *array = json_array();
    for (int i = 0; i < rows->count; i++) {
        json_array_append_new(array, row_to_json(rows, i));
    }
    double plain = plain_bytes_ratio(rows);
    bench_print_json(json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:s, s:o}", "bench", "step",
        "ranks", rows->ranks, "layers", (json_int_t)o->layers, "width", (json_int_t)o->width,
        "heads", (json_int_t)o->heads, "context", (json_int_t)o->context, "micro_batches",
        (json_int_t)o->micro_batches, "micro_batch_size", (json_int_t)o->micro_batch_size,
        "parameters", (json_int_t)rows->elements, "plain_exchange_bytes_over_ring",
        bench_number_json(plain), "plain_exchange_bytes_goal", plain_bytes_goal,
        "plain_exchange_bytes_verdict",
        isnan(plain) ? "not measured" : verdict(plain, plain_bytes_goal), "rows", array));
}

static bool wanted(const bench_step_options *o, const bench_step_case *c)
{
    return o->only == ONLY_ALL || (o->only == ONLY_GOALS && c->goal) ||
           strcmp(only_words[o->only], update_optimizer_name(c->optimizer)) == 0;
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_step_options *o = options;
    bench_step_pair *pair = NULL;
    bench_step_rows rows = {.ranks = r->count};
    if (o->micro_batches < r->count) {
        failure_set(f, EXIT_USAGE,
                    "--micro-batches %" PRId64 " is less than the %d ranks: every rank needs "
                    "at least one",
                    o->micro_batches, r->count);
        return;
    }
    int64_t pairs = 0;
    for (int i = 0; i < bench_step_case_count; i++) {
        pairs += wanted(o, &bench_step_cases[i]) ? bench_step_pairs(o, &bench_step_cases[i]) : 0;
    }
    if (bench_step_pair_create(r, o, &pair, f) == EXIT_OK) {
        bench_step_start(pair, pairs);
    }
    for (int i = 0; i < bench_step_case_count; i++) {
        const bench_step_case *c = &bench_step_cases[i];
        if (f->code == EXIT_OK && wanted(o, c)) {
            rows.cases[rows.count] = c;
            bench_step_measure(pair, c, &rows.results[rows.count++], f);
        }
    }
    if (f->code == EXIT_OK && r->rank == 0) {
        rows.elements = bench_step_elements(pair);
        (o->json ? print_json : print_table)(o, &rows);
    }
    bench_step_pair_destroy(&pair);
}

static int check(const void *options, failure *f)
{
    const bench_step_options *o = options;
    if (o->micro_batches % o->groups != 0 || o->micro_batches % 4 != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--groups %" PRId64 " and 4 must divide --micro-batches %" PRId64,
                           o->groups, o->micro_batches);
    }
    return f->code;
}

int bench_step_command(int argc, char **argv, char **all_arguments)
{
    bench_step_options options;
    const command_task task = {"bench step", &table, &options, check, measure};
    return command_run(&task, argc, argv, all_arguments);
}
