/*
 * Counting and naming Shampoo's states (see shampoo_states.h).
 */
#include "optim/shampoo_states.h"

int shampoo_folds(const plumb_parameter_options *options, int groups)
{
    switch (options->correction) {
    case PLUMB_CORRECTION_JACKKNIFE:
        return options->folds == 0 ? groups : options->folds;
    case PLUMB_CORRECTION_HALF_SAMPLE:
        return 2;
    default:
        return 0;
    }
}

int shampoo_state_count(const plumb_parameter_options *options, int groups)
{
    (void)options;
    (void)groups;
    return 2;
}

const char *shampoo_state_name(const plumb_parameter_options *options, int groups, int state,
                               int *group)
{
    (void)options;
    (void)groups;
    *group = -1;
    return state == 0 ? "first_moment" : "second_moment";
}

int shampoo_matrix_state_count(const plumb_parameter_options *options, int groups, int64_t rows,
                               int64_t cols)
{
    if (blocks_is_vector(rows, cols)) {
        return 0;
    }
    int folds = shampoo_folds(options, groups);
    return (1 + folds) * SHAMPOO_TRACK_STATES + folds;
}

int64_t shampoo_matrix_state_size(const plumb_parameter_options *options, int groups, int64_t rows,
                                  int64_t cols, int state)
{
    block_grid grid = blocks_of(options->block_size, rows, cols);
    if (state >= shampoo_fold_moment(shampoo_folds(options, groups), 0)) {
        return rows * cols;
    }
    int which = state % SHAMPOO_TRACK_STATES;
    return which == SHAMPOO_STANDING ? 2 * blocks_count(&grid)
                                     : blocks_factors(&grid, (product_side)(which % 2));
}

const char *shampoo_matrix_state_name(const plumb_parameter_options *options, int groups,
                                      int64_t rows, int64_t cols, int state, int *group)
{
    static const char *const whole[SHAMPOO_TRACK_STATES] = {
        "left_average", "right_average", "left_root", "right_root", "root_standing"};
    static const char *const fold[SHAMPOO_TRACK_STATES] = {
        "left_average", "right_average", "left_root_of_others", "right_root_of_others",
        "root_standing_of_others"};
    (void)rows;
    (void)cols;
    int moments = shampoo_fold_moment(shampoo_folds(options, groups), 0);
    if (state >= moments) {
        *group = state - moments;
        return "first_moment";
    }
    int track = state / SHAMPOO_TRACK_STATES;
    *group = track - 1;
    return (track == 0 ? whole : fold)[state % SHAMPOO_TRACK_STATES];
}
