/*
 * Builds the canonical summation tree (tree.h) by recursion over ranges of groups, then of
 * micro-batches.
 */
#include "exchange/tree.h"

#include "base/error.h"
#include "base/memory.h"
#include "exchange/fault.h"

int64_t tree_split(int64_t count)
{
    int64_t split = 1;
    while (2 * split < count) {
        split *= 2;
    }
    return split;
}

static int64_t split_of(int64_t count, int ranks)
{
    if (fault.order_depends_on_ranks) {
        return 1 + ranks % (count - 1);
    }
    return tree_split(count);
}

/* Adds the subtree of `count` units of `unit` micro-batches each, from micro-batch `first` on. */
static int add_subtree(tree *t, int64_t first, int64_t count, int64_t unit, int group, int ranks)
{
    bool above = group < 0;
    if (count == 1 && above) {
        int which = (int)(first / unit);
        int root = add_subtree(t, first, unit, 1, which, ranks);
        t->group_roots[which] = root;
        return root;
    }
    int node = t->count++;
    t->nodes[node] = (tree_node){first, first + count * unit, -1, -1, -1, group};
    if (count == 1) {
        t->leaves[first] = node;
        return node;
    }
    int64_t split = split_of(count, ranks);
    int left = add_subtree(t, first, split, unit, group, ranks);
    int right = add_subtree(t, first + split * unit, count - split, unit, group, ranks);
    t->nodes[node].left = left;
    t->nodes[node].right = right;
    t->nodes[left].parent = node;
    t->nodes[right].parent = node;
    return node;
}

plumb_status tree_build(int64_t micro_batches, int groups, int ranks, tree *result)
{
    tree t = {.micro_batches = micro_batches, .groups = groups};
    plumb_status status = memory_zeroed(2 * micro_batches, sizeof *t.nodes, &t.nodes);
    if (status == PLUMB_OK) {
        status = memory_zeroed(micro_batches, sizeof *t.leaves, &t.leaves);
    }
    if (status == PLUMB_OK) {
        status = memory_zeroed(groups, sizeof *t.group_roots, &t.group_roots);
    }
    if (status != PLUMB_OK) {
        tree_free(&t);
        return status;
    }
    t.root = add_subtree(&t, 0, groups, micro_batches / groups, -1, ranks);
    *result = t;
    return PLUMB_OK;
}

void tree_free(tree *t)
{
    memory_free(&t->nodes);
    memory_free(&t->leaves);
    memory_free(&t->group_roots);
    *t = (tree){0};
}
