/*
 * `plumb bench scaling`: how much of a training step is not the model's own work, and how well two
 * ranks and more share it.
 */
#include "app/bench_scaling.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_ROWS = 16, ONLY_ALL = 0, ONLY_GOALS = 1 };

static const double outside_goal = 0.10, efficiency_goal = 0.9;

const bench_scaling_row bench_scaling_rows[] = {
    {"adamw", {.optimizer = PLUMB_OPTIMIZER_ADAMW}, true},
    {"muon fast", {.optimizer = PLUMB_OPTIMIZER_MUON, .polar = PLUMB_POLAR_FAST}, true},
    {"muon exact", {.optimizer = PLUMB_OPTIMIZER_MUON, .polar = PLUMB_POLAR_EXACT}, false},
    {"muon newton-schulz",
     {.optimizer = PLUMB_OPTIMIZER_MUON, .polar = PLUMB_POLAR_NEWTON_SCHULZ},
     false},
    {"sgd", {.optimizer = PLUMB_OPTIMIZER_SGD}, false},
    {"sophia", {.optimizer = PLUMB_OPTIMIZER_SOPHIA}, false},
    {"shampoo", {.optimizer = PLUMB_OPTIMIZER_SHAMPOO}, false},
    {"soap", {.optimizer = PLUMB_OPTIMIZER_SOAP}, false},
};

const int bench_scaling_row_count = sizeof bench_scaling_rows / sizeof bench_scaling_rows[0];

static const char *const only_words[] = {"all", "goals", NULL};

#define AT(member) offsetof(bench_scaling_options, member)
static const option entries[] = {
    BENCH_DATA(bench_scaling_options),
    BENCH_MODEL(bench_scaling_options, "128", "128"),
    BENCH_INTEGER(bench_scaling_options, "micro-batches", micro_batches, "K", "8", 1, 65536,
                  "Micro-batches of a step, over all ranks."),
    {.name = "only",
     .kind = OPTION_CHOICE,
     .offset = AT(only),
     .initial = "all",
     .choices = only_words,
     .help = "Rows to measure: all, or those with a goal."},
    BENCH_SECONDS(bench_scaling_options, "10",
                  "How long to measure a row, about; three steps, or intervals between curvatures "
                  "or roots, at least."),
    BENCH_PROGRESS(bench_scaling_options),
    BENCH_JSON(bench_scaling_options),
};

static const option_table table = {
    .options = entries,
    .count = sizeof entries / sizeof entries[0],
    .usage = "[mpirun -np P] plumb bench scaling [options]",
    .about =
        "Measures whole training steps of the gpt workload by optimizer: the share of a step\n"
        "outside the passes over the model (exchange, update, waiting), and with two ranks and\n"
        "more the efficiency: seconds of the same step on rank 0 alone, while the others sleep,\n"
        "over P times the seconds on all P, in turns. Times are the slowest rank's; medians with\n"
        "quartiles. Give every rank a core of its own. Goals are for the default model on one or\n"
        "two ranks; exit code 1 if one was missed.",
};

typedef struct bench_scaling_table {
    const bench_scaling_row *rows[MOST_ROWS];
    bench_scaling_result results[MOST_ROWS];
    int count;
    int ranks;
    int64_t elements;
    bench_goals goals;
} bench_scaling_table;

/* The default model and step. */
static bool has_goals(const bench_scaling_options *o, int rank_count)
{
    return rank_count <= 2 && o->layers == 4 && o->width == 128 && o->heads == 4 &&
           o->context == 128 && o->micro_batch_size * o->micro_batches == 64;
}

static void set_goals(bench_scaling_table *t, int index)
{
    const bench_scaling_result *result = &t->results[index];
    char name[96];
    if (!t->rows[index]->goal) {
        return;
    }
    snprintf(name, sizeof name, "%s: share of the step outside the gradients",
             t->rows[index]->name);
    bench_goals_most(&t->goals, name, result->outside, outside_goal);
    if (t->ranks > 1) {
        snprintf(name, sizeof name, "%s: efficiency of %d ranks", t->rows[index]->name, t->ranks);
        bench_goals_least(&t->goals, name, result->efficiency, efficiency_goal);
    }
}

static void print_table(const bench_scaling_options *o, const bench_scaling_table *t)
{
    printf("model     %" PRId64 " layers, width %" PRId64 ", %" PRId64 " heads, context %" PRId64
           ": %" PRId64 " parameters\n",
           o->layers, o->width, o->heads, o->context, t->elements);
    printf("step      %" PRId64 " micro-batches of %" PRId64 " sequences on %d rank%s\n",
           o->micro_batches, o->micro_batch_size, t->ranks, t->ranks == 1 ? "" : "s");
    printf("%-19s %9s %9s %9s %9s %8s %16s %11s %16s\n", "seconds a step", "all", "gradients",
           "exchange", "update", "outside", "quartiles", "efficiency", "quartiles");
    for (int i = 0; i < t->count; i++) {
        const bench_scaling_result *r = &t->results[i];
        printf("%-19s %9.4f %9.4f %9.4f %9.4f %7.1f%% %7.1f%% to %4.1f%%", t->rows[i]->name,
               r->seconds.median, r->gradient_seconds.median, r->exchange_seconds.median,
               r->update_seconds.median, 100.0 * r->outside.median, 100.0 * r->outside.lower,
               100.0 * r->outside.upper);
        if (r->efficiency.count > 0) {
            printf(" %11.3f %7.3f to %5.3f\n", r->efficiency.median, r->efficiency.lower,
                   r->efficiency.upper);
        } else {
            printf(" %11s\n", "-");
        }
    }
    bench_goals_print(&t->goals);
}

static json_t *row_json(const bench_scaling_row *row, const bench_scaling_result *result)
{
    json_t *object =
        json_pack("{s:s, s:i, s:I}", "optimizer", row->name, "steps_of_a_window",
                  bench_step_interval(&row->optimizer), "windows", (json_int_t)result->windows);
    bench_quartiles_json(object, "seconds", result->seconds);
    bench_quartiles_json(object, "gradient_seconds", result->gradient_seconds);
    bench_quartiles_json(object, "exchange_seconds", result->exchange_seconds);
    bench_quartiles_json(object, "update_seconds", result->update_seconds);
    bench_quartiles_json(object, "outside", result->outside);
    bench_quartiles_json(object, "one_rank_seconds", result->one_seconds);
    bench_quartiles_json(object, "efficiency", result->efficiency);
    return object;
}

static void print_json(const bench_scaling_options *o, const bench_scaling_table *t)
{
    json_t *rows = json_array();
    for (int i = 0; i < t->count; i++) {
        json_array_append_new(rows, row_json(t->rows[i], &t->results[i]));
    }
    bench_print_json(json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "bench", "scaling", "ranks",
        t->ranks, "layers", (json_int_t)o->layers, "width", (json_int_t)o->width, "heads",
        (json_int_t)o->heads, "context", (json_int_t)o->context, "micro_batches",
        (json_int_t)o->micro_batches, "micro_batch_size", (json_int_t)o->micro_batch_size,
        "parameters", (json_int_t)t->elements, "rows", rows, "goals", bench_goals_json(&t->goals)));
}

static void measure_rows(const ranks *r, const bench_scaling_options *o, bench_scaling *b,
                         bench_scaling_table *t, failure *f)
{
    progress line;
    double start = MPI_Wtime();
    int64_t total = 0;
    for (int i = 0; i < bench_scaling_row_count; i++) {
        total += o->only == ONLY_ALL || bench_scaling_rows[i].goal;
    }
    progress_start(&line, (progress_mode)o->progress, r->rank == 0, total, "row");
    for (int i = 0; i < bench_scaling_row_count && f->code == EXIT_OK; i++) {
        const bench_scaling_row *row = &bench_scaling_rows[i];
        if (o->only == ONLY_ALL || row->goal) {
            t->rows[t->count] = row;
            bench_scaling_measure(b, row, &t->results[t->count++], f);
            double seconds = MPI_Wtime() - start;
            progress_show(&line, t->count, NAN, t->count / seconds, seconds, seconds);
        }
    }
    progress_clear(&line);
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_scaling_options *o = options;
    if (o->micro_batches < r->count) {
        failure_set(f, EXIT_USAGE,
                    "--micro-batches %" PRId64 " is less than the %d ranks: every rank needs at "
                    "least one",
                    o->micro_batches, r->count);
        return;
    }
    bench_scaling_table *t = calloc(1, sizeof *t);
    bench_scaling *b = NULL;
    if (t == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(r, f) == EXIT_OK && bench_scaling_create(r, o, &b, f) == EXIT_OK) {
        t->ranks = r->count;
        t->elements = bench_scaling_elements(b);
        measure_rows(r, o, b, t, f);
    }
    if (f->code == EXIT_OK) {
        for (int i = 0; i < t->count && has_goals(o, r->count); i++) {
            set_goals(t, i);
        }
        if (r->rank == 0) {
            (o->json ? print_json : print_table)(o, t);
        }
        bench_goals_judge(r, &t->goals, f);
    }
    bench_scaling_destroy(&b);
    free(t);
}

int bench_scaling_command(int argc, char **argv, char **all_arguments)
{
    bench_scaling_options options;
    const command_task task = {"bench scaling", &table, &options, NULL, measure};
    return command_run(&task, argc, argv, all_arguments);
}
