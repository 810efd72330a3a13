/*
 * Forming a rank's own subtrees as gradients arrive (partial.h).
 */
#include "exchange/partial.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"

static void partials_free(partial_store *store)
{
    if (store->partials != NULL) {
        for (int64_t i = 0; i < store->layout->parameter_count; i++) {
            memory_free(&store->partials[i].entries);
            memory_free(&store->partials[i].seen);
        }
    }
    memory_free(&store->partials);
    memory_free(&store->maximal);
}

void partial_drop_slots(partial_store *store)
{
    for (int i = store->lent; i < store->slot_count; i++) {
        memory_free(&store->slots[i]);
    }
    store->lent = 0;
    store->slot_count = 0;
}

void partial_free(partial_store *store)
{
    partials_free(store);
    partial_drop_slots(store);
    memory_free(&store->slots);
    *store = (partial_store){0};
}

/* Empties the partials; makes them anew when the share has changed. */
static plumb_status partials_make(partial_store *store, int64_t count)
{
    int64_t parameters = store->layout->parameter_count;
    PROPAGATE(memory_zeroed(parameters, sizeof *store->partials, &store->partials));
    PROPAGATE(memory_allocate(count, sizeof *store->maximal, &store->maximal));
    for (int64_t i = 0; i < parameters; i++) {
        const layout_bucket *bucket =
            &store->layout->buckets[store->layout->parameters[i].first_bucket];
        store->partials[i].by_group = bucket->by_group != 0;
        PROPAGATE(memory_zeroed(count, 1, &store->partials[i].seen));
    }
    return PLUMB_OK;
}

static void partials_clear(partial_store *store)
{
    for (int64_t i = 0; i < store->layout->parameter_count; i++) {
        partial *one = &store->partials[i];
        one->given = 0;
        one->entry_count = 0;
        memset(one->seen, 0, (size_t)store->count);
    }
}

plumb_status partial_begin(partial_store *store, const layout *l, const tree *t, int64_t first,
                           int64_t count)
{
    if (store->partials == NULL || store->layout != l || store->capacity < count) {
        partials_free(store);
        store->layout = l;
        store->capacity = 0;
        PROPAGATE(partials_make(store, count));
        store->capacity = count;
    }
    store->tree = t;
    store->first = first;
    store->count = count;
    partials_clear(store);
    return PLUMB_OK;
}

bool partial_seen(const partial_store *store, int64_t parameter, int64_t micro_batch)
{
    return store->partials[parameter].seen[micro_batch - store->first] != 0;
}

bool partial_complete(const partial_store *store, int64_t parameter)
{
    return store->partials[parameter].given == store->count;
}

/* The lowest slot in which the parameter has nothing. */
static int free_slot(const partial *one)
{
    int slot = 0;
    for (int i = 0; i < one->entry_count; i++) {
        if (one->entries[i].slot == slot) {
            slot++;
            i = -1;
        }
    }
    return slot;
}

/* One more slot; zeroed, so that the padding between parameters is sent as zeros. */
static plumb_status add_slot(partial_store *store)
{
    float *memory;
    PROPAGATE(memory_zeroed(store->layout->length, sizeof *memory, &memory));
    plumb_status status =
        memory_grow(store->slot_count, store->slot_count + 1, sizeof *store->slots, &store->slots);
    if (status != PLUMB_OK) {
        memory_free(&memory);
        return status;
    }
    store->slots[store->slot_count++] = memory;
    return PLUMB_OK;
}

plumb_status partial_make_slots(partial_store *store, int count)
{
    while (store->slot_count < count) {
        PROPAGATE(add_slot(store));
    }
    return PLUMB_OK;
}

plumb_status partial_lend(partial_store *store, float *memory, int count)
{
    if (count > store->slot_count) {
        PROPAGATE(memory_grow(store->slot_count, count, sizeof *store->slots, &store->slots));
    }
    partial_drop_slots(store);
    for (int i = 0; i < count; i++) {
        store->slots[i] = memory + i * store->layout->length;
    }
    store->lent = count;
    store->slot_count = count;
    return PLUMB_OK;
}

static float *slot_memory(const partial_store *store, int64_t parameter, int slot)
{
    return store->slots[slot] + store->layout->parameters[parameter].offset;
}

plumb_status partial_buffer(partial_store *store, int64_t parameter, float **buffer)
{
    int slot = free_slot(&store->partials[parameter]);
    PROPAGATE(partial_make_slots(store, slot + 1));
    *buffer = slot_memory(store, parameter, slot);
    return PLUMB_OK;
}

/* May who has this range of micro-batches form the node from its children? */
static bool may_form(const tree *t, int64_t first, int64_t count, bool by_group, int node)
{
    if (node < 0) {
        return false;
    }
    const tree_node *n = &t->nodes[node];
    return n->first >= first && n->last <= first + count && (n->group >= 0 || !by_group);
}

/* The entry that holds the other child of `node`'s parent if that may be formed now, or -1. */
static int find_sibling(const partial_store *store, const partial *one, int node)
{
    int parent = store->tree->nodes[node].parent;
    if (!may_form(store->tree, store->first, store->count, one->by_group, parent)) {
        return -1;
    }
    const tree_node *p = &store->tree->nodes[parent];
    int sibling = p->left == node ? p->right : p->left;
    for (int i = 0; i < one->entry_count; i++) {
        if (one->entries[i].node == sibling) {
            return i;
        }
    }
    return -1;
}

static plumb_status push(partial *one, int node, int slot)
{
    if (one->entry_count == one->entry_capacity) {
        int capacity = 2 * one->entry_capacity + 8;
        PROPAGATE(memory_grow(one->entry_capacity, capacity, sizeof *one->entries, &one->entries));
        one->entry_capacity = capacity;
    }
    one->entries[one->entry_count++] = (partial_entry){node, slot};
    return PLUMB_OK;
}

/* Removes entry `index`; the order of entries has no meaning. */
static partial_entry pull(partial *one, int index)
{
    partial_entry entry = one->entries[index];
    one->entries[index] = one->entries[--one->entry_count];
    return entry;
}

/* Climbs from `node`, whose sum lies in `slot`, as long as siblings are here; stores the result. */
static plumb_status climb(partial_store *store, int64_t parameter, int node, int slot)
{
    partial *one = &store->partials[parameter];
    int64_t count = store->layout->parameters[parameter].count;
    int sibling;
    while ((sibling = find_sibling(store, one, node)) >= 0) {
        partial_entry other = pull(one, sibling);
        int lower = other.slot < slot ? other.slot : slot;
        vector_add(count, slot_memory(store, parameter, other.slot),
                   slot_memory(store, parameter, slot), slot_memory(store, parameter, lower));
        slot = lower;
        node = store->tree->nodes[node].parent;
    }
    return push(one, node, slot);
}

/* The contents of two slots change places. */
static void swap_slots(partial_store *store, int64_t parameter, int left, int right)
{
    enum { AT_ONCE = 1024 };
    float spare[AT_ONCE];
    int64_t count = store->layout->parameters[parameter].count;
    float *a = slot_memory(store, parameter, left);
    float *b = slot_memory(store, parameter, right);
    for (int64_t i = 0; i < count; i += AT_ONCE) {
        size_t bytes = (size_t)(count - i < AT_ONCE ? count - i : AT_ONCE) * sizeof *a;
        memcpy(spare, a + i, bytes);
        memcpy(a + i, b + i, bytes);
        memcpy(b + i, spare, bytes);
    }
}

static int compare_nodes(const tree *t, int left, int right)
{
    return t->nodes[left].first < t->nodes[right].first ? -1 : 1;
}

/* Subtree i to slot i: nothing to do after gradients in ascending order. */
static void put_in_order(partial_store *store, int64_t parameter)
{
    partial *one = &store->partials[parameter];
    for (int i = 0; i < one->entry_count; i++) {
        int next = i;
        for (int j = i + 1; j < one->entry_count; j++) {
            if (compare_nodes(store->tree, one->entries[j].node, one->entries[next].node) < 0) {
                next = j;
            }
        }
        partial_entry entry = one->entries[next];
        one->entries[next] = one->entries[i];
        if (entry.slot != i) {
            swap_slots(store, parameter, i, entry.slot);
            for (int j = i; j < one->entry_count; j++) {
                one->entries[j].slot =
                    one->entries[j].slot == i ? entry.slot : one->entries[j].slot;
            }
        }
        one->entries[i] = (partial_entry){entry.node, i};
    }
}

plumb_status partial_add(partial_store *store, int64_t parameter, int64_t micro_batch, float weight,
                         const float *gradient, bool *finite)
{
    partial *one = &store->partials[parameter];
    int64_t count = store->layout->parameters[parameter].count;
    int node = store->tree->leaves[micro_batch];
    int sibling = find_sibling(store, one, node);
    int slot;
    if (sibling >= 0) {
        slot = pull(one, sibling).slot;
        float *sum = slot_memory(store, parameter, slot);
        *finite = vector_add_checked(count, sum, weight, gradient, sum);
        node = store->tree->nodes[node].parent;
    } else {
        slot = free_slot(one);
        PROPAGATE(partial_make_slots(store, slot + 1));
        float *sum = slot_memory(store, parameter, slot);
        bool in_place = sum == gradient && weight == 1.0f;
        if (!in_place) {
            *finite = vector_scale_checked(count, weight, gradient, sum);
        } else if (store->look_later && store->count == 1) {
            *finite = true;
        } else {
            *finite = vector_all_finite(count, gradient);
        }
    }
    PROPAGATE(climb(store, parameter, node, slot));
    one->seen[micro_batch - store->first] = 1;
    if (++one->given == store->count) {
        put_in_order(store, parameter);
    }
    return PLUMB_OK;
}

int partial_list(const tree *t, int64_t first, int64_t count, bool by_group, int *nodes)
{
    int listed = 0;
    for (int64_t k = first; k < first + count;) {
        int node = t->leaves[k];
        while (may_form(t, first, count, by_group, t->nodes[node].parent)) {
            node = t->nodes[node].parent;
        }
        if (nodes != NULL) {
            nodes[listed] = node;
        }
        listed++;
        k = t->nodes[node].last;
    }
    return listed;
}

int partial_slots(const tree *t, int64_t first, int64_t count, bool by_group)
{
    /* A subtree of c leaves needs log2(c) slots while it is formed, and one for what comes in. */
    int slots = partial_list(t, first, count, by_group, NULL);
    for (int64_t leaves = 1; leaves < count; leaves *= 2) {
        slots++;
    }
    return slots < count ? slots : (int)count;
}

plumb_status partial_reserve(partial_store *store)
{
    for (int64_t i = 0; i < store->layout->parameter_count; i++) {
        partial *one = &store->partials[i];
        if (one->entry_capacity < store->count) {
            PROPAGATE(memory_grow(one->entry_capacity, store->count, sizeof *one->entries,
                                  &one->entries));
            one->entry_capacity = (int)store->count;
        }
    }
    return PLUMB_OK;
}

void partial_blank(partial_store *store, int64_t parameter)
{
    partial *one = &store->partials[parameter];
    int64_t count = store->layout->parameters[parameter].count;
    one->entry_count =
        partial_list(store->tree, store->first, store->count, one->by_group, store->maximal);
    for (int i = 0; i < one->entry_count; i++) {
        one->entries[i] = (partial_entry){store->maximal[i], i};
        memset(slot_memory(store, parameter, i), 0, (size_t)count * sizeof(float));
    }
    memset(one->seen, 1, (size_t)store->count);
    one->given = store->count;
}

float *partial_node(const partial_store *store, const layout_bucket *bucket, int node)
{
    const partial *one = &store->partials[bucket->first_parameter];
    for (int i = 0; i < one->entry_count; i++) {
        if (one->entries[i].node == node) {
            return store->slots[one->entries[i].slot] + bucket->first;
        }
    }
    return NULL;
}
