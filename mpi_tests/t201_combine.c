/*
 * Finishing the tree from inputs of any cut, against a plain recursive sum in the same order: bit
 * for bit on random floats, exact on integers; and a rank's own sums under odd orders of arrival.
 * ranks: serial
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "exchange/combine.h"
#include "exchange/partial.h"
#include "support/test.h"

static const int64_t counts[] = {1, 2, 15, 16, 17, 4095, 4096, 4097, 8192, 8193, 12289};
enum { COUNTS = sizeof counts / sizeof counts[0], MOST_LEAVES = 40 };

/* leaves[k][i]; the sum of element i below `node`, every addition rounded to float. */
static float plain_sum(const tree *t, int node, float *const *leaves, int64_t i)
{
    const tree_node *n = &t->nodes[node];
    if (n->left < 0) {
        return leaves[n->first][i];
    }
    return plain_sum(t, n->left, leaves, i) + plain_sum(t, n->right, leaves, i);
}

static double exact_sum(const tree *t, float *const *leaves, int64_t i)
{
    double sum = 0.0;
    for (int64_t k = 0; k < t->micro_batches; k++) {
        sum += (double)leaves[k][i];
    }
    return sum;
}

/* Cuts the tree below `node` at nodes that a hash picks; values of cut nodes are plain sums. */
static int cut(const tree *t, int node, float *const *leaves, int64_t count, uint64_t seed,
               combine_input *inputs)
{
    const tree_node *n = &t->nodes[node];
    bool stop = n->left < 0 || (node != t->root && test_value(seed, 7, (uint64_t)node) > 0.3f);
    if (!stop) {
        int left = cut(t, n->left, leaves, count, seed, inputs);
        return left + cut(t, n->right, leaves, count, seed, inputs + left);
    }
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++) {
        values[i] = plain_sum(t, node, leaves, i);
    }
    *inputs = (combine_input){node, values};
    return 1;
}

static void free_inputs(int input_count, combine_input *inputs)
{
    for (int i = 0; i < input_count; i++) {
        free((void *)(uintptr_t)inputs[i].values);
    }
}

static void make_leaves(const tree *t, int64_t count, bool whole, float **leaves)
{
    for (int64_t k = 0; k < t->micro_batches; k++) {
        leaves[k] = malloc((size_t)count * sizeof **leaves);
        for (int64_t i = 0; i < count; i++) {
            leaves[k][i] = whole ? test_integer(3, (uint64_t)k, (uint64_t)i, 100000)
                                 : test_value(3, (uint64_t)k, (uint64_t)i) / 3.0f;
        }
    }
}

/* Inputs are handed over in reverse: their order must not matter. */
static void reverse(int count, combine_input *inputs)
{
    for (int i = 0; i < count / 2; i++) {
        combine_input spare = inputs[i];
        inputs[i] = inputs[count - 1 - i];
        inputs[count - 1 - i] = spare;
    }
}

static void expect_combined(int64_t micro_batches, int groups, int64_t count, bool whole)
{
    tree t;
    ck_assert_int_eq(tree_build(micro_batches, groups, 1, &t), PLUMB_OK);
    float *leaves[MOST_LEAVES];
    make_leaves(&t, count, whole, leaves);
    float *result = malloc((size_t)count * sizeof *result);
    for (uint64_t seed = 0; seed < 3; seed++) {
        combine_input inputs[MOST_LEAVES];
        int input_count = cut(&t, t.root, leaves, count, seed, inputs);
        reverse(input_count, inputs);
        ck_assert_int_eq(combine(&t, t.root, input_count, inputs, count, result), PLUMB_OK);
        bool same = true;
        for (int64_t i = 0; i < count; i++) {
            float plain = plain_sum(&t, t.root, leaves, i);
            same = same && memcmp(&plain, &result[i], sizeof plain) == 0 &&
                   (!whole || (double)result[i] == exact_sum(&t, leaves, i));
        }
        ck_assert(same);
        free_inputs(input_count, inputs);
    }
    for (int64_t k = 0; k < micro_batches; k++) {
        free(leaves[k]);
    }
    free(result);
    tree_free(&t);
}

START_TEST(against_plain_sums)
{
    static const struct {
        int64_t micro_batches;
        int groups;
    } shapes[] = {{1, 1}, {2, 1}, {5, 5}, {8, 4}, {12, 3}, {13, 1}, {40, 8}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int i = 0; i < COUNTS; i++) {
            expect_combined(shapes[s].micro_batches, shapes[s].groups, counts[i], i % 2 == 0);
            expect_combined(shapes[s].micro_batches, shapes[s].groups, counts[i], i % 2 == 1);
        }
    }
}
END_TEST

START_TEST(into_an_input)
{
    tree t;
    ck_assert_int_eq(tree_build(5, 5, 1, &t), PLUMB_OK);
    static float leaves[5][5000];
    combine_input inputs[5];
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < 5000; i++) {
            leaves[k][i] = test_integer(1, (uint64_t)k, (uint64_t)i, 1000);
        }
        inputs[k] = (combine_input){t.leaves[k], leaves[k]};
    }
    double last = 0.0;
    for (int k = 0; k < 5; k++) {
        last += (double)leaves[k][4999];
    }
    ck_assert_int_eq(combine(&t, t.root, 5, inputs, 5000, leaves[2]), PLUMB_OK);
    ck_assert(last == (double)leaves[2][4999]);
    tree_free(&t);
}
END_TEST

START_TEST(not_covered)
{
    tree t;
    ck_assert_int_eq(tree_build(8, 2, 1, &t), PLUMB_OK);
    float one[4] = {1, 1, 1, 1};
    float result[4];
    combine_input inputs[8];
    for (int k = 0; k < 8; k++) {
        inputs[k] = (combine_input){t.leaves[k], one};
    }
    ck_assert_int_eq(combine(&t, t.root, 7, inputs, 4, result), PLUMB_ERROR_INTERNAL);
    ck_assert_ptr_nonnull(strstr(error_text(), "micro-batch 7"));
    inputs[3].node = t.leaves[4];
    ck_assert_int_eq(combine(&t, t.root, 8, inputs, 4, result), PLUMB_ERROR_INTERNAL);
    ck_assert_int_eq(combine(&t, t.root, 0, inputs, 4, result), PLUMB_ERROR_INTERNAL);
    tree_free(&t);
}
END_TEST

enum { ELEMENTS = 37 };

typedef struct own_sums {
    tree t;
    layout_parameter parameter;
    layout_bucket bucket;
    layout layout;
    partial_store store;
} own_sums;

static void own_sums_begin(own_sums *o, int64_t total, int groups, int64_t first, int64_t count,
                           bool by_group)
{
    memset(o, 0, sizeof *o);
    ck_assert_int_eq(tree_build(total, groups, 1, &o->t), PLUMB_OK);
    o->parameter = (layout_parameter){0, ELEMENTS, 0, 0};
    o->bucket = (layout_bucket){.count = ELEMENTS, .by_group = by_group};
    o->layout = (layout){48, 1, 1, &o->parameter, &o->bucket};
    ck_assert_int_eq(partial_begin(&o->store, &o->layout, &o->t, first, count), PLUMB_OK);
}

static void own_sums_end(own_sums *o)
{
    partial_free(&o->store);
    tree_free(&o->t);
}

/* Gives the micro-batches in the order first + (start + i * stride) % count. */
static void give_all(own_sums *o, int64_t start, int64_t stride, float *const *leaves)
{
    int64_t count = o->store.count;
    for (int64_t i = 0; i < count; i++) {
        int64_t k = o->store.first + (start + i * stride) % count;
        bool finite = false;
        ck_assert(!partial_seen(&o->store, 0, k));
        ck_assert(!partial_complete(&o->store, 0));
        ck_assert_int_eq(partial_add(&o->store, 0, k, 1.0f, leaves[k], &finite), PLUMB_OK);
        ck_assert(finite && partial_seen(&o->store, 0, k));
    }
    ck_assert(partial_complete(&o->store, 0));
}

/* The entries must be maximal subtrees of the share, disjoint, with the plain sums. */
static void expect_maximal(const own_sums *o, float *const *leaves)
{
    const partial *one = &o->store.partials[0];
    int64_t covered = 0;
    for (int i = 0; i < one->entry_count; i++) {
        int node = one->entries[i].node;
        const tree_node *n = &o->t.nodes[node];
        covered += n->last - n->first;
        if (n->parent >= 0) {
            const tree_node *p = &o->t.nodes[n->parent];
            bool inside = p->first >= o->store.first && p->last <= o->store.first + o->store.count;
            ck_assert(!inside || (one->by_group && p->group < 0));
        }
        const float *sum = partial_node(&o->store, &o->bucket, node);
        for (int64_t e = 0; e < ELEMENTS; e++) {
            ck_assert(sum[e] == plain_sum(&o->t, node, leaves, e));
        }
    }
    ck_assert_int_eq(covered, o->store.count);
}

START_TEST(own_sums_in_any_order)
{
    float *leaves[MOST_LEAVES];
    for (int k = 0; k < MOST_LEAVES; k++) {
        leaves[k] = malloc(ELEMENTS * sizeof **leaves);
        for (int e = 0; e < ELEMENTS; e++) {
            leaves[k][e] = test_value(9, (uint64_t)k, (uint64_t)e) / 3.0f;
        }
    }
    for (int64_t first = 0; first < 12; first++) {
        for (int64_t count = 1; first + count <= 24; count++) {
            static const int64_t strides[] = {1, 5, 7, 11, 23};
            int64_t stride = strides[(first + count) % 5];
            while (stride > 1 && count % stride == 0) {
                stride--;
            }
            stride = stride == 5 || stride == 7 || stride == 11 || stride == 23 ? stride : 1;
            own_sums o;
            own_sums_begin(&o, 24, 4, first, count, first % 2 == 0);
            give_all(&o, count / 2, stride, leaves);
            expect_maximal(&o, leaves);
            own_sums_end(&o);
        }
    }
    for (int k = 0; k < MOST_LEAVES; k++) {
        free(leaves[k]);
    }
}
END_TEST

/* The promise of memory: log2(count) + 1 slots in ascending order, without and with a copy. */
START_TEST(slots_in_ascending_order)
{
    for (int in_place = 0; in_place < 2; in_place++) {
        own_sums o;
        own_sums_begin(&o, 32, 1, 0, 32, false);
        float memory[ELEMENTS] = {0};
        for (int64_t k = 0; k < 32; k++) {
            float *buffer = memory;
            bool finite;
            if (in_place) {
                ck_assert_int_eq(partial_buffer(&o.store, 0, &buffer), PLUMB_OK);
            }
            for (int e = 0; e < ELEMENTS; e++) {
                buffer[e] = (float)(k + e);
            }
            ck_assert_int_eq(partial_add(&o.store, 0, k, 1.0f, buffer, &finite), PLUMB_OK);
        }
        ck_assert_int_le(o.store.slot_count, 6);
        const float *sum = partial_node(&o.store, &o.bucket, o.t.root);
        ck_assert(sum[3] == 31.0f * 16.0f + 32.0f * 3.0f);
        own_sums_end(&o);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("combine");
    test_add(suite, "against plain sums", against_plain_sums);
    test_add(suite, "into an input", into_an_input);
    test_add(suite, "not covered", not_covered);
    test_add(suite, "own sums in any order", own_sums_in_any_order);
    test_add(suite, "slots in ascending order", slots_in_ascending_order);
    return test_run(suite);
}
