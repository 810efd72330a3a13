/*
 * One update of one matrix by Shampoo, as the files that share the work see it: statistics, roots
 * and direction, block by block.
 */
#ifndef PLUMB_OPTIM_SHAMPOO_UPDATE_H
#define PLUMB_OPTIM_SHAMPOO_UPDATE_H

#include "correct/matrix_root.h"
#include "correct/statistics.h"
#include "optim/shampoo_states.h"

/* States in float. */
enum { SHAMPOO_FIRST_MOMENT, SHAMPOO_SECOND_MOMENT };

typedef struct shampoo_update {
    const optimizer_input *input;
    block_grid grid;
    int folds;                              /* F, or 0 */
    int root;                               /* r of the exponent 1/r */
    bool root_due;                          /* the roots' turn in this step */
    double first_unbiased, second_unbiased; /* factors of the averages, 1 without bias_correction */
    double relative_variance; /* sum of the squared weights of an average whose weights sum to 1 */
    double variance;          /* the same for the weights as they are used */
    statistics_family family;
    /* Work space: of a block's size [rows][cols] ... */
    double *elements; /* all of it */
    double *mean, *gradient, *other, *product, *whole, *direction;
    /* ... and of its larger factor's [n][n], [n]. */
    double *statistic, *sample, *pooled, *vectors;
} shampoo_update;

/* True if the first half of the groups is all that the numerator sees. */
static inline bool shampoo_splits(const plumb_parameter_options *options)
{
    return options->correction == PLUMB_CORRECTION_PAPER_DIAGONAL;
}

/* shampoo_statistics.c: the new averages of L and R of a block, all tracks. */
void shampoo_average_factors(const shampoo_update *u, const block *b);

/*
 * shampoo_roots.c: the new roots of a block where they are due, else the old ones. Errors: as
 * shampoo_decompose, MEMORY.
 */
plumb_status shampoo_renew_roots(const shampoo_update *u, const block *b);

/*
 * shampoo_correct.c: what the correction makes of a root that has been set, into `root`. `pooled`
 * and what lies before it in the work space are used, `statistic` not. Errors: none but bugs.
 */
plumb_status shampoo_corrected_root(const shampoo_update *u, const block *b, product_side side,
                                    matrix_root *m, double *root);

/* shampoo_direction.c: root, momentum, root, corrected where it is the product's turn; into
 * u->direction [b->rows][b->cols]. */
void shampoo_find_direction(const shampoo_update *u, const block *b);

/* Block b's elements of group `group` as doubles, into u->gradient or elsewhere. */
static inline void shampoo_read_group(const shampoo_update *u, const block *b, int group,
                                      double *elements)
{
    blocks_read(&u->grid, b, 1.0, u->input->groups[group], elements);
}

/* The factor of block b in a state of a track. */
static inline double *shampoo_new_factor(const shampoo_update *u, const block *b, int track,
                                         int first, product_side side)
{
    int state = shampoo_state(track, first + (int)side);
    return u->input->new_matrix_states[state] + b->factor[side];
}

static inline const double *shampoo_old_factor(const shampoo_update *u, const block *b, int track,
                                               int first, product_side side)
{
    int state = shampoo_state(track, first + (int)side);
    return u->input->matrix_states[state] + b->factor[side];
}

#endif
