/*
 * Samples of updates; see claims_sampler.h.
 */
#include "app/claims_sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Muon without momentum, or the plain sum of what the pipeline forms. */
static void set_options(const claims_series *series, plumb_parameter_options *options)
{
    claims_handle_options(series->plain ? PLUMB_OPTIMIZER_SGD : PLUMB_OPTIMIZER_MUON, options);
    options->pipeline = series->pipeline;
    options->polar = PLUMB_POLAR_SVD;
    options->beta1 = 0.0;
    options->nesterov = 0;
}

int claims_sampler_create(claims_sampler *s, const claims_problem *problem,
                          const claims_series *series, failure *f)
{
    int micro_batches = series->groups * series->size;
    size_t count = (size_t)micro_batches * (size_t)problem->count;
    plumb_parameter_options options;
    *s = (claims_sampler){.problem = problem,
                          .control = series->control,
                          .gradients = calloc(count, sizeof *s->gradients),
                          .noise = calloc(count, sizeof *s->noise)};
    if (s->gradients == NULL || s->noise == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    set_options(series, &options);
    claims_handle_create(&s->handle, "matrix", series->groups, problem->rows, problem->cols,
                         &options, f);
    s->handle.micro_batches = micro_batches;
    /* Muon scales by 0.2 sqrt(rows). */
    s->handle.rate = series->plain ? 1.0 : 1.0 / (0.2 * sqrt((double)problem->rows));
    return f->code;
}

static void fill_noise(claims_sampler *s, claims_key key)
{
    for (int k = 0; k < s->handle.micro_batches; k++) {
        key.micro_batch = (uint16_t)k;
        claims_problem_noise(s->problem, key, s->noise + k * s->problem->count);
    }
}

/* The update with one sign of the noise is added to the sample. */
static int add_update(claims_sampler *s, double sign, claims_sample *sample, failure *f)
{
    const claims_problem *p = s->problem;
    for (int k = 0; k < s->handle.micro_batches; k++) {
        for (int i = 0; i < p->count; i++) {
            int at = k * p->count + i;
            s->gradients[at] = (float)(p->gradient[i] + sign * s->noise[at]);
        }
    }
    claims_handle_step(&s->handle, s->gradients, NULL, f);
    for (int i = 0; i < p->count; i++) {
        double update = -(double)s->handle.values[i];
        double error = update - p->polar[i];
        sample->error[i] += 0.5 * error;
        sample->square += 0.5 * error * error;
        if (sign > 0.0) {
            sample->plus[i] = update;
        }
    }
    return f->code;
}

static void take_off(claims_sampler *s, int first, int count, double share, claims_sample *sample,
                     failure *f)
{
    const claims_problem *p = s->problem;
    double mean[PROBLEM_MOST] = {0}, term[PROBLEM_MOST] = {0};
    for (int k = first; k < first + count; k++) {
        for (int i = 0; i < p->count; i++) {
            mean[i] += s->noise[k * p->count + i] / count;
        }
    }
    claims_problem_second(p, mean, term, f);
    for (int i = 0; i < p->count; i++) {
        sample->error[i] -= share * term[i];
    }
}

int claims_sampler_draw(claims_sampler *s, claims_key key, claims_sample *sample, failure *f)
{
    memset(sample, 0, sizeof *sample);
    fill_noise(s, key);
    if (add_update(s, 1.0, sample, f) != EXIT_OK || add_update(s, -1.0, sample, f) != EXIT_OK) {
        return f->code;
    }
    if (s->control == CONTROL_OF_MEAN) {
        take_off(s, 0, s->handle.micro_batches, 1.0, sample, f);
    } else if (s->control == CONTROL_OF_GROUPS) {
        int size = s->handle.micro_batches / s->handle.groups;
        for (int g = 0; g < s->handle.groups && f->code == EXIT_OK; g++) {
            take_off(s, g * size, size, 1.0 / s->handle.groups, sample, f);
        }
    }
    return f->code;
}

int claims_sampler_add(claims_sampler *s, claims_key key, int repetitions, double *sums, failure *f)
{
    for (int r = 0; r < repetitions && f->code == EXIT_OK; r++) {
        claims_sample sample;
        if (claims_sampler_draw(s, key, &sample, f) == EXIT_OK) {
            for (int i = 0; i < s->problem->count; i++) {
                sums[i] += sample.error[i];
            }
            sums[s->problem->count] += sample.square;
        }
        key.step++;
    }
    return f->code;
}

void claims_sampler_destroy(claims_sampler *s)
{
    claims_handle_destroy(&s->handle);
    free(s->gradients);
    free(s->noise);
    s->gradients = NULL;
    s->noise = NULL;
}
