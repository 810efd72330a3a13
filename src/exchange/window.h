/*
 * Memory that the ranks of one host share: every rank brings a stretch of bytes and sees those of
 * the others, in an MPI shared-memory window. What may be read when is the business of those who
 * use it; window_signal and window_signalled are the means: a number in shared memory that is
 * written after, and read before, what it stands for.
 */
#ifndef PLUMB_EXCHANGE_WINDOW_H
#define PLUMB_EXCHANGE_WINDOW_H

#include <stdatomic.h>
#include <stdbool.h>

#include "plumb.h"

typedef struct window {
    MPI_Win handle;
    bool made;
    int64_t bytes; /* this rank's own, counted by plumb_memory_in_use */
    int size;      /* ranks that share it */
    char **bases;  /* [size] by rank of the sharing communicator */
} window;

typedef _Atomic(uint32_t) window_flag;

/*
 * A window to which this rank brings `bytes`, all zero and resident: what does not fit is found
 * now, and not by a signal at first touch. Ranks of `host` share it; ranks of `all` agree that
 * every one has got its own. A `host` of MPI_COMM_NULL brings and gets nothing. Collective over
 * `all`. MEMORY (also: the host's shared memory is too small), MPI.
 */
plumb_status window_make(MPI_Comm all, MPI_Comm host, int64_t bytes, window *w);

/* Collective over the host; once MPI is over it only forgets. Takes a zeroed window. */
void window_free(window *w);

/* Everything written so far is seen by whoever sees the flag at `step`, or a later one. */
static inline void window_signal(window_flag *flag, uint32_t step)
{
    atomic_store_explicit(flag, step, memory_order_release);
}

static inline bool window_signalled(window_flag *flag, uint32_t step)
{
    return (int32_t)(atomic_load_explicit(flag, memory_order_acquire) - step) >= 0;
}

/* One turn of waiting for a flag of one of `ranks` ranks on this host: lets others run, soon where
 * there are more ranks than cores. `turns` counts; begins at 0. */
void window_rest(int ranks, int *turns);

#endif
