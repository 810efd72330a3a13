/*
 * Noisy matrices with known singular directions, through the library's own exchange: groups of
 * signal plus normal noise are given to a handle, and what is decomposed is their mean as the
 * owner forms it.
 */
#ifndef APP_CLAIMS_ECHO_SAMPLER_H
#define APP_CLAIMS_ECHO_SAMPLER_H

#include "app/claims_handle.h"
#include "app/claims_random.h"
#include "app/claims_subject.h"

enum { ECHO_MOST_SPIKES = 4 };

typedef struct echo_sampler {
    int rows, cols, count, groups;
    int spikes;
    double deviation;                 /* of one entry of the mean's noise, root mean square */
    const double *row_scale;          /* [rows], NULL: the noise is isotropic; */
    const double *col_scale;          /* [cols]: entry (i, j) is scaled by their product */
    claims_handle handle;             /* values: minus the mean */
    float *gradients;                 /* [groups][count] */
    double *normals;                  /* count */
    double *left, *right;             /* [spikes][rows], [spikes][cols]: true directions */
    double *found_left, *found_right; /* the same of the mean, after echo_sampler_decompose */
    double found[ECHO_MOST_SPIKES];   /* its largest singular values */
} echo_sampler;

/* Returns f's code; echo_sampler_destroy in any case. */
int echo_sampler_create(echo_sampler *s, int rows, int cols, int groups, int spikes, failure *f);

/* One step with signals[spikes], the singular values of the truth. key.micro_batch is set here. */
int echo_sampler_draw(echo_sampler *s, claims_key key, const double *signals, failure *f);

/* Leading singular values and vectors of the mean, by plumb_lanczos. */
int echo_sampler_decompose(echo_sampler *s, failure *f);

void echo_sampler_destroy(echo_sampler *s);

/* What uses it. */
extern const claims_subject claims_echo_law, claims_echo_noise, claims_echo_spectrum;

#endif
