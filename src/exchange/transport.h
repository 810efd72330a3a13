/*
 * MPI's errors as ours, and the limits of one MPI call: counts are ints there, 64 bits here.
 */
#ifndef PLUMB_EXCHANGE_TRANSPORT_H
#define PLUMB_EXCHANGE_TRANSPORT_H

#include <stdbool.h>

#include "plumb.h"

/* PLUMB_OK for MPI_SUCCESS; else ERROR_MPI with MPI's text and the name of the call. */
plumb_status transport_status(int code, const char *call);

/* Returns from the calling function if the MPI call failed. */
#define TRANSPORT(call) PROPAGATE(transport_status((call), #call))

/* ORDER if MPI is not initialised (any more), ARGUMENT for MPI_COMM_NULL: both would end the
 * program in MPI's hands. */
plumb_status transport_usable(MPI_Comm communicator);

/* A duplicate of `communicator` that returns errors instead of ending the program. */
plumb_status transport_duplicate(MPI_Comm communicator, MPI_Comm *duplicate);

/* Number of MPI calls for `count` elements at `chunk` a call; 1 for none. */
int64_t transport_chunks(int64_t count, int64_t chunk);

/* Broadcast of bytes in chunks. Collective. */
plumb_status transport_broadcast(MPI_Comm communicator, int root, int64_t bytes, void *data);

/* Sum of floats over all ranks, in place, in chunks. Collective. */
plumb_status transport_sum(MPI_Comm communicator, int64_t count, int64_t chunk, float *values);

/* Frees a duplicate and sets it to MPI_COMM_NULL; nothing once MPI is over. */
void transport_release(MPI_Comm *duplicate);

/* True once MPI_Finalize was called: nothing of MPI may be touched any more. */
bool transport_over(void);

/* Seconds of a monotonic clock. */
double transport_seconds(void);

#endif
