/*
 * The update of one slice at its owner in pieces, for those whose own work comes between them.
 */
#ifndef PLUMB_STEP_UPDATE_H
#define PLUMB_STEP_UPDATE_H

#include "step/handle.h"

/* Where the slice's sum of gradients lies, for its owner to work on in place. */
float *update_gradient(plumb *p, const slice *s);

/* Where its new values go: the same memory if its bucket is in place. */
float *update_values(plumb *p, const slice *s);

/* The mean gradient, clipped and finished by the pipeline, in place of the sum. Once a step.
 * Errors: those of the pipeline. */
plumb_status update_prepare(plumb *p, const slice *s, float *gradient);

/* What its optimizer gets. */
optimizer_input update_input(plumb *p, slice *s, double learning_rate, const float *gradient);

/* NONFINITE if new values or states are not finite. */
plumb_status update_check(const plumb *p, const slice *s, const optimizer_input *input);

#endif
