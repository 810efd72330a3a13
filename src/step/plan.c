/*
 * Cutting parameters into buckets (plan.h).
 */
#include "step/plan.h"

#include "base/memory.h"
#include "base/vector.h"
#include "optim/pipeline.h"
#include "step/panels.h"
#include "step/slices.h"

enum {
    SMALLEST_TARGET = 16 << 10, /* elements: below, a message costs more than its bytes */
    LARGEST_TARGET = 1 << 20,
    BUCKETS_PER_OWNER = 4,
    MOST_CUTS = 8192 /* buckets have tags, and MPI promises 32767 of them */
};

static bool must_stay_whole(const parameter *one)
{
    return !one->kind->element_wise || pipeline_by_group(one->options.pipeline) ||
           pipeline_finishes(&one->options);
}

static int64_t target_elements(const plumb *p, int64_t length, int ranks)
{
    if (p->options.bucket_elements > 0) {
        return layout_round_up(p->options.bucket_elements, VECTOR_BLOCK);
    }
    int64_t target = layout_round_up(length / ((int64_t)ranks * BUCKETS_PER_OWNER), VECTOR_BLOCK);
    target = target < SMALLEST_TARGET ? SMALLEST_TARGET : target;
    target = target > LARGEST_TARGET ? LARGEST_TARGET : target;
    int64_t least = layout_round_up(length / MOST_CUTS, VECTOR_BLOCK);
    return target < least ? least : target;
}

static plumb_status place_parameters(const plumb *p, layout *l)
{
    l->parameter_count = p->parameter_count;
    PROPAGATE(memory_zeroed(l->parameter_count, sizeof *l->parameters, &l->parameters));
    for (int64_t i = 0; i < p->parameter_count; i++) {
        int64_t count = p->parameters[i].rows * p->parameters[i].cols;
        l->parameters[i] = (layout_parameter){.offset = l->length, .count = count};
        l->length += layout_round_up(count, LAYOUT_ALIGNMENT);
    }
    return PLUMB_OK;
}

typedef struct cutter {
    const plumb *p;
    layout *l;
    int64_t target;
    int64_t capacity;
    bool open; /* the last bucket may take more parameters */
} cutter;

static plumb_status add_bucket(cutter *c, const layout_bucket *bucket)
{
    layout *l = c->l;
    if (l->bucket_count == c->capacity) {
        int64_t capacity = 2 * c->capacity + 16;
        PROPAGATE(memory_grow(c->capacity, capacity, sizeof *l->buckets, &l->buckets));
        c->capacity = capacity;
    }
    l->buckets[l->bucket_count++] = *bucket;
    return PLUMB_OK;
}

static bool in_stretches(const cutter *c, int64_t index)
{
    return slices_in_stretches(c->p, &c->p->parameters[index]);
}

/* Elements of a parameter in a bucket of their own. */
static plumb_status add_piece(cutter *c, int64_t index, int64_t first, int64_t count, bool by_group)
{
    return add_bucket(c, &(layout_bucket){.first = c->l->parameters[index].offset + first,
                                          .count = count,
                                          .first_parameter = index,
                                          .last_parameter = index,
                                          .by_group = by_group,
                                          .in_place = !by_group && in_stretches(c, index)});
}

/* Large and element-wise: pieces of whole blocks, about equal. */
static plumb_status cut_slices(cutter *c, int64_t index, bool by_group)
{
    layout_parameter *where = &c->l->parameters[index];
    int64_t pieces = (where->count + c->target - 1) / c->target;
    int64_t size = layout_round_up((where->count + pieces - 1) / pieces, VECTOR_BLOCK);
    where->first_bucket = c->l->bucket_count;
    for (int64_t first = 0; first < where->count; first += size) {
        int64_t count = where->count - first < size ? where->count - first : size;
        PROPAGATE(add_piece(c, index, first, count, by_group));
    }
    where->last_bucket = c->l->bucket_count - 1;
    c->open = false;
    return PLUMB_OK;
}

/* One bucket a panel. */
static plumb_status cut_panels(cutter *c, int64_t index)
{
    const parameter *one = &c->p->parameters[index];
    layout_parameter *where = &c->l->parameters[index];
    where->first_bucket = c->l->bucket_count;
    for (int panel = 0; panel < panels_count(one); panel++) {
        int64_t first = panels_first(one, panel);
        PROPAGATE(add_piece(c, index, first, panels_first(one, panel + 1) - first, false));
    }
    where->last_bucket = c->l->bucket_count - 1;
    c->open = false;
    return PLUMB_OK;
}

/* Whole: into the open bucket if it is of the same kind and has room, else into one of its own,
 * which stays open unless it carries tails. */
static plumb_status place_whole(cutter *c, int64_t index, bool by_group, int64_t tail)
{
    layout_parameter *where = &c->l->parameters[index];
    if (c->open && tail == 0) {
        layout_bucket *last = &c->l->buckets[c->l->bucket_count - 1];
        int64_t count = where->offset + where->count - last->first;
        if (count <= c->target && last->by_group == by_group) {
            last->count = count;
            last->in_place = last->in_place && in_stretches(c, index);
            last->last_parameter = index;
            where->first_bucket = where->last_bucket = c->l->bucket_count - 1;
            return PLUMB_OK;
        }
    }
    where->first_bucket = where->last_bucket = c->l->bucket_count;
    c->open = tail == 0;
    return add_bucket(c, &(layout_bucket){.first = where->offset,
                                          .count = where->count,
                                          .first_parameter = index,
                                          .last_parameter = index,
                                          .by_group = by_group,
                                          .in_place = !by_group && in_stretches(c, index),
                                          .tail = tail});
}

static plumb_status cut(cutter *c)
{
    for (int64_t i = 0; i < c->p->parameter_count; i++) {
        const parameter *one = &c->p->parameters[i];
        plumb_pipeline pipeline = one->options.pipeline;
        bool encoded = pipeline_by_group(pipeline);
        bool by_group = encoded || optimizer_wants_groups(&one->options);
        if (panels_count(one) > 1) {
            PROPAGATE(cut_panels(c, i));
        } else if (!must_stay_whole(one) && c->l->parameters[i].count > c->target) {
            PROPAGATE(cut_slices(c, i, by_group));
        } else {
            int64_t tail = encoded ? pipeline_tail(pipeline, one->rows, one->cols) : 0;
            PROPAGATE(place_whole(c, i, by_group, tail));
        }
    }
    return PLUMB_OK;
}

plumb_status plan_make(const plumb *p, int ranks, layout *l)
{
    *l = (layout){0};
    plumb_status status = place_parameters(p, l);
    if (status == PLUMB_OK) {
        cutter c = {p, l, target_elements(p, l->length, ranks), 0, false};
        status = cut(&c);
    }
    if (status == PLUMB_OK) {
        status = placement_choose(p, ranks, l);
    }
    if (status != PLUMB_OK) {
        layout_free(l);
    }
    return status;
}
