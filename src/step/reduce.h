/*
 * What reducing shares with updating.
 */
#ifndef PLUMB_STEP_REDUCE_H
#define PLUMB_STEP_REDUCE_H

#include "step/handle.h"

/* ARGUMENT if a report is given whose size this library does not know. */
plumb_status reduce_check_report(const plumb_report *report);

#endif
