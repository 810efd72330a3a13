/*
 * The plan: how the flat space is cut into buckets and who owns which. The coordinator makes it;
 * results never depend on it, only speed does.
 */
#ifndef PLUMB_STEP_PLAN_H
#define PLUMB_STEP_PLAN_H

#include "step/handle.h"

/*
 * A layout of the handle's parameters for `ranks` owners. Parameters that must stay whole
 * (matrices with a polar factor, group streams) get one owner; large element-wise ones are cut
 * at block borders, matrices that are updated in panels at the panels' borders; small neighbours
 * share a bucket. Local. MEMORY.
 */
plumb_status plan_make(const plumb *p, int ranks, layout *l);

/* Buckets first .. first + count - 1, which have one owner. */
typedef struct job {
    double seconds;
    int64_t first, count;
} job;

/* Owners of the jobs' buckets, longest processing time first; sorts the jobs. loads[ranks] are the
 * seconds that ranks have already. */
void placement_deal(int64_t count, job *jobs, int ranks, double *loads, layout *l);

/* Estimates every bucket's seconds and chooses its owner (placement.c). MEMORY. */
plumb_status placement_choose(const plumb *p, int ranks, layout *l);

#endif
