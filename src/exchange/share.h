/*
 * Which micro-batches a rank computes. Ranks are lined up by (node, rank), so that the ranks of a
 * node hold neighbouring micro-batches and their sums are subtrees; each takes a contiguous range.
 */
#ifndef PLUMB_EXCHANGE_SHARE_H
#define PLUMB_EXCHANGE_SHARE_H

#include "plumb.h"

typedef struct share_order {
    int size, rank;   /* of the communicator */
    int nodes;        /* hosts */
    int *position_of; /* [size] a rank's place in the line */
    int *rank_at;     /* [size] the rank at a place */
} share_order;

/* Collective. Errors: MEMORY, MPI. */
plumb_status share_order_find(MPI_Comm communicator, share_order *order);
void share_order_free(share_order *order);

/* Micro-batches of the rank at `position`: first .. first + count - 1. */
void share_range(int64_t total, int size, int position, int64_t *first, int64_t *count);

/* The position whose range holds `micro_batch`. */
int share_position(int64_t total, int size, int64_t micro_batch);

#endif
