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

enum { OPTIMIZER_MAX_STATES = 4 };

typedef struct optimizer_input {
    const plumb_parameter_options *options;
    int64_t rows, cols;    /* of the whole parameter */
    int64_t count;         /* elements of this slice; rows * cols unless element-wise */
    int64_t update;        /* 1 for the parameter's first update */
    double learning_rate;  /* learning_rate_factor already applied */
    const float *gradient; /* [count], the mean, clipped, after the pipeline's own work */
    const float *values;   /* [count], old */
    const float *states[OPTIMIZER_MAX_STATES]; /* [count] each, old; zero before the first update */
    float *new_values;                         /* [count] */
    float *new_states[OPTIMIZER_MAX_STATES];
    float *scratch; /* [count], free to use; NULL unless needs_scratch */
} optimizer_input;

typedef struct optimizer_kind {
    const char *name;    /* as the program's --optimizer spells it */
    bool element_wise;   /* may be given any slice */
    bool orthogonalises; /* ends in a polar factor of its own unless the pipeline forbids it */
    bool needs_scratch;
    int state_count;                               /* states of one float an element */
    const char *state_names[OPTIMIZER_MAX_STATES]; /* such as "first_moment" */
    /* Fills what differs from the common defaults (all zero, factor 1). */
    void (*defaults)(plumb_parameter_options *options);
    /* A combination without meaning raises UNSUPPORTED or ARGUMENT; may be NULL. */
    plumb_status (*validate)(const plumb_parameter_options *options, int64_t rows, int64_t cols);
    plumb_status (*update)(const optimizer_input *input);
    /* Seconds, by a rough model, of one update: for balancing owners only, never for results. */
    double (*cost)(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                   int64_t count);
} optimizer_kind;

/* The kind, or NULL if there is none of that number. */
const optimizer_kind *optimizer_find(plumb_optimizer optimizer);

/*
 * Every option of a parameter of rows x cols: numbers against their bounds (ARGUMENT), then the
 * combination (UNSUPPORTED).
 */
plumb_status optimizer_validate(const plumb_parameter_options *options, int64_t rows, int64_t cols);

extern const optimizer_kind optimizer_sgd;
extern const optimizer_kind optimizer_adamw;
extern const optimizer_kind optimizer_muon;

#endif
