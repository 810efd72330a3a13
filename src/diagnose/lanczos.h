/*
 * Lanczos iteration with full reorthogonalisation. All memory is there before the first product,
 * so that on a communicator ranks can agree on it; what follows fails on all of them or on none.
 *
 * An invariant subspace ends a Krylov space early (a covariance of few gradients has one); then a
 * new start vector continues in what is left, until that has nothing larger than what is wanted.
 * A multiple eigenvalue that is not found this way counts once.
 */
#ifndef PLUMB_DIAGNOSE_LANCZOS_H
#define PLUMB_DIAGNOSE_LANCZOS_H

#include <stdbool.h>

#include "plumb.h"

typedef struct lanczos {
    int64_t length, most;
    plumb_symmetric_operator apply;
    void *context;
    /* On a communicator: makes one rank's verdict everybody's, so that no rank stops before the
     * others because its LAPACK rounds differently. NULL: there is nobody to ask. */
    plumb_status (*agree)(void *context, plumb_status mine, bool *done);
    bool magnitude; /* the largest in magnitude are wanted */
    double tolerance;
    int64_t capacity; /* most vectors of the basis */
    int64_t count;    /* vectors that there are */
    int64_t block;    /* the first one since the last start vector */
    double scale;     /* largest element of T */
    double *basis;    /* (capacity + 2) x length, two rows to spare */
    double *diagonal; /* capacity: of T */
    double *beside;   /* capacity: element (j + 1, j) of T, 0 before a new start vector */
    double *dense;    /* capacity x capacity: T */
    double *values;   /* capacity: Ritz values, ascending */
    double *vectors;  /* capacity x capacity, in columns */
    double *doubles;  /* for LAPACK */
    int *integers;    /* for LAPACK */
} lanczos;

/* steps: 0: 10 most + 100. At most `length`, at least `most`. Errors: ARGUMENT, MEMORY. */
plumb_status lanczos_create(int64_t length, plumb_symmetric_operator apply, void *context,
                            int64_t most, int magnitude, int64_t steps, double tolerance,
                            lanczos *l);
void lanczos_free(lanczos *l);

/* As plumb_lanczos. */
plumb_status lanczos_run(lanczos *l, double *eigenvalues, double *residuals, double *vectors);

#endif
