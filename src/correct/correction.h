/*
 * The corrections of m / (sqrt(v) + epsilon) that AdamW offers, in one table: what each keeps
 * between steps, what it asks of the groups, and the function that computes the direction. They
 * work element by element on any slice. Formulas: docs/corrections.md and the header of each file.
 */
#ifndef PLUMB_CORRECT_CORRECTION_H
#define PLUMB_CORRECT_CORRECTION_H

#include <stdbool.h>

#include "correct/statistics.h"
#include "plumb.h"

typedef struct correction_input {
    int64_t count;
    int64_t update; /* 1 for the first */
    double beta1, beta2, epsilon;
    statistics_family family;      /* groups and noise floor */
    const float *const *gradients; /* [groups][count]: every group's mean gradient */
    const float *mean;             /* [count]: their mean */
    const float *const *states;    /* [correction_states][count], old */
    float *const *new_states;
    float *direction; /* [count]: the result, to be multiplied by the learning rate */
    int64_t *clipped; /* elements that met a bound are added */
} correction_input;

typedef struct correction_kind {
    const char *name;             /* as the program's --correction spells it */
    const char *shared_states[4]; /* one of each ... */
    const char *group_states[2];  /* ... and then G of each, group by group */
    void (*direct)(const correction_input *input);
    double only_noise_floor; /* the one value that it works with; 0: any */
    int least_groups;
    bool has_noise_floor; /* takes the option */
    bool halves;          /* splits the groups in two halves */
} correction_kind;

/* The correction, or NULL for PLUMB_CORRECTION_NONE and numbers there are none of. */
const correction_kind *correction_find(plumb_correction correction);

/* States of one float an element, and the name of one with its group, or -1. */
int correction_states(const correction_kind *kind, int groups);
const char *correction_state_name(const correction_kind *kind, int groups, int state, int *group);

/* ARGUMENT if the correction cannot work with that many groups or that noise floor among them. */
plumb_status correction_check_groups(const correction_kind *kind, int groups, double noise_floor);

/* moment.c */
void correction_moment(const correction_input *input);

/* leave_one_out.c, jackknife.c */
void correction_leave_one_out(const correction_input *input);
void correction_jackknife(const correction_input *input);

/* paper_halves.c */
void correction_paper_cross_fit(const correction_input *input);
void correction_paper_inverse(const correction_input *input);
void correction_paper_full(const correction_input *input);
void correction_paper_pre_ema(const correction_input *input);

/* paper_folds.c */
void correction_paper_leave_one_out(const correction_input *input);
void correction_paper_jensen(const correction_input *input);

#endif
