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

void partial_free(partial_store *store)
{
    partials_free(store);
    for (int i = 0; i < store->slot_count; i++) {
        memory_free(&store->slots[i]);
    }
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

static plumb_status ensure_slot(partial_store *store, int slot)
{
    while (store->slot_count <= slot) {
        PROPAGATE(add_slot(store));
    }
    return PLUMB_OK;
}

static float *slot_memory(const partial_store *store, int64_t parameter, int slot)
{
    return store->slots[slot] + store->layout->parameters[parameter].offset;
}

plumb_status partial_buffer(partial_store *store, int64_t parameter, float **buffer)
{
    int slot = free_slot(&store->partials[parameter]);
    PROPAGATE(ensure_slot(store, slot));
    *buffer = slot_memory(store, parameter, slot);
    return PLUMB_OK;
}

/* May this rank form the node from its children? */
static bool may_form(const partial_store *store, const partial *one, int node)
{
    if (node < 0) {
        return false;
    }
    const tree_node *n = &store->tree->nodes[node];
    return n->first >= store->first && n->last <= store->first + store->count &&
           (n->group >= 0 || !one->by_group);
}

/* The entry that holds the other child of `node`'s parent if that may be formed now, or -1. */
static int find_sibling(const partial_store *store, const partial *one, int node)
{
    int parent = store->tree->nodes[node].parent;
    if (!may_form(store, one, parent)) {
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
        PROPAGATE(ensure_slot(store, slot));
        float *sum = slot_memory(store, parameter, slot);
        bool in_place = sum == gradient && weight == 1.0f;
        *finite = in_place ? vector_all_finite(count, gradient)
                           : vector_scale_checked(count, weight, gradient, sum);
    }
    PROPAGATE(climb(store, parameter, node, slot));
    one->seen[micro_batch - store->first] = 1;
    one->given++;
    return PLUMB_OK;
}

/* Maximal subtrees of the share, in order: what remains when all is in. */
static int list_maximal(const partial_store *store, const partial *one, int *nodes)
{
    int count = 0;
    int64_t end = store->first + store->count;
    for (int64_t k = store->first; k < end; k = store->tree->nodes[nodes[count - 1]].last) {
        int node = store->tree->leaves[k];
        while (may_form(store, one, store->tree->nodes[node].parent)) {
            node = store->tree->nodes[node].parent;
        }
        nodes[count++] = node;
    }
    return count;
}

/* Room for as many entries as there are micro-batches. */
static plumb_status reserve_entries(partial_store *store)
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

plumb_status partial_reserve(partial_store *store)
{
    PROPAGATE(reserve_entries(store));
    int most = 0;
    for (int64_t i = 0; i < store->layout->parameter_count; i++) {
        int left = list_maximal(store, &store->partials[i], store->maximal);
        most = left > most ? left : most;
    }
    /* A subtree of c leaves needs log2(c) slots while it is formed, and one for what comes in. */
    int slots = most;
    for (int64_t leaves = 1; leaves < store->count; leaves *= 2) {
        slots++;
    }
    slots = slots < store->count ? slots : (int)store->count;
    return ensure_slot(store, slots - 1);
}

void partial_blank(partial_store *store, int64_t parameter)
{
    partial *one = &store->partials[parameter];
    int64_t count = store->layout->parameters[parameter].count;
    one->entry_count = list_maximal(store, one, store->maximal);
    for (int i = 0; i < one->entry_count; i++) {
        one->entries[i] = (partial_entry){store->maximal[i], i};
        memset(slot_memory(store, parameter, i), 0, (size_t)count * sizeof(float));
    }
    memset(one->seen, 1, (size_t)store->count);
    one->given = store->count;
}

static int slot_of(const partial *one, int node)
{
    for (int i = 0; i < one->entry_count; i++) {
        if (one->entries[i].node == node) {
            return one->entries[i].slot;
        }
    }
    return -1;
}

bool partial_has(const partial_store *store, const layout_bucket *bucket, int node)
{
    return slot_of(&store->partials[bucket->first_parameter], node) >= 0;
}

bool partial_slots_agree(const partial_store *store, const layout_bucket *bucket)
{
    const partial *first = &store->partials[bucket->first_parameter];
    for (int64_t p = bucket->first_parameter + 1; p <= bucket->last_parameter; p++) {
        for (int i = 0; i < first->entry_count; i++) {
            if (slot_of(&store->partials[p], first->entries[i].node) != first->entries[i].slot) {
                return false;
            }
        }
    }
    return true;
}

/* The part of parameter `index` that lies in the bucket, in flat space. */
static void overlap_of(const layout *l, const layout_bucket *bucket, int64_t index, int64_t *first,
                       int64_t *count)
{
    const layout_parameter *p = &l->parameters[index];
    int64_t end = p->offset + p->count;
    int64_t bucket_end = bucket->first + bucket->count;
    *first = p->offset > bucket->first ? p->offset : bucket->first;
    *count = (end < bucket_end ? end : bucket_end) - *first;
}

static void gather_slots(const partial_store *store, const layout_bucket *bucket, int node,
                         float *spare)
{
    memset(spare, 0, (size_t)bucket->count * sizeof *spare);
    for (int64_t i = bucket->first_parameter; i <= bucket->last_parameter; i++) {
        int64_t first;
        int64_t count;
        overlap_of(store->layout, bucket, i, &first, &count);
        const float *slot = store->slots[slot_of(&store->partials[i], node)];
        memcpy(spare + (first - bucket->first), slot + first, (size_t)count * sizeof *spare);
    }
}

float *partial_node(const partial_store *store, const layout_bucket *bucket, int node, float *spare)
{
    int slot = slot_of(&store->partials[bucket->first_parameter], node);
    if (slot < 0) {
        return NULL;
    }
    for (int64_t i = bucket->first_parameter + 1; i <= bucket->last_parameter; i++) {
        if (slot_of(&store->partials[i], node) != slot) {
            gather_slots(store, bucket, node, spare);
            return spare;
        }
    }
    return store->slots[slot] + bucket->first;
}
