/*
 * Checks of options against the bounds that plumb_option_bounds tells everybody.
 */
#ifndef PLUMB_OPTIM_BOUNDS_H
#define PLUMB_OPTIM_BOUNDS_H

#include "plumb.h"

/* ARGUMENT, naming option, value and bounds, if `value` (NaN included) is outside them. */
plumb_status bounds_check(const char *name, double value);

/* Every numeric field of the struct by bounds_check; size and version too. */
plumb_status bounds_check_options(const plumb_options *options);
plumb_status bounds_check_parameter_options(const plumb_parameter_options *options);

#endif
