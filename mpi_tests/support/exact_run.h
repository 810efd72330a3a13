/*
 * Runs of the public interface whose results can be told beforehand without rounding: gradients
 * are small integers, the optimizer is x = x - mean, and a plain loop on every rank says what must
 * come out. A wrong weight, a lost element or a wrong mean cannot hide.
 */
#ifndef SUPPORT_EXACT_RUN_H
#define SUPPORT_EXACT_RUN_H

#include <stdbool.h>

#include "plumb.h"

enum { EXACT_STEPS = 4, EXACT_PARAMETERS = 7 };

typedef struct exact_run {
    plumb_options options;
    int steps;
    int64_t totals[EXACT_STEPS]; /* micro-batches of each step */
    bool unequal_samples;        /* micro-batch k has 1 + k % 4 samples, else nominal_samples */
    bool norms;                  /* micro-batch k comes with k % 3 per-sample norms */
    bool own_memory, descending;
    bool uneven_pace; /* ranks rest for different times between gradients, and poll */
} exact_run;

/* Defaults: one step of 8 micro-batches. */
void exact_run_init(exact_run *r);

/* Floats of all parameters together. */
int64_t exact_run_elements(void);

/*
 * Runs on `communicator`, and compares values, report and per-sample norms after every step with
 * the plain reference. True if all is right here; else says on standard error what is not. `last`
 * may be NULL. Collective.
 */
bool exact_run_holds(MPI_Comm communicator, const exact_run *r, plumb_report *last);

/* The pieces of it, for runs that tests drive themselves. */
typedef struct exact_model {
    float *values[EXACT_PARAMETERS];
    float *expected[EXACT_PARAMETERS]; /* what the plain reference says */
    double norm;                       /* of the last mean, by the reference */
} exact_model;

/* Zero values, expected and real. */
void exact_model_make(exact_model *m);
void exact_model_free(exact_model *m);
plumb_status exact_model_register(const exact_model *m, plumb *p);

/* Hands over this rank's gradients of step `step`, and its descriptions. */
plumb_status exact_model_give(const exact_run *r, int step, plumb *p);

/* The reference takes the step too. Then: is everything equal? */
void exact_model_step(const exact_run *r, int step, exact_model *m);
bool exact_model_equal(const exact_model *m);

#endif
