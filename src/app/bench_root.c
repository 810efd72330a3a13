/*
 * `plumb bench root`: inverse roots against the matrix product they stand on, the coupled Newton
 * iteration and LAPACK's eigenvalues. Rank 0 measures.
 */
#include "app/bench.h"
#include "workload/root_benchmark.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_NUMBERS = 8, MOST_ROWS = 3 * MOST_NUMBERS * MOST_NUMBERS };

/* Of the power -1/4 at side 1024 and condition 1e4. */
static const double units_goal = 5.5, error_goal = 5e-5, newton_goal = 10.0;

typedef struct bench_root_options {
    const char *sides, *conditions;
    int progress;
    double seconds;
    bool json;
} bench_root_options;

typedef struct bench_root_row {
    int64_t side;
    double condition;
    int root;
    root_results results;
} bench_root_row;

typedef struct bench_root_report {
    bench_root_row rows[MOST_ROWS];
    int count;
    plumb_environment environment;
    bench_goals goals;
} bench_root_report;

#define AT(member) offsetof(bench_root_options, member)
static const option entries[] = {
    {.name = "sides",
     .kind = OPTION_TEXT,
     .offset = AT(sides),
     .unit = "LIST",
     .initial = "256,1024",
     .help = "Rows of the matrices, 1 to 16384, with commas between."},
    {.name = "conditions",
     .kind = OPTION_TEXT,
     .offset = AT(conditions),
     .unit = "LIST",
     .initial = "1e4,1e6",
     .help = "Largest over smallest eigenvalue, 1 to 1e10, with commas between."},
    BENCH_SECONDS(bench_root_options, "40",
                  "How long to measure, about, all together; three rounds at least."),
    BENCH_PROGRESS(bench_root_options),
    BENCH_JSON(bench_root_options),
};

static const option_table table = {
    .options = entries,
    .count = sizeof entries / sizeof entries[0],
    .usage = "plumb bench root [options]",
    .about =
        "Measures powers -1, -1/2 and -1/4 of positive definite matrices on one core, in units\n"
        "of one single-precision product of the same n x n, which runs before and after each of\n"
        "them; medians over rounds with quartiles. rational: plumb_inverse_root's quick method;\n"
        "eigen: its reference; coupled-newton: the iteration of other Shampoos, power -1/4 only,\n"
        "told the largest eigenvalue; ssyevd: LAPACK's decomposition alone. Errors are relative,\n"
        "in the Frobenius norm, against the eigenvalues that the matrix was made of.\n"
        "Exit code 1 if a goal was missed.",
};

/* Numbers from lowest to highest with commas between; how many, or 0 with a failure. */
static int parse_numbers(const char *name, const char *text, double lowest, double highest,
                         double *numbers, failure *f)
{
    const char *at = text;
    int count = 0;
    while (f->code == EXIT_OK && (count == 0 || *at == ',')) {
        char *end;
        at += count > 0;
        double value = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0') || !(value >= lowest && value <= highest) ||
            count == MOST_NUMBERS) {
            failure_set(f, EXIT_USAGE,
                        "--%s '%s': expected up to %d numbers from %g to %g with commas between",
                        name, text, MOST_NUMBERS, lowest, highest);
            return 0;
        }
        numbers[count++] = value;
        at = end;
    }
    return count;
}

static int prepare(const bench_root_options *o, bench_root_report *report, failure *f)
{
    static const int roots[] = {1, 2, 4};
    double sides[MOST_NUMBERS], conditions[MOST_NUMBERS];
    int side_count = parse_numbers("sides", o->sides, 1, 16384, sides, f);
    int condition_count = parse_numbers("conditions", o->conditions, 1, 1e10, conditions, f);
    for (int i = 0; i < side_count * condition_count && f->code == EXIT_OK; i++) {
        for (int k = 0; k < 3; k++) {
            report->rows[report->count++] =
                (bench_root_row){.side = (int64_t)sides[i / condition_count],
                                 .condition = conditions[i % condition_count],
                                 .root = roots[k]};
        }
    }
    for (int i = 0; i < side_count; i++) {
        if (sides[i] != floor(sides[i])) {
            failure_set(f, EXIT_USAGE, "--sides '%s': %g is not a whole number", o->sides,
                        sides[i]);
        }
    }
    return f->code;
}

static void set_goals(bench_root_report *report)
{
    for (int i = 0; i < report->count; i++) {
        const bench_root_row *row = &report->rows[i];
        const root_result *one = &row->results.of[ROOT_RATIONAL];
        if (row->side == 1024 && row->root == 4 && row->condition == 1e4) {
            bench_goals_most(&report->goals, "rational, -1/4, n = 1024, condition 1e4: products",
                             one->units, units_goal);
            bench_goals_most(&report->goals, "rational, -1/4, n = 1024, condition 1e4: error",
                             bench_number(one->error), error_goal);
            bench_goals_least(&report->goals,
                              "rational, -1/4, n = 1024: times faster than coupled-newton",
                              one->coupled_newton, newton_goal);
        }
    }
}

static void print_row(const bench_root_row *row)
{
    printf("\nn = %" PRId64 ", condition %g, power -1/%d: one product %.3f ms\n", row->side,
           row->condition, row->root, 1e3 * row->results.product_seconds);
    printf("  %-16s %10s %9s %18s %7s %9s %15s\n", "", "ms", "products", "quartiles", "rounds",
           "error", "coupled-newton");
    for (int i = 0; i < ROOT_CONTESTANTS; i++) {
        const root_result *one = &row->results.of[i];
        if (!one->ran) {
            continue;
        }
        printf("  %-16s %10.3f %9.2f %8.2f to %6.2f %7" PRId64, root_contestant_names[i],
               1e3 * one->seconds.median, one->units.median, one->units.lower, one->units.upper,
               one->units.count);
        if (isnan(one->error)) {
            printf(" %9s", "-");
        } else {
            printf(" %9.1e", one->error);
        }
        if (one->coupled_newton.count > 0) {
            printf(" %14.2fx", one->coupled_newton.median);
        }
        if (one->iterations > 0) {
            printf("  %d iterations", one->iterations);
        }
        putchar('\n');
    }
}

static void print_table(const bench_root_report *report)
{
    printf("BLAS kernel %s, %d thread; medians over rounds\n", report->environment.blas_kernel,
           report->environment.blas_threads);
    for (int i = 0; i < report->count; i++) {
        print_row(&report->rows[i]);
    }
    bench_goals_print(&report->goals);
}

static json_t *row_json(const bench_root_row *row)
{
    json_t *methods = json_array();
    for (int i = 0; i < ROOT_CONTESTANTS; i++) {
        const root_result *one = &row->results.of[i];
        if (!one->ran) {
            continue;
        }
        json_t *object =
            json_pack("{s:s, s:I, s:o}", "method", root_contestant_names[i], "rounds",
                      (json_int_t)one->units.count, "error", bench_number_json(one->error));
        bench_quartiles_json(object, "seconds", one->seconds);
        bench_quartiles_json(object, "products", one->units);
        if (one->coupled_newton.count > 0) {
            bench_quartiles_json(object, "times_faster_than_coupled_newton", one->coupled_newton);
        }
        if (one->iterations > 0) {
            json_object_set_new(object, "iterations", json_integer(one->iterations));
        }
        json_array_append_new(methods, object);
    }
    return json_pack("{s:I, s:f, s:i, s:f, s:o}", "side", (json_int_t)row->side, "condition",
                     row->condition, "root", row->root, "product_seconds",
                     row->results.product_seconds, "methods", methods);
}

static void print_json(const bench_root_report *report)
{
    json_t *rows = json_array();
    for (int i = 0; i < report->count; i++) {
        json_array_append_new(rows, row_json(&report->rows[i]));
    }
    bench_print_json(json_pack("{s:s, s:s, s:o, s:o}", "bench", "root", "blas_kernel",
                               report->environment.blas_kernel, "rows", rows, "goals",
                               bench_goals_json(&report->goals)));
}

/* Rank 0's own part. */
static void measure_rows(const bench_root_options *o, bench_root_report *report, failure *f)
{
    char message[512] = "";
    progress line;
    double start = MPI_Wtime();
    progress_start(&line, (progress_mode)o->progress, true, report->count, "row");
    for (int i = 0; i < report->count && f->code == EXIT_OK; i++) {
        bench_root_row *row = &report->rows[i];
        if (root_benchmark(row->side, row->condition, row->root, o->seconds / report->count,
                           &row->results, message, sizeof message) != 0) {
            failure_set(f, EXIT_LIBRARY, "%s", message);
        }
        double seconds = MPI_Wtime() - start;
        progress_show(&line, i + 1, NAN, (i + 1) / seconds, seconds, seconds);
    }
    progress_clear(&line);
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_root_options *o = options;
    bench_root_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(r, f) == EXIT_OK && prepare(o, report, f) == EXIT_OK) {
        report->environment.size = sizeof report->environment;
        failure_from_library(f, plumb_inspect_environment(&report->environment), NULL);
        if (r->rank == 0) {
            measure_rows(o, report, f);
        }
        bench_wait_idle(r);
        if (ranks_agree(r, f) == EXIT_OK) {
            set_goals(report);
            if (r->rank == 0) {
                (o->json ? print_json : print_table)(report);
            }
            bench_goals_judge(r, &report->goals, f);
        }
    }
    free(report);
}

static int check(const void *options, failure *f)
{
    bench_root_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    prepare(options, report, f);
    free(report);
    return f->code;
}

int bench_root_command(int argc, char **argv, char **all_arguments)
{
    bench_root_options options;
    const command_task task = {"bench root", &table, &options, check, measure};
    return command_run(&task, argc, argv, all_arguments);
}
