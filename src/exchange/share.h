/*
 * Which micro-batches a rank computes. Ranks are lined up by (node, rank), so that the ranks of a
 * node hold neighbouring micro-batches and their sums are subtrees; each takes a contiguous range.
 */
#ifndef PLUMB_EXCHANGE_SHARE_H
#define PLUMB_EXCHANGE_SHARE_H

#include <stdbool.h>

#include "plumb.h"

typedef struct share_order {
    int size, rank;   /* of the communicator */
    int nodes;        /* hosts */
    int *position_of; /* [size] a rank's place in the line */
    int *rank_at;     /* [size] the rank at a place */
    int *node_starts; /* [nodes + 1] place of each host's first rank, and `size` */
    bool domains;     /* the ranks of a host share memory: they are one domain */
} share_order;

/* A domain: places first .. first + count - 1, whose ranks share one memory. */
typedef struct share_domain {
    int index, first, count;
} share_domain;

/* Collective. Errors: MEMORY, MPI. */
plumb_status share_order_find(MPI_Comm communicator, share_order *order);
void share_order_free(share_order *order);

/* Number of domains, and the one that holds `position`; without shared memory one for each rank. */
int share_domains(const share_order *order);
share_domain share_domain_of(const share_order *order, int position);

/* The host that holds `position`, counted along the line. */
int share_node(const share_order *order, int position);

/* Micro-batches of the rank at `position`: first .. first + count - 1. */
void share_range(int64_t total, int size, int position, int64_t *first, int64_t *count);

/* The position whose range holds `micro_batch`. */
int share_position(int64_t total, int size, int64_t micro_batch);

#endif
