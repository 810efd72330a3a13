/*
 * Short runs whose handle diagnoses its gradients: five parameters, some of them matrices, and what
 * a run ends with. Gradients are a signal, and noise of about a third of its size.
 */
#ifndef SUPPORT_DIAGNOSED_RUN_H
#define SUPPORT_DIAGNOSED_RUN_H

#include <stdbool.h>

#include "plumb.h"

enum {
    DIAGNOSED_PARAMETERS = 5,
    DIAGNOSED_MOST = 9001,
    DIAGNOSED_TOTAL = 8,
    DIAGNOSED_STEPS = 3,
    DIAGNOSED_SIDES = 3 + 10 + 24
};

typedef struct diagnosed_shape {
    const char *name;
    int64_t rows, cols;
    plumb_optimizer optimizer;
} diagnosed_shape;

extern const diagnosed_shape diagnosed_shapes[DIAGNOSED_PARAMETERS];

typedef enum diagnosed_noise {
    DIAGNOSED_NOISY,
    DIAGNOSED_CONSTANT,
    DIAGNOSED_ZERO
} diagnosed_noise;

/* What is run. */
typedef struct diagnosed_setup {
    plumb_options options;
    plumb_pipeline pipeline; /* of "matrix" */
    diagnosed_noise noise;
    bool unequal;  /* samples: 1 + k % 3 */
    int64_t total; /* micro-batches */
    int steps;
    int broken;    /* in front of this step comes one with a NaN; 0: none */
    char log[256]; /* last line */
    int lines;
} diagnosed_setup;

/* What it ends with. */
typedef struct diagnosed_outcome {
    char hash[33];
    plumb_diagnosis found[DIAGNOSED_PARAMETERS + 1];
    int64_t directions[DIAGNOSED_PARAMETERS];
    double spectra[DIAGNOSED_PARAMETERS][3][24];
} diagnosed_outcome;

int64_t diagnosed_elements(int i);
double diagnosed_samples(const diagnosed_setup *s, int64_t k);
void diagnosed_gradient(const diagnosed_setup *s, int step, int64_t k, int i, float *gradient);

diagnosed_setup diagnosed_setup_of(plumb_diagnostics kind);

/* The run on all ranks, and on this one alone; a test's failure if one of its calls fails. */
void diagnosed_run_on_all(diagnosed_setup *s, diagnosed_outcome *o);
void diagnosed_run_alone(diagnosed_setup s, diagnosed_outcome *o);

#endif
