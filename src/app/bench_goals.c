/*
 * Goals and verdicts of the benches; see bench.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/bench.h"

#include <math.h>
#include <time.h>

quartiles bench_number(double value)
{
    return (quartiles){NAN, value, NAN, 1};
}

static void add(bench_goals *g, const char *name, quartiles measured, double bound, bool at_least)
{
    int last = g->count < BENCH_MOST_GOALS ? g->count++ : BENCH_MOST_GOALS - 1;
    bench_goal *goal = &g->goals[last];
    *goal = (bench_goal){.measured = measured.median,
                         .lower = measured.lower,
                         .upper = measured.upper,
                         .bound = bound,
                         .at_least = at_least};
    snprintf(goal->name, sizeof goal->name, "%s", name);
}

void bench_goals_most(bench_goals *g, const char *name, quartiles measured, double bound)
{
    add(g, name, measured, bound, false);
}

void bench_goals_least(bench_goals *g, const char *name, quartiles measured, double bound)
{
    add(g, name, measured, bound, true);
}

bool bench_goal_met(const bench_goal *goal)
{
    return goal->at_least ? goal->measured >= goal->bound : goal->measured <= goal->bound;
}

static int count_missed(const bench_goals *g)
{
    int missed = 0;
    for (int i = 0; i < g->count; i++) {
        missed += !bench_goal_met(&g->goals[i]);
    }
    return missed;
}

void bench_goals_print(const bench_goals *g)
{
    if (g->count == 0) {
        return;
    }
    printf("\n%-60s %10s %-21s %10s  %s\n", "goal", "measured", "  quartiles", "bound", "verdict");
    for (int i = 0; i < g->count; i++) {
        const bench_goal *goal = &g->goals[i];
        char spread[64] = "-";
        if (!isnan(goal->lower)) {
            snprintf(spread, sizeof spread, "%.3g to %.3g", goal->lower, goal->upper);
        }
        printf("%-60s %10.4g   %-19s %s %7.4g  %s\n", goal->name, goal->measured, spread,
               goal->at_least ? ">=" : "<=", goal->bound, bench_goal_met(goal) ? "met" : "MISSED");
    }
}

json_t *bench_number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void bench_quartiles_json(json_t *object, const char *name, quartiles q)
{
    char text[96];
    json_object_set_new(object, name, bench_number_json(q.median));
    snprintf(text, sizeof text, "%s_lower_quartile", name);
    json_object_set_new(object, text, bench_number_json(q.lower));
    snprintf(text, sizeof text, "%s_upper_quartile", name);
    json_object_set_new(object, text, bench_number_json(q.upper));
}

json_t *bench_goals_json(const bench_goals *g)
{
    json_t *array = json_array();
    for (int i = 0; i < g->count; i++) {
        const bench_goal *goal = &g->goals[i];
        json_t *object = json_pack("{s:s}", "goal", goal->name);
        bench_quartiles_json(object, "measured",
                             (quartiles){goal->lower, goal->measured, goal->upper, 1});
        json_object_set_new(object, goal->at_least ? "at_least" : "at_most",
                            json_real(goal->bound));
        json_object_set_new(object, "verdict",
                            json_string(bench_goal_met(goal) ? "met" : "missed"));
        json_array_append_new(array, object);
    }
    return array;
}

void bench_goals_judge(const ranks *r, const bench_goals *g, failure *f)
{
    int missed = count_missed(g);
    if (r->rank == 0 && missed > 0) {
        failure_set(f, EXIT_GOAL, "%d of %d goals missed", missed, g->count);
    }
    ranks_agree(r, f);
}

void bench_print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

void bench_wait_idle(const ranks *r)
{
    const struct timespec pause = {0, 500000};
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(r->communicator, &request);
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    while (!done) {
        nanosleep(&pause, NULL);
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    }
}

void bench_largest(const ranks *r, double *values, int64_t count)
{
    enum { MOST = 1 << 20 };
    for (int64_t first = 0; first < count; first += MOST) {
        int length = (int)(count - first < MOST ? count - first : MOST);
        MPI_Allreduce(MPI_IN_PLACE, values + first, length, MPI_DOUBLE, MPI_MAX, r->communicator);
    }
}

bool bench_one_node(const ranks *r)
{
    double node = (double)ranks_node(r);
    bench_largest(r, &node, 1);
    return node == 0.0;
}
