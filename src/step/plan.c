/*
 * Cutting parameters into buckets and choosing owners (plan.h).
 */
#include "step/plan.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/vector.h"
#include "optim/pipeline.h"

enum {
    SMALLEST_TARGET = 16 << 10, /* elements: below, a message costs more than its bytes */
    LARGEST_TARGET = 1 << 20,
    BUCKETS_PER_OWNER = 4,
    MOST_CUTS = 8192 /* buckets have tags, and MPI promises 32767 of them */
};

/* Seconds to move one element to its owner and back, for balancing only. */
static const double seconds_per_element = 4e-9;

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

/* Large and element-wise: pieces of whole blocks, about equal. */
static plumb_status cut_slices(cutter *c, int64_t index, bool by_group)
{
    layout_parameter *where = &c->l->parameters[index];
    int64_t pieces = (where->count + c->target - 1) / c->target;
    int64_t size = layout_round_up((where->count + pieces - 1) / pieces, VECTOR_BLOCK);
    where->first_bucket = c->l->bucket_count;
    for (int64_t first = 0; first < where->count; first += size) {
        int64_t count = where->count - first < size ? where->count - first : size;
        layout_bucket bucket = {where->offset + first, count, 0, index, index, by_group, 0};
        PROPAGATE(add_bucket(c, &bucket));
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
            last->last_parameter = index;
            where->first_bucket = where->last_bucket = c->l->bucket_count - 1;
            return PLUMB_OK;
        }
    }
    where->first_bucket = where->last_bucket = c->l->bucket_count;
    layout_bucket bucket = {where->offset, where->count, 0, index, index, by_group, tail};
    c->open = tail == 0;
    return add_bucket(c, &bucket);
}

static plumb_status cut(cutter *c)
{
    for (int64_t i = 0; i < c->p->parameter_count; i++) {
        const parameter *one = &c->p->parameters[i];
        plumb_pipeline pipeline = one->options.pipeline;
        bool encoded = pipeline_by_group(pipeline);
        bool by_group = encoded || optimizer_wants_groups(&one->options);
        if (!must_stay_whole(one) && c->l->parameters[i].count > c->target) {
            PROPAGATE(cut_slices(c, i, by_group));
        } else {
            int64_t tail = encoded ? pipeline_tail(pipeline, one->rows, one->cols) : 0;
            PROPAGATE(place_whole(c, i, by_group, tail));
        }
    }
    return PLUMB_OK;
}

static double bucket_cost(const plumb *p, const layout *l, const layout_bucket *b)
{
    double cost = seconds_per_element * (double)b->count;
    for (int64_t i = b->first_parameter; i <= b->last_parameter; i++) {
        const parameter *one = &p->parameters[i];
        int64_t count = l->parameters[i].count < b->count ? l->parameters[i].count : b->count;
        cost += one->kind->cost(&one->options, p->state_groups, one->rows, one->cols, count);
    }
    return cost;
}

typedef struct job {
    double cost;
    int64_t bucket;
} job;

static int compare_jobs(const void *left, const void *right)
{
    const job *a = left;
    const job *b = right;
    if (a->cost != b->cost) {
        return a->cost > b->cost ? -1 : 1;
    }
    return a->bucket < b->bucket ? -1 : 1;
}

static int least_loaded(const double *loads, int ranks)
{
    int least = 0;
    for (int rank = 1; rank < ranks; rank++) {
        least = loads[rank] < loads[least] ? rank : least;
    }
    return least;
}

static plumb_status choose_owners(const plumb *p, int ranks, layout *l)
{
    job *jobs = NULL;
    double *loads = NULL;
    plumb_status status = memory_allocate(l->bucket_count, sizeof *jobs, &jobs);
    if (status == PLUMB_OK) {
        status = memory_zeroed(ranks, sizeof *loads, &loads);
    }
    if (status == PLUMB_OK) {
        for (int64_t i = 0; i < l->bucket_count; i++) {
            jobs[i] = (job){bucket_cost(p, l, &l->buckets[i]), i};
        }
        qsort(jobs, (size_t)l->bucket_count, sizeof *jobs, compare_jobs);
        for (int64_t i = 0; i < l->bucket_count; i++) {
            int owner = least_loaded(loads, ranks);
            loads[owner] += jobs[i].cost;
            l->buckets[jobs[i].bucket].owner = owner;
        }
    }
    memory_free(&jobs);
    memory_free(&loads);
    return status;
}

plumb_status plan_make(const plumb *p, int ranks, layout *l)
{
    *l = (layout){0};
    plumb_status status = place_parameters(p, l);
    if (status == PLUMB_OK) {
        cutter c = {p, l, target_elements(p, l->length, ranks), 0, false};
        status = cut(&c);
    }
    if (status == PLUMB_OK && p->options.owners == PLUMB_OWNERS_SHARDED) {
        status = choose_owners(p, ranks, l);
    }
    if (status != PLUMB_OK) {
        layout_free(l);
    }
    return status;
}
