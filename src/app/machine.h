/*
 * What the ranks run on: BLAS kernel, threads, pinning, memory, and what is likely to make them
 * slow. `plumb info` shows it, `plumb train` warns and records it.
 */
#ifndef APP_MACHINE_H
#define APP_MACHINE_H

#include "app/ranks.h"

#include <stdio.h>

/* One rank's findings, of a fixed size so that rank 0 can gather them as bytes. */
typedef struct rank_facts {
    plumb_environment environment;
    char host[64];
    char cpu[64];            /* model name */
    char cores[64];          /* the rank may run on, such as "0-3,8" */
    char blas_warning[256];  /* "" if the kernel fits */
    char restarted_with[32]; /* kernel the program was started again with; "" if it was not */
    int node;                /* lowest rank that shares memory with this one */
    int core_count;          /* cores the rank may run on */
    int online_cores;        /* of the node */
    int first_core;
    int64_t memory_bytes;       /* of the node */
    int64_t shared_memory_free; /* bytes free in /dev/shm; -1 if there is none */
} rank_facts;

typedef struct machine {
    rank_facts *ranks; /* [count], at rank 0 */
    int count;
    int nodes;
    int thread_level;
} machine;

/* Gathers the facts at rank 0; elsewhere `m` holds nothing. Collective. 0, or 1 without memory. */
int machine_gather(machine *m, const ranks *r);

void machine_free(machine *m);

/*
 * Calls `say` with each warning, one line. `all`: also those that cost some speed only, such as
 * ranks that are not pinned. Rank 0.
 */
void machine_warnings(const machine *m, bool all, void (*say)(void *context, const char *line),
                      void *context);

/* Ranks of the node that rank `index` runs on. */
int machine_ranks_on_node(const machine *m, int index);

#endif
