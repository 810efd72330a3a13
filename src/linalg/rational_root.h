/*
 * A^(-1/r) of a positive definite matrix as a sum of shifted inverses (partial_fractions.h), mostly
 * in single precision: several times faster than by eigenvalues, to an accuracy that the caller
 * asks for.
 */
#ifndef PLUMB_LINALG_RATIONAL_ROOT_H
#define PLUMB_LINALG_RATIONAL_ROOT_H

#include "plumb.h"

/* Bounds and defaults of the two that decide how many poles there are. The tolerance is for the
 * worst eigenvalue: the error in the Frobenius norm is about two thirds of that, and rounding. */
static const double RATIONAL_ROOT_MOST_CONDITION = 1e10, RATIONAL_ROOT_DEFAULT_CONDITION = 1e4;
static const double RATIONAL_ROOT_LEAST_TOLERANCE = 1e-6, RATIONAL_ROOT_MOST_TOLERANCE = 0.1;
static const double RATIONAL_ROOT_DEFAULT_TOLERANCE = 6.5e-5;

typedef struct rational_root_form {
    int root;                /* r: 1, 2 or 4 */
    double damping;          /* added to every eigenvalue */
    double relative_damping; /* the same times the largest eigenvalue, which is estimated to about
                                a hundredth */
    double condition;        /* largest ratio of eigenvalues, damping included: 1 to the bound */
    double tolerance;        /* relative error of each eigenvalue's power, within the bounds */
} rational_root_form;

/* ARGUMENT if there are no matrices of that side. */
plumb_status rational_root_check_side(int64_t n);

/*
 * result = (matrix + damping)^(-1/r); n x n, row-major, finite, the lower triangle of `matrix` is
 * read, `result` is exactly symmetric and may be `matrix`. Poles whose inverse is too wrong in
 * single precision are done in double. The same input gives the same bits;
 * matrices that differ by a factor of 2^(4k) give the same bits but for the exponent.
 *
 * Eigenvalues below the largest over `condition` are not met to the tolerance: their powers grow on
 * to a bound at 0. One that is negative is noticed if it lies well below minus that; NUMERICAL
 * then, also if no eigenvalue is positive or the result is beyond the range of doubles.
 * Errors: ARGUMENT (more than 16 poles would be needed; the form; n), MEMORY, NUMERICAL. `result`
 * is untouched then.
 */
plumb_status rational_root(const rational_root_form *form, int64_t n, const double *matrix,
                           double *result);

#endif
