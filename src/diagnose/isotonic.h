/*
 * Monotone least squares: what is known to fall with the index, from noisy values of it.
 */
#ifndef PLUMB_DIAGNOSE_ISOTONIC_H
#define PLUMB_DIAGNOSE_ISOTONIC_H

#include <stdbool.h>

#include "plumb.h"

/*
 * Puts in place of values[count] the non-increasing sequence nearest to them in least squares, by
 * pooling adjacent violators: stretches that rise become their mean. Errors: MEMORY.
 */
plumb_status isotonic_decreasing(int64_t count, double *values);

#endif
