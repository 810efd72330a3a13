/*
 * A run in which curvature of all three kinds travels: parameters of Sophia with and without a
 * correction, in slices and in shared buckets, beside optimizers that use none, on small integers.
 */
#ifndef SUPPORT_CURVATURE_RUN_H
#define SUPPORT_CURVATURE_RUN_H

#include <stdbool.h>

#include "plumb.h"

enum {
    CURVATURE_STEPS = 5,
    CURVATURE_INTERVAL = 2,
    CURVATURE_PARAMETERS = 9,
    CURVATURE_LARGEST = 9001, /* elements of a parameter */
    CURVATURE_ELEMENTS = CURVATURE_LARGEST + 30 + 7 + 40 + 15 + 8200 + 9 + 11 + 3
};

typedef struct curvature_shape {
    const char *name;
    int rows, cols;
    plumb_optimizer optimizer;
    plumb_curvature kind;
    plumb_correction correction; /* in runs with corrections; leave-one-out has two folds */
} curvature_shape;

/* The parameters, and the numbers of some. */
extern const curvature_shape curvature_shapes[CURVATURE_PARAMETERS];
enum { CURVATURE_MATRIX = 1, CURVATURE_BIAS = 2, CURVATURE_FEW = 6 };

typedef struct curvature_run {
    int64_t total;
    int groups;
    bool corrected;
    bool unequal; /* micro-batches have 1 to 3 samples in the first two steps */
    plumb_owners owners;
    plumb_exchange exchange;
} curvature_run;

int curvature_run_elements(int i);
bool curvature_run_uses(int i); /* curvature */
double curvature_run_samples(const curvature_run *r, int step, int64_t k);

/* What is given for element e of parameter i in micro-batch k, and the curvature that it means. */
float curvature_run_gradient(int step, int64_t k, int i, int e);
float curvature_run_curvature(int step, int64_t k, int i, int e);

/* A handle and its parameters, one behind the other in values[CURVATURE_ELEMENTS]. */
plumb_status curvature_run_open(const curvature_run *r, MPI_Comm communicator, float *values,
                                plumb **p);

/* Hands over one piece; curvature only if it is due and used. */
plumb_status curvature_run_give_gradient(plumb *p, int step, int64_t k, int i);
plumb_status curvature_run_give_curvature(plumb *p, int step, int64_t k, int i);

/* Hands over all of this rank's, in an order that differs from step to step. */
plumb_status curvature_run_give(const curvature_run *r, plumb *p, int step);

/* A whole step that goes well; if not, standard error tells. */
plumb_status curvature_run_step(const curvature_run *r, plumb *p, int step);

/* All steps. values[CURVATURE_STEPS + 1][CURVATURE_ELEMENTS]: the initial ones first. */
plumb_status curvature_run_go(const curvature_run *r, MPI_Comm communicator, float *values);

#endif
