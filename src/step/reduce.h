/*
 * What reducing shares with beginning and updating a step.
 */
#ifndef PLUMB_STEP_REDUCE_H
#define PLUMB_STEP_REDUCE_H

#include "step/handle.h"

/* Memory for the agreement of steps like the prepared one. MEMORY. */
plumb_status reduce_prepare(plumb *p);
void reduce_free(plumb *p);

/* plumb_reduce without filling the report, whose size is checked. */
plumb_status reduce_run(plumb *p, const plumb_report *report);

/* ARGUMENT if a report is given whose size this library does not know. */
plumb_status reduce_check_report(const plumb_report *report);

#endif
