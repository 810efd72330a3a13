/*
 * A small training run that tests let fail: parameters of three optimizers with state, gradients
 * from fixed keys, different on every rank. What a failed step must not touch is compared by the
 * hash of the values after further, good steps, which shows the optimizers' states too. Parameters
 * that use curvature get it when it is due.
 */
#ifndef SUPPORT_TRIAL_H
#define SUPPORT_TRIAL_H

#include <stdbool.h>

#include "plumb.h"

enum { TRIAL_PARAMETERS = 3, TRIAL_TOTAL = 8 };

typedef struct trial {
    plumb *p;
    float *values[TRIAL_PARAMETERS];  /* 0: a Muon matrix, 1: an AdamW vector, 2: an SGD row */
    bool curvature[TRIAL_PARAMETERS]; /* uses it */
    bool scattered; /* set by the test: every other micro-batch first, which needs more memory */
    int rank, size;
    char log[1024]; /* lines the handle wrote */
} trial;

/* Number of elements and name of a parameter. */
int64_t trial_elements(int i);
const char *trial_name(int i);

/* Defaults of the handle's and of parameter i's options. */
void trial_options(trial *t, plumb_options *options);
void trial_parameter_options(int i, plumb_parameter_options *options);

/* A handle on MPI_COMM_WORLD with its parameters; options may be NULL. */
plumb_status trial_open(trial *t, const plumb_options *options);

/* The same in two halves, for tests that change something between. */
plumb_status trial_create(trial *t, const plumb_options *options);
plumb_status trial_register(trial *t, int i, const plumb_parameter_options *options);

/* Destroys it; true if the library then holds no memory. */
bool trial_close(trial *t);

/* The gradient of parameter i for micro-batch k, and all of this rank's handed over, with curvature
 * where it is due, up to the first failure. */
void trial_gradient(int step, int64_t k, int i, float *gradient);
plumb_status trial_give(trial *t, int step, int64_t total);

/* A whole step that goes well. */
plumb_status trial_step(trial *t, int step);

/*
 * True on all ranks if all have the expected status and the same message, which contains `part`;
 * what is wrong goes to standard error. `p` may be NULL. Collective over MPI_COMM_WORLD.
 */
bool trial_refused(const plumb *p, plumb_status status, plumb_status expected, const char *part);

/* True if the hash of this rank's values is that of every rank, which is then in `hash`. */
bool trial_hash(const trial *t, char hash[33]);

#endif
