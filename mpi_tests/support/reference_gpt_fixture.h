/*
 * What the tests of the GPT share: a text on disk, a model with lively values, a sink that keeps
 * gradients and protocol, and the bridge to the plain reference in double.
 */
#ifndef SUPPORT_REFERENCE_GPT_FIXTURE_H
#define SUPPORT_REFERENCE_GPT_FIXTURE_H

#include "support/reference_gpt.h"
#include "workload/workload.h"

enum { FIXTURE_MOST_PARAMETERS = 64 };

/* A temporary file of `count` bytes, all 256 values among them; remove it with fixture_remove. */
typedef struct fixture_text {
    char path[64];
    unsigned char *bytes;
    int64_t count;
} fixture_text;

fixture_text fixture_text_create(int64_t count);
void fixture_text_remove(fixture_text *subject);

/* A model over `data`; the test fails if it cannot be made. */
workload *fixture_gpt(const fixture_text *data, int layers, int width, int heads, int context,
                      int micro_batch_size, uint64_t seed);

/* Values large enough that every part of the model matters to the loss. */
void fixture_enliven(workload *w);

/* Gradients of one micro-batch, and what happened to the sink on the way. */
typedef struct fixture_gradients {
    workload *w;
    float *values[FIXTURE_MOST_PARAMETERS];
    int destinations[FIXTURE_MOST_PARAMETERS]; /* calls */
    int order[FIXTURE_MOST_PARAMETERS];        /* completed parameters */
    int completed;
    int outstanding; /* destinations asked for and not completed */
    int most_outstanding;
    int breaths;
    int refuse_destination, refuse_completion; /* parameters to say no to, or -1 */
    double loss;                               /* mean over samples */
    workload_result result;
} fixture_gradients;

fixture_gradients *fixture_gradients_create(workload *w);
void fixture_gradients_destroy(fixture_gradients *subject);

/* Computes a micro-batch; returns what the workload returned. */
int fixture_micro_batch(fixture_gradients *subject, int64_t step, int64_t micro_batch);

/* The parameters in double, and gradients of the same shapes, zero. */
typedef struct fixture_reference {
    reference_gpt shape;
    int parameters;
    double *values[FIXTURE_MOST_PARAMETERS];
    double *gradients[FIXTURE_MOST_PARAMETERS];
} fixture_reference;

fixture_reference *fixture_reference_create(const workload *w);
void fixture_reference_destroy(fixture_reference *subject);

/* Start of a training sequence of a micro-batch, by the documented formula. */
int64_t fixture_start(const workload *w, int64_t text_count, int64_t step, int64_t micro_batch,
                      int64_t sequence);

/* The micro-batch's mean loss over its sequences; its gradient replaces subject->gradients. */
double fixture_reference_micro_batch(fixture_reference *subject, const workload *w,
                                     const fixture_text *data, int64_t step, int64_t micro_batch);

#endif
