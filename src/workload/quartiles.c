/*
 * Quartiles by linear interpolation between neighbours; see quartiles.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "workload/quartiles.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The quantile at `share` of the sorted values, between neighbours where need be. */
static double quantile(const double *sorted, int64_t count, double share)
{
    double position = share * (double)(count - 1);
    int64_t below = (int64_t)position;
    int64_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (position - (double)below) * (sorted[above] - sorted[below]);
}

quartiles quartiles_of(double *values, int64_t count)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isnan(values[i])) {
            values[kept++] = values[i];
        }
    }
    if (kept == 0) {
        return (quartiles){NAN, NAN, NAN, 0};
    }
    qsort(values, (size_t)kept, sizeof *values, ascending);
    return (quartiles){quantile(values, kept, 0.25), quantile(values, kept, 0.5),
                       quantile(values, kept, 0.75), kept};
}

quartiles quartiles_of_ratios(const double *left, const double *right, int64_t count)
{
    double *values = calloc((size_t)(count > 0 ? count : 1), sizeof *values);
    for (int64_t i = 0; values != NULL && i < count; i++) {
        values[i] = left[i] / right[i];
    }
    quartiles q = quartiles_of(values, values != NULL ? count : 0);
    free(values);
    return q;
}

double quartiles_clock(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
