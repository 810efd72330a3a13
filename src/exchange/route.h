/*
 * Who sends which sums to whom. Domains, whose ranks share memory (share.h), form a grid: a row is
 * a group, a column leads to an owner. In every domain one rank, its *agent* for that owner, acts
 * for all: it reads the others' sums in place. The pieces of a group that lies on several domains
 * go to one of them, its *holder* for that owner (first hop); holders send whole groups, or
 * subtrees of groups, to the owner (second hop). With D = q G domains that makes q + G messages,
 * not D. Without shared memory every rank is a domain.
 */
#ifndef PLUMB_EXCHANGE_ROUTE_H
#define PLUMB_EXCHANGE_ROUTE_H

#include "exchange/share.h"
#include "exchange/tree.h"

/* A subtree inside a group that lies on several domains. */
typedef struct route_part {
    int node, group, source, holder; /* the last two are ranks: agents of their domains */
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
