/*
 * Setting up row panels: who takes part in which matrix, what is sent, and memory for it
 * (panels.h).
 */
#include "step/panels.h"

#include "base/memory.h"
#include "base/vector.h"
#include "step/slices.h"

int64_t panels_round_floats = INT64_C(1) << 24;

/* Partial sums of a subtree of Gram matrices under way at once. */
enum { PARTIAL_SUMS = 3 };

int panels_count(const parameter *one)
{
    const optimizer_panels *kind = one->kind->panels;
    return kind == NULL ? 1 : kind->count(&one->options, one->rows, one->cols);
}

int64_t panels_first(const parameter *one, int panel)
{
    return polar_panel_first(one->rows, one->cols, VECTOR_BLOCK, panel) * one->cols;
}

int64_t panels_packed(int side)
{
    return (int64_t)side * (side + 1) / 2 + 1;
}

/* The canonical tree over panels first .. first + count - 1, cut where owners differ. */
static void cut_spans(const int *owners, int first, int count, panel_matrix *m)
{
    bool one_owner = true;
    for (int i = 1; i < count; i++) {
        one_owner = one_owner && owners[first + i] == owners[first];
    }
    if (one_owner) {
        m->spans[m->span_count++] = (panel_span){first, count, owners[first]};
        return;
    }
    int left = (int)tree_split(count);
    cut_spans(owners, first, left, m);
    cut_spans(owners, first + left, count - left, m);
}

static void list_participants(const int *owners, panel_matrix *m)
{
    for (int i = 0; i < m->panels; i++) {
        int at = m->participant_count;
        for (int k = 0; k < m->participant_count; k++) {
            at = m->participants[k] == owners[i] ? -1 : at;
        }
        if (at < 0) {
            continue;
        }
        while (at > 0 && m->participants[at - 1] > owners[i]) {
            m->participants[at] = m->participants[at - 1];
            at--;
        }
        m->participants[at] = owners[i];
        m->participant_count++;
    }
}

static plumb_status describe_matrix(const plumb *p, int64_t parameter_index, int number,
                                    panel_matrix *m)
{
    const parameter *one = &p->parameters[parameter_index];
    const layout *l = exchange_layout(p->exchange);
    int owners[POLAR_MOST_PANELS] = {0};
    *m =
        (panel_matrix){.parameter = parameter_index, .panels = panels_count(one), .number = number};
    for (int i = 0; i < m->panels; i++) {
        owners[i] = (int)l->buckets[l->parameters[parameter_index].first_bucket + i].owner;
    }
    list_participants(owners, m);
    cut_spans(owners, 0, m->panels, m);
    for (int64_t i = p->slice_count - 1; i >= 0; i--) {
        m->first_slice = p->slices[i].parameter == parameter_index ? i : m->first_slice;
    }
    return polar_fast_create((int)one->cols, one->options.polar_delta, one->options.polar_steps,
                             &m->fast);
}

static int64_t matrix_floats(const panel_matrix *m)
{
    int64_t square = (int64_t)m->fast.side * m->fast.side;
    int64_t triangles = (m->span_count + m->fast.fractions.poles) * panels_packed(m->fast.side);
    return 2 * m->participant_count + triangles + square;
}

static int64_t matrix_bytes(const panel_matrix *m)
{
    int64_t others = m->participant_count - 1;
    int64_t triangles = (m->span_count + m->fast.fractions.poles) * panels_packed(m->fast.side);
    return others * (2 * m->participant_count + triangles) * (int64_t)sizeof(float);
}

static bool takes_part(const panels *s, const panel_matrix *m)
{
    for (int i = 0; i < m->participant_count; i++) {
        if (m->participants[i] == s->rank) {
            return true;
        }
    }
    return false;
}

/* Rounds are the same on all ranks: a rank that has no part in a matrix counts it too. */
static plumb_status list_matrices(const plumb *p, panels *s)
{
    int number = 0;
    int round = 0;
    int64_t floats = 0;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        if (panels_count(&p->parameters[i]) == 1) {
            continue;
        }
        panel_matrix *m = &s->matrices[s->matrix_count];
        PROPAGATE(describe_matrix(p, i, number++, m));
        if (floats > 0 && floats + matrix_floats(m) > panels_round_floats) {
            round++;
            floats = 0;
        }
        m->round = round;
        floats += matrix_floats(m);
        s->bytes += matrix_bytes(m);
        s->matrix_count += takes_part(s, m);
    }
    return PLUMB_OK;
}

/* Addresses in a round's memory, or, without memory, only the floats of the largest round. */
static int64_t place_blocks(panels *s)
{
    int64_t used = 0;
    int64_t most = 0;
    for (int64_t i = 0; i < s->matrix_count; i++) {
        panel_matrix *m = &s->matrices[i];
        int64_t packed = panels_packed(m->fast.side);
        used = i > 0 && m->round != s->matrices[i - 1].round ? 0 : used;
        if (s->memory != NULL) {
            m->square = s->memory + used;
            m->grams = m->square + (int64_t)m->fast.side * m->fast.side;
            m->poles = m->grams + m->span_count * packed;
            m->exponents = m->poles + m->fast.fractions.poles * packed;
        }
        used += layout_round_up(matrix_floats(m), LAYOUT_ALIGNMENT);
        most = used > most ? used : most;
    }
    return most;
}

/* Messages of the busiest phase, and more: of all phases of the busiest round. */
static int64_t most_messages(const panels *s)
{
    int64_t messages = 0;
    int64_t most = 0;
    for (int64_t i = 0; i < s->matrix_count; i++) {
        const panel_matrix *m = &s->matrices[i];
        messages = i > 0 && m->round != s->matrices[i - 1].round ? 0 : messages;
        block one = {.count = panels_packed(m->fast.side),
                     .source = s->rank,
                     .reader_count = m->participant_count,
                     .readers = m->participants};
        int64_t count = m->participant_count + m->span_count + m->fast.fractions.poles;
        messages +=
            count * (blocks_messages(&s->blocks, &one) + one.count / s->blocks.mail.chunk + 1);
        most = messages > most ? messages : most;
    }
    return most;
}

static plumb_status allocate(panels *s)
{
    int64_t side = 0;
    for (int64_t i = 0; i < s->matrix_count; i++) {
        side = s->matrices[i].fast.side > side ? s->matrices[i].fast.side : side;
    }
    PROPAGATE(memory_allocate(place_blocks(s), sizeof(float), &s->memory));
    place_blocks(s);
    PROPAGATE(memory_allocate(side * side, sizeof(float), &s->square));
    PROPAGATE(memory_allocate(PARTIAL_SUMS * panels_packed((int)side), sizeof(float), &s->packed));
    return blocks_reserve(&s->blocks, most_messages(s));
}

static int64_t count_matrices(const plumb *p)
{
    int64_t count = 0;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        count += panels_count(&p->parameters[i]) > 1;
    }
    return count;
}

plumb_status panels_make(plumb *p)
{
    int64_t count = count_matrices(p);
    if (count == 0) {
        return PLUMB_OK;
    }
    PROPAGATE(memory_zeroed(1, sizeof *p->panels, &p->panels));
    panels *s = p->panels;
    s->rank = exchange_order(p->exchange)->rank;
    blocks_init(exchange_communicator(p->exchange), s->rank, p->options.chunk_elements, &s->blocks);
    PROPAGATE(memory_zeroed(count, sizeof *s->matrices, &s->matrices));
    PROPAGATE(list_matrices(p, s));
    return s->matrix_count > 0 ? allocate(s) : PLUMB_OK;
}

void panels_free(plumb *p)
{
    if (p->panels == NULL) {
        return;
    }
    blocks_free(&p->panels->blocks);
    memory_free(&p->panels->matrices);
    memory_free(&p->panels->memory);
    memory_free(&p->panels->square);
    memory_free(&p->panels->packed);
    memory_free(&p->panels);
}
