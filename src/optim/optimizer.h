/*
 * The optimizers' one interface. A new optimizer is one file that defines an optimizer_kind and
 * one entry in registry.c.
 *
 * An optimizer sees one slice of one parameter at its owner: for element-wise kinds any run of
 * elements, for the others the whole matrix. It reads the old state and values and writes the new
 * ones to other memory, so that a step which fails anywhere leaves everything as it was.
 * Optimizers neither allocate state nor communicate; step does.
 */
#ifndef PLUMB_OPTIM_OPTIMIZER_H
#define PLUMB_OPTIM_OPTIMIZER_H

#include <stdbool.h>

#include "plumb.h"

/* What a step counts, over all elements that this rank owns. Updates add to it. */
typedef struct optimizer_counts {
    int64_t corrected, clipped;   /* elements with a bounded correction; those that met the bound */
    int64_t clippable, unclipped; /* Sophia's elements; those whose update stayed within the clip */
    int64_t roots_failed;         /* decompositions that failed at first */
} optimizer_counts;

typedef struct optimizer_input {
    const plumb_parameter_options *options;
    int64_t rows, cols;    /* of the whole parameter */
    int64_t count;         /* elements of this slice; rows * cols unless element-wise */
    int64_t update;        /* 1 for the parameter's first update */
    double learning_rate;  /* learning_rate_factor already applied */
    const float *gradient; /* [count], the mean, clipped, after the pipeline's own work */
    const float *values;   /* [count], old */
    float *new_values;     /* [count] */
    /* [state_count][count] each; the old ones are zero before the first update. */
    const float *const *states;
    float *const *new_states;
    /* [matrix_state_count][matrix_state_size] each, likewise; the new ones must all be written. */
    const double *const *matrix_states;
    double *const *new_matrix_states;
    /* If the kind wants groups: G, and every group's mean gradient [G][count], scaled by the same
     * clip factor as the mean. Groups weigh equally. Else 0 and NULL. */
    int group_count;
    const float *const *groups;
    /* If the kind has a curvature_interval and this is a step of curvature: its mean over the
     * micro-batches [count], and, if the kind wants_curvature_groups, each group's mean
     * [G][count]. Else NULL. */
    const float *curvature;
    const float *const *curvature_groups;
    optimizer_counts *counts;
    float *scratch; /* [count], free to use; NULL unless needs_scratch */
} optimizer_input;

/*
 * For kinds whose update of a large matrix may be made in panels of rows, which may have owners of
 * their own: an element-wise direction, its fast polar factor (linalg/polar_panels.h) with
 * options->polar_delta and polar_steps, element-wise new values. The step forms the factor.
 * `input` has the elements of one panel; rows and cols are the whole parameter's.
 */
typedef struct optimizer_panels {
    /* Panels of a matrix, those of polar_panel_count; 1: it is updated whole, by `update`. */
    int (*count)(const plumb_parameter_options *options, int64_t rows, int64_t cols);
    /* The new states, and what the polar factor is taken of. */
    void (*direction)(const optimizer_input *input, float *direction);
    /* The new values from the panel's part of the polar factor. */
    void (*apply)(const optimizer_input *input, const float *polar);
} optimizer_panels;

typedef struct optimizer_kind {
    const char *name;    /* as the program's --optimizer spells it */
    bool element_wise;   /* may be given any slice */
    bool orthogonalises; /* ends in a polar factor of its own unless the pipeline forbids it */
    bool needs_scratch;
    bool
        keeps_gradient; /* the new values are the gradient: `update` may be given one memory for both */
    bool counts;        /* adds to optimizer_counts without a correction too */
    /* States of one float an element, for G groups. */
    int (*state_count)(const plumb_parameter_options *options, int groups);
    /* Name of a state, such as "first_moment", and its group, or -1 if it belongs to all; NULL if
     * there is no state with any options. */
    const char *(*state_name)(const plumb_parameter_options *options, int groups, int state,
                              int *group);
    /* States in double of sizes of their own, for kinds that are not element-wise: how many for a
     * matrix of rows x cols and G groups, and the doubles, the name and the group (or -1) of one.
     * All NULL: none. */
    int (*matrix_state_count)(const plumb_parameter_options *options, int groups, int64_t rows,
                              int64_t cols);
    int64_t (*matrix_state_size)(const plumb_parameter_options *options, int groups, int64_t rows,
                                 int64_t cols, int state);
    const char *(*matrix_state_name)(const plumb_parameter_options *options, int groups,
                                     int64_t rows, int64_t cols, int state, int *group);
    /* True if updates need every group's gradient at the owner; NULL: never. */
    bool (*wants_groups)(const plumb_parameter_options *options);
    /* Steps from curvature to curvature; NULL: the kind uses none. Then whether updates need every
     * group's curvature; NULL: never. */
    int (*curvature_interval)(const plumb_parameter_options *options);
    bool (*wants_curvature_groups)(const plumb_parameter_options *options);
    /* Corrections that it knows, by plumb_correction, as bits; 0: none but NONE. */
    unsigned corrections;
    /* Fills what differs from the common defaults (all zero, factor 1). */
    void (*defaults)(plumb_parameter_options *options);
    /* A combination without meaning raises UNSUPPORTED or ARGUMENT; may be NULL. */
    plumb_status (*validate)(const plumb_parameter_options *options, int64_t rows, int64_t cols);
    /* The same for what depends on G, once G is known; may be NULL. */
    plumb_status (*validate_groups)(const plumb_parameter_options *options, int groups);
    plumb_status (*update)(const optimizer_input *input);
    const optimizer_panels *panels; /* NULL: never in panels */
    /* Seconds, by a rough model, of one update: for balancing owners only, never for results. */
    double (*cost)(const plumb_parameter_options *options, int groups, int64_t rows, int64_t cols,
                   int64_t count);
} optimizer_kind;

/* The kind, or NULL if there is none of that number. */
const optimizer_kind *optimizer_find(plumb_optimizer optimizer);

/* True if updates with these (valid) options need every group's gradient, or curvature, at the
 * owner. */
bool optimizer_wants_groups(const plumb_parameter_options *options);
bool optimizer_wants_curvature_groups(const plumb_parameter_options *options);

/* Steps from curvature to curvature; 0: the optimizer uses none. */
int optimizer_curvature_interval(const plumb_parameter_options *options);

/*
 * Every option of a parameter of rows x cols: numbers against their bounds (ARGUMENT), then the
 * combination (UNSUPPORTED).
 */
plumb_status optimizer_validate(const plumb_parameter_options *options, int64_t rows, int64_t cols);

extern const optimizer_kind optimizer_sgd;
extern const optimizer_kind optimizer_adamw;
extern const optimizer_kind optimizer_muon;
extern const optimizer_kind optimizer_sophia;
extern const optimizer_kind optimizer_shampoo;
extern const optimizer_kind optimizer_soap;
extern const optimizer_kind optimizer_none;

#endif
