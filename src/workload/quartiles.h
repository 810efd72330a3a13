/*
 * Medians and quartiles of what was measured again and again, and the clock it was measured by.
 * A shared machine's times have outliers on one side only: no means here.
 */
#ifndef WORKLOAD_QUARTILES_H
#define WORKLOAD_QUARTILES_H

#include <stdint.h>

typedef struct quartiles {
    double lower, median, upper;
    int64_t count; /* of the values behind them; 0: the three are NaN */
} quartiles;

/* Of the values that are numbers; NaN stands for "not measured". Sorts `values`. */
quartiles quartiles_of(double *values, int64_t count);

/* The same of left[i] / right[i] where both are numbers; NULL memory gives none. */
quartiles quartiles_of_ratios(const double *left, const double *right, int64_t count);

/* Seconds of a clock that only goes forward. */
double quartiles_clock(void);

#endif
