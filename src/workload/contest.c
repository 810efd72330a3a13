/*
 * Rounds and turns; see contest.h.
 */
#include "workload/contest.h"

#include <math.h>
#include <stdbool.h>

enum { MOST_REPEATS = 100000 };

/* A turn takes at least so many seconds, so that the clock and an interrupt do not matter. */
static const double turn_seconds = 0.002;

typedef struct contest_course {
    int64_t repeats[CONTEST_MOST];
    double used[CONTEST_MOST]; /* seconds */
    double share;              /* seconds that each may use */
    double unit;               /* seconds of the unit, last time */
} contest_course;

int contest_add(contest *c, int (*run)(void *context), void *context)
{
    c->contestants[c->count] = (contestant){run, context};
    return c->count++;
}

/* Seconds of one run out of `repeats`. */
static int take_turn(const contest *c, int number, int64_t repeats, double *seconds)
{
    const contestant *one = &c->contestants[number];
    double start = quartiles_clock();
    for (int64_t i = 0; i < repeats; i++) {
        int reason = one->run(one->context);
        if (reason != 0) {
            return reason;
        }
    }
    *seconds = (quartiles_clock() - start) / (double)repeats;
    return 0;
}

/* Everyone once, to touch all memory and to see how often it has to run in a turn. */
static int warm_up(const contest *c, contest_course *course)
{
    for (int i = 0; i < c->count; i++) {
        double seconds = 0.0;
        for (int again = 0; again < 2 && seconds < turn_seconds; again++) {
            int reason = take_turn(c, i, 1, &seconds);
            if (reason != 0) {
                return reason;
            }
        }
        double repeats = ceil(turn_seconds / (seconds + 1e-9));
        course->repeats[i] = repeats > MOST_REPEATS ? MOST_REPEATS : (int64_t)repeats;
        course->unit = i == 0 ? seconds : course->unit;
    }
    return 0;
}

static bool still_runs(const contest *c, const contest_course *course, int number)
{
    return c->rounds < CONTEST_LEAST_ROUNDS || course->used[number] < course->share;
}

/* One contestant between two units. */
static int run_between(contest *c, contest_course *course, int number)
{
    double seconds, after;
    int reason = take_turn(c, number, course->repeats[number], &seconds);
    if (reason != 0) {
        return reason;
    }
    reason = take_turn(c, 0, course->repeats[0], &after);
    if (reason != 0) {
        return reason;
    }
    c->seconds[number][c->rounds] = seconds;
    c->units[number][c->rounds] = 2.0 * seconds / (course->unit + after);
    course->used[number] += seconds * (double)course->repeats[number];
    course->unit = after;
    return 0;
}

static int run_round(contest *c, contest_course *course, bool *any)
{
    int reason = take_turn(c, 0, course->repeats[0], &course->unit);
    c->seconds[0][c->rounds] = course->unit;
    c->units[0][c->rounds] = 1.0;
    *any = false;
    for (int i = 1; i < c->count && reason == 0; i++) {
        c->seconds[i][c->rounds] = NAN;
        c->units[i][c->rounds] = NAN;
        if (still_runs(c, course, i)) {
            reason = run_between(c, course, i);
            *any = true;
        }
    }
    return reason;
}

int contest_run(contest *c, double seconds)
{
    contest_course course = {.share = seconds / c->count};
    int reason = warm_up(c, &course);
    bool any = true;
    c->rounds = 0;
    while (reason == 0 && any && c->rounds < CONTEST_MOST_ROUNDS) {
        reason = run_round(c, &course, &any);
        c->rounds += any;
    }
    return reason;
}

static quartiles copy_quartiles(const double *values, int64_t count)
{
    double copy[CONTEST_MOST_ROUNDS];
    for (int64_t i = 0; i < count; i++) {
        copy[i] = values[i];
    }
    return quartiles_of(copy, count);
}

quartiles contest_seconds(const contest *c, int number)
{
    return copy_quartiles(c->seconds[number], c->rounds);
}

quartiles contest_units(const contest *c, int number)
{
    return copy_quartiles(c->units[number], c->rounds);
}

quartiles contest_ratio(const contest *c, int number, int other)
{
    return quartiles_of_ratios(c->units[number], c->units[other], c->rounds);
}
