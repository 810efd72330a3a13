/*
 * The corrections of m / (sqrt(v) + epsilon) that AdamW offers, in one table: what each keeps
 * between steps, what it asks of the groups, and the function that computes the direction. They
 * work element by element on any slice. Formulas: docs/corrections.md and the header of each file.
 *
 * Another optimizer that divides by such a root calls correction_validate, correction_check_groups,
 * correction_states and correction_state_name with its own options, and at an update fills a
 * correction_input from correction_input_of and calls correction_find(...)->direct.
 */
#ifndef PLUMB_CORRECT_CORRECTION_H
#define PLUMB_CORRECT_CORRECTION_H

#include <stdbool.h>

#include "correct/statistics.h"
#include "correct/tracks.h"
#include "plumb.h"

typedef struct correction_input {
    int64_t count;
    int64_t update; /* 1 for the first */
    double beta1, beta2, epsilon;
    statistics_family family;      /* groups and noise floor */
    int folds;                     /* of groups / folds consecutive groups each */
    double mixing, support_clip;   /* paper_mixing and paper_support_clip */
    const float *const *gradients; /* [groups][count]: every group's mean gradient */
    const float *mean;             /* [count]: their mean */
    const float *const *states;    /* [correction_states][count], old */
    float *const *new_states;
    float *direction; /* [count]: the result, to be multiplied by the learning rate */
    int64_t *clipped; /* elements that met a bound are added */
} correction_input;

/* Of one element, roughly, memory included. */
typedef struct correction_nanoseconds {
    double fixed, group, fold;
} correction_nanoseconds;

typedef struct correction_kind {
    correction_tracks tracks;
    correction_split split;
    void (*direct)(const correction_input *input);
    double only_noise_floor; /* the one value that it works with; 0: any */
    bool has_noise_floor;    /* takes the option noise_floor */
    bool has_mixing;         /* takes the option paper_mixing */
    bool has_support_clip;   /* takes the option paper_support_clip */
    correction_nanoseconds cost;
} correction_kind;

/* The correction, or NULL for PLUMB_CORRECTION_NONE and those of other kinds of update. */
const correction_kind *correction_find(plumb_correction correction);

/* The word for any correction, as the program's --correction spells it; "none" for NONE. */
const char *correction_name(plumb_correction correction);

/* Those of m / (sqrt(v) + epsilon), as the bits of optimizer_kind.corrections. */
enum { CORRECTIONS_OF_MOMENTS = (1 << (PLUMB_CORRECTION_PAPER_SYM + 1)) - 2 };

/* States of one float an element, and the name of one with its fold, or -1. The options have a
 * correction of this table. */
int correction_states(const plumb_parameter_options *options, int groups);
const char *correction_state_name(const plumb_parameter_options *options, int groups, int state,
                                  int *fold);

/*
 * What the options ask of a correction, or without one of this table. Errors: UNSUPPORTED for an
 * option that the correction does not have, ARGUMENT for a value that it cannot work with.
 */
plumb_status correction_validate(const plumb_parameter_options *options);

/* The same for what depends on G. Errors: ARGUMENT. */
plumb_status correction_check_groups(const plumb_parameter_options *options, int groups);

/* Seconds of one element by a rough model, for balancing owners only. */
double correction_cost(const plumb_parameter_options *options, int groups);

/* An input with what the options say; all other members are 0. */
correction_input correction_input_of(const plumb_parameter_options *options, int groups);

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
void correction_paper_symmetric(const correction_input *input);

/* paper_folds.c */
void correction_paper_leave_one_out(const correction_input *input);
void correction_paper_jensen(const correction_input *input);

#endif
