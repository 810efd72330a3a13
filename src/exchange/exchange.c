/*
 * The exchange as the step sees it (exchange.h): drives the buckets of a step with what comes in,
 * gradients, messages, and the flags of other ranks of the domain.
 */
#include "exchange/exchange.h"

#include <string.h>

#include "base/vector.h"
#include "exchange/state.h"
#include "exchange/transport.h"

MPI_Comm exchange_communicator(const exchange *x)
{
    return x->communicator;
}

const share_order *exchange_order(const exchange *x)
{
    return &x->order;
}

const layout *exchange_layout(const exchange *x)
{
    return &x->layout;
}

static int free_lane(const exchange *x)
{
    for (int i = 0; i < x->desk.lane_count; i++) {
        if (!x->desk.lane_taken[i]) {
            return i;
        }
    }
    return -1;
}

/* Posts receives of pieces for owned buckets while there are lanes, last buckets first: backward
 * passes finish with the first parameters. */
static plumb_status post_pieces(exchange *x)
{
    while (x->next_to_post > 0) {
        int64_t index = x->next_to_post - 1;
        bool owned = x->layout.buckets[index].owner == x->order.rank;
        if (owned) {
            bool arriving = bucket_lane_floats(&x->desk, index, x->buckets[index].route) > 0;
            int lane = arriving ? free_lane(x) : -1;
            if (arriving && lane < 0) {
                return PLUMB_OK;
            }
            if (lane >= 0) {
                x->desk.lane_taken[lane] = true;
            }
            PROPAGATE(bucket_post_pieces(&x->desk, index, &x->buckets[index], lane));
            PROPAGATE(bucket_advance(&x->desk, index, &x->buckets[index]));
        }
        x->next_to_post--;
    }
    return PLUMB_OK;
}

plumb_status exchange_open(exchange *x)
{
    x->desk.step++;
    x->store.look_later = x->settings.look_later && !x->settings.allreduce;
    if (x->settings.allreduce) {
        return PLUMB_OK;
    }
    PROPAGATE(exchange_provide(x));
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        PROPAGATE(bucket_post_parts(&x->desk, i, &x->buckets[i]));
    }
    return post_pieces(x);
}

void exchange_share(const exchange *x, int64_t *first, int64_t *count)
{
    *first = x->first;
    *count = x->count;
}

void exchange_weigh(exchange *x, int64_t micro_batch, double samples)
{
    int64_t local = micro_batch - x->first;
    x->samples[local] = (int64_t)samples;
    x->weights[local] = (float)(samples / x->settings.nominal_samples);
}

plumb_status exchange_buffer(exchange *x, int64_t parameter, float **buffer)
{
    return partial_buffer(&x->store, parameter, buffer);
}

bool exchange_seen(const exchange *x, int64_t parameter, int64_t micro_batch)
{
    return partial_seen(&x->store, parameter, micro_batch);
}

bool exchange_complete(const exchange *x, int64_t parameter)
{
    return partial_complete(&x->store, parameter);
}

static plumb_status parameter_complete(exchange *x, int64_t parameter)
{
    const layout_parameter *p = &x->layout.parameters[parameter];
    for (int64_t i = p->last_bucket; i >= p->first_bucket; i--) {
        if (--x->buckets[i].parameters_left == 0) {
            PROPAGATE(bucket_complete(&x->desk, i, &x->buckets[i]));
            if (bucket_waits(&x->buckets[i])) {
                x->waiting[x->waiting_count++] = i;
            }
        }
    }
    return post_pieces(x);
}

/* Goes on with buckets for which the domain's other ranks have signalled. */
static plumb_status advance_waiting(exchange *x)
{
    int64_t kept = 0;
    plumb_status status = PLUMB_OK;
    for (int64_t w = 0; w < x->waiting_count; w++) {
        int64_t i = x->waiting[w];
        if (status == PLUMB_OK) {
            status = bucket_advance(&x->desk, i, &x->buckets[i]);
        }
        if (bucket_waits(&x->buckets[i])) {
            x->waiting[kept++] = i;
        }
    }
    bool moved = kept < x->waiting_count;
    x->waiting_count = kept;
    PROPAGATE(status);
    return moved ? post_pieces(x) : PLUMB_OK;
}

plumb_status exchange_accumulate(exchange *x, int64_t parameter, int64_t micro_batch,
                                 const float *gradient, bool *finite)
{
    PROPAGATE(partial_add(&x->store, parameter, micro_batch, x->weights[micro_batch - x->first],
                          gradient, finite));
    if (x->settings.allreduce) {
        return PLUMB_OK;
    }
    if (partial_complete(&x->store, parameter)) {
        PROPAGATE(parameter_complete(x, parameter));
    }
    return exchange_progress(x);
}

plumb_status exchange_blank(exchange *x, int64_t parameter)
{
    partial_blank(&x->store, parameter);
    return x->settings.allreduce ? PLUMB_OK : parameter_complete(x, parameter);
}

/* One message has left or arrived. */
static plumb_status mail_done(void *context, const mail_item *item)
{
    exchange *x = context;
    bucket_state *state = &x->buckets[item->bucket];
    if (item->kind == MAIL_SENT) {
        return PLUMB_OK;
    }
    if (item->kind == MAIL_PART) {
        state->parts_left--;
    } else {
        state->pieces_left--;
    }
    PROPAGATE(bucket_advance(&x->desk, item->bucket, state));
    return post_pieces(x);
}

plumb_status exchange_progress(exchange *x)
{
    PROPAGATE(advance_waiting(x));
    return mail_poll(&x->mail, 0, mail_done, x);
}

/* Allreduce: this rank's subtrees in any order, then the ranks in MPI's. */
static plumb_status sum_by_allreduce(exchange *x)
{
    for (int64_t p = 0; p < x->layout.parameter_count; p++) {
        const layout_parameter *where = &x->layout.parameters[p];
        const partial *one = &x->store.partials[p];
        float *to = x->sums + where->offset;
        for (int i = 0; i < one->entry_count; i++) {
            const float *from = x->store.slots[one->entries[i].slot] + where->offset;
            if (i == 0) {
                memcpy(to, from, (size_t)where->count * sizeof *to);
            } else {
                vector_add(where->count, to, from, to);
            }
        }
    }
    x->overlap = 0.0;
    return transport_sum(x->communicator, x->layout.length, x->mail.chunk, x->sums);
}

static bool all_sums_formed(const exchange *x)
{
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        if (x->layout.buckets[i].owner == x->order.rank && !x->buckets[i].done) {
            return false;
        }
    }
    return true;
}

plumb_status exchange_deliver(exchange *x)
{
    if (x->settings.allreduce) {
        return sum_by_allreduce(x);
    }
    if (x->step_bytes > 0) {
        x->overlap = (double)x->mail.account.done_bytes / (double)x->step_bytes;
    }
    int turns = 0;
    while (x->mail.count > 0 || x->waiting_count > 0) {
        PROPAGATE(advance_waiting(x));
        PROPAGATE(mail_poll(&x->mail, x->waiting_count == 0, mail_done, x));
        if (x->waiting_count > 0) {
            window_rest(x->desk.member_count, &turns);
        }
    }
    REQUIRE(all_sums_formed(x), PLUMB_ERROR_INTERNAL, "a bucket is not complete on rank %d",
            x->order.rank);
    return PLUMB_OK;
}

plumb_status exchange_failure(const exchange *x)
{
    if (x->desk.failure == PLUMB_OK) {
        return PLUMB_OK;
    }
    return error_raise(x->desk.failure, "%s", x->failure_text);
}

float *exchange_sum(exchange *x, int64_t bucket)
{
    if (x->layout.buckets[bucket].owner != x->order.rank) {
        return NULL;
    }
    return x->settings.allreduce ? x->sums + x->layout.buckets[bucket].first
                                 : bucket_sum(&x->desk, bucket, &x->buckets[bucket]);
}

exchange_suspect exchange_suspected(const exchange *x)
{
    return x->desk.suspect;
}

const double *exchange_squares(const exchange *x, int64_t bucket)
{
    return x->buckets[bucket].squares;
}

float *exchange_group(exchange *x, int64_t bucket, int group)
{
    return x->buckets[bucket].formed[group];
}

bool exchange_in_place(const exchange *x, const layout_bucket *b)
{
    return b->in_place && !x->settings.allreduce;
}

exchange_distance exchange_distance_of(const exchange *x, int64_t bucket)
{
    const share_order *order = &x->order;
    int owner = (int)x->layout.buckets[bucket].owner;
    if (owner == order->rank) {
        return EXCHANGE_OWN;
    }
    share_domain own = share_domain_of(order, order->position_of[order->rank]);
    share_domain other = share_domain_of(order, order->position_of[owner]);
    return own.index == other.index ? EXCHANGE_NEAR : EXCHANGE_FAR;
}

bool exchange_arrives_here(const exchange *x, int64_t bucket)
{
    bool alone = !x->order.domains || x->host == MPI_COMM_NULL;
    return alone && exchange_distance_of(x, bucket) == EXCHANGE_FAR;
}

float *exchange_values(exchange *x, int64_t bucket)
{
    const layout_bucket *b = &x->layout.buckets[bucket];
    exchange_distance distance = exchange_distance_of(x, bucket);
    if (!exchange_in_place(x, b) || distance == EXCHANGE_FAR) {
        return x->values + b->first;
    }
    if (distance == EXCHANGE_OWN) {
        return bucket_sum(&x->desk, bucket, &x->buckets[bucket]);
    }
    int position = x->order.position_of[b->owner];
    int member = position - share_domain_of(&x->order, position).first;
    return x->desk.members[member].slots + b->first;
}

float *exchange_own_memory(exchange *x, int64_t parameter)
{
    return x->store.slots[0] + x->layout.parameters[parameter].offset;
}

void exchange_account(const exchange *x, mail_account *account, double *overlap)
{
    *account = x->mail.account;
    *overlap = x->overlap;
    if (x->settings.allreduce) {
        int64_t others = x->order.size - 1;
        int64_t share = x->layout.length * (int64_t)sizeof(float) * others / x->order.size;
        account->bytes = 2 * share;
        account->messages = 2 * others;
    }
}
