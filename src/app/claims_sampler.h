/*
 * Updates of a pipeline on a known gradient, through the library's own exchange: groups of
 * micro-batches are given to a handle with Muon, without momentum and by the singular value
 * decomposition, and the update is read off the values.
 *
 * Every repetition uses its noise twice, with either sign (antithetic): all odd orders of the noise
 * cancel exactly.
 */
#ifndef APP_CLAIMS_SAMPLER_H
#define APP_CLAIMS_SAMPLER_H

#include "app/claims_handle.h"
#include "app/claims_problem.h"

#include <stdbool.h>

/* What is expanded to second order and taken off, its expectation being known: of the mean of all
 * noise, the mean over groups of it, or nothing. */
typedef enum claims_control {
    CONTROL_NONE,
    CONTROL_OF_MEAN,  /* of pipelines that orthogonalise the average */
    CONTROL_OF_GROUPS /* that average what is orthogonalised */
} claims_control;

/* Updates of one pipeline with one number of groups and micro-batches. */
typedef struct claims_series {
    int truth; /* on which gradient, for who keeps several */
    plumb_pipeline pipeline;
    int groups, size; /* micro-batches in each group */
    int repetitions;
    claims_control control;
    bool plain; /* what the owner forms, as it is: not orthogonalised at the end */
} claims_series;

typedef struct claims_sampler {
    const claims_problem *problem;
    claims_control control;
    claims_handle handle;
    float *gradients; /* [micro-batches][count] */
    double *noise;    /* the same */
} claims_sampler;

typedef struct claims_sample {
    double error[PROBLEM_MOST]; /* mean of both signs' update - Q, without the control */
    double square;              /* mean of both signs' |update - Q|^2 */
    double plus[PROBLEM_MOST];  /* the update with the noise as it is */
} claims_sample;

/* Returns f's code; claims_sampler_destroy in any case. */
int claims_sampler_create(claims_sampler *s, const claims_problem *problem,
                          const claims_series *series, failure *f);

/* key.micro_batch is set here. Returns f's code. */
int claims_sampler_draw(claims_sampler *s, claims_key key, claims_sample *sample, failure *f);

/*
 * Adds `repetitions` samples to sums[count + 1]: of errors, then of squares. The repetitions have
 * the keys `key` with step + 0, 1, ... Returns f's code.
 */
int claims_sampler_add(claims_sampler *s, claims_key key, int repetitions, double *sums,
                       failure *f);

void claims_sampler_destroy(claims_sampler *s);

#endif
