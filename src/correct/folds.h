/*
 * What corrections with one track a fold of the groups share: sums over the tracks, and the bound
 * on what they change. Arrays hold the elements of one block unless a function says otherwise.
 */
#ifndef PLUMB_CORRECT_FOLDS_H
#define PLUMB_CORRECT_FOLDS_H

#include "correct/statistics.h"

/* Means over the tracks, with unbiased weights, and the direction before it is bounded. */
typedef struct folds_block {
    double first[STATISTICS_BLOCK], second[STATISTICS_BLOCK], direction[STATISTICS_BLOCK];
} folds_block;

/* The jackknife from an estimate by all folds and the sum of those that leave one out. */
static inline double folds_jackknife(double folds, double whole, double sum_without_one)
{
    return folds * whole - (folds - 1.0) / folds * sum_without_one;
}

/* sum[i] += scale * track[i] */
void folds_add(int64_t count, double scale, const float *track, double *sum);

/* The mean over one fold of `size` consecutive groups, elements first .. first + count - 1 of them,
 * any number. */
void folds_mean(int64_t first, int64_t count, int size, int fold, const float *const *groups,
                double *mean);

/*
 * Brings block->direction to within half of the plain update first / (sqrt(second) + epsilon) of
 * that update; returns how many elements that changed.
 */
int64_t folds_bound(int64_t count, double epsilon, const folds_block *block, float *direction);

#endif
