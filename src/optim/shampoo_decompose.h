/*
 * The decompositions that Shampoo and SOAP take now and then, with what happens when one fails:
 * it is tried again with more damping; if that fails too, the last good result serves on, up to a
 * number of failures in a row.
 */
#ifndef PLUMB_OPTIM_SHAMPOO_DECOMPOSE_H
#define PLUMB_OPTIM_SHAMPOO_DECOMPOSE_H

#include "correct/matrix_root.h"
#include "optim/blocks.h"
#include "optim/optimizer.h"

/* Times that a decomposition is tried again, each with ten times the damping. */
enum { SHAMPOO_RETRIES = 3 };

/*
 * What is kept about each factor between steps, as a number in double: 0, no result yet; 1, the
 * last decomposition was good; 1 + k, that many in a row failed since.
 */
static const double shampoo_none_yet = 0.0;
static const double shampoo_good = 1.0;

typedef struct shampoo_factor {
    double damping, relative_damping; /* of the first attempt */
    int most_failures;                /* in a row */
    const block *block;
    product_side side;
    double standing;  /* old */
    double *rational; /* Shampoo: where the root goes, by shifted inverses; NULL: by eigenvalues */
} shampoo_factor;

typedef enum shampoo_outcome {
    SHAMPOO_DECOMPOSED, /* the matrix_root is set, or the rational root stands in its place */
    SHAMPOO_ZERO,       /* the statistic is 0: there is nothing to decompose yet */
    SHAMPOO_FAILED      /* the old result stays */
} shampoo_outcome;

/*
 * Sets `m` from the statistic, which is overwritten; for a rational root m->n and m->root are all
 * that is used. *standing: the new one. *failed is counted up
 * if it did not go well at first.
 * Errors: NUMERICAL (more than most_failures in a row, or no result yet), NONFINITE; the message
 * names side and block.
 */
plumb_status shampoo_decompose(const shampoo_factor *factor, matrix_root *m, double *statistic,
                               double *standing, shampoo_outcome *outcome, int64_t *failed);

#endif
