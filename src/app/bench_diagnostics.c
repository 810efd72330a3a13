/*
 * `plumb bench diagnostics`: what plumb_options.diagnostics costs in whole training steps of the
 * gpt workload, as ratios to the step without, which runs in turns with those that have it.
 */
#include "app/bench_diagnostics.h"
#include "app/update_options.h"

#include <inttypes.h>
#include <stdlib.h>

static const double economy_goal = 1.03, full_goal = 1.15;
static const plumb_optimizer optimizers[] = {PLUMB_OPTIMIZER_ADAMW, PLUMB_OPTIMIZER_MUON};

enum { ROW_COUNT = sizeof optimizers / sizeof optimizers[0] };

static const option entries[] = {
    BENCH_DATA(bench_diagnostics_options),
    BENCH_MODEL(bench_diagnostics_options, "128", "128"),
    BENCH_INTEGER(bench_diagnostics_options, "micro-batches", micro_batches, "K", "8", 1, 65536,
                  "Micro-batches of a step, over all ranks."),
    BENCH_INTEGER(bench_diagnostics_options, "groups", groups, "G", "8", 1, 65536,
                  "Groups; must divide K."),
    BENCH_INTEGER(bench_diagnostics_options, "rounds", rounds, "N", "20", 1, 1000000,
                  "Rounds of two steps without diagnostics, with economy's and with full ones."),
    BENCH_INTEGER(bench_diagnostics_options, "every", every, "N", "20", 1, 1000000,
                  "Steps that a full diagnosis's cost is spread over."),
    BENCH_PROGRESS(bench_diagnostics_options),
    BENCH_JSON(bench_diagnostics_options),
};

static const option_table table = {
    .options = entries,
    .count = sizeof entries / sizeof entries[0],
    .usage = "[mpirun -np P] plumb bench diagnostics [options]",
    .about =
        "Measures what diagnostics cost: whole training steps of the gpt workload, gradients,\n"
        "exchange, diagnosis and update, in turns with steps that diagnose nothing. Ratios of\n"
        "times are medians over rounds, with their quartiles. 'full' is the average over the\n"
        "interval, 'diagnosed' the one step in it that is diagnosed. Give every rank a core of\n"
        "its own. Goals are for the default model and step; exit code 1 if one was missed.",
};

typedef struct rows {
    bench_diagnostics_result results[ROW_COUNT];
    int ranks;
    int64_t elements;
    bench_goals goals;
} rows;

/* The default model and step, whose cost a goal is about. */
static bool has_goals(const bench_diagnostics_options *o)
{
    return o->layers == 4 && o->width == 128 && o->heads == 4 && o->context == 128 &&
           o->micro_batch_size * o->micro_batches == 64 && o->every <= 20;
}

static void set_goals(rows *t)
{
    for (int i = 0; i < ROW_COUNT; i++) {
        char name[96];
        const char *optimizer = update_optimizer_name(t->results[i].optimizer);
        snprintf(name, sizeof name, "%s: step with economy over the plain one", optimizer);
        bench_goals_most(&t->goals, name, t->results[i].economy, economy_goal);
        snprintf(name, sizeof name, "%s: step with full over the plain one", optimizer);
        bench_goals_most(&t->goals, name, t->results[i].full, full_goal);
    }
}

static void print_ratio(const bench_diagnostics_result *row, const char *kind, double seconds,
                        quartiles ratio)
{
    printf("%-8s %-10s %9.4f %9.4f %7.3f  %.3f to %.3f\n", update_optimizer_name(row->optimizer),
           kind, row->plain_seconds.median, seconds, ratio.median, ratio.lower, ratio.upper);
}

static void print_table(const bench_diagnostics_options *o, const rows *t)
{
    printf("model     %" PRId64 " layers, width %" PRId64 ", %" PRId64 " heads, context %" PRId64
           ": %" PRId64 " parameters\n",
           o->layers, o->width, o->heads, o->context, t->elements);
    printf("step      %" PRId64 " micro-batches of %" PRId64 " sequences in %" PRId64
           " groups on %d rank%s\n",
           o->micro_batches, o->micro_batch_size, o->groups, t->ranks, t->ranks == 1 ? "" : "s");
    printf("interval  a full diagnosis every %" PRId64 " steps\n", o->every);
    printf("%-8s %-10s %9s %9s %7s  %s\n", "", "", "plain s", "with s", "ratio", "quartiles");
    for (int i = 0; i < ROW_COUNT; i++) {
        const bench_diagnostics_result *row = &t->results[i];
        print_ratio(row, "economy", row->economy_seconds.median, row->economy);
        print_ratio(row, "full", row->full_seconds.median, row->full);
        print_ratio(row, "diagnosed", row->diagnosed.median * row->plain_seconds.median,
                    row->diagnosed);
    }
    bench_goals_print(&t->goals);
}

static json_t *row_json(const bench_diagnostics_result *row, int64_t rounds)
{
    json_t *object = json_pack("{s:s, s:I}", "optimizer", update_optimizer_name(row->optimizer),
                               "rounds", (json_int_t)rounds);
    bench_quartiles_json(object, "plain_seconds", row->plain_seconds);
    bench_quartiles_json(object, "economy_seconds", row->economy_seconds);
    bench_quartiles_json(object, "full_seconds", row->full_seconds);
    bench_quartiles_json(object, "economy_ratio", row->economy);
    bench_quartiles_json(object, "full_ratio", row->full);
    bench_quartiles_json(object, "diagnosed_ratio", row->diagnosed);
    return object;
}

static void print_json(const bench_diagnostics_options *o, const rows *t)
{
    json_t *array = json_array();
    for (int i = 0; i < ROW_COUNT; i++) {
        json_array_append_new(array, row_json(&t->results[i], o->rounds));
    }
    bench_print_json(json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "bench", "diagnostics",
        "ranks", t->ranks, "layers", (json_int_t)o->layers, "width", (json_int_t)o->width, "heads",
        (json_int_t)o->heads, "context", (json_int_t)o->context, "micro_batches",
        (json_int_t)o->micro_batches, "micro_batch_size", (json_int_t)o->micro_batch_size, "groups",
        (json_int_t)o->groups, "every", (json_int_t)o->every, "parameters", (json_int_t)t->elements,
        "rows", array, "goals", bench_goals_json(&t->goals)));
}

static void report(const ranks *r, const bench_diagnostics_options *o, rows *t, failure *f)
{
    if (has_goals(o)) {
        set_goals(t);
    }
    if (r->rank == 0) {
        (o->json ? print_json : print_table)(o, t);
    }
    bench_goals_judge(r, &t->goals, f);
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_diagnostics_options *o = options;
    bench_diagnostics *b = NULL;
    if (o->micro_batches < r->count) {
        failure_set(f, EXIT_USAGE,
                    "--micro-batches %" PRId64 " is less than the %d ranks: every rank needs at "
                    "least one",
                    o->micro_batches, r->count);
        return;
    }
    rows *t = calloc(1, sizeof *t);
    if (t == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(r, f) == EXIT_OK && bench_diagnostics_create(r, o, &b, f) == EXIT_OK) {
        t->ranks = r->count;
        t->elements = bench_diagnostics_elements(b);
        bench_diagnostics_start(b, ROW_COUNT);
    }
    for (int i = 0; i < ROW_COUNT && f->code == EXIT_OK; i++) {
        t->results[i].optimizer = optimizers[i];
        bench_diagnostics_measure(b, &t->results[i], f);
    }
    bench_diagnostics_destroy(&b);
    if (f->code == EXIT_OK) {
        report(r, o, t, f);
    }
    free(t);
}

static int check(const void *options, failure *f)
{
    const bench_diagnostics_options *o = options;
    if (o->micro_batches % o->groups != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--groups %" PRId64 " must divide --micro-batches %" PRId64, o->groups,
                           o->micro_batches);
    }
    return f->code;
}

int bench_diagnostics_command(int argc, char **argv, char **all_arguments)
{
    bench_diagnostics_options options;
    const command_task task = {"bench diagnostics", &table, &options, check, measure};
    return command_run(&task, argc, argv, all_arguments);
}
