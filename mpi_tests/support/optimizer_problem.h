/*
 * One parameter under one optimizer, outside of any handle: what the tests of the optimizers drive.
 * Old and new state lie in different memory, as the library has it, and change places after a step.
 */
#ifndef SUPPORT_OPTIMIZER_PROBLEM_H
#define SUPPORT_OPTIMIZER_PROBLEM_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"
#include "support/test.h"

enum { PROBLEM_MOST_GROUPS = 16, PROBLEM_MOST_STATES = 3 * PROBLEM_MOST_GROUPS + 1 };

typedef struct optimizer_problem {
    plumb_parameter_options options;
    int64_t rows, cols, count;
    int64_t updates;         /* done */
    int groups;              /* G, where the optimizer wants them: set it with the options */
    optimizer_counts counts; /* of all updates so far */
    float *gradient, *values, *new_values, *scratch;
    float *group_gradients[PROBLEM_MOST_GROUPS];
    float *states[PROBLEM_MOST_STATES], *new_states[PROBLEM_MOST_STATES];
} optimizer_problem;

static inline float *problem_array(int64_t count)
{
    float *array = calloc((size_t)count, sizeof *array);
    ck_assert_ptr_nonnull(array);
    return array;
}

static inline void problem_init(optimizer_problem *p, plumb_optimizer optimizer, int64_t rows,
                                int64_t cols)
{
    memset(p, 0, sizeof *p);
    ck_assert_int_eq(plumb_parameter_options_init(&p->options, sizeof p->options, optimizer),
                     PLUMB_OK);
    p->rows = rows;
    p->cols = cols;
    p->count = rows * cols;
    p->gradient = problem_array(p->count);
    p->values = problem_array(p->count);
    p->new_values = problem_array(p->count);
    p->scratch = problem_array(p->count);
    for (int k = 0; k < PROBLEM_MOST_GROUPS; k++) {
        p->group_gradients[k] = problem_array(p->count);
    }
    for (int s = 0; s < PROBLEM_MOST_STATES; s++) {
        p->states[s] = problem_array(p->count);
        p->new_states[s] = problem_array(p->count);
    }
    for (int64_t i = 0; i < p->count; i++) {
        p->values[i] = test_value(1, 0, (uint64_t)i);
    }
}

static inline void problem_free(optimizer_problem *p)
{
    free(p->gradient);
    free(p->values);
    free(p->new_values);
    free(p->scratch);
    for (int k = 0; k < PROBLEM_MOST_GROUPS; k++) {
        free(p->group_gradients[k]);
    }
    for (int s = 0; s < PROBLEM_MOST_STATES; s++) {
        free(p->states[s]);
        free(p->new_states[s]);
    }
}

/* A gradient that differs in every element and step. */
static inline void problem_gradient(optimizer_problem *p, float scale)
{
    for (int64_t i = 0; i < p->count; i++) {
        p->gradient[i] = scale * test_value(2, (uint64_t)p->updates, (uint64_t)i);
    }
}

/* The mean of the groups' gradients, as a step would form it. */
static inline void problem_mean(optimizer_problem *p)
{
    for (int64_t i = 0; i < p->count; i++) {
        double sum = 0.0;
        for (int k = 0; k < p->groups; k++) {
            sum += (double)p->group_gradients[k][i];
        }
        p->gradient[i] = (float)(sum / p->groups);
    }
}

/* Groups that share a mean of `mean` in size and differ by as much, and their mean. */
static inline void problem_groups(optimizer_problem *p, float mean)
{
    for (int k = 0; k < p->groups; k++) {
        for (int64_t i = 0; i < p->count; i++) {
            uint64_t noise = (uint64_t)p->updates * PROBLEM_MOST_GROUPS + (uint64_t)k;
            p->group_gradients[k][i] =
                mean * (test_value(3, 0, (uint64_t)i) + test_value(4, noise, (uint64_t)i));
        }
    }
    problem_mean(p);
}

static inline void problem_swap(float **left, float **right)
{
    float *kept = *left;
    *left = *right;
    *right = kept;
}

/* The update of elements first .. first + count - 1 into the new arrays. */
static inline plumb_status problem_update(optimizer_problem *p, double rate, int64_t first,
                                          int64_t count)
{
    optimizer_input input = {.options = &p->options,
                             .rows = p->rows,
                             .cols = p->cols,
                             .count = count,
                             .update = p->updates + 1,
                             .learning_rate = rate,
                             .gradient = p->gradient + first,
                             .values = p->values + first,
                             .new_values = p->new_values + first};
    const optimizer_kind *kind = optimizer_find(p->options.optimizer);
    const float *states[PROBLEM_MOST_STATES], *groups[PROBLEM_MOST_GROUPS];
    float *new_states[PROBLEM_MOST_STATES];
    for (int s = 0; s < kind->state_count(&p->options, p->groups); s++) {
        states[s] = p->states[s] + first;
        new_states[s] = p->new_states[s] + first;
    }
    for (int k = 0; k < p->groups; k++) {
        groups[k] = p->group_gradients[k] + first;
    }
    input.states = states;
    input.new_states = new_states;
    input.group_count = p->groups;
    input.groups = p->groups > 0 ? groups : NULL;
    input.counts = &p->counts;
    input.scratch = kind->needs_scratch ? p->scratch + first : NULL;
    return kind->update(&input);
}

/* The new arrays become the old ones. */
static inline void problem_commit(optimizer_problem *p)
{
    p->updates++;
    problem_swap(&p->values, &p->new_values);
    for (int s = 0; s < PROBLEM_MOST_STATES; s++) {
        problem_swap(&p->states[s], &p->new_states[s]);
    }
}

static inline void problem_step(optimizer_problem *p, double rate)
{
    ck_assert_int_eq(problem_update(p, rate, 0, p->count), PLUMB_OK);
    problem_commit(p);
}

#endif
