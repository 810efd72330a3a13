/*
 * Runs with matrices that are large enough to be updated in row panels, beside some that are not.
 * Gradients depend on step, micro-batch and element, and are whole numbers, so that means are
 * exact.
 */
#ifndef SUPPORT_PANEL_RUN_H
#define SUPPORT_PANEL_RUN_H

#include "plumb.h"

enum { PANEL_PARAMETERS = 6, PANEL_PANELLED = 3, PANEL_TOTAL = 8 };

typedef struct panel_run {
    plumb_options options;
    plumb_parameter_options muon; /* of the matrices */
    int first, end;               /* the parameters that it has; the panelled ones come first */
    double cost_seconds[PANEL_PARAMETERS];
    float scale;      /* of gradients that are given, a power of two */
    float head_scale; /* the same of their first half alone */
    plumb *p;
    float *values[PANEL_PARAMETERS];
    float *gradient;
} panel_run;

int64_t panel_run_rows(int i);
int64_t panel_run_cols(int i);
int64_t panel_run_elements(int i);
const char *panel_run_name(int i);

/* Defaults: all parameters, Muon with the fast polar factor, two groups. */
void panel_run_init(panel_run *r);

/* The gradient of parameter i for micro-batch k. */
void panel_run_gradient(int step, int64_t k, int i, float *gradient);

/* The same scaled as panel_run_give does. */
void panel_run_scaled_gradient(const panel_run *r, int step, int64_t k, int i, float *gradient);

/* A handle with its parameters; values from fixed keys. Collective. */
plumb_status panel_run_open(panel_run *r, MPI_Comm communicator);

/* Begins a step and hands over this rank's gradients. */
plumb_status panel_run_give(panel_run *r, int step);

/* A whole step. `report` may be NULL. */
plumb_status panel_run_step(panel_run *r, int step, plumb_report *report);

void panel_run_close(panel_run *r);

#endif
