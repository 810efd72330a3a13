/*
 * What plumb_polar hands to its methods, one file each. A method gets a matrix whose arguments
 * were checked, that is finite and not all zero, and writes `polar` only when nothing can fail any
 * more.
 */
#ifndef PLUMB_LINALG_POLAR_METHODS_H
#define PLUMB_LINALG_POLAR_METHODS_H

#include "linalg/polar_prescale.h"
#include "plumb.h"

typedef struct polar_problem {
    int rows, cols;          /* both fit the 32-bit integers of BLAS */
    const float *matrix;     /* rows x cols, row-major */
    float *polar;            /* rows x cols, row-major; may be `matrix` */
    polar_prescale prescale; /* of the matrix */
    int steps;               /* of the iterative methods; never 0 */
    double rank_tolerance;   /* of the singular value decomposition */
} polar_problem;

/* Steps that stand for `steps` == 0. */
enum { NEWTON_SCHULZ_STEPS = 5, POLAR_EXPRESS_STEPS = 6 };

plumb_status polar_by_svd(const polar_problem *problem);
plumb_status polar_by_newton_schulz(const polar_problem *problem);
plumb_status polar_by_polar_express(const polar_problem *problem);

#endif
