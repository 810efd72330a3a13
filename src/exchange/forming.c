/*
 * What a sum is formed from, and the look at gradients that nobody has looked at yet (forming.h).
 */
#include "exchange/forming.h"

#include <math.h>

#include "base/error.h"
#include "base/vector.h"

/* The ranks whose sums are read for a bucket: first .. end - 1. */
static void readable(const bucket_desk *desk, const layout_bucket *b, int *first, int *end)
{
    bool alone = forming_is_encoded(b);
    *first = alone ? desk->own : 0;
    *end = alone ? desk->own + 1 : desk->member_count;
}

/* Subtree `i` of a rank. */
static float *member_sum(const bucket_desk *desk, const layout_bucket *b, int member, int i)
{
    const bucket_member *m = &desk->members[member];
    if (m->slots == NULL) {
        return desk->store->slots[i] + b->first;
    }
    return m->slots + i * desk->layout->length + b->first;
}

/* Where in the domain `node` lies: its rank and its number there. */
static bool find_direct(const bucket_desk *desk, const layout_bucket *b, int node, int *member,
                        int *number)
{
    int end;
    readable(desk, b, member, &end);
    for (; *member < end; ++*member) {
        const bucket_member *m = &desk->members[*member];
        for (*number = 0; *number < m->count[b->by_group]; ++*number) {
            if (m->nodes[b->by_group][*number] == node) {
                return true;
            }
        }
    }
    return false;
}

bool forming_is_direct(const bucket_desk *desk, const layout_bucket *b, int node)
{
    int member;
    int number;
    return !forming_is_encoded(b) && find_direct(desk, b, node, &member, &number);
}

float *forming_direct(const bucket_desk *desk, const layout_bucket *b, int node)
{
    int member;
    int number;
    return find_direct(desk, b, node, &member, &number) ? member_sum(desk, b, member, number)
                                                        : NULL;
}

/* The sums of the domain's ranks, and the parts that have arrived. */
static int list_inputs(bucket_desk *desk, const layout_bucket *b, const bucket_state *state)
{
    int count = 0;
    int member;
    int end;
    readable(desk, b, &member, &end);
    for (; member < end; member++) {
        const bucket_member *m = &desk->members[member];
        for (int i = 0; i < m->count[b->by_group]; i++) {
            desk->inputs[count++] =
                (combine_input){m->nodes[b->by_group][i], member_sum(desk, b, member, i)};
        }
    }
    const route *r = state->route;
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].holder == desk->order->rank && r->parts[i].source != desk->order->rank) {
            desk->inputs[count++] = (combine_input){r->parts[i].node, state->parts[i]};
        }
    }
    return count;
}

/* Behind `count` inputs the pieces: all, or those that have arrived. */
static int list_pieces(bucket_desk *desk, const bucket_state *state, bool all, int count)
{
    const route *r = state->route;
    for (int i = 0; i < r->piece_count; i++) {
        if (all || r->pieces[i].source != desk->order->rank) {
            desk->inputs[count++] = (combine_input){r->pieces[i].node, state->formed[i]};
        }
    }
    return count;
}

/* The stretch of parameter `index` that lies in the bucket, from the bucket's first element. */
static void stretch(const layout *l, const layout_bucket *b, int64_t index, int64_t *first,
                    int64_t *count)
{
    const layout_parameter *p = &l->parameters[index];
    int64_t end = p->offset + p->count;
    int64_t bucket_end = b->first + b->count;
    int64_t start = p->offset > b->first ? p->offset : b->first;
    *first = start - b->first;
    *count = (end < bucket_end ? end : bucket_end) - start;
}

int64_t forming_blocks(const layout *l, const layout_bucket *b)
{
    int64_t blocks = 0;
    for (int64_t p = b->first_parameter; p <= b->last_parameter; p++) {
        int64_t first;
        int64_t count;
        stretch(l, b, p, &first, &count);
        blocks += (count + VECTOR_BLOCK - 1) / VECTOR_BLOCK;
    }
    return blocks;
}

/* Names the micro-batch, and the rank that has it. */
static void suspect_leaf(bucket_desk *desk, int64_t parameter, int node)
{
    int64_t k = desk->tree->nodes[node].first;
    int place = share_position(desk->tree->micro_batches, desk->order->size, k);
    desk->suspect = (exchange_suspect){parameter, desk->order->rank_at[place], k};
}

/*
 * Where the sum took the place of this rank's own gradient, that one was not finite if the others
 * cannot have made the sum what it is: numbers that are finite and not very large.
 */
static bool gone_was_at_fault(const bucket_desk *desk, int64_t first, int64_t count,
                              int input_count, const float *result)
{
    const float very_large = 1e30f;
    for (int64_t e = first; e < first + count; e++) {
        bool innocent = isfinite(result[e]);
        for (int i = 0; i < input_count && !innocent; i++) {
            const float *values = desk->inputs[i].values;
            innocent = values != result && !(fabsf(values[e]) < very_large);
        }
        if (!innocent) {
            return true;
        }
    }
    return false;
}

/*
 * A sum of the parameter is not finite: because a gradient is not, or because it is too large. Of
 * single gradients that came in place nobody has looked at the elements before.
 */
static void look_at(bucket_desk *desk, int64_t parameter, int64_t first, int64_t count,
                    int input_count, const float *result)
{
    int gone = -1;
    for (int i = 0; i < input_count && desk->suspect.parameter < 0; i++) {
        const combine_input *input = &desk->inputs[i];
        bool single = desk->tree->nodes[input->node].left < 0;
        if (single && input->values == result) {
            gone = desk->store->count == 1 ? i : -1;
        } else if (single && !vector_all_finite(count, input->values + first)) {
            suspect_leaf(desk, parameter, desk->inputs[i].node);
        }
    }
    if (desk->suspect.parameter < 0 && gone >= 0 &&
        gone_was_at_fault(desk, first, count, input_count, result)) {
        suspect_leaf(desk, parameter, desk->inputs[gone].node);
    }
}

/* Carries out the plan parameter by parameter. */
static void run(bucket_desk *desk, const layout_bucket *b, int input_count, float *result,
                double *squares)
{
    bool streams = squares != NULL && forming_is_encoded(b); /* looked at when they were formed */
    bool look = desk->settings->look_later && !streams;
    for (int64_t p = b->first_parameter; p <= b->last_parameter; p++) {
        int64_t first;
        int64_t count;
        stretch(desk->layout, b, p, &first, &count);
        bool finite = combine_run(&desk->room, first, count, result, squares, look);
        if (look && !finite) {
            look_at(desk, p, first, count, input_count, result);
        }
        squares = squares != NULL ? squares + (count + VECTOR_BLOCK - 1) / VECTOR_BLOCK : NULL;
    }
}

plumb_status forming_sum(bucket_desk *desk, int64_t index, bucket_state *state, int node,
                         float *result)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    int count = list_inputs(desk, b, state);
    PROPAGATE(combine_plan(&desk->room, desk->tree, node, count, desk->inputs));
    run(desk, b, count, result, NULL);
    return PLUMB_OK;
}

plumb_status forming_owned(bucket_desk *desk, int64_t index, bucket_state *state)
{
    const layout_bucket *b = &desk->layout->buckets[index];
    int count = b->by_group ? list_pieces(desk, state, true, 0)
                            : list_pieces(desk, state, false, list_inputs(desk, b, state));
    PROPAGATE(combine_plan(&desk->room, desk->tree, desk->tree->root, count, desk->inputs));
    run(desk, b, count, bucket_sum(desk, index, state), state->squares);
    return PLUMB_OK;
}

int64_t forming_samples_below(const bucket_desk *desk, int node)
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

void forming_samples_to_floats(int64_t samples, float *to)
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

float forming_weight(const bucket_desk *desk, const layout_bucket *b, const bucket_state *state,
                     int node)
{
    int64_t samples = forming_samples_below(desk, node);
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
