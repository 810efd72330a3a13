/*
 * What Shampoo keeps between steps in double, beside the two moments in float that every element
 * has: one track of averages, roots and standings for the whole batch, and, where the product is
 * corrected by leaving folds out, one more for each fold.
 *
 * All of the whole: G G' and G' G averaged over the steps, and their roots. Of a fold's track, the
 * averages are those of the fold's own groups, but the roots those of all groups but the fold's,
 * because that is what is needed. Behind the tracks lie the folds' first moments (rows x cols).
 */
#ifndef PLUMB_OPTIM_SHAMPOO_STATES_H
#define PLUMB_OPTIM_SHAMPOO_STATES_H

#include "optim/blocks.h"
#include "optim/optimizer.h"

/* Of a track; averages and roots of both sides: SHAMPOO_AVERAGE + PRODUCT_LEFT and so on. */
enum {
    SHAMPOO_AVERAGE = 0,
    SHAMPOO_ROOT = 2,
    SHAMPOO_STANDING = 4, /* [blocks][sides], shampoo_decompose.h */
    SHAMPOO_TRACK_STATES = 5
};

/* F, the folds that have a track; 0 if the correction has no folds. */
int shampoo_folds(const plumb_parameter_options *options, int groups);

/* Number of a state of track 0 (the whole) or 1 .. F (fold track - 1). */
static inline int shampoo_state(int track, int which)
{
    return track * SHAMPOO_TRACK_STATES + which;
}

/* Number of the first moment of a fold 0 .. F-1. */
static inline int shampoo_fold_moment(int folds, int fold)
{
    return (1 + folds) * SHAMPOO_TRACK_STATES + fold;
}

/* Of optimizer_kind. */
int shampoo_state_count(const plumb_parameter_options *options, int groups);
const char *shampoo_state_name(const plumb_parameter_options *options, int groups, int state,
                               int *group);
int shampoo_matrix_state_count(const plumb_parameter_options *options, int groups, int64_t rows,
                               int64_t cols);
int64_t shampoo_matrix_state_size(const plumb_parameter_options *options, int groups, int64_t rows,
                                  int64_t cols, int state);
const char *shampoo_matrix_state_name(const plumb_parameter_options *options, int groups,
                                      int64_t rows, int64_t cols, int state, int *group);

#endif
