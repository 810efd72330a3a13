/*
 * `plumb bench polar`: polar factors against the matrix product they stand on, Newton-Schulz as
 * published, and LAPACK. Rank 0 measures; with more ranks, row panels over all of them as well.
 */
#include "app/bench_polar.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Above this, in flops of one product, only the quick ones and Newton-Schulz run by default. */
static const double large_product = 2e10;

#define AT(member) offsetof(bench_polar_options, member)
static const option entries[] = {
    {.name = "shapes",
     .kind = OPTION_TEXT,
     .offset = AT(shapes),
     .unit = "LIST",
     .initial = "4096x1024,50257x768,1024x256,768x768,256x256,64x64",
     .help = "Rows x columns, with commas between; none: none."},
    {.name = "methods",
     .kind = OPTION_TEXT,
     .offset = AT(methods),
     .unit = "LIST",
     .initial_note = "all; where a product has more than 2e10 flops fast, fast-3e-3, exact and "
                     "newton-schulz",
     .help = "Of fast, fast-3e-3, exact, newton-schulz, newton-schulz-symmetric, polar-express, "
             "svd and sgesdd, with commas between."},
    BENCH_INTEGER(bench_polar_options, "accuracy-side", accuracy_side, "N", "256", 0, 8192,
                  "Errors are measured on matrices shrunk to this smaller dimension, if theirs is "
                  "larger; 0: not at all."),
    {.name = "condition",
     .kind = OPTION_REAL,
     .offset = AT(condition),
     .unit = "C",
     .initial = "0",
     .initial_note = "0: of normal numbers",
     .lowest = 0.0,
     .highest = 1e7,
     .help = "Condition number of the matrices that are timed, from 1 on: singular values with "
             "equal ratios."},
    BENCH_INTEGER(bench_polar_options, "batch", batch, "N", "1000", 0, 1000000,
                  "Matrices of 64 x 64 in one call; 0: none."),
    {.name = "panels",
     .kind = OPTION_TEXT,
     .offset = AT(panels),
     .unit = "SHAPE",
     .initial = "4096x1024",
     .help = "With two ranks or more: the matrix whose row panels are spread; none: none."},
    BENCH_SECONDS(bench_polar_options, "90",
                  "How long to measure, about, all together; three rounds at least."),
    BENCH_PROGRESS(bench_polar_options),
    BENCH_JSON(bench_polar_options),
};

static const option_table table = {
    .options = entries,
    .count = sizeof entries / sizeof entries[0],
    .usage = "[mpirun -np P] plumb bench polar [options]",
    .about =
        "Measures polar factors on one core, in units of one single-precision product of the same\n"
        "m x n by n x n, which runs before and after each of them; medians over rounds with\n"
        "quartiles. fast: delta 1e-2; fast-3e-3: delta 3e-3; sgesdd: LAPACK's thin U and V' and\n"
        "their product. Errors are against dgesdd of the same input. Two ranks and more: also a\n"
        "step of Muon whose matrix is updated in row panels over all ranks, against one rank.\n"
        "Exit code 1 if a goal was missed. About two minutes.",
};

/* Reads "ROWSxCOLS"; *end is behind it. False if it is none. */
static bool read_shape(const char *text, int64_t *rows, int64_t *cols, const char **end)
{
    enum { LARGEST = 1000000 };
    char *rest;
    *rows = strtoll(text, &rest, 10);
    if (rest == text || *rest != 'x') {
        return false;
    }
    const char *second = rest + 1;
    *cols = strtoll(second, &rest, 10);
    *end = rest;
    return rest != second && *rows >= 1 && *cols >= 1 && *rows <= LARGEST && *cols <= LARGEST &&
           *rows * *cols <= INT32_MAX;
}

/* Fills report->rows; how many is in report->count. */
static int parse_shapes(const char *text, bench_polar_report *report, failure *f)
{
    const char *at = text;
    report->count = 0;
    if (strcmp(text, "none") == 0) {
        return f->code;
    }
    while (f->code == EXIT_OK && (report->count == 0 || *at == ',')) {
        bench_polar_row row = {.rows = 0};
        at += report->count > 0;
        if (report->count == BENCH_POLAR_MOST_SHAPES ||
            !read_shape(at, &row.rows, &row.cols, &at) || (*at != ',' && *at != '\0')) {
            failure_set(f, EXIT_USAGE,
                        "--shapes '%s': expected up to %d shapes such as 4096x1024,768x768", text,
                        BENCH_POLAR_MOST_SHAPES);
        } else {
            report->rows[report->count++] = row;
        }
    }
    return f->code;
}

/* The contestant whose name is the first `length` characters; POLAR_CONTESTANTS if none. */
static int find_contestant(const char *name, size_t length)
{
    int i = 0;
    while (i < POLAR_CONTESTANTS && (strlen(polar_contestant_names[i]) != length ||
                                     strncmp(polar_contestant_names[i], name, length) != 0)) {
        i++;
    }
    return i;
}

/* wanted[POLAR_CONTESTANTS]: those in the list. */
static int parse_methods(const char *text, bool *wanted, failure *f)
{
    const char *at = text;
    bool more = true;
    while (more && f->code == EXIT_OK) {
        size_t length = strcspn(at, ",");
        int found = find_contestant(at, length);
        if (found == POLAR_CONTESTANTS) {
            failure_set(f, EXIT_USAGE,
                        "--methods '%s': '%.*s' is none of fast, fast-3e-3, exact, "
                        "newton-schulz, newton-schulz-symmetric, polar-express, svd, sgesdd",
                        text, (int)length, at);
        } else {
            wanted[found] = true;
        }
        more = at[length] == ',';
        at += length + 1;
    }
    return f->code;
}

static void choose_methods(bench_polar_row *row)
{
    double side = (double)(row->rows < row->cols ? row->rows : row->cols);
    bool large = 2.0 * (double)row->rows * (double)row->cols * side > large_product;
    for (int i = 0; i < POLAR_CONTESTANTS; i++) {
        row->wanted[i] = !large || i == POLAR_FAST || i == POLAR_FAST_FINE || i == POLAR_EXACT ||
                         i == POLAR_NEWTON_SCHULZ;
    }
}

/* The shape at which errors are measured, unless an earlier row has the same. */
static void choose_accuracy(bench_polar_report *report, int index, int64_t largest_side)
{
    bench_polar_row *row = &report->rows[index];
    int64_t side = row->rows < row->cols ? row->rows : row->cols;
    double factor = side > largest_side ? (double)largest_side / (double)side : 1.0;
    row->accuracy_rows = llround((double)row->rows * factor);
    row->accuracy_cols = llround((double)row->cols * factor);
    for (int i = 0; i < index; i++) {
        const bench_polar_row *other = &report->rows[i];
        bool same = other->accuracy_rows == row->accuracy_rows &&
                    other->accuracy_cols == row->accuracy_cols;
        if (same || largest_side == 0) {
            row->accuracy_rows = row->accuracy_cols = 0;
        }
    }
    if (largest_side == 0) {
        row->accuracy_rows = row->accuracy_cols = 0;
    }
}

static int prepare(const bench_polar_options *o, bench_polar_report *report, failure *f)
{
    bool wanted[POLAR_CONTESTANTS] = {false};
    parse_shapes(o->shapes, report, f);
    if (o->methods != NULL) {
        parse_methods(o->methods, wanted, f);
    }
    for (int i = 0; i < report->count; i++) {
        choose_methods(&report->rows[i]);
        if (o->methods != NULL) {
            memcpy(report->rows[i].wanted, wanted, sizeof wanted);
        }
        choose_accuracy(report, i, o->accuracy_side);
    }
    const char *end = "";
    if (o->condition > 0.0 && o->condition < 1.0) {
        failure_set(f, EXIT_USAGE, "--condition %g is neither 0 nor at least 1", o->condition);
    }
    bool panels = strcmp(o->panels, "none") != 0;
    if (panels && (!read_shape(o->panels, &report->panels.rows, &report->panels.cols, &end) ||
                   *end != '\0')) {
        failure_set(f, EXIT_USAGE, "--panels '%s' is no shape such as 4096x1024", o->panels);
    }
    return f->code;
}

typedef struct bench_polar_course {
    const ranks *ranks;
    progress progress;
    double start;
    int64_t done;
} bench_polar_course;

static void advance(bench_polar_course *course)
{
    double seconds = MPI_Wtime() - course->start;
    course->done++;
    progress_show(&course->progress, course->done, NAN, (double)course->done / seconds, seconds,
                  seconds);
}

/* Rank 0's own part. */
static void measure_row(bench_polar_course *course, bench_polar_row *row, double condition,
                        double seconds, failure *f)
{
    char message[512] = "";
    if (f->code == EXIT_OK && polar_benchmark(row->rows, row->cols, condition, row->wanted, seconds,
                                              &row->speeds, message, sizeof message) != 0) {
        failure_set(f, EXIT_LIBRARY, "%s", message);
    }
    advance(course);
    for (int i = 0; i < POLAR_INPUTS && f->code == EXIT_OK && row->accuracy_rows > 0; i++) {
        if (polar_accuracy_measure(row->accuracy_rows, row->accuracy_cols, (polar_input)i,
                                   row->wanted, row->accuracies[i], message, sizeof message) != 0) {
            failure_set(f, EXIT_LIBRARY, "%s", message);
        }
    }
    advance(course);
}

static void measure_batch(bench_polar_course *course, bench_polar_report *report, int64_t count,
                          double seconds, failure *f)
{
    char message[512] = "";
    if (polar_batch_benchmark(count, BENCH_POLAR_BATCH_SIDE, seconds, &report->batch_speeds,
                              message, sizeof message) != 0) {
        failure_set(f, EXIT_LIBRARY, "%s", message);
    }
    report->batch = count;
    advance(course);
}

static void measure_all(const ranks *r, const bench_polar_options *o, bench_polar_report *report,
                        failure *f)
{
    bool panels = r->count > 1 && report->panels.rows > 0;
    int parts = report->count + (o->batch > 0) + panels;
    double seconds = o->seconds / (parts > 0 ? parts : 1);
    bench_polar_course course = {.ranks = r, .start = MPI_Wtime()};
    progress_start(&course.progress, (progress_mode)o->progress, r->rank == 0,
                   2 * report->count + (o->batch > 0) + panels, "part");
    if (r->rank == 0) {
        for (int i = 0; i < report->count && f->code == EXIT_OK; i++) {
            measure_row(&course, &report->rows[i], o->condition, seconds, f);
        }
        if (o->batch > 0 && f->code == EXIT_OK) {
            measure_batch(&course, report, o->batch, seconds, f);
        }
    }
    bench_wait_idle(r);
    if (ranks_agree(r, f) == EXIT_OK && panels) {
        bench_panels_measure(r, report->panels.rows, report->panels.cols, seconds, &report->panels,
                             f);
        advance(&course);
    }
    progress_clear(&course.progress);
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const bench_polar_options *o = options;
    bench_polar_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(r, f) == EXIT_OK && prepare(o, report, f) == EXIT_OK) {
        report->ranks = r->count;
        report->condition = o->condition;
        report->environment.size = sizeof report->environment;
        failure_from_library(f, plumb_inspect_environment(&report->environment), NULL);
        measure_all(r, o, report, f);
        if (ranks_agree(r, f) == EXIT_OK) {
            bench_polar_set_goals(report);
            if (r->rank == 0) {
                (o->json ? bench_polar_print_json : bench_polar_print_table)(report);
            }
            bench_goals_judge(r, &report->goals, f);
        }
    }
    free(report);
}

static int check(const void *options, failure *f)
{
    bench_polar_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    prepare(options, report, f);
    free(report);
    return f->code;
}

int bench_polar_command(int argc, char **argv, char **all_arguments)
{
    bench_polar_options options;
    const command_task task = {"bench polar", &table, &options, check, measure};
    return command_run(&task, argc, argv, all_arguments);
}
