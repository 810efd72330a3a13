/*
 * The phases of row panels (panels.h): every phase makes the blocks that are this rank's, sends
 * them to the other participants of their matrix and waits for theirs.
 */
#include <limits.h>
#include <string.h>

#include "base/vector.h"
#include "exchange/tree.h"
#include "linalg/positive_inverse.h"
#include "step/panels.h"
#include "step/slices.h"
#include "step/update.h"

typedef enum phase {
    PHASE_EXPONENTS, /* a block a participant: the exponent of its panels */
    PHASE_GRAMS,     /* a block a span: the sum of its panels' Gram matrices */
    PHASE_POLES,     /* a block a pole: its inverse */
    PHASES
} phase;

/* In place of an exponent: below all that there are. */
static const float EXPONENT_OF_ZERO = -1e6f;

static const parameter *parameter_of(const plumb *p, const panel_matrix *m)
{
    return &p->parameters[m->parameter];
}

static int64_t packed_of(const panel_matrix *m)
{
    return panels_packed(m->fast.side);
}

static int block_count(const panel_matrix *m, phase now)
{
    switch (now) {
    case PHASE_EXPONENTS:
        return m->participant_count;
    case PHASE_GRAMS:
        return m->span_count;
    default:
        return m->fast.fractions.poles;
    }
}

/* Block i of a phase. Poles are dealt in turn, beginning elsewhere for every matrix. */
static block block_of(const panel_matrix *m, phase now, int i)
{
    block one = {
        .count = packed_of(m), .reader_count = m->participant_count, .readers = m->participants};
    switch (now) {
    case PHASE_EXPONENTS:
        one.count = 2;
        one.source = m->participants[i];
        one.values = m->exponents + 2 * i;
        break;
    case PHASE_GRAMS:
        one.source = m->spans[i].owner;
        one.values = m->grams + i * one.count;
        break;
    default:
        one.source = m->participants[(m->number + i) % m->participant_count];
        one.values = m->poles + i * one.count;
    }
    return one;
}

/* Lower triangle by rows. */
static void pack(int side, const float *square, float *packed)
{
    for (int64_t i = 0; i < side; i++) {
        memcpy(packed, square + i * side, (size_t)(i + 1) * sizeof *packed);
        packed += i + 1;
    }
}

static void unpack(int side, const float *packed, float *square)
{
    for (int64_t i = 0; i < side; i++) {
        memcpy(square + i * side, packed, (size_t)(i + 1) * sizeof *packed);
        packed += i + 1;
    }
    positive_mirror_single(side, square);
}

/* ---- Directions and exponents ---------------------------------------------------------- */

static plumb_status form_direction(plumb *p, const panel_matrix *m, slice *s, int *exponent)
{
    const parameter *one = parameter_of(p, m);
    float *gradient = update_gradient(p, s);
    PROPAGATE(update_prepare(p, s, gradient));
    optimizer_input input = update_input(p, s, p->panels->learning_rate, gradient);
    one->kind->panels->direction(&input, input.new_values);
    return polar_panel_exponent(s->count / one->cols, m->fast.side, input.new_values, exponent);
}

/* The direction of every panel of this rank, in the memory of its new values. */
static plumb_status make_exponent(plumb *p, const panel_matrix *m, float *exponent)
{
    *exponent = EXPONENT_OF_ZERO;
    for (int i = 0; i < m->panels; i++) {
        slice *s = &p->slices[m->first_slice + i];
        int found = INT_MIN;
        if (!slice_owned(p, s)) {
            continue;
        }
        PROPAGATE(form_direction(p, m, s, &found));
        if (found != INT_MIN && (float)found > *exponent) {
            *exponent = (float)found;
        }
    }
    return PLUMB_OK;
}

static void conclude_exponents(panel_matrix *m)
{
    float largest = EXPONENT_OF_ZERO;
    for (int i = 0; i < m->participant_count; i++) {
        largest = m->exponents[2 * i] > largest ? m->exponents[2 * i] : largest;
    }
    m->zero = largest == EXPONENT_OF_ZERO;
    m->exponent = (int)largest;
}

/* ---- Gram matrices --------------------------------------------------------------------- */

/* The sum over panels first .. first + count - 1, in the tree's order. `spare`: room for the sums
 * on the way. */
static plumb_status make_gram(plumb *p, const panel_matrix *m, int first, int count, float *packed,
                              float *spare)
{
    int side = m->fast.side;
    if (count == 1) {
        const slice *s = &p->slices[m->first_slice + first];
        PROPAGATE(polar_panel_gram(s->count / side, side, update_values(p, s), m->exponent,
                                   p->panels->square));
        pack(side, p->panels->square, packed);
        return PLUMB_OK;
    }
    int left = (int)tree_split(count);
    PROPAGATE(make_gram(p, m, first, left, packed, spare));
    PROPAGATE(make_gram(p, m, first + left, count - left, spare, spare + packed_of(m)));
    vector_add(packed_of(m) - 1, packed, spare, packed);
    return PLUMB_OK;
}

/* The rest of the tree, above the spans; the sum of a subtree comes to lie in its first span. */
static float *add_spans(panel_matrix *m, int first, int count, int *span)
{
    if (m->spans[*span].first == first && m->spans[*span].count == count) {
        return m->grams + packed_of(m) * (*span)++;
    }
    int left = (int)tree_split(count);
    float *sum = add_spans(m, first, left, span);
    const float *other = add_spans(m, first + left, count - left, span);
    vector_add(packed_of(m) - 1, sum, other, sum);
    return sum;
}

static plumb_status conclude_grams(panel_matrix *m)
{
    int span = 0;
    const float *sum = add_spans(m, 0, m->panels, &span);
    unpack(m->fast.side, sum, m->square);
    return polar_fast_scale(&m->fast, m->square, &m->scale);
}

/* ---- Poles ----------------------------------------------------------------------------- */

static plumb_status make_pole(plumb *p, const panel_matrix *m, int pole, float *packed)
{
    float *inverse = p->panels->square;
    PROPAGATE(polar_fast_pole(&m->fast, m->square, m->scale, pole, inverse));
    pack(m->fast.side, inverse, packed);
    return PLUMB_OK;
}

/* S, in place of the Gram matrix. */
static void conclude_poles(panels *s, panel_matrix *m)
{
    polar_fast_begin_factor(&m->fast, m->scale, m->square);
    pack(m->fast.side, m->square, s->packed);
    for (int pole = 0; pole < m->fast.fractions.poles; pole++) {
        vector_add(packed_of(m) - 1, s->packed, m->poles + pole * packed_of(m), s->packed);
    }
    unpack(m->fast.side, s->packed, m->square);
}

/* ---- New values ------------------------------------------------------------------------ */

static plumb_status apply_panel(plumb *p, const panel_matrix *m, slice *s)
{
    const parameter *one = parameter_of(p, m);
    float *polar = update_gradient(p, s);
    optimizer_input input = update_input(p, s, p->panels->learning_rate, polar);
    if (m->zero) {
        memset(polar, 0, (size_t)s->count * sizeof *polar);
    } else {
        PROPAGATE(handle_named(p, one,
                               polar_panel_apply(s->count / one->cols, m->fast.side,
                                                 input.new_values, m->exponent, m->square, polar)));
    }
    one->kind->panels->apply(&input, polar);
    return update_check(p, s, &input);
}

static plumb_status apply(plumb *p, const panel_matrix *m)
{
    for (int i = 0; i < m->panels; i++) {
        slice *s = &p->slices[m->first_slice + i];
        if (slice_owned(p, s)) {
            PROPAGATE(apply_panel(p, m, s));
        }
    }
    return PLUMB_OK;
}

/* ---- The walk through the phases ------------------------------------------------------- */

static bool goes_on(const panels *s, const panel_matrix *m)
{
    return s->failure == PLUMB_OK && !m->lost;
}

/* The first failure stays. */
static void remember(plumb *p, panel_matrix *m, plumb_status status)
{
    if (status != PLUMB_OK) {
        p->panels->failure = handle_named(p, parameter_of(p, m), status);
    }
}

static plumb_status make_block(plumb *p, const panel_matrix *m, phase now, int i, float *values)
{
    if (now == PHASE_EXPONENTS) {
        return make_exponent(p, m, values);
    }
    if (m->zero) {
        memset(values, 0, (size_t)packed_of(m) * sizeof *values);
        return PLUMB_OK;
    }
    if (now == PHASE_GRAMS) {
        return make_gram(p, m, m->spans[i].first, m->spans[i].count, values, p->panels->packed);
    }
    return make_pole(p, m, i, values);
}

static plumb_status expect_blocks(plumb *p, const panel_matrix *m, phase now)
{
    for (int i = 0; i < block_count(m, now); i++) {
        block one = block_of(m, now, i);
        PROPAGATE(blocks_expect(&p->panels->blocks, &one));
    }
    return PLUMB_OK;
}

/* Of this rank's blocks. The last float says whether there is something in the others. */
static plumb_status offer_blocks(plumb *p, panel_matrix *m, phase now)
{
    panels *s = p->panels;
    for (int i = 0; i < block_count(m, now); i++) {
        block one = block_of(m, now, i);
        if (one.source != s->rank) {
            continue;
        }
        if (goes_on(s, m)) {
            remember(p, m, make_block(p, m, now, i, one.values));
        }
        if (!goes_on(s, m)) {
            memset(one.values, 0, (size_t)one.count * sizeof *one.values);
        }
        one.values[one.count - 1] = goes_on(s, m) ? 0.0f : 1.0f;
        PROPAGATE(blocks_offer(&s->blocks, &one));
    }
    return PLUMB_OK;
}

static void conclude(plumb *p, panel_matrix *m, phase now)
{
    for (int i = 0; i < block_count(m, now); i++) {
        block one = block_of(m, now, i);
        m->lost = m->lost || one.values[one.count - 1] != 0.0f;
    }
    if (!goes_on(p->panels, m)) {
        return;
    }
    if (now == PHASE_EXPONENTS) {
        conclude_exponents(m);
    } else if (now == PHASE_GRAMS && !m->zero) {
        remember(p, m, conclude_grams(m));
    } else if (now == PHASE_POLES && !m->zero) {
        conclude_poles(p->panels, m);
    }
}

/* Matrices first .. end - 1, a round. */
static plumb_status walk(plumb *p, int64_t first, int64_t end)
{
    panel_matrix *matrices = p->panels->matrices;
    for (phase now = PHASE_EXPONENTS; now < PHASES; now++) {
        for (int64_t i = first; i < end; i++) {
            PROPAGATE(expect_blocks(p, &matrices[i], now));
        }
        for (int64_t i = first; i < end; i++) {
            PROPAGATE(offer_blocks(p, &matrices[i], now));
        }
        PROPAGATE(blocks_finish(&p->panels->blocks));
        for (int64_t i = first; i < end; i++) {
            conclude(p, &matrices[i], now);
        }
    }
    for (int64_t i = first; i < end; i++) {
        if (goes_on(p->panels, &matrices[i])) {
            plumb_status status = apply(p, &matrices[i]);
            p->panels->failure = status;
        }
    }
    return PLUMB_OK;
}

plumb_status panels_update(plumb *p, double learning_rate, plumb_status *mine)
{
    panels *s = p->panels;
    if (s == NULL) {
        return PLUMB_OK;
    }
    s->learning_rate = learning_rate;
    s->failure = *mine;
    for (int64_t i = 0; i < s->matrix_count; i++) {
        s->matrices[i].lost = false;
    }
    for (int64_t first = 0; first < s->matrix_count;) {
        int64_t end = first;
        while (end < s->matrix_count && s->matrices[end].round == s->matrices[first].round) {
            end++;
        }
        PROPAGATE(walk(p, first, end));
        first = end;
    }
    *mine = s->failure;
    return PLUMB_OK;
}
