/*
 * The two hops of a bucket (bucket.h): parts to the holders of groups, pieces to the owner.
 */
#include "exchange/bucket.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "exchange/fault.h"
#include "exchange/forming.h"
#include "exchange/transport.h"

enum { HOPS = 2 };

static int tag_of(int64_t index, int hop)
{
    return (int)(index * HOPS + hop);
}

/* Floats of a part's message: where groups are encoded its weight rides along. */
static int64_t part_floats(const layout_bucket *b)
{
    return b->count + (forming_is_encoded(b) ? BUCKET_WEIGHT_FLOATS : 0);
}

static int64_t piece_floats(const layout_bucket *b)
{
    return b->count + b->tail;
}

static bool is_owner(const bucket_desk *desk, const layout_bucket *b)
{
    return b->owner == desk->order->rank;
}

/* Remembers a failure of own work; the protocol goes on. */
static void remember(bucket_desk *desk, plumb_status status)
{
    if (status != PLUMB_OK && desk->failure == PLUMB_OK) {
        desk->failure = status;
        strncpy(desk->failure_text, error_text(), ERROR_MESSAGE_SIZE - 1);
    }
}

/* A part needs memory where it arrives, and where it leaves and no rank has it as it must be. */
static plumb_status prepare_parts(const bucket_desk *desk, const layout_bucket *b,
                                  bucket_state *state)
{
    const route *r = state->route;
    PROPAGATE(memory_zeroed(r->part_count, sizeof *state->parts, &state->parts));
    for (int i = 0; i < r->part_count; i++) {
        bool arrives = r->parts[i].holder == desk->order->rank;
        bool own = r->parts[i].source == desk->order->rank;
        if (arrives != own && (arrives || !forming_is_direct(desk, b, r->parts[i].node))) {
            PROPAGATE(memory_zeroed(part_floats(b), sizeof(float), &state->parts[i]));
        }
    }
    return PLUMB_OK;
}

/* An owner that only sums forms no pieces of its own. */
static bool needs_pieces(const bucket_desk *desk, const layout_bucket *b)
{
    return b->by_group || !is_owner(desk, b);
}

static plumb_status prepare_pieces(const bucket_desk *desk, const layout_bucket *b,
                                   bucket_state *state)
{
    const route *r = state->route;
    PROPAGATE(memory_zeroed(r->piece_count, sizeof *state->pieces, &state->pieces));
    PROPAGATE(memory_zeroed(r->piece_count, sizeof *state->formed, &state->formed));
    for (int i = 0; i < r->piece_count; i++) {
        bool own = r->pieces[i].source == desk->order->rank;
        bool formed = needs_pieces(desk, b) && !forming_is_direct(desk, b, r->pieces[i].node);
        if (own ? formed : forming_keeps_groups(b)) {
            PROPAGATE(memory_zeroed(piece_floats(b), sizeof(float), &state->pieces[i]));
        }
    }
    return PLUMB_OK;
}

plumb_status bucket_prepare(const bucket_desk *desk, int64_t index, const route *r,
                            bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    *state = (bucket_state){.route = r, .lane = -1};
    PROPAGATE(prepare_parts(desk, b, state));
    PROPAGATE(prepare_pieces(desk, b, state));
    if (!is_owner(desk, b)) {
        return PLUMB_OK;
    }
    PROPAGATE(
        memory_zeroed(forming_blocks(desk->layout, b), sizeof *state->squares, &state->squares));
    return b->by_group ? memory_zeroed(b->count, sizeof *state->sum, &state->sum) : PLUMB_OK;
}

/*
 * Nobody reads this rank's own sums of a bucket that it owns. Where they are not kept the sum goes
 * there; subtree 0 always lies in slot 0.
 */
float *bucket_sum(const bucket_desk *desk, int64_t index, const bucket_state *state)
{
    return state->sum != NULL ? state->sum
                              : desk->store->slots[0] + desk->layout->buckets[index].first;
}

static void free_all(int count, float ***blocks)
{
    for (int i = 0; *blocks != NULL && i < count; i++) {
        memory_free(&(*blocks)[i]);
    }
    memory_free(blocks);
}

void bucket_free(bucket_state *state)
{
    if (state->route != NULL) {
        free_all(state->route->part_count, &state->parts);
        free_all(state->route->piece_count, &state->pieces);
    }
    memory_free(&state->formed);
    memory_free(&state->sum);
    memory_free(&state->squares);
    *state = (bucket_state){.lane = -1};
}

void bucket_reset(const bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    state->parameters_left = b->last_parameter - b->first_parameter + 1;
    state->members_seen = 0;
    state->parts_left = 0;
    state->pieces_left = 0;
    state->ready = false;
    state->held = false;
    state->posted = false;
    state->done = false;
    state->lane = -1;
}

int64_t bucket_lane_floats(const bucket_desk *desk, int64_t index, const route *r)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    int64_t arriving = 0;
    for (int i = 0; i < r->piece_count; i++) {
        arriving += r->pieces[i].source != desk->order->rank;
    }
    return is_owner(desk, b) && !forming_keeps_groups(b) ? arriving * piece_floats(b) : 0;
}

/* One message of `floats`, both ways alike. */
static void count_message(const bucket_desk *desk, int64_t floats, int64_t *messages,
                          int64_t *bytes)
{
    *messages += transport_chunks(floats, desk->mail->chunk);
    *bytes += floats * (int64_t)sizeof(float);
}

/* This rank reads what the others of its domain have: their subtrees. */
static int64_t readings(const bucket_desk *desk, const layout_bucket *b)
{
    int64_t count = 0;
    for (int m = 0; m < desk->member_count && !forming_is_encoded(b); m++) {
        count += m == desk->own ? 0 : desk->members[m].count[b->by_group];
    }
    return count;
}

/* True if this rank acts for its domain, or owns the bucket. */
static bool acts(const route *r)
{
    return r->part_count > 0 || r->piece_count > 0;
}

void bucket_traffic(const bucket_desk *desk, int64_t index, const route *r, int64_t *messages,
                    int64_t *bytes)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].source != r->parts[i].holder) {
            count_message(desk, part_floats(b), messages, bytes);
        }
    }
    for (int i = 0; i < r->piece_count; i++) {
        if (r->pieces[i].source != b->owner) {
            count_message(desk, piece_floats(b), messages, bytes);
        }
    }
    if (acts(r)) {
        *bytes += readings(desk, b) * b->count * (int64_t)sizeof(float);
    }
}

int bucket_most_inputs(const bucket_desk *desk, const route *r)
{
    int own[2] = {0, 0};
    for (int m = 0; m < desk->member_count; m++) {
        own[0] += desk->members[m].count[0];
        own[1] += desk->members[m].count[1];
    }
    return (own[0] > own[1] ? own[0] : own[1]) + r->part_count + r->piece_count;
}

plumb_status bucket_post_parts(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    const route *r = state->route;
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].holder != desk->order->rank || r->parts[i].source == desk->order->rank) {
            continue;
        }
        PROPAGATE(mail_receive(desk->mail, r->parts[i].source, tag_of(index, 0), state->parts[i],
                               part_floats(b), MAIL_PART, index));
        state->parts_left += (int)transport_chunks(part_floats(b), desk->mail->chunk);
    }
    return PLUMB_OK;
}

plumb_status bucket_post_pieces(bucket_desk *desk, int64_t index, bucket_state *state, int lane)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    const route *r = state->route;
    float *memory = lane >= 0 ? desk->lanes[lane] : NULL;
    state->lane = lane;
    state->posted = true;
    for (int i = 0; i < r->piece_count; i++) {
        if (r->pieces[i].source == desk->order->rank) {
            continue;
        }
        float *to = forming_keeps_groups(b) ? state->pieces[i] : memory;
        PROPAGATE(mail_receive(desk->mail, r->pieces[i].source, tag_of(index, 1), to,
                               piece_floats(b), MAIL_PIECE, index));
        state->pieces_left += (int)transport_chunks(piece_floats(b), desk->mail->chunk);
        memory = forming_keeps_groups(b) ? NULL : memory + piece_floats(b);
    }
    return PLUMB_OK;
}

/* The memory from which a part leaves. */
static float *outgoing_part(bucket_desk *desk, int64_t index, bucket_state *state, int part)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    int node = state->route->parts[part].node;
    float *memory = state->parts[part];
    if (memory == NULL) {
        return forming_direct(desk, b, node);
    }
    remember(desk, forming_sum(desk, index, state, node, memory));
    if (forming_is_encoded(b)) {
        forming_samples_to_floats(forming_samples_below(desk, node), memory + b->count);
    }
    return memory;
}

static plumb_status send_parts(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    const route *r = state->route;
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].source != desk->order->rank || r->parts[i].holder == desk->order->rank) {
            continue;
        }
        const float *values = outgoing_part(desk, index, state, i);
        PROPAGATE(mail_send(desk->mail, r->parts[i].holder, tag_of(index, 0), values,
                            part_floats(b), index));
    }
    return PLUMB_OK;
}

/* By group: the sum becomes the pipeline's stream with its tail. */
static plumb_status form_stream(bucket_desk *desk, int64_t index, bucket_state *state, int node,
                                float *piece)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    plumb_status status = forming_sum(desk, index, state, node, piece);
    if (status == PLUMB_OK) {
        status =
            desk->settings->encode(desk->settings->context, b->first_parameter, piece,
                                   forming_weight(desk, b, state, node), piece, piece + b->count);
    }
    return status;
}

/* Piece number `piece` of this rank; zeros if forming it failed. */
static float *form_piece(bucket_desk *desk, int64_t index, bucket_state *state, int piece)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    int node = state->route->pieces[piece].node;
    float *memory = state->pieces[piece];
    if (memory == NULL) {
        return forming_direct(desk, b, node);
    }
    plumb_status status = forming_is_encoded(b) ? form_stream(desk, index, state, node, memory)
                                                : forming_sum(desk, index, state, node, memory);
    remember(desk, status);
    if (status != PLUMB_OK) {
        memset(memory, 0, (size_t)piece_floats(b) * sizeof *memory);
    }
    return memory;
}

static plumb_status send_pieces(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    const route *r = state->route;
    for (int i = 0; i < r->piece_count && needs_pieces(desk, b); i++) {
        if (r->pieces[i].source != desk->order->rank) {
            continue;
        }
        state->formed[i] = form_piece(desk, index, state, i);
        if (!is_owner(desk, b)) {
            PROPAGATE(mail_send(desk->mail, (int)b->owner, tag_of(index, 1), state->formed[i],
                                piece_floats(b), index));
        }
    }
    state->held = true;
    return PLUMB_OK;
}

/*
 * Where the pieces of the bucket lie at its owner: own ones where they were formed, arrived ones
 * in the lane, or kept.
 */
static void list_pieces(bucket_desk *desk, const layout_bucket *b, bucket_state *state)
{
    const route *r = state->route;
    float *arrived = state->lane >= 0 ? desk->lanes[state->lane] : NULL;
    for (int i = 0; i < r->piece_count; i++) {
        if (r->pieces[i].source == desk->order->rank) {
            continue;
        }
        state->formed[i] = forming_keeps_groups(b) ? state->pieces[i] : arrived;
        arrived = forming_keeps_groups(b) ? NULL : arrived + piece_floats(b);
    }
}

/* Encoded: every stream becomes its contribution to the sum, in place. */
static plumb_status decode_pieces(bucket_desk *desk, const layout_bucket *b, bucket_state *state)
{
    for (int i = 0; i < state->route->piece_count; i++) {
        float *stream = state->formed[i];
        PROPAGATE(desk->settings->decode(desk->settings->context, b->first_parameter, stream,
                                         stream + b->count, stream));
    }
    return PLUMB_OK;
}

static plumb_status form_owned_sum(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    list_pieces(desk, b, state);
    if (forming_is_encoded(b)) {
        PROPAGATE(decode_pieces(desk, b, state));
    }
    return forming_owned(desk, index, state);
}

plumb_status bucket_complete(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const bucket_member *own = &desk->members[desk->own];
    if (own->ready != NULL) {
        PROPAGATE(fault_of_message());
        window_signal(&own->ready[index], desk->step);
    }
    return bucket_advance(desk, index, state);
}

bool bucket_waits(const bucket_state *state)
{
    return state->parameters_left == 0 && !state->ready && acts(state->route);
}

/* All ranks of the domain have signalled. */
static bool members_complete(const bucket_desk *desk, int64_t index, bucket_state *state)
{
    if (forming_is_encoded(&desk->layout->buckets[index])) {
        return true;
    }
    while (state->members_seen < desk->member_count) {
        const bucket_member *m = &desk->members[state->members_seen];
        if (m->slots != NULL && !window_signalled(&m->ready[index], desk->step)) {
            return false;
        }
        state->members_seen++;
    }
    return true;
}

/* The domain's sums may be read now: they count as messages of the size that they have. */
static void count_readings(bucket_desk *desk, const layout_bucket *b)
{
    int64_t count = readings(desk, b);
    int64_t bytes = count * b->count * (int64_t)sizeof(float);
    desk->mail->account.messages += count * transport_chunks(b->count, desk->mail->chunk);
    desk->mail->account.bytes += bytes;
    desk->mail->account.done_bytes += bytes;
}

plumb_status bucket_advance(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    if (bucket_waits(state) && members_complete(desk, index, state)) {
        state->ready = true;
        count_readings(desk, b);
        PROPAGATE(send_parts(desk, index, state));
    }
    if (state->ready && !state->held && state->parts_left == 0) {
        PROPAGATE(send_pieces(desk, index, state));
    }
    bool all_here = state->held && state->posted && state->pieces_left == 0;
    if (is_owner(desk, b) && all_here && !state->done) {
        remember(desk, form_owned_sum(desk, index, state));
        state->done = true;
        if (state->lane >= 0) {
            desk->lane_taken[state->lane] = false;
            state->lane = -1;
        }
    }
    return PLUMB_OK;
}
