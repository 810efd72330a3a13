/*
 * The ranks of the program: starting and ending MPI, and the few collective calls the program
 * itself needs: agreeing on failures, adding numbers, gathering records. A failure on one rank is
 * made known to all, so that all end with the same code and rank 0 prints the one line.
 *
 * An MPI call that fails here leaves the other ranks waiting for this one: then, and only then,
 * the program aborts the job.
 */
#ifndef APP_RANKS_H
#define APP_RANKS_H

#include "app/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ranks {
    MPI_Comm communicator;
    int rank;
    int count;
    int thread_level; /* what MPI_Init_thread gave */
} ranks;

/* This process's rank as the launcher (mpirun, srun) says it; -1 without a launcher. */
int launcher_rank(void);

/*
 * Starts MPI and agrees on `f`, which may hold a failure from before (a wrong option): then, and
 * without a launcher, MPI is not started at all. Then compares `setup`, lines of "name = value",
 * over the ranks. Returns the agreed code; ranks_finish must be called whatever it is.
 */
int ranks_start(ranks *r, const char *setup, failure *f);

/* Every rank gets the code and message of the lowest rank that failed. Collective. */
int ranks_agree(const ranks *r, failure *f);

/* The same, together with the largest of `number` over the ranks, in one message if all is well. */
int ranks_agree_largest(const ranks *r, failure *f, int *number);

/* Compares "name = value" lines over the ranks; agreed. */
int ranks_compare(const ranks *r, const char *text, failure *f);

/* values[count]: the sum over the ranks, on every rank; exact if only one rank gives non-zero. */
void ranks_add(const ranks *r, double *values, int64_t count);

/* Gathers `size` bytes of every rank into all[ranks][size] at rank 0 (elsewhere unused). */
void ranks_gather(const ranks *r, const void *mine, size_t size, void *all);

/* Copies `size` bytes from rank 0 to all. */
void ranks_broadcast(const ranks *r, void *bytes, size_t size);

/* Ranks of this rank's node that share memory: the lowest one's rank, which names the node. */
int ranks_node(const ranks *r);

/* Other ranks may wait for a message that will never come: prints the line and aborts the job. */
void ranks_abort(const failure *f);

/*
 * Prints f's line (rank 0, or the process itself without MPI), ends MPI, returns f's code, or
 * EXIT_DATA if standard output could not be written.
 */
int ranks_finish(ranks *r, const failure *f);

#endif
