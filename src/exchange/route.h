/*
 * Who sends which sums to whom. The ranks form a grid: a row is a group, a column leads to an
 * owner. The pieces of a group that lies on several ranks go to one of them, its *holder* for that
 * owner (first hop); holders send whole groups, or subtrees of groups, to the owner (second hop).
 * With P = q G ranks that makes q + G messages a rank, not P.
 */
#ifndef PLUMB_EXCHANGE_ROUTE_H
#define PLUMB_EXCHANGE_ROUTE_H

#include "exchange/share.h"
#include "exchange/tree.h"

/* A subtree inside a group that lies on several ranks. */
typedef struct route_part {
    int node, group, source, holder;
} route_part;

/* A subtree that goes to the owner. */
typedef struct route_piece {
    int node, source;
} route_piece;

/* The route to one owner, as far as this rank takes part in it. */
typedef struct route {
    int part_count, part_capacity;
    route_part *parts; /* source or holder is this rank; in order of micro-batches */
    int piece_count, piece_capacity;
    route_piece *pieces; /* source or owner is this rank; in order of micro-batches */
} route;

/*
 * `by_group`: every group by itself to the owner; else maximal subtrees over what a holder has.
 * Errors: MEMORY. route_free also takes a zeroed route.
 */
plumb_status route_build(const tree *t, const share_order *order, int owner, bool by_group,
                         route *r);
void route_free(route *r);

#endif
