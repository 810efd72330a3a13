/*
 * The two hops of a bucket (bucket.h): parts to the holders of groups, pieces to the owner.
 */
#include "exchange/bucket.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "exchange/transport.h"

enum { HOPS = 2 };

static int tag_of(int64_t index, int hop)
{
    return (int)(index * HOPS + hop);
}

/* True if groups travel as a pipeline's streams with a tail, not as their sums. */
static bool is_encoded(const layout_bucket *b)
{
    return b->tail > 0;
}

/* True if the owner keeps every group's sum until the next step. */
static bool keeps_groups(const layout_bucket *b)
{
    return b->by_group && !is_encoded(b);
}

/* Floats of a part's message: where groups are encoded its weight rides along. */
static int64_t part_floats(const layout_bucket *b)
{
    return b->count + (is_encoded(b) ? BUCKET_WEIGHT_FLOATS : 0);
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

/* A part needs memory where it arrives, and where it leaves with a weight behind it. */
static plumb_status prepare_parts(const bucket_desk *desk, const layout_bucket *b,
                                  bucket_state *state)
{
    const route *r = state->route;
    PROPAGATE(memory_zeroed(r->part_count, sizeof *state->parts, &state->parts));
    for (int i = 0; i < r->part_count; i++) {
        bool arrives = r->parts[i].holder == desk->order->rank;
        bool own = r->parts[i].source == desk->order->rank;
        bool several = b->last_parameter > b->first_parameter;
        if ((arrives && !own) || (own && !arrives && (is_encoded(b) || several))) {
            PROPAGATE(memory_zeroed(part_floats(b), sizeof(float), &state->parts[i]));
        }
    }
    return PLUMB_OK;
}

/* True if the piece is formed in one slot, which may be sent as it is. */
static bool is_direct(const bucket_desk *desk, const layout_bucket *b, int node)
{
    const tree_node *n = &desk->tree->nodes[node];
    bool mine =
        n->first >= desk->store->first && n->last <= desk->store->first + desk->store->count;
    return mine && !is_encoded(b) && b->first_parameter == b->last_parameter;
}

static plumb_status prepare_pieces(const bucket_desk *desk, const layout_bucket *b,
                                   bucket_state *state)
{
    const route *r = state->route;
    PROPAGATE(memory_zeroed(r->piece_count, sizeof *state->pieces, &state->pieces));
    PROPAGATE(memory_zeroed(r->piece_count, sizeof *state->formed, &state->formed));
    for (int i = 0; i < r->piece_count; i++) {
        bool own = r->pieces[i].source == desk->order->rank;
        if (own ? !is_direct(desk, b, r->pieces[i].node) : keeps_groups(b)) {
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
    if (is_owner(desk, b)) {
        PROPAGATE(memory_zeroed(b->count, sizeof *state->sum, &state->sum));
    }
    return PLUMB_OK;
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
    *state = (bucket_state){.lane = -1};
}

void bucket_reset(const bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    state->parameters_left = b->last_parameter - b->first_parameter + 1;
    state->parts_left = 0;
    state->pieces_left = 0;
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
    return is_owner(desk, b) && !keeps_groups(b) ? arriving * piece_floats(b) : 0;
}

/* One message of `floats`, both ways alike. */
static void count_message(const bucket_desk *desk, int64_t floats, int64_t *messages,
                          int64_t *bytes)
{
    *messages += transport_chunks(floats, desk->mail->chunk);
    *bytes += floats * (int64_t)sizeof(float);
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
        float *to = keeps_groups(b) ? state->pieces[i] : memory;
        PROPAGATE(mail_receive(desk->mail, r->pieces[i].source, tag_of(index, 1), to,
                               piece_floats(b), MAIL_PIECE, index));
        state->pieces_left += (int)transport_chunks(piece_floats(b), desk->mail->chunk);
        memory = keeps_groups(b) ? NULL : memory + piece_floats(b);
    }
    return PLUMB_OK;
}

/* Samples of this rank's micro-batches below `node`: whole numbers, so exact in any order. */
static int64_t samples_below(const bucket_desk *desk, int node)
{
    const tree_node *n = &desk->tree->nodes[node];
    int64_t sum = 0;
    for (int64_t k = n->first; k < n->last; k++) {
        int64_t local = k - desk->store->first;
        if (local >= 0 && local < desk->store->count) {
            sum += desk->samples[local];
        }
    }
    return sum;
}

/* A whole number below 2^60 as three floats of twenty bits, which hold it exactly: at most 2^28
 * micro-batches of 2^30 samples. */
static void samples_to_floats(int64_t samples, float *to)
{
    const int64_t mask = (1 << 20) - 1;
    to[0] = (float)(samples & mask);
    to[1] = (float)((samples >> 20) & mask);
    to[2] = (float)((samples >> 40) & mask);
}

static int64_t samples_from_floats(const float *from)
{
    return (int64_t)from[0] + ((int64_t)from[1] << 20) + ((int64_t)from[2] << 40);
}

/* The memory from which a part leaves. */
static const float *outgoing_part(bucket_desk *desk, const layout_bucket *b, bucket_state *state,
                                  int part)
{
    int node = state->route->parts[part].node;
    const float *sum = partial_node(desk->store, b, node, state->parts[part]);
    if (!is_encoded(b)) {
        return sum;
    }
    memcpy(state->parts[part], sum, (size_t)b->count * sizeof *sum);
    samples_to_floats(samples_below(desk, node), state->parts[part] + b->count);
    return state->parts[part];
}

static plumb_status send_parts(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    const route *r = state->route;
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].source != desk->order->rank || r->parts[i].holder == desk->order->rank) {
            continue;
        }
        const float *values = outgoing_part(desk, b, state, i);
        PROPAGATE(mail_send(desk->mail, r->parts[i].holder, tag_of(index, 0), values,
                            part_floats(b), index));
    }
    return PLUMB_OK;
}

/* Everything this rank could build a piece from: parts that arrived, and its own sums. */
static int gather_inputs(bucket_desk *desk, const layout_bucket *b, bucket_state *state,
                         combine_input *inputs)
{
    int count = 0;
    const route *r = state->route;
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].holder == desk->order->rank && r->parts[i].source != desk->order->rank) {
            inputs[count++] = (combine_input){r->parts[i].node, state->parts[i]};
        }
    }
    const partial *first = &desk->store->partials[b->first_parameter];
    for (int i = 0; i < first->entry_count; i++) {
        inputs[count++] = (combine_input){first->entries[i].node, NULL};
    }
    return count;
}

/*
 * Own sums whose parameters lie in different slots (gradients came in unusual orders) are gathered
 * in memory of their own, `copies`, one stretch each.
 */
static void resolve_inputs(bucket_desk *desk, const layout_bucket *b, int count,
                           combine_input *inputs, float *copies)
{
    for (int i = 0; i < count; i++) {
        if (inputs[i].values == NULL) {
            inputs[i].values = partial_node(desk->store, b, inputs[i].node, copies);
            copies += b->count;
        }
    }
}

/* The sum of `node` from what is here, into `result` [bucket->count]. */
static plumb_status form_sum(bucket_desk *desk, const layout_bucket *b, bucket_state *state,
                             int node, float *result)
{
    int most = state->route->part_count + desk->store->partials[b->first_parameter].entry_count;
    combine_input *inputs = NULL;
    float *copies = NULL;
    plumb_status status = memory_allocate(most, sizeof *inputs, &inputs);
    if (status == PLUMB_OK && !partial_slots_agree(desk->store, b)) {
        int entries = desk->store->partials[b->first_parameter].entry_count;
        status = memory_allocate(entries * b->count, sizeof *copies, &copies);
    }
    if (status == PLUMB_OK) {
        int count = gather_inputs(desk, b, state, inputs);
        resolve_inputs(desk, b, count, inputs, copies);
        status = combine(desk->tree, node, count, inputs, b->count, result);
    }
    memory_free(&inputs);
    memory_free(&copies);
    return status;
}

/* Samples over nominal samples of the whole group: own micro-batches and the parts' weights. */
static float group_weight(const bucket_desk *desk, const layout_bucket *b,
                          const bucket_state *state, int node)
{
    int64_t samples = samples_below(desk, node);
    const route *r = state->route;
    int group = desk->tree->nodes[node].group;
    for (int i = 0; i < r->part_count; i++) {
        bool arrived =
            r->parts[i].holder == desk->order->rank && r->parts[i].source != desk->order->rank;
        if (arrived && r->parts[i].group == group) {
            samples += samples_from_floats(state->parts[i] + b->count);
        }
    }
    return (float)((double)samples / desk->settings->nominal_samples);
}

/* By group: the sum becomes the pipeline's stream with its tail. */
static plumb_status form_stream(bucket_desk *desk, const layout_bucket *b, bucket_state *state,
                                int node, float *piece)
{
    plumb_status status = form_sum(desk, b, state, node, piece);
    if (status == PLUMB_OK) {
        status =
            desk->settings->encode(desk->settings->context, b->first_parameter, piece,
                                   group_weight(desk, b, state, node), piece, piece + b->count);
    }
    return status;
}

/* Piece number `piece` of this rank; zeros if forming it failed. */
static float *form_piece(bucket_desk *desk, int64_t index, bucket_state *state, int piece)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    int node = state->route->pieces[piece].node;
    float *memory = state->pieces[piece];
    if (!is_encoded(b) && partial_has(desk->store, b, node)) {
        return partial_node(desk->store, b, node, memory);
    }
    plumb_status status = is_encoded(b) ? form_stream(desk, b, state, node, memory)
                                        : form_sum(desk, b, state, node, memory);
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
    for (int i = 0; i < r->piece_count; i++) {
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
        state->formed[i] = keeps_groups(b) ? state->pieces[i] : arrived;
        arrived = keeps_groups(b) ? NULL : arrived + piece_floats(b);
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
    int count = state->route->piece_count;
    combine_input *inputs = NULL;
    PROPAGATE(memory_allocate(count, sizeof *inputs, &inputs));
    list_pieces(desk, b, state);
    plumb_status status = is_encoded(b) ? decode_pieces(desk, b, state) : PLUMB_OK;
    for (int i = 0; i < count; i++) {
        inputs[i] = (combine_input){state->route->pieces[i].node, state->formed[i]};
    }
    if (status == PLUMB_OK) {
        status = combine(desk->tree, desk->tree->root, count, inputs, b->count, state->sum);
    }
    memory_free(&inputs);
    return status;
}

plumb_status bucket_complete(bucket_desk *desk, int64_t index, bucket_state *state)
{
    PROPAGATE(send_parts(desk, index, state));
    return bucket_advance(desk, index, state);
}

plumb_status bucket_advance(bucket_desk *desk, int64_t index, bucket_state *state)
{
    if (!state->held && state->parameters_left == 0 && state->parts_left == 0) {
        PROPAGATE(send_pieces(desk, index, state));
    }
    bool all_here = state->held && state->posted && state->pieces_left == 0;
    if (is_owner(desk, &desk->layout->buckets[index]) && all_here && !state->done) {
        remember(desk, form_owned_sum(desk, index, state));
        state->done = true;
        if (state->lane >= 0) {
            desk->lane_taken[state->lane] = false;
            state->lane = -1;
        }
    }
    return PLUMB_OK;
}
