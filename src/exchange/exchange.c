/*
 * The exchange as the step sees it (exchange.h): owns the communicator, the layout, the routes and
 * the buckets, and drives them with whatever mail arrives.
 */
#include "exchange/exchange.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "exchange/agreement.h"
#include "exchange/bucket.h"
#include "exchange/fault.h"
#include "exchange/transport.h"
#include "base/vector.h"

enum {
    WINDOW_BYTES = 256 << 20, /* for arriving pieces; one bucket at least */
    SURE_TAGS = 32767         /* MPI 4.0, section 9.1.2: MPI_TAG_UB is at least that */
};

struct exchange {
    MPI_Comm communicator;
    exchange_settings settings;
    share_order order;
    layout layout;
    tree tree;
    int64_t first, count; /* this rank's micro-batches */
    partial_store store;
    mail mail;
    route *routes; /* [2][size]: to each owner, sums and by group */
    bucket_state *buckets;
    bucket_desk desk;
    char failure_text[ERROR_MESSAGE_SIZE];
    int64_t *samples;        /* [count] */
    float *weights;          /* [count] */
    int64_t next_to_post;    /* owned buckets above this one have their receives posted */
    MPI_Request *publishing; /* of the broadcasts of values, by bucket and chunk */
    float *values;           /* [layout.length] */
    float *sums;             /* [layout.length], allreduce only */
    int64_t step_bytes;      /* of all messages of a step that leave or reach this rank */
    double overlap;
};

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
    status = share_order_find(duplicate, &made->order);
    if (status != PLUMB_OK) {
        exchange_destroy(&made);
        return status;
    }
    *x = made;
    return PLUMB_OK;
}

static void free_routes(exchange *x)
{
    for (int64_t i = 0; x->routes != NULL && i < 2 * (int64_t)x->order.size; i++) {
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

/* Frees what depends on (K, G). */
static void free_step(exchange *x)
{
    for (int64_t i = 0; x->buckets != NULL && i < x->layout.bucket_count; i++) {
        bucket_free(&x->buckets[i]);
    }
    memory_free(&x->buckets);
    free_lanes(x);
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
    memory_free(&gone->values);
    memory_free(&gone->sums);
    memory_free(&gone->publishing);
    layout_free(&gone->layout);
    share_order_free(&gone->order);
    transport_release(&gone->communicator);
    memory_free(x);
}

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

/* MPI calls by which a rank takes part in publishing. */
static int64_t publish_calls(const exchange *x)
{
    int64_t calls = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        calls += transport_chunks(x->layout.buckets[i].count, x->mail.chunk);
    }
    return calls;
}

plumb_status exchange_adopt(exchange *x, layout *l)
{
    layout_free(&x->layout);
    memory_free(&x->values);
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
    PROPAGATE(memory_zeroed(x->layout.length, sizeof *x->values, &x->values));
    PROPAGATE(memory_zeroed(publish_calls(x), sizeof *x->publishing, &x->publishing));
    return x->settings.allreduce ? memory_zeroed(x->layout.length, sizeof *x->sums, &x->sums)
                                 : PLUMB_OK;
}

/* The route of a bucket, built when first asked for. */
static plumb_status find_route(exchange *x, const layout_bucket *b, const route **found)
{
    route *r = &x->routes[b->by_group * x->order.size + b->owner];
    if (r->piece_count == 0 && r->part_count == 0) {
        PROPAGATE(route_build(&x->tree, &x->order, (int)b->owner, b->by_group != 0, r));
    }
    *found = r;
    return PLUMB_OK;
}

static plumb_status prepare_buckets(exchange *x)
{
    int64_t messages = 0;
    x->step_bytes = 0;
    x->desk.lane_floats = 0;
    PROPAGATE(memory_zeroed(x->layout.bucket_count, sizeof *x->buckets, &x->buckets));
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        const route *r = NULL;
        PROPAGATE(find_route(x, &x->layout.buckets[i], &r));
        PROPAGATE(bucket_prepare(&x->desk, i, r, &x->buckets[i]));
        int64_t floats = bucket_lane_floats(&x->desk, i, r);
        x->desk.lane_floats = floats > x->desk.lane_floats ? floats : x->desk.lane_floats;
        bucket_traffic(&x->desk, i, r, &messages, &x->step_bytes);
    }
    return mail_reserve(&x->mail, messages);
}

/* As many lanes as the window holds, one at least, none if nothing arrives. */
static plumb_status prepare_lanes(exchange *x)
{
    int64_t owned = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        owned += x->layout.buckets[i].owner == x->order.rank;
    }
    int64_t window = fault.window_bytes > 0 ? fault.window_bytes : WINDOW_BYTES;
    int64_t bytes = x->desk.lane_floats * (int64_t)sizeof(float);
    int64_t lanes = bytes == 0 ? 0 : window / bytes > 1 ? window / bytes : 1;
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
    PROPAGATE(memory_zeroed(2 * (int64_t)x->order.size, sizeof *x->routes, &x->routes));
    x->store.first = x->first;
    x->store.count = x->count;
    set_desk(x);
    if (!x->settings.allreduce) {
        PROPAGATE(prepare_buckets(x));
        PROPAGATE(prepare_lanes(x));
    } else {
        PROPAGATE(memory_zeroed(x->layout.bucket_count, sizeof *x->buckets, &x->buckets));
    }
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
    for (int64_t k = 0; k < x->count; k++) {
        exchange_weigh(x, x->first + k, x->settings.nominal_samples);
    }
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        bucket_reset(&x->desk, i, &x->buckets[i]);
    }
    x->mail.account = (mail_account){0};
    x->desk.failure = PLUMB_OK;
    x->next_to_post = x->layout.bucket_count;
    x->overlap = 1.0;
    return PLUMB_OK;
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
    if (x->settings.allreduce) {
        return PLUMB_OK;
    }
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
        }
    }
    return post_pieces(x);
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
    while (x->mail.count > 0) {
        PROPAGATE(mail_poll(&x->mail, 1, mail_done, x));
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
                                 : x->buckets[bucket].sum;
}

float *exchange_group(exchange *x, int64_t bucket, int group)
{
    return x->buckets[bucket].formed[group];
}

float *exchange_values(exchange *x)
{
    return x->values;
}

/* Starts the broadcast of one bucket from its owner. */
static plumb_status publish_bucket(exchange *x, const layout_bucket *b, int *posted)
{
    for (int64_t done = 0; done < b->count; done += x->mail.chunk) {
        int64_t part = b->count - done < x->mail.chunk ? b->count - done : x->mail.chunk;
        TRANSPORT(MPI_Ibcast(x->values + b->first + done, (int)part, MPI_FLOAT, (int)b->owner,
                             x->communicator, &x->publishing[*posted]));
        (*posted)++;
    }
    return PLUMB_OK;
}

plumb_status exchange_publish(exchange *x)
{
    int posted = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        PROPAGATE(publish_bucket(x, &x->layout.buckets[i], &posted));
    }
    return transport_status(MPI_Waitall(posted, x->publishing, MPI_STATUSES_IGNORE), "MPI_Waitall");
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

int64_t exchange_publish_bytes(const exchange *x)
{
    return exchange_plain_bytes(x);
}

int64_t exchange_publish_messages(const exchange *x)
{
    return publish_calls(x) * (x->order.size - 1);
}

int64_t exchange_plain_bytes(const exchange *x)
{
    int64_t floats = 0;
    for (int64_t i = 0; i < x->layout.bucket_count; i++) {
        floats += x->layout.buckets[i].count;
    }
    return floats * (int64_t)sizeof(float) * (x->order.size - 1);
}
