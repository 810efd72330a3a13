/*
 * The life of an exchange up to its steps: communicator, layout, and what depends on (K, G).
 */
#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "exchange/agreement.h"
#include "exchange/fault.h"
#include "exchange/state.h"
#include "exchange/transport.h"

enum {
    WINDOW_BYTES = 256 << 20, /* for arriving pieces; one bucket at least */
    SURE_TAGS = 32767         /* MPI 4.0, section 9.1.2: MPI_TAG_UB is at least that */
};

/* Who is on another host, for the accounts of messages. */
static plumb_status find_far(exchange *x)
{
    const share_order *order = &x->order;
    PROPAGATE(memory_zeroed(order->size, sizeof *x->far, &x->far));
    int own = share_node(order, order->position_of[order->rank]);
    for (int rank = 0; rank < order->size; rank++) {
        x->far[rank] = share_node(order, order->position_of[rank]) != own;
    }
    x->mail.far = x->far;
    return PLUMB_OK;
}

plumb_status exchange_create(MPI_Comm communicator, plumb_status mine,
                             const exchange_settings *settings, exchange **x)
{
    *x = NULL;
    exchange *made = NULL;
    plumb_status status = mine == PLUMB_OK ? memory_zeroed(1, sizeof *made, &made) : mine;
    MPI_Comm duplicate = MPI_COMM_NULL;
    plumb_status duplicated = transport_duplicate(communicator, &duplicate);
    if (duplicated == PLUMB_OK) {
        status = agreement_verdict(duplicate, status);
    }
    if (duplicated != PLUMB_OK || status != PLUMB_OK) {
        memory_free(&made);
        transport_release(&duplicate);
        return duplicated != PLUMB_OK ? duplicated : status;
    }
    made->communicator = duplicate;
    made->settings = *settings;
    made->mail.communicator = duplicate;
    made->mail.chunk = settings->chunk > 0 ? settings->chunk : INT_MAX;
    made->host = made->leaders = MPI_COMM_NULL;
    status = share_order_find(duplicate, &made->order);
    if (status == PLUMB_OK) {
        status = agreement_verdict(duplicate, find_far(made));
    }
    if (status == PLUMB_OK) {
        status = placing_create(made);
    }
    if (status != PLUMB_OK) {
        exchange_destroy(&made);
        return status;
    }
    *x = made;
    return PLUMB_OK;
}

static void free_routes(exchange *x)
{
    for (int64_t i = 0; x->routes != NULL && i < ROUTE_KINDS * (int64_t)x->order.size; i++) {
        route_free(&x->routes[i]);
    }
    memory_free(&x->routes);
}

static void free_lanes(exchange *x)
{
    for (int i = 0; x->desk.lanes != NULL && i < x->desk.lane_count; i++) {
        memory_free(&x->desk.lanes[i]);
    }
    memory_free(&x->desk.lanes);
    memory_free(&x->desk.lane_taken);
    x->desk.lane_count = 0;
}

static void free_members(exchange *x)
{
    for (int m = 0; x->desk.members != NULL && m < x->desk.member_count; m++) {
        memory_free(&x->desk.members[m].nodes[0]);
        memory_free(&x->desk.members[m].nodes[1]);
    }
    memory_free(&x->desk.members);
    x->desk.member_count = 0;
    memory_free(&x->desk.inputs);
    combine_room_free(&x->desk.room);
}

/* Frees what depends on (K, G). */
static void free_step(exchange *x)
{
    for (int64_t i = 0; x->buckets != NULL && i < x->layout.bucket_count; i++) {
        bucket_free(&x->buckets[i]);
    }
    memory_free(&x->buckets);
    memory_free(&x->waiting);
    free_lanes(x);
    free_members(x);
    free_routes(x);
    tree_free(&x->tree);
    memory_free(&x->samples);
    memory_free(&x->weights);
}

void exchange_destroy(exchange **x)
{
    exchange *gone = *x;
    if (gone == NULL) {
        return;
    }
    mail_free(&gone->mail);
    free_step(gone);
    partial_free(&gone->store);
    placing_destroy(gone);
    memory_free(&gone->own_values);
    memory_free(&gone->far);
    memory_free(&gone->sums);
    memory_free(&gone->publishing);
    layout_free(&gone->layout);
    share_order_free(&gone->order);
    transport_release(&gone->communicator);
    memory_free(x);
}

plumb_status exchange_adopt(exchange *x, layout *l)
{
    layout_free(&x->layout);
    placing_drop_window(x);
    memory_free(&x->own_values);
    memory_free(&x->sums);
    memory_free(&x->publishing);
    if (x->order.rank == 0) {
        x->layout = *l;
        *l = (layout){0};
    }
    PROPAGATE(layout_broadcast(x->communicator, x->order.rank, &x->layout));
    REQUIRE(2 * x->layout.bucket_count <= SURE_TAGS, PLUMB_ERROR_ARGUMENT,
            "%lld buckets need more than the %d tags that every MPI has: use larger buckets",
            (long long)x->layout.bucket_count, SURE_TAGS);
    PROPAGATE(memory_zeroed(publishing_calls(x), sizeof *x->publishing, &x->publishing));
    return x->settings.allreduce ? memory_zeroed(x->layout.length, sizeof *x->sums, &x->sums)
                                 : PLUMB_OK;
}

/* The route of a bucket, built when first asked for. Streams go from rank to rank. */
static plumb_status find_route(exchange *x, const layout_bucket *b, const route **found)
{
    int64_t kind = b->tail > 0 ? 2 : b->by_group;
    route *r = &x->routes[kind * x->order.size + b->owner];
    if (r->piece_count == 0 && r->part_count == 0) {
        share_order order = x->order;
        order.domains = order.domains && b->tail == 0;
        PROPAGATE(route_build(&x->tree, &order, (int)b->owner, b->by_group != 0, r));
    }
    *found = r;
    return PLUMB_OK;
}

/* What every rank of the domain will have. */
static plumb_status prepare_members(exchange *x)
{
    const share_order *order = &x->order;
    int own = order->position_of[order->rank];
    share_domain domain = share_domain_of(order, own);
    PROPAGATE(memory_zeroed(domain.count, sizeof *x->desk.members, &x->desk.members));
    x->desk.member_count = domain.count;
    x->desk.own = own - domain.first;
    for (int m = 0; m < domain.count; m++) {
        bucket_member *member = &x->desk.members[m];
        int64_t first;
        int64_t count;
        share_range(x->tree.micro_batches, order->size, domain.first + m, &first, &count);
        for (int by_group = 0; by_group < 2; by_group++) {
            int listed = partial_list(&x->tree, first, count, by_group != 0, NULL);
            PROPAGATE(memory_zeroed(listed, sizeof(int), &member->nodes[by_group]));
            member->count[by_group] =
                partial_list(&x->tree, first, count, by_group != 0, member->nodes[by_group]);
        }
    }
    return PLUMB_OK;
}

static plumb_status prepare_buckets(exchange *x)
{
    int64_t messages = 0;
    x->step_bytes = 0;
    x->desk.lane_floats = 0;
    x->desk.most_inputs = 0;
    PROPAGATE(memory_zeroed(x->layout.bucket_count, sizeof *x->buckets, &x->buckets));
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        const route *r = NULL;
        PROPAGATE(find_route(x, &x->layout.buckets[i], &r));
        PROPAGATE(bucket_prepare(&x->desk, i, r, &x->buckets[i]));
        int64_t floats = bucket_lane_floats(&x->desk, i, r);
        x->desk.lane_floats = floats > x->desk.lane_floats ? floats : x->desk.lane_floats;
        int inputs = bucket_most_inputs(&x->desk, r);
        x->desk.most_inputs = inputs > x->desk.most_inputs ? inputs : x->desk.most_inputs;
        bucket_traffic(&x->desk, i, r, &messages, &x->step_bytes);
    }
    PROPAGATE(memory_zeroed(x->desk.most_inputs, sizeof *x->desk.inputs, &x->desk.inputs));
    PROPAGATE(combine_room_make(x->desk.most_inputs, &x->desk.room));
    PROPAGATE(memory_zeroed(x->layout.bucket_count, sizeof *x->waiting, &x->waiting));
    return mail_reserve(&x->mail, messages);
}

/* As many lanes as the window holds, one at least, none if nothing arrives. */
static plumb_status prepare_lanes(exchange *x)
{
    int64_t owned = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        owned += x->layout.buckets[i].owner == x->order.rank;
    }
    int64_t room = fault.window_bytes > 0 ? fault.window_bytes : WINDOW_BYTES;
    int64_t bytes = x->desk.lane_floats * (int64_t)sizeof(float);
    int64_t lanes = bytes == 0 ? 0 : room / bytes > 1 ? room / bytes : 1;
    lanes = lanes < owned ? lanes : owned;
    PROPAGATE(memory_zeroed(lanes, sizeof *x->desk.lanes, &x->desk.lanes));
    PROPAGATE(memory_zeroed(lanes, sizeof *x->desk.lane_taken, &x->desk.lane_taken));
    x->desk.lane_count = (int)lanes;
    for (int64_t i = 0; i < lanes; i++) {
        PROPAGATE(memory_zeroed(x->desk.lane_floats, sizeof(float), &x->desk.lanes[i]));
    }
    return PLUMB_OK;
}

static void set_desk(exchange *x)
{
    x->desk.settings = &x->settings;
    x->desk.layout = &x->layout;
    x->desk.order = &x->order;
    x->desk.tree = &x->tree;
    x->desk.store = &x->store;
    x->desk.mail = &x->mail;
    x->desk.samples = x->samples;
    x->desk.failure_text = x->failure_text;
}

static plumb_status prepare_shape(exchange *x, int64_t micro_batches, int groups)
{
    free_step(x);
    PROPAGATE(tree_build(micro_batches, groups, x->order.size, &x->tree));
    share_range(micro_batches, x->order.size, x->order.position_of[x->order.rank], &x->first,
                &x->count);
    PROPAGATE(memory_zeroed(x->count, sizeof *x->samples, &x->samples));
    PROPAGATE(memory_zeroed(x->count, sizeof *x->weights, &x->weights));
    PROPAGATE(memory_zeroed(ROUTE_KINDS * (int64_t)x->order.size, sizeof *x->routes, &x->routes));
    x->store.first = x->first;
    x->store.count = x->count;
    x->slots_needed = placing_slots(x);
    set_desk(x);
    PROPAGATE(prepare_members(x));
    if (!x->settings.allreduce) {
        PROPAGATE(prepare_buckets(x));
        PROPAGATE(prepare_lanes(x));
    } else {
        PROPAGATE(memory_zeroed(x->layout.bucket_count, sizeof *x->buckets, &x->buckets));
    }
    return PLUMB_OK;
}

/* This rank's need alone: nobody else reads its slots. */
static int own_slots(const exchange *x)
{
    int plain = partial_slots(&x->tree, x->first, x->count, false);
    int by_group = partial_slots(&x->tree, x->first, x->count, true);
    return by_group > plain ? by_group : plain;
}

static plumb_status provide_values(exchange *x)
{
    if (x->own_values == NULL && placing_needs_values(x)) {
        PROPAGATE(memory_zeroed(x->layout.length, sizeof *x->own_values, &x->own_values));
    }
    x->values = x->own_values;
    return PLUMB_OK;
}

plumb_status exchange_prepare(exchange *x, int64_t micro_batches, int groups)
{
    if (x->tree.micro_batches != micro_batches || x->tree.groups != groups) {
        plumb_status status = prepare_shape(x, micro_batches, groups);
        if (status != PLUMB_OK) {
            free_step(x);
            return status;
        }
    }
    PROPAGATE(partial_begin(&x->store, &x->layout, &x->tree, x->first, x->count));
    PROPAGATE(partial_reserve(&x->store));
    if (!x->order.domains || x->host == MPI_COMM_NULL) {
        PROPAGATE(partial_make_slots(&x->store, own_slots(x)));
        PROPAGATE(provide_values(x));
    }
    for (int64_t k = 0; k < x->count; k++) {
        exchange_weigh(x, x->first + k, x->settings.nominal_samples);
    }
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        bucket_reset(&x->desk, i, &x->buckets[i]);
    }
    x->mail.account = (mail_account){0};
    x->desk.failure = PLUMB_OK;
    x->desk.suspect = (exchange_suspect){.parameter = -1};
    x->waiting_count = 0;
    x->next_to_post = x->layout.bucket_count;
    x->overlap = 1.0;
    return PLUMB_OK;
}
