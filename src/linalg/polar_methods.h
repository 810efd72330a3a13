/*
 * What plumb_polar hands to its methods, one file each. A method gets a matrix whose arguments
 * were checked, that is finite and not all zero, and writes `polar` only when nothing can fail any
 * more.
 */
#ifndef PLUMB_LINALG_POLAR_METHODS_H
#define PLUMB_LINALG_POLAR_METHODS_H

#include "linalg/polar_prescale.h"
#include "plumb.h"

struct polar_fast_work;
struct polar_exact_work;

typedef struct polar_problem {
    int rows, cols;          /* both fit the 32-bit integers of BLAS */
    const float *matrix;     /* rows x cols, row-major */
    float *polar;            /* rows x cols, row-major; may be `matrix` */
    polar_prescale prescale; /* of the matrix */
    int steps;               /* of the iterative methods, never 0; FAST: poles, 0: its choice */
    double rank_tolerance;   /* of the singular value decomposition and EXACT; 0 there: none */
    double delta;            /* of FAST, 0: its default */
    /* Memory for problems of this shape and these parameters; NULL: a call takes its own. */
    struct polar_fast_work *fast_work;
    struct polar_exact_work *exact_work;
} polar_problem;

/* Steps that stand for `steps` == 0. */
enum { NEWTON_SCHULZ_STEPS = 5, POLAR_EXPRESS_STEPS = 6 };

plumb_status polar_by_svd(const polar_problem *problem);
plumb_status polar_by_newton_schulz(const polar_problem *problem);
plumb_status polar_by_newton_schulz_symmetric(const polar_problem *problem);
plumb_status polar_by_polar_express(const polar_problem *problem);
plumb_status polar_by_fast(const polar_problem *problem);
plumb_status polar_by_exact(const polar_problem *problem);

/* Make and free that memory, the problem's fast_work or exact_work; NULL after an error. */
plumb_status polar_fast_work_create(polar_problem *problem);
plumb_status polar_exact_work_create(polar_problem *problem);
void polar_fast_work_free(polar_problem *problem);
void polar_exact_work_free(polar_problem *problem);

#endif
