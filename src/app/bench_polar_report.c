/*
 * What `plumb bench polar` says: tables, JSON, and goals; see bench_polar.h.
 */
#include "app/bench_polar.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const bench_polar_row *find_row(const bench_polar_report *report, int64_t rows, int64_t cols)
{
    for (int i = 0; i < report->count; i++) {
        if (report->rows[i].rows == rows && report->rows[i].cols == cols) {
            return &report->rows[i];
        }
    }
    return NULL;
}

typedef enum goal_kind { UNITS, OVER_NEWTON_SCHULZ, OVER_SGESDD } goal_kind;

static const struct speed_goal {
    int64_t rows, cols;
    polar_contestant which;
    goal_kind kind;
    double bound;
} speed_goals[] = {
    {4096, 1024, POLAR_FAST, UNITS, 2.4},
    {768, 768, POLAR_FAST, UNITS, 4.4},
    {256, 256, POLAR_FAST, UNITS, 5.5},
    {50257, 768, POLAR_FAST, UNITS, 1.9},
    {4096, 1024, POLAR_FAST, OVER_NEWTON_SCHULZ, 5.0},
    {768, 768, POLAR_FAST, OVER_NEWTON_SCHULZ, 3.5},
    {256, 256, POLAR_FAST, OVER_NEWTON_SCHULZ, 3.5},
    {4096, 1024, POLAR_FAST, OVER_SGESDD, 7.5},
    {4096, 1024, POLAR_EXACT, UNITS, 8.0},
    {768, 768, POLAR_EXACT, UNITS, 16.0},
    {256, 256, POLAR_EXACT, UNITS, 16.0},
};

static void add_speed_goal(const struct speed_goal *goal, const polar_speed *speed, bench_goals *g)
{
    static const char *const texts[] = {"products", "times faster than newton-schulz",
                                        "times faster than sgesdd"};
    char name[96];
    snprintf(name, sizeof name, "%s, %" PRId64 "x%" PRId64 ": %s",
             polar_contestant_names[goal->which], goal->rows, goal->cols, texts[goal->kind]);
    if (goal->kind == UNITS) {
        bench_goals_most(g, name, speed->units, goal->bound);
    } else if (goal->kind == OVER_NEWTON_SCHULZ && speed->newton_schulz.count > 0) {
        bench_goals_least(g, name, speed->newton_schulz, goal->bound);
    } else if (goal->kind == OVER_SGESDD && speed->sgesdd.count > 0) {
        bench_goals_least(g, name, speed->sgesdd, goal->bound);
    }
}

static void set_speed_goals(bench_polar_report *report)
{
    for (size_t i = 0; i < sizeof speed_goals / sizeof speed_goals[0]; i++) {
        const struct speed_goal *goal = &speed_goals[i];
        const bench_polar_row *row = find_row(report, goal->rows, goal->cols);
        if (row != NULL && row->speeds.of[goal->which].ran) {
            add_speed_goal(goal, &row->speeds.of[goal->which], &report->goals);
        }
    }
    for (int i = 0; i < report->count; i++) {
        const bench_polar_row *row = &report->rows[i];
        const polar_speed *exact = &row->speeds.of[POLAR_EXACT];
        if (exact->ran && exact->sgesdd.count > 0 && row->rows >= 64 && row->cols >= 64) {
            const struct speed_goal goal = {row->rows, row->cols, POLAR_EXACT, OVER_SGESDD, 1.0};
            add_speed_goal(&goal, exact, &report->goals);
        }
    }
}

typedef enum error_kind { BAND, ORTHOGONALITY, FORWARD } error_kind;

static double error_of(const polar_accuracy *a, error_kind kind)
{
    return kind == BAND ? a->band : kind == ORTHOGONALITY ? a->orthogonality : a->forward;
}

/* The worst over all shapes. */
static void add_error_goal(bench_polar_report *report, polar_contestant which, int input,
                           error_kind kind, double bound)
{
    static const char *const texts[] = {"band", "|W'W - I|", "forward error"};
    double worst = -INFINITY;
    for (int i = 0; i < report->count; i++) {
        const bench_polar_row *row = &report->rows[i];
        if (row->accuracy_rows > 0 && row->accuracies[input][which].ran) {
            double error = error_of(&row->accuracies[input][which], kind);
            worst = isnan(error) ? INFINITY : fmax(worst, error);
        }
    }
    if (worst > -INFINITY) {
        char name[96];
        snprintf(name, sizeof name, "%s, %s: %s, worst shape", polar_contestant_names[which],
                 polar_input_names[input], texts[kind]);
        bench_goals_most(&report->goals, name, bench_number(worst), bound);
    }
}

void bench_polar_set_goals(bench_polar_report *report)
{
    set_speed_goals(report);
    for (int input = 0; input < POLAR_INPUTS; input++) {
        add_error_goal(report, POLAR_FAST, input, BAND, 1.3e-2);
        add_error_goal(report, POLAR_FAST_FINE, input, BAND, 0.9e-2);
        add_error_goal(report, POLAR_EXACT, input, ORTHOGONALITY, 2e-6);
        add_error_goal(report, POLAR_EXACT, input, FORWARD,
                       input == POLAR_INPUT_CONDITION_1E7 ? 1e-4 : 1e-6);
    }
    const bench_panels_result *p = &report->panels;
    if (report->ranks == 2 && p->rounds > 0 && p->rows == 4096 && p->cols == 1024) {
        bench_goals_least(&report->goals, "row panels over 2 ranks, 4096x1024: times faster",
                          p->speedup, 1.6);
    }
}

static void print_speeds(const bench_polar_row *row)
{
    double flops = 2.0 * (double)row->rows * (double)row->cols *
                   (double)(row->rows < row->cols ? row->rows : row->cols);
    printf("\n%" PRId64 "x%" PRId64 ": one product %.3f ms, %.1f Gflop/s\n", row->rows, row->cols,
           1e3 * row->speeds.product_seconds, 1e-9 * flops / row->speeds.product_seconds);
    printf("  %-24s %10s %9s %18s %7s %13s %10s\n", "", "ms", "products", "quartiles", "rounds",
           "newton-schulz", "sgesdd");
    for (int i = 0; i < POLAR_CONTESTANTS; i++) {
        const polar_speed *s = &row->speeds.of[i];
        if (!s->ran) {
            continue;
        }
        printf("  %-24s %10.3f %9.2f %8.2f to %6.2f %7" PRId64, polar_contestant_names[i],
               1e3 * s->seconds.median, s->units.median, s->units.lower, s->units.upper,
               s->units.count);
        if (s->newton_schulz.count > 0) {
            printf(" %12.2fx", s->newton_schulz.median);
        } else {
            printf(" %13s", "-");
        }
        if (s->sgesdd.count > 0) {
            printf(" %9.2fx\n", s->sgesdd.median);
        } else {
            printf(" %10s\n", "-");
        }
    }
}

static void print_error(double value)
{
    if (isnan(value)) {
        printf(" %10s", "-");
    } else {
        printf(" %10.1e", value);
    }
}

static void print_accuracy(const bench_polar_row *row)
{
    printf("  errors at %" PRId64 "x%" PRId64 ":\n  %-14s %-24s %10s %10s %10s %10s %10s  %s\n",
           row->accuracy_rows, row->accuracy_cols, "", "", "|W'W - I|", "forward", "to W_delta",
           "band", "relative", "values became");
    for (int input = 0; input < POLAR_INPUTS; input++) {
        const char *name = polar_input_names[input];
        for (int i = 0; i < POLAR_CONTESTANTS; i++) {
            const polar_accuracy *a = &row->accuracies[input][i];
            if (a->ran) {
                printf("  %-14s %-24s", name, polar_contestant_names[i]);
                print_error(a->orthogonality);
                print_error(a->forward);
                print_error(a->forward_delta);
                print_error(a->band);
                print_error(a->relative_band);
                printf("  %.4f to %.4f\n", a->lowest, a->highest);
                name = "";
            }
        }
    }
}

static void print_batch(const bench_polar_report *report)
{
    const polar_batch_speeds *b = &report->batch_speeds;
    printf("\n%" PRId64 " of %dx%d: in products, all in one call %.2f, one by one %.2f, "
           "newton-schulz one by one %.2f;\none call takes %.3f of the time of one by one "
           "(%.3f to %.3f)\n",
           report->batch, BENCH_POLAR_BATCH_SIDE, BENCH_POLAR_BATCH_SIDE, b->batch.median,
           b->single.median, b->newton_schulz.median, b->batch_over_single.median,
           b->batch_over_single.lower, b->batch_over_single.upper);
}

static void print_panels(const bench_polar_report *report)
{
    const bench_panels_result *p = &report->panels;
    printf("\nupdate of %" PRId64 "x%" PRId64 " by Muon, fast: on 1 rank %.3f ms, in row panels "
           "over %d ranks %.3f ms,\n%.2f times faster (%.2f to %.2f, %" PRId64
           " rounds); plumb_update as a whole %.2f times (%.2f to %.2f)\n",
           p->rows, p->cols, 1e3 * p->one_seconds.median, report->ranks,
           1e3 * p->all_seconds.median, p->speedup.median, p->speedup.lower, p->speedup.upper,
           p->rounds, p->call_speedup.median, p->call_speedup.lower, p->call_speedup.upper);
}

void bench_polar_print_table(const bench_polar_report *report)
{
    printf("BLAS kernel %s, %d thread; products and times faster are medians over rounds\n",
           report->environment.blas_kernel, report->environment.blas_threads);
    for (int i = 0; i < report->count; i++) {
        print_speeds(&report->rows[i]);
        if (report->rows[i].accuracy_rows > 0) {
            print_accuracy(&report->rows[i]);
        }
    }
    if (report->batch > 0) {
        print_batch(report);
    }
    if (report->panels.rounds > 0) {
        print_panels(report);
    }
    bench_goals_print(&report->goals);
}

static json_t *speed_json(const polar_speed *s, int which)
{
    json_t *object = json_pack("{s:s, s:I}", "method", polar_contestant_names[which], "rounds",
                               (json_int_t)s->units.count);
    bench_quartiles_json(object, "seconds", s->seconds);
    bench_quartiles_json(object, "products", s->units);
    if (s->newton_schulz.count > 0) {
        bench_quartiles_json(object, "times_faster_than_newton_schulz", s->newton_schulz);
    }
    if (s->sgesdd.count > 0) {
        bench_quartiles_json(object, "times_faster_than_sgesdd", s->sgesdd);
    }
    return object;
}

static json_t *accuracy_json(const polar_accuracy *a, int input, int which)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "input",
                     polar_input_names[input], "method", polar_contestant_names[which],
                     "orthogonality", bench_number_json(a->orthogonality), "forward_error",
                     bench_number_json(a->forward), "forward_error_to_w_delta",
                     bench_number_json(a->forward_delta), "band", bench_number_json(a->band),
                     "relative_band", bench_number_json(a->relative_band), "lowest_value",
                     bench_number_json(a->lowest), "highest_value", bench_number_json(a->highest));
}

static json_t *row_json(const bench_polar_row *row)
{
    json_t *methods = json_array(), *errors = json_array();
    for (int i = 0; i < POLAR_CONTESTANTS; i++) {
        if (row->speeds.of[i].ran) {
            json_array_append_new(methods, speed_json(&row->speeds.of[i], i));
        }
    }
    for (int input = 0; input < POLAR_INPUTS; input++) {
        for (int i = 0; i < POLAR_CONTESTANTS && row->accuracy_rows > 0; i++) {
            if (row->accuracies[input][i].ran) {
                json_array_append_new(errors, accuracy_json(&row->accuracies[input][i], input, i));
            }
        }
    }
    return json_pack("{s:I, s:I, s:f, s:o, s:I, s:I, s:o}", "rows", (json_int_t)row->rows, "cols",
                     (json_int_t)row->cols, "product_seconds", row->speeds.product_seconds,
                     "methods", methods, "errors_at_rows", (json_int_t)row->accuracy_rows,
                     "errors_at_cols", (json_int_t)row->accuracy_cols, "errors", errors);
}

static json_t *batch_json(const bench_polar_report *report)
{
    const polar_batch_speeds *b = &report->batch_speeds;
    json_t *object = json_pack("{s:I, s:i, s:f}", "count", (json_int_t)report->batch, "side",
                               BENCH_POLAR_BATCH_SIDE, "products_seconds", b->product_seconds);
    bench_quartiles_json(object, "batch_products", b->batch);
    bench_quartiles_json(object, "single_products", b->single);
    bench_quartiles_json(object, "newton_schulz_products", b->newton_schulz);
    bench_quartiles_json(object, "batch_over_single", b->batch_over_single);
    return object;
}

static json_t *panels_json(const bench_panels_result *p)
{
    json_t *object = json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)p->rows, "cols",
                               (json_int_t)p->cols, "rounds", (json_int_t)p->rounds);
    bench_quartiles_json(object, "one_rank_update_seconds", p->one_seconds);
    bench_quartiles_json(object, "all_ranks_update_seconds", p->all_seconds);
    bench_quartiles_json(object, "times_faster", p->speedup);
    bench_quartiles_json(object, "call_times_faster", p->call_speedup);
    return object;
}

void bench_polar_print_json(const bench_polar_report *report)
{
    json_t *shapes = json_array();
    for (int i = 0; i < report->count; i++) {
        json_array_append_new(shapes, row_json(&report->rows[i]));
    }
    json_t *object = json_pack("{s:s, s:i, s:f, s:s, s:o}", "bench", "polar", "ranks",
                               report->ranks, "condition", report->condition, "blas_kernel",
                               report->environment.blas_kernel, "shapes", shapes);
    if (report->batch > 0) {
        json_object_set_new(object, "batch", batch_json(report));
    }
    if (report->panels.rounds > 0) {
        json_object_set_new(object, "panels", panels_json(&report->panels));
    }
    json_object_set_new(object, "goals", bench_goals_json(&report->goals));
    bench_print_json(object);
}
