/*
 * The second leg: new values from their owners to all ranks.
 *
 * Owners have written into the memory of their domain, and all ranks have met since. Between
 * domains every bucket is one broadcast, among one rank of each domain; several ranks of a domain
 * share the buckets. Each says by a flag that its own are here.
 */
#include "base/memory.h"
#include "exchange/state.h"
#include "exchange/transport.h"

int64_t publishing_calls(const exchange *x)
{
    int64_t calls = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        calls += transport_chunks(x->layout.buckets[i].count, x->mail.chunk);
    }
    return calls;
}

static bool one_domain(const exchange *x)
{
    return x->order.domains && x->order.nodes == 1;
}

bool exchange_publishes(const exchange *x)
{
    return !one_domain(x) && x->order.size > 1;
}

/* Starts the broadcast of one bucket from its owner's domain. */
static plumb_status publish_bucket(exchange *x, int64_t index, float *values)
{
    const share_order *order = &x->order;
    const layout_bucket *b = &x->layout.buckets[index];
    bool led = order->domains;
    int root = led ? share_domain_of(order, order->position_of[b->owner]).index : (int)b->owner;
    for (int64_t done = 0; done < b->count; done += x->mail.chunk) {
        int64_t part = b->count - done < x->mail.chunk ? b->count - done : x->mail.chunk;
        TRANSPORT(MPI_Ibcast(values + done, (int)part, MPI_FLOAT, root,
                             led ? x->leaders : x->communicator,
                             &x->publishing[x->publishing_count]));
        x->publishing_count++;
    }
    return PLUMB_OK;
}

/* Waits until the values of all leaders of this domain are here. */
static plumb_status await_leaders(exchange *x)
{
    int turns = 0;
    for (int k = 0; k < x->leader_count; k++) {
        while (!window_signalled(x->published[k], x->desk.step)) {
            PROPAGATE(mail_poll(&x->mail, 0, NULL, NULL)); /* none is under way: MPI goes on */
            window_rest(x->desk.member_count, &turns);
        }
    }
    return PLUMB_OK;
}

plumb_status exchange_publish(exchange *x, float *const *places)
{
    atomic_thread_fence(memory_order_seq_cst);
    x->publishing_count = 0;
    for (int64_t i = 0; i < x->layout.bucket_count && exchange_publishes(x); i++) {
        bool placed = places != NULL && places[i] != NULL && exchange_arrives_here(x, i);
        if (i % x->leader_count == x->leader) {
            PROPAGATE(publish_bucket(x, i, placed ? places[i] : exchange_values(x, i)));
        }
    }
    return PLUMB_OK;
}

plumb_status exchange_await_values(exchange *x)
{
    if (!exchange_publishes(x)) {
        return PLUMB_OK;
    }
    TRANSPORT(MPI_Waitall(x->publishing_count, x->publishing, MPI_STATUSES_IGNORE));
    if (x->order.domains && x->host != MPI_COMM_NULL) {
        if (x->leader >= 0) {
            window_signal(x->published[x->leader], x->desk.step);
        }
        return await_leaders(x);
    }
    return PLUMB_OK;
}

int64_t exchange_publish_bytes(const exchange *x)
{
    return exchange_plain_bytes(x);
}

int64_t exchange_publish_wire_bytes(const exchange *x)
{
    int64_t others = x->order.size - 1;
    return others == 0 ? 0 : exchange_plain_bytes(x) / others * (x->order.nodes - 1);
}

int64_t exchange_publish_messages(const exchange *x)
{
    return publishing_calls(x) * (x->order.size - 1);
}

int64_t exchange_plain_bytes(const exchange *x)
{
    int64_t floats = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        floats += x->layout.buckets[i].count;
    }
    return floats * (int64_t)sizeof(float) * (x->order.size - 1);
}
