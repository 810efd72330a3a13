/*
 * Curvature on its way: estimates of the Hessian's diagonal travel through an exchange of their
 * own, with the same tree, groups and owners as the gradients, in the steps for which they are due.
 */
#ifndef PLUMB_STEP_CURVATURE_H
#define PLUMB_STEP_CURVATURE_H

#include "step/handle.h"

/*
 * Makes the exchange, if some parameter's optimizer uses curvature, from the gradients' layout and
 * slices, and tells every slice where its curvature lies. Collective. MEMORY, MPI.
 */
plumb_status curvature_set_up(plumb *p);

/* Is it due in the step after p->steps? */
bool curvature_due(const plumb *p);

/* The due step's memory, and its receives. MEMORY, MPI. */
plumb_status curvature_prepare(plumb *p);
plumb_status curvature_provide(plumb *p);
plumb_status curvature_open(plumb *p);

/*
 * In the open step: zeros for what is missing, remembered as a COVERAGE failure; delivery. Nothing
 * if not due. MPI.
 */
plumb_status curvature_complete(plumb *p);
plumb_status curvature_deliver(plumb *p);

/* The slice's mean curvature, and with `groups` every group's, at its owner in a due step. */
const float *curvature_mean(plumb *p, const slice *s);
void curvature_groups(plumb *p, const slice *s, const float **groups);

#endif
