/*
 * Builds routes by walking the tree from the root: a node goes as one message if one rank can have
 * it whole (route.h).
 */
#include "exchange/route.h"

#include "base/error.h"
#include "base/memory.h"

typedef struct builder {
    const tree *tree;
    const share_order *order;
    int owner;
    bool by_group;
    int *holders; /* [groups] rank: the agent of the domain that completes a group */
    route *route;
} builder;

/* The rank that acts for a domain: the owner itself if it lies there. */
static int agent_of(const builder *b, share_domain domain)
{
    int own = b->order->position_of[b->owner];
    if (own >= domain.first && own < domain.first + domain.count) {
        return b->owner;
    }
    return b->order->rank_at[domain.first + own % domain.count];
}

static share_domain domain_of(const builder *b, int64_t micro_batch)
{
    return share_domain_of(b->order,
                           share_position(b->tree->micro_batches, b->order->size, micro_batch));
}

static int source_of(const builder *b, int64_t micro_batch)
{
    return agent_of(b, domain_of(b, micro_batch));
}

/* The agent that completes a group for this owner: the owner itself if its domain has a part of
 * it, else that of a domain which has. */
static int holder_of(const builder *b, int group)
{
    const tree_node *n = &b->tree->nodes[b->tree->group_roots[group]];
    share_domain low = domain_of(b, n->first);
    share_domain high = domain_of(b, n->last - 1);
    int own = b->order->position_of[b->owner];
    share_domain owners = share_domain_of(b->order, own);
    if (owners.index >= low.index && owners.index <= high.index) {
        return b->owner;
    }
    int64_t total = b->tree->micro_batches;
    int first = share_position(total, b->order->size, n->first);
    int last = share_position(total, b->order->size, n->last - 1);
    return agent_of(b, share_domain_of(b->order, first + own % (last - first + 1)));
}

static plumb_status add_part(builder *b, int node, int source, int holder)
{
    route *r = b->route;
    if (source != b->order->rank && holder != b->order->rank) {
        return PLUMB_OK;
    }
    if (r->part_count == r->part_capacity) {
        int capacity = 2 * r->part_capacity + 8;
        PROPAGATE(memory_grow(r->part_capacity, capacity, sizeof *r->parts, &r->parts));
        r->part_capacity = capacity;
    }
    int group = b->tree->nodes[node].group;
    r->parts[r->part_count++] = (route_part){node, group, source, holder};
    return PLUMB_OK;
}

static plumb_status add_piece(builder *b, int node, int source)
{
    route *r = b->route;
    if (source != b->order->rank && b->owner != b->order->rank) {
        return PLUMB_OK;
    }
    if (r->piece_count == r->piece_capacity) {
        int capacity = 2 * r->piece_capacity + 8;
        PROPAGATE(memory_grow(r->piece_capacity, capacity, sizeof *r->pieces, &r->pieces));
        r->piece_capacity = capacity;
    }
    r->pieces[r->piece_count++] = (route_piece){node, source};
    return PLUMB_OK;
}

/* The parts of a group: largest subtrees that lie on one domain; none if all of it does. */
static plumb_status walk_group(builder *b, int node, int holder, bool whole_group)
{
    const tree_node *n = &b->tree->nodes[node];
    int source = source_of(b, n->first);
    if (source == source_of(b, n->last - 1)) {
        return whole_group ? PLUMB_OK : add_part(b, node, source, holder);
    }
    PROPAGATE(walk_group(b, n->left, holder, false));
    return walk_group(b, n->right, holder, false);
}

/* True if one holder has all groups of the node. */
static bool one_holder(const builder *b, const tree_node *n)
{
    int64_t unit = b->tree->micro_batches / b->tree->groups;
    for (int64_t group = n->first / unit; group < n->last / unit; group++) {
        if (b->holders[group] != b->holders[n->first / unit]) {
            return false;
        }
    }
    return true;
}

static plumb_status walk_groups(builder *b, int node)
{
    const tree_node *n = &b->tree->nodes[node];
    int64_t unit = b->tree->micro_batches / b->tree->groups;
    if (n->group >= 0 || (!b->by_group && one_holder(b, n))) {
        return add_piece(b, node, b->holders[n->first / unit]);
    }
    PROPAGATE(walk_groups(b, n->left));
    return walk_groups(b, n->right);
}

plumb_status route_build(const tree *t, const share_order *order, int owner, bool by_group,
                         route *r)
{
    *r = (route){0};
    builder b = {t, order, owner, by_group, NULL, r};
    PROPAGATE(memory_zeroed(t->groups, sizeof *b.holders, &b.holders));
    plumb_status status = PLUMB_OK;
    for (int group = 0; group < t->groups && status == PLUMB_OK; group++) {
        b.holders[group] = holder_of(&b, group);
        status = walk_group(&b, t->group_roots[group], b.holders[group], true);
    }
    if (status == PLUMB_OK) {
        status = walk_groups(&b, t->root);
    }
    memory_free(&b.holders);
    if (status != PLUMB_OK) {
        route_free(r);
    }
    return status;
}

void route_free(route *r)
{
    memory_free(&r->parts);
    memory_free(&r->pieces);
    *r = (route){0};
}
