/*
 * A rank's own sums. Gradients of single micro-batches come in; whenever both children of a tree
 * node are here the node is formed, so that in ascending order a rank holds log2(K/P) + 1 partial
 * sums at most. What is left at the end are the maximal subtrees of the rank's range.
 *
 * Sums lie in *slots*: arrays over the whole flat space. A slot holds, for each parameter, one
 * tree node's sum or nothing; slot memory is what plumb_gradient_buffer hands out. When a parameter
 * is complete its i-th subtree lies in slot i, so that another rank of the domain, which knows what
 * subtrees this one has, finds them in the window where the first slots lie.
 */
#ifndef PLUMB_EXCHANGE_PARTIAL_H
#define PLUMB_EXCHANGE_PARTIAL_H

#include <stdbool.h>

#include "exchange/layout.h"
#include "exchange/tree.h"

typedef struct partial_entry {
    int node, slot;
} partial_entry;

/* One parameter's sums of this step. */
typedef struct partial {
    int64_t given; /* micro-batches so far */
    bool by_group; /* merge no further than groups */
    int entry_count, entry_capacity;
    partial_entry *entries;
    uint8_t *seen; /* [count of the share] */
} partial;

typedef struct partial_store {
    const layout *layout;
    const tree *tree;
    int64_t first, count; /* this rank's micro-batches */
    int64_t capacity;     /* of every partial's `seen` */
    partial *partials;    /* [parameters] */
    int *maximal;         /* [count] room to list subtrees */
    bool look_later; /* a rank's only gradient, given in place, is not looked at: see partial_add */
    int lent;        /* the first slots that are not this store's memory */
    int slot_count;
    float **slots; /* [slot_count][layout->length] */
} partial_store;

/* Room for a share of `count` micro-batches from `first`; drops what was there, keeps the slots. */
plumb_status partial_begin(partial_store *store, const layout *l, const tree *t, int64_t first,
                           int64_t count);
void partial_free(partial_store *store);

/* Entries for gradients in any order; part of the preparation on which ranks agree. MEMORY. */
plumb_status partial_reserve(partial_store *store);

/* Makes slots until there are `count`. MEMORY. */
plumb_status partial_make_slots(partial_store *store, int count);

/* The first `count` slots, contiguous and all zero, take the place of all there are. MEMORY. */
plumb_status partial_lend(partial_store *store, float *memory, int count);

/* Frees the slots, or forgets those that are lent. */
void partial_drop_slots(partial_store *store);

/*
 * The maximal subtrees of micro-batches first .. first + count - 1, in order: what a complete rank
 * has, subtree i in slot i. Returns their number, at most `count`; `nodes` may be NULL.
 */
int partial_list(const tree *t, int64_t first, int64_t count, bool by_group, int *nodes);

/* Slots that hold all gradients of such a range in ascending order. */
int partial_slots(const tree *t, int64_t first, int64_t count, bool by_group);

/*
 * Puts zeros in place of everything the parameter has and lacks: it is complete then. For steps
 * that have failed; needs no memory.
 */
void partial_blank(partial_store *store, int64_t parameter);

/* Memory where the parameter's next gradient may be written. MEMORY. */
plumb_status partial_buffer(partial_store *store, int64_t parameter, float **buffer);

/*
 * Adds weight * gradient as micro-batch `micro_batch` (of this rank's, not seen before);
 * *finite tells whether the gradient is. A rank's only gradient that was written where it stays is
 * not looked at if `look_later`: whoever reads it for the owner does (combine.h). MEMORY.
 */
plumb_status partial_add(partial_store *store, int64_t parameter, int64_t micro_batch, float weight,
                         const float *gradient, bool *finite);

/* True if the micro-batch of this parameter was given. */
bool partial_seen(const partial_store *store, int64_t parameter, int64_t micro_batch);

/* True if all of the parameter's micro-batches are in. */
bool partial_complete(const partial_store *store, int64_t parameter);

/* The sum of `node` over the bucket's stretch of flat space; NULL if the node is not here. The
 * bucket's parameters are complete. */
float *partial_node(const partial_store *store, const layout_bucket *bucket, int node);

#endif
