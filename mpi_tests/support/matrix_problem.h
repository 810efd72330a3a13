/*
 * optimizer_problem for optimizers that keep states in double too: Shampoo and SOAP.
 */
#ifndef SUPPORT_MATRIX_PROBLEM_H
#define SUPPORT_MATRIX_PROBLEM_H

#include <math.h>

#include "base/error.h"
#include "support/optimizer_problem.h"

enum { MATRIX_PROBLEM_MOST_STATES = 6 * (PROBLEM_MOST_GROUPS + 1) };

typedef struct matrix_problem {
    optimizer_problem base; /* set its options and groups before the first update */
    int matrix_states;      /* 0 until the first update */
    int64_t sizes[MATRIX_PROBLEM_MOST_STATES];
    double *states[MATRIX_PROBLEM_MOST_STATES], *new_states[MATRIX_PROBLEM_MOST_STATES];
} matrix_problem;

static inline void matrix_problem_init(matrix_problem *p, plumb_optimizer optimizer, int64_t rows,
                                       int64_t cols)
{
    memset(p, 0, sizeof *p);
    problem_init(&p->base, optimizer, rows, cols);
}

static inline void matrix_problem_free(matrix_problem *p)
{
    problem_free(&p->base);
    for (int s = 0; s < p->matrix_states; s++) {
        free(p->states[s]);
        free(p->new_states[s]);
    }
}

static inline const optimizer_kind *matrix_problem_kind(const matrix_problem *p)
{
    return optimizer_find(p->base.options.optimizer);
}

/* New memory is full of NaN, so that what an update leaves out is seen. */
static inline void matrix_problem_spoil(matrix_problem *p)
{
    for (int s = 0; s < p->matrix_states; s++) {
        memset(p->new_states[s], 0xff, (size_t)p->sizes[s] * sizeof(double));
    }
}

static inline void matrix_problem_make_states(matrix_problem *p)
{
    const optimizer_kind *kind = matrix_problem_kind(p);
    const optimizer_problem *b = &p->base;
    p->matrix_states = kind->matrix_state_count(&b->options, b->groups, b->rows, b->cols);
    ck_assert_int_le(p->matrix_states, MATRIX_PROBLEM_MOST_STATES);
    for (int s = 0; s < p->matrix_states; s++) {
        p->sizes[s] = kind->matrix_state_size(&b->options, b->groups, b->rows, b->cols, s);
        p->states[s] = calloc((size_t)p->sizes[s], sizeof(double));
        p->new_states[s] = calloc((size_t)p->sizes[s], sizeof(double));
        ck_assert_ptr_nonnull(p->states[s]);
        ck_assert_ptr_nonnull(p->new_states[s]);
    }
}

/* One update into the new arrays. */
static inline plumb_status matrix_problem_update(matrix_problem *p, double rate)
{
    optimizer_problem *b = &p->base;
    const optimizer_kind *kind = matrix_problem_kind(p);
    if (p->matrix_states == 0) {
        matrix_problem_make_states(p);
    }
    matrix_problem_spoil(p);
    bool grouped = kind->wants_groups(&b->options);
    optimizer_input input = {.options = &b->options,
                             .rows = b->rows,
                             .cols = b->cols,
                             .count = b->count,
                             .update = b->updates + 1,
                             .learning_rate = rate,
                             .gradient = b->gradient,
                             .values = b->values,
                             .new_values = b->new_values,
                             .states = (const float *const *)b->states,
                             .new_states = b->new_states,
                             .matrix_states = (const double *const *)p->states,
                             .new_matrix_states = p->new_states,
                             .group_count = grouped ? b->groups : 0,
                             .groups = grouped ? (const float *const *)b->group_gradients : NULL,
                             .counts = &b->counts,
                             .scratch = kind->needs_scratch ? b->scratch : NULL};
    return kind->update(&input);
}

static inline void matrix_problem_commit(matrix_problem *p)
{
    problem_commit(&p->base);
    for (int s = 0; s < p->matrix_states; s++) {
        double *kept = p->states[s];
        p->states[s] = p->new_states[s];
        p->new_states[s] = kept;
    }
}

/* An update that must succeed and leave nothing unwritten. */
static inline void matrix_problem_step(matrix_problem *p, double rate)
{
    ck_assert_msg(matrix_problem_update(p, rate) == PLUMB_OK, "%s", error_text());
    int unwritten = -1; /* one assertion: each costs a message to the runner */
    for (int s = 0; s < p->matrix_states; s++) {
        for (int64_t i = 0; i < p->sizes[s]; i++) {
            unwritten = isnan(p->new_states[s][i]) ? s : unwritten;
        }
    }
    ck_assert_msg(unwritten < 0, "state %d is not written", unwritten);
    matrix_problem_commit(p);
}

/* The state of that name and group. */
static inline double *matrix_problem_state(matrix_problem *p, const char *name, int group)
{
    const optimizer_kind *kind = matrix_problem_kind(p);
    const optimizer_problem *b = &p->base;
    for (int s = 0; s < p->matrix_states; s++) {
        int of = 0;
        const char *known =
            kind->matrix_state_name(&b->options, b->groups, b->rows, b->cols, s, &of);
        if (strcmp(known, name) == 0 && of == group) {
            return p->states[s];
        }
    }
    ck_abort_msg("no state is called %s", name);
    return NULL;
}

#endif
