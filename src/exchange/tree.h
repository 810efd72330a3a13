/*
 * The canonical order of a sum: a binary tree over the groups and, inside each group, one over
 * its micro-batches. It is a function of (K, G) alone, so a sum formed along it has the same bits
 * whoever forms which part.
 */
#ifndef PLUMB_EXCHANGE_TREE_H
#define PLUMB_EXCHANGE_TREE_H

#include <stdbool.h>

#include "plumb.h"

typedef struct tree_node {
    int64_t first, last;     /* the micro-batches first .. last - 1 */
    int left, right, parent; /* node numbers, -1: none */
    int group;               /* the group it lies in, -1 above the groups' roots */
} tree_node;

typedef struct tree {
    int64_t micro_batches; /* K */
    int groups;            /* G */
    int root;
    int count;
    tree_node *nodes; /* [count] */
    int *leaves;      /* [K] node of each micro-batch */
    int *group_roots; /* [G] */
} tree;

enum { TREE_LARGEST = 1 << 28 }; /* micro-batches of one step, at most */

/*
 * Where a subtree of `count` >= 2 leaves splits: the largest power of two below count goes left.
 */
int64_t tree_split(int64_t count);

/*
 * Builds the tree; G divides K. `ranks` is used by an injected fault only.
 * Errors: MEMORY. tree_free frees what is in it and may be called on a zeroed tree.
 */
plumb_status tree_build(int64_t micro_batches, int groups, int ranks, tree *result);
void tree_free(tree *t);

#endif
