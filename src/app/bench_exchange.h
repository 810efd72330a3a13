/*
 * What `plumb bench exchange` measures: from all ranks' gradients to their mean on all ranks, by
 * the library and by a bare MPI_Allreduce of the same payload, and to new values by a sharded step,
 * the library's and one of MPI's own collectives, in turns.
 */
#ifndef APP_BENCH_EXCHANGE_H
#define APP_BENCH_EXCHANGE_H

#include "app/bench.h"

enum { BENCH_EXCHANGE_MOST_SIZES = 32 };

typedef struct bench_exchange_options {
    const char *sizes;
    int64_t parameters; /* the payload in so many equal parts */
    int owners;         /* plumb_owners */
    int shared_memory;  /* 0: on, 1: off */
    int progress;
    double seconds;
    bool json;
} bench_exchange_options;

/* Who brings what to everybody. */
typedef enum bench_exchange_way {
    EXCHANGE_MPI,        /* MPI_Allreduce in place and nothing else: what the others are held to */
    EXCHANGE_BUFFER,     /* means, gradients written in plumb_gradient_buffer's memory */
    EXCHANGE_ACCUMULATE, /* means, in the caller's memory in which the gradients are given */
    EXCHANGE_ALLREDUCE,  /* as BUFFER with PLUMB_EXCHANGE_ALLREDUCE */
    EXCHANGE_STEP,       /* new values by SGD, gradients as BUFFER */
    EXCHANGE_COLLECTIVE, /* the same by MPI: MPI_Reduce_scatter, this rank's share of the update,
                            MPI_Allgatherv */
    EXCHANGE_WAYS
} bench_exchange_way;

extern const char *const bench_exchange_way_names[EXCHANGE_WAYS];

typedef struct bench_exchange_result {
    int64_t bytes;                    /* of the payload, one rank's gradient */
    int64_t rounds;                   /* that count */
    quartiles seconds[EXCHANGE_WAYS]; /* of the slowest rank */
    quartiles ratio[EXCHANGE_WAYS];   /* over EXCHANGE_MPI of the same round */
    double update[EXCHANGE_WAYS];     /* mean seconds of the update, rank 0's; NaN for MPI's own */
    double sent[EXCHANGE_WAYS]; /* bytes of a step, all ranks, by the library's accounting; for
                                   MPI's own: those of a ring, 2 (P - 1) payloads */
} bench_exchange_result;

/* Collective. Returns f's code; the result is the same on all ranks. */
int bench_exchange_measure(const ranks *r, const bench_exchange_options *o, int64_t bytes,
                           double seconds, bench_exchange_result *result, failure *f);

#endif
