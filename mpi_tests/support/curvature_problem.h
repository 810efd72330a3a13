/*
 * One parameter under Sophia, outside of any handle: what the tests of its corrections drive. Old
 * and new state lie in different memory, as the library has it, and change places after a step.
 */
#ifndef SUPPORT_CURVATURE_PROBLEM_H
#define SUPPORT_CURVATURE_PROBLEM_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"
#include "support/test.h"

enum { CURVATURE_MOST_GROUPS = 64, CURVATURE_MOST_STATES = 2 * CURVATURE_MOST_GROUPS + 1 };

typedef struct curvature_problem {
    plumb_parameter_options options;
    int64_t count, updates; /* elements; updates done */
    int groups, state_count;
    optimizer_counts counts;
    float *gradient, *curvature, *values, *new_values;
    float *gradients[CURVATURE_MOST_GROUPS], *curvatures[CURVATURE_MOST_GROUPS];
    float *states[CURVATURE_MOST_STATES], *new_states[CURVATURE_MOST_STATES];
} curvature_problem;

static inline float *curvature_problem_array(int64_t count)
{
    float *array = calloc((size_t)count, sizeof *array);
    ck_assert_ptr_nonnull(array);
    return array;
}

/* Zero values, gradients and curvature; checks that the library takes the options. */
static inline void curvature_problem_init(curvature_problem *p,
                                          const plumb_parameter_options *options, int groups,
                                          int64_t count)
{
    *p = (curvature_problem){.options = *options, .count = count, .groups = groups};
    ck_assert_int_le(groups, CURVATURE_MOST_GROUPS);
    ck_assert_int_eq(optimizer_validate(options, count, 1), PLUMB_OK);
    ck_assert_int_eq(optimizer_sophia.validate_groups(options, groups), PLUMB_OK);
    p->state_count = optimizer_sophia.state_count(options, groups);
    ck_assert_int_le(p->state_count, CURVATURE_MOST_STATES);
    p->gradient = curvature_problem_array(count);
    p->curvature = curvature_problem_array(count);
    p->values = curvature_problem_array(count);
    p->new_values = curvature_problem_array(count);
    for (int k = 0; k < p->groups; k++) {
        p->gradients[k] = curvature_problem_array(count);
        p->curvatures[k] = curvature_problem_array(count);
    }
    for (int s = 0; s < p->state_count; s++) {
        p->states[s] = curvature_problem_array(count);
        p->new_states[s] = curvature_problem_array(count);
    }
}

static inline void curvature_problem_free(curvature_problem *p)
{
    free(p->gradient);
    free(p->curvature);
    free(p->values);
    free(p->new_values);
    for (int k = 0; k < p->groups; k++) {
        free(p->gradients[k]);
        free(p->curvatures[k]);
    }
    for (int s = 0; s < p->state_count; s++) {
        free(p->states[s]);
        free(p->new_states[s]);
    }
}

static inline void curvature_problem_mean(int64_t count, int groups, float *const *group,
                                          float *mean)
{
    for (int64_t i = 0; i < count; i++) {
        double sum = 0.0;
        for (int k = 0; k < groups; k++) {
            sum += (double)group[k][i];
        }
        mean[i] = (float)(sum / groups);
    }
}

/* The means over the groups, as a step would form them. */
static inline void curvature_problem_means(curvature_problem *p)
{
    curvature_problem_mean(p->count, p->groups, p->gradients, p->gradient);
    curvature_problem_mean(p->count, p->groups, p->curvatures, p->curvature);
}

/* Is the coming step one of curvature? */
static inline bool curvature_problem_due(const curvature_problem *p)
{
    return p->updates % p->options.curvature_interval == 0;
}

/* The update of elements first .. first + count - 1 into the new arrays. */
static inline plumb_status curvature_problem_update(curvature_problem *p, double rate,
                                                    int64_t first, int64_t count)
{
    const float *states[CURVATURE_MOST_STATES], *gradients[CURVATURE_MOST_GROUPS];
    const float *curvatures[CURVATURE_MOST_GROUPS];
    float *new_states[CURVATURE_MOST_STATES];
    for (int s = 0; s < p->state_count; s++) {
        states[s] = p->states[s] + first;
        new_states[s] = p->new_states[s] + first;
    }
    for (int k = 0; k < p->groups; k++) {
        gradients[k] = p->gradients[k] + first;
        curvatures[k] = p->curvatures[k] + first;
    }
    bool due = curvature_problem_due(p), by_group = optimizer_wants_groups(&p->options);
    bool curvature_by_group = due && optimizer_wants_curvature_groups(&p->options);
    optimizer_input input = {.options = &p->options,
                             .rows = p->count,
                             .cols = 1,
                             .count = count,
                             .update = p->updates + 1,
                             .learning_rate = rate,
                             .gradient = p->gradient + first,
                             .values = p->values + first,
                             .new_values = p->new_values + first,
                             .states = states,
                             .new_states = new_states,
                             .group_count = by_group || curvature_by_group ? p->groups : 0,
                             .groups = by_group ? gradients : NULL,
                             .curvature = due ? p->curvature + first : NULL,
                             .curvature_groups = curvature_by_group ? curvatures : NULL,
                             .counts = &p->counts};
    return optimizer_sophia.update(&input);
}

static inline void curvature_problem_swap(float **left, float **right)
{
    float *kept = *left;
    *left = *right;
    *right = kept;
}

/* The new arrays become the old ones. */
static inline void curvature_problem_commit(curvature_problem *p)
{
    p->updates++;
    curvature_problem_swap(&p->values, &p->new_values);
    for (int s = 0; s < p->state_count; s++) {
        curvature_problem_swap(&p->states[s], &p->new_states[s]);
    }
}

static inline void curvature_problem_step(curvature_problem *p, double rate)
{
    ck_assert_int_eq(curvature_problem_update(p, rate, 0, p->count), PLUMB_OK);
    curvature_problem_commit(p);
}

#endif
