/*
 * The average of the values over the steps (plumb_options.average_weights), kept on every rank.
 */
#ifndef PLUMB_STEP_WEIGHTS_H
#define PLUMB_STEP_WEIGHTS_H

#include "step/handle.h"

/* New memory, if an average was asked for. MEMORY. */
plumb_status weights_make(plumb *p);
void weights_free(plumb *p);

/* Takes the values of the step that was just committed into the average. */
void weights_add(plumb *p);

#endif
