/*
 * The canonical tree and the shares: shape against a plain recursive definition written down once
 * more, numbering of nodes, and the arithmetic of who has which micro-batch.
 * ranks: serial
 */
#include "exchange/share.h"
#include "exchange/tree.h"
#include "support/test.h"

static const struct {
    int64_t micro_batches;
    int groups;
} shapes[] = {{1, 1},   {2, 1},   {2, 2},    {3, 1},    {3, 3},    {4, 2},   {5, 1},
              {6, 2},   {6, 3},   {7, 7},    {8, 1},    {8, 4},    {8, 8},   {9, 3},
              {12, 4},  {21, 7},  {33, 1},   {35, 5},   {64, 8},   {65, 13}, {96, 6},
              {100, 1}, {100, 4}, {1000, 8}, {1023, 3}, {1025, 1}, {4096, 8}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* The largest power of two below `count`, found from above. */
static int64_t plain_split(int64_t count)
{
    int64_t power = INT64_C(1) << 40;
    while (power >= count) {
        power /= 2;
    }
    return power;
}

/* Node `node` must be the sum of `units` units of `unit` micro-batches from `first` on. */
static void expect_subtree(const tree *t, int node, int64_t first, int64_t units, int64_t unit)
{
    const tree_node *n = &t->nodes[node];
    ck_assert_int_eq(n->first, first);
    ck_assert_int_eq(n->last, first + units * unit);
    if (units == 1 && unit > 1) {
        expect_subtree(t, node, first, unit, 1);
        return;
    }
    if (units == 1) {
        ck_assert_int_eq(n->left, -1);
        ck_assert_int_eq(n->right, -1);
        return;
    }
    int64_t left = plain_split(units);
    expect_subtree(t, n->left, first, left, unit);
    expect_subtree(t, n->right, first + left * unit, units - left, unit);
}

START_TEST(shape)
{
    for (int i = 0; i < SHAPES; i++) {
        tree t;
        int64_t unit = shapes[i].micro_batches / shapes[i].groups;
        ck_assert_int_eq(tree_build(shapes[i].micro_batches, shapes[i].groups, 1, &t), PLUMB_OK);
        expect_subtree(&t, t.root, 0, shapes[i].groups, unit);
        tree_free(&t);
    }
}
END_TEST

static void expect_numbering(const tree *t)
{
    int64_t unit = t->micro_batches / t->groups;
    ck_assert_int_eq(t->count, 2 * t->micro_batches - 1);
    ck_assert_int_eq(t->nodes[t->root].parent, -1);
    for (int node = 0; node < t->count; node++) {
        const tree_node *n = &t->nodes[node];
        if (node != t->root) {
            const tree_node *parent = &t->nodes[n->parent];
            ck_assert(parent->left == node || parent->right == node);
        }
        bool inside = n->first / unit == (n->last - 1) / unit;
        ck_assert_int_eq(n->group, inside ? n->first / unit : -1);
        if (n->left >= 0) {
            ck_assert_int_eq(t->nodes[n->left].last, t->nodes[n->right].first);
        }
    }
    for (int64_t k = 0; k < t->micro_batches; k++) {
        const tree_node *leaf = &t->nodes[t->leaves[k]];
        ck_assert(leaf->first == k && leaf->last == k + 1 && leaf->left == -1);
    }
    for (int group = 0; group < t->groups; group++) {
        const tree_node *root = &t->nodes[t->group_roots[group]];
        ck_assert(root->first == group * unit && root->last == (group + 1) * unit);
        ck_assert_int_eq(root->group, group);
    }
}

START_TEST(numbering)
{
    for (int i = 0; i < SHAPES; i++) {
        tree t;
        ck_assert_int_eq(tree_build(shapes[i].micro_batches, shapes[i].groups, 1, &t), PLUMB_OK);
        expect_numbering(&t);
        tree_free(&t);
    }
}
END_TEST

START_TEST(rank_count_has_no_say)
{
    for (int i = 0; i < SHAPES; i++) {
        tree one;
        tree other;
        ck_assert_int_eq(tree_build(shapes[i].micro_batches, shapes[i].groups, 1, &one), PLUMB_OK);
        ck_assert_int_eq(tree_build(shapes[i].micro_batches, shapes[i].groups, 7, &other),
                         PLUMB_OK);
        for (int node = 0; node < one.count; node++) {
            ck_assert_int_eq(one.nodes[node].first, other.nodes[node].first);
            ck_assert_int_eq(one.nodes[node].last, other.nodes[node].last);
        }
        tree_free(&one);
        tree_free(&other);
        ck_assert_ptr_null(one.nodes);
        tree_free(&one);
    }
}
END_TEST

/* Contiguous ranges in order, which differ by one at most, and the way back. */
static void expect_shares(int64_t total, int size)
{
    int64_t next = 0;
    for (int position = 0; position < size; position++) {
        int64_t first;
        int64_t count;
        share_range(total, size, position, &first, &count);
        ck_assert_int_eq(first, next);
        ck_assert(count == total / size || count == (total + size - 1) / size);
        int64_t step = count > 100 ? count / 50 : 1;
        bool found = true;
        for (int64_t k = first; k < first + count; k += step) {
            found = found && share_position(total, size, k) == position;
        }
        ck_assert(found);
        ck_assert_int_eq(share_position(total, size, first + count - 1), position);
        next = first + count;
    }
    ck_assert_int_eq(next, total);
}

START_TEST(shares)
{
    for (int size = 1; size <= 24; size++) {
        for (int64_t total = size; total <= 3 * size + 70; total++) {
            expect_shares(total, size);
        }
    }
    expect_shares(TREE_LARGEST, 1);
    expect_shares(TREE_LARGEST, 7);
    expect_shares(TREE_LARGEST - 1, 1000);
    expect_shares(100003, 100000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tree");
    test_add(suite, "shape", shape);
    test_add(suite, "numbering", numbering);
    test_add(suite, "rank count has no say", rank_count_has_no_say);
    test_add(suite, "shares", shares);
    return test_run(suite);
}
