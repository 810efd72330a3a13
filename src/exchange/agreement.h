/*
 * Small collectives by which ranks come to one verdict: nobody acts on a local failure alone.
 */
#ifndef PLUMB_EXCHANGE_AGREEMENT_H
#define PLUMB_EXCHANGE_AGREEMENT_H

#include "plumb.h"

/*
 * Every rank brings its status, with its message in error_text(). If any failed, every rank gets
 * the status and message of the lowest rank that failed; else PLUMB_OK. Collective. MPI.
 */
plumb_status agreement_verdict(MPI_Comm communicator, plumb_status mine);

/*
 * The verdict, and that `value` is the same on all ranks (MISMATCH names `what`, the rank and
 * both values), in one collective.
 */
plumb_status agreement_equal(MPI_Comm communicator, plumb_status mine, const char *what,
                             double value);

/* The same, and *largest becomes the largest over the ranks. */
plumb_status agreement_equal_largest(MPI_Comm communicator, plumb_status mine, const char *what,
                                     double value, double *largest);

/*
 * The same text on every rank; lines are "field = value". MISMATCH names the lowest rank that
 * differs from rank 0, and both versions of the first line that differs. Collective. MEMORY, MPI.
 */
plumb_status agreement_text(MPI_Comm communicator, const char *text);

/* Each of `count` values becomes the largest over the ranks. Collective. MPI. */
plumb_status agreement_largest(MPI_Comm communicator, int count, double *values);

/* Sums over ranks, of whole numbers: then exact in any order. Collective. MPI. */
plumb_status agreement_sum(MPI_Comm communicator, int count, double *values);

/* The coordinator's floats to all. Collective. MPI. */
plumb_status agreement_broadcast(MPI_Comm communicator, int64_t count, float *values);

/*
 * Every rank's block of `counts[rank]` doubles to all ranks, one after the other by rank.
 * Collective. MPI.
 */
plumb_status agreement_gather(MPI_Comm communicator, const double *mine, const int *counts,
                              const int *displacements, double *all);

#endif
