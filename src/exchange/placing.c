/*
 * Where sums and values lie: in the window of a domain, as long as one can be had, and who speaks
 * for the domain when values go from host to host.
 *
 * The window is made when a step first needs it, and anew when a step needs more slots than it has:
 * that is decided from what all ranks know, so that all do it together.
 */
#include <string.h>

#include "base/memory.h"
#include "exchange/agreement.h"
#include "exchange/state.h"
#include "exchange/transport.h"

enum { PART_ALIGNMENT = 64 };

static int smallest_node(const share_order *order, int *largest)
{
    int smallest = order->size;
    *largest = 0;
    for (int node = 0; node < order->nodes; node++) {
        int count = order->node_starts[node + 1] - order->node_starts[node];
        smallest = count < smallest ? count : smallest;
        *largest = count > *largest ? count : *largest;
    }
    return smallest;
}

plumb_status placing_create(exchange *x)
{
    share_order *order = &x->order;
    int most;
    int least = smallest_node(order, &most);
    x->leader_count = 1;
    x->leader = 0;
    /* That all ranks have the same options is found out later. */
    double without = !x->settings.shared_memory || x->settings.allreduce ? 1.0 : 0.0;
    PROPAGATE(agreement_largest(x->communicator, 1, &without));
    if (without > 0.0 || most == 1) {
        return PLUMB_OK;
    }
    order->domains = true;
    int position = order->position_of[order->rank];
    share_domain own = share_domain_of(order, position);
    TRANSPORT(MPI_Comm_split(x->communicator, own.count > 1 ? own.index : MPI_UNDEFINED, position,
                             &x->host));
    if (order->nodes == 1) {
        return PLUMB_OK;
    }
    x->leader_count = least;
    x->leader = position - own.first < least ? position - own.first : -1;
    TRANSPORT(MPI_Comm_split(x->communicator, x->leader >= 0 ? x->leader : MPI_UNDEFINED, own.index,
                             &x->leaders));
    return agreement_verdict(x->communicator,
                             memory_zeroed(x->leader_count, sizeof *x->published, &x->published));
}

void placing_drop_window(exchange *x)
{
    if (x->window_slots > 0 && x->host != MPI_COMM_NULL) {
        partial_drop_slots(&x->store);
    }
    window_free(&x->window);
    x->window_slots = 0;
    x->values = x->own_values;
}

void placing_destroy(exchange *x)
{
    placing_drop_window(x);
    transport_release(&x->host);
    transport_release(&x->leaders);
    memory_free(&x->published);
}

int placing_slots(const exchange *x)
{
    int most = 0;
    for (int position = 0; position < x->order.size; position++) {
        int64_t first;
        int64_t count;
        share_range(x->tree.micro_batches, x->order.size, position, &first, &count);
        for (int by_group = 0; by_group < 2; by_group++) {
            int slots = partial_slots(&x->tree, first, count, by_group != 0);
            most = slots > most ? slots : most;
        }
    }
    return most;
}

/* Bytes of flags in front of a rank's slots: one a bucket, and one for what it has published. */
static int64_t flag_bytes(const exchange *x)
{
    return layout_round_up((x->layout.bucket_count + 1) * (int64_t)sizeof(window_flag),
                           PART_ALIGNMENT);
}

static window_flag *flags_of(const exchange *x, int member)
{
    return (window_flag *)(void *)x->window.bases[member];
}

static float *slots_of(const exchange *x, int member)
{
    return (float *)(void *)(x->window.bases[member] + flag_bytes(x));
}

bool placing_needs_values(const exchange *x)
{
    bool alone = x->order.size == 1 || (x->order.domains && x->order.nodes == 1);
    bool needed = !alone;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        needed = needed || !exchange_in_place(x, &x->layout.buckets[i]);
    }
    return needed && !x->settings.one_way;
}

/* Tells everyone who reads or writes in the window where that is. */
static plumb_status move_in(exchange *x, int slots)
{
    PROPAGATE(partial_lend(&x->store, slots_of(x, x->desk.own), slots));
    x->values = placing_needs_values(x) ? slots_of(x, 0) + (int64_t)slots * x->layout.length : NULL;
    for (int k = 0; k < x->leader_count && x->published != NULL; k++) {
        x->published[k] = &flags_of(x, k)[x->layout.bucket_count];
    }
    return PLUMB_OK;
}

/* The members' places, which a step's preparation forgets. */
static void point_to_members(exchange *x)
{
    for (int m = 0; m < x->desk.member_count && x->host != MPI_COMM_NULL; m++) {
        x->desk.members[m].ready = flags_of(x, m);
        x->desk.members[m].slots = m == x->desk.own ? NULL : slots_of(x, m);
    }
}

/* All have a window of `slots` slots a rank, or nobody. */
static plumb_status make_window(exchange *x, int slots)
{
    placing_drop_window(x);
    bool has_values = x->desk.own == 0 && placing_needs_values(x);
    int64_t floats = (slots + (has_values ? 1 : 0)) * x->layout.length;
    PROPAGATE(window_make(x->communicator, x->host, flag_bytes(x) + floats * (int64_t)sizeof(float),
                          &x->window));
    x->window_slots = slots;
    return agreement_verdict(x->communicator,
                             x->host != MPI_COMM_NULL ? move_in(x, slots) : PLUMB_OK);
}

/* Every rank for itself from now on; the step is prepared again for that. */
static plumb_status part(exchange *x)
{
    strncpy(x->notice, error_text(), sizeof x->notice - 1);
    placing_drop_window(x);
    x->order.domains = false;
    x->leader_count = 1;
    x->leader = 0;
    int64_t total = x->tree.micro_batches;
    int groups = x->tree.groups;
    x->tree.micro_batches = 0;
    return agreement_verdict(x->communicator, exchange_prepare(x, total, groups));
}

plumb_status exchange_provide(exchange *x)
{
    if (!x->order.domains) {
        return PLUMB_OK;
    }
    if (x->window_slots < x->slots_needed && make_window(x, x->slots_needed) != PLUMB_OK) {
        return part(x);
    }
    point_to_members(x);
    return PLUMB_OK;
}

const char *exchange_notice(exchange *x)
{
    if (x->noticed || x->notice[0] == '\0') {
        return NULL;
    }
    x->noticed = true;
    return x->notice;
}
