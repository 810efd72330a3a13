/*
 * Pieces of code timed in turns against one of them, the unit, which runs right before and right
 * after each of the others: on a shared machine a ratio of neighbours repeats, a time does not.
 */
#ifndef WORKLOAD_CONTEST_H
#define WORKLOAD_CONTEST_H

#include "workload/quartiles.h"

enum { CONTEST_MOST = 16, CONTEST_LEAST_ROUNDS = 3, CONTEST_MOST_ROUNDS = 1000 };

typedef struct contestant {
    int (*run)(void *context); /* returns 0, or another number to stop everything */
    void *context;
} contestant;

typedef struct contest {
    contestant contestants[CONTEST_MOST]; /* 0: the unit */
    int count;
    int64_t rounds;
    /* Of one run, in every round; NaN where it did not run. */
    double seconds[CONTEST_MOST][CONTEST_MOST_ROUNDS];
    double units[CONTEST_MOST][CONTEST_MOST_ROUNDS];
} contest;

/* Returns the contestant's number. */
int contest_add(contest *c, int (*run)(void *context), void *context);

/*
 * Runs for about `seconds`. Everyone runs in three rounds at least, and then as long as its equal
 * share of the seconds lasts; what is short is repeated within its turn. Returns what a
 * contestant returned that was not 0, or 0.
 */
int contest_run(contest *c, double seconds);

quartiles contest_seconds(const contest *c, int number);
quartiles contest_units(const contest *c, int number);

/* How many times as long as `other` it took, each in units of the same round. */
quartiles contest_ratio(const contest *c, int number, int other);

#endif
