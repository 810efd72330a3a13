/*
 * Listing slices and holding their optimizer states (slices.h).
 */
#include "step/slices.h"

#include "base/memory.h"
#include "optim/pipeline.h"
#include "step/panels.h"

bool slice_owned(const plumb *p, const slice *s)
{
    return exchange_layout(p->exchange)->buckets[s->bucket].owner ==
           exchange_order(p->exchange)->rank;
}

bool slices_in_stretches(const plumb *p, const parameter *one)
{
    return one->kind->element_wise && !pipeline_finishes(&one->options) &&
           one->kind->state_count(&one->options, p->state_groups) <= SLICES_MOST_CUT_STATES;
}

/* The stretch of parameter `index` in bucket `number`. */
static slice make_slice(const layout *l, int64_t number, int64_t index, int *blocks_of)
{
    const layout_bucket *b = &l->buckets[number];
    const layout_parameter *where = &l->parameters[index];
    int64_t start = where->offset > b->first ? where->offset : b->first;
    int64_t parameter_end = where->offset + where->count;
    int64_t bucket_end = b->first + b->count;
    int64_t end = parameter_end < bucket_end ? parameter_end : bucket_end;
    slice s = {.parameter = index,
               .bucket = number,
               .first = start - where->offset,
               .count = end - start,
               .offset = start,
               .block = blocks_of[b->owner],
               .blocks = (end - start + VECTOR_BLOCK - 1) / VECTOR_BLOCK};
    blocks_of[b->owner] += (int)s.blocks;
    return s;
}

static plumb_status make_states(plumb *p, slice *s)
{
    const parameter *one = &p->parameters[s->parameter];
    s->state_count = one->kind->state_count(&one->options, p->state_groups);
    for (int turn = 0; turn < 2; turn++) {
        PROPAGATE(memory_zeroed(s->state_count, sizeof *s->states[turn], &s->states[turn]));
        for (int i = 0; i < s->state_count; i++) {
            PROPAGATE(memory_zeroed(s->count, sizeof(float), &s->states[turn][i]));
        }
    }
    return PLUMB_OK;
}

static plumb_status make_matrix_states(plumb *p, slice *s)
{
    const parameter *one = &p->parameters[s->parameter];
    const plumb_parameter_options *options = &one->options;
    if (one->kind->matrix_state_count == NULL) {
        return PLUMB_OK;
    }
    int count = one->kind->matrix_state_count(options, p->state_groups, one->rows, one->cols);
    PROPAGATE(memory_zeroed(count, sizeof *s->matrix_state_sizes, &s->matrix_state_sizes));
    s->matrix_state_count = count;
    for (int i = 0; i < count; i++) {
        s->matrix_state_sizes[i] =
            one->kind->matrix_state_size(options, p->state_groups, one->rows, one->cols, i);
    }
    for (int turn = 0; turn < 2; turn++) {
        PROPAGATE(memory_zeroed(count, sizeof *s->matrix_states[turn], &s->matrix_states[turn]));
        for (int i = 0; i < count; i++) {
            PROPAGATE(memory_zeroed(s->matrix_state_sizes[i], sizeof(double),
                                    &s->matrix_states[turn][i]));
        }
    }
    return PLUMB_OK;
}

static plumb_status list_slices(plumb *p)
{
    const layout *l = exchange_layout(p->exchange);
    PROPAGATE(
        memory_zeroed(exchange_order(p->exchange)->size, sizeof *p->blocks_of, &p->blocks_of));
    for (int64_t b = 0; b < l->bucket_count; b++) {
        p->slice_count += l->buckets[b].last_parameter - l->buckets[b].first_parameter + 1;
    }
    PROPAGATE(memory_zeroed(p->slice_count, sizeof *p->slices, &p->slices));
    PROPAGATE(memory_zeroed(l->bucket_count, sizeof *p->places, &p->places));
    int64_t next = 0;
    for (int64_t b = 0; b < l->bucket_count; b++) {
        for (int64_t i = l->buckets[b].first_parameter; i <= l->buckets[b].last_parameter; i++) {
            p->slices[next++] = make_slice(l, b, i, p->blocks_of);
        }
    }
    return PLUMB_OK;
}

plumb_status slices_make(plumb *p)
{
    PROPAGATE(list_slices(p));
    PROPAGATE(memory_zeroed(p->state_groups, sizeof *p->groups_of_slice, &p->groups_of_slice));
    PROPAGATE(
        memory_zeroed(p->state_groups, sizeof *p->curvature_of_slice, &p->curvature_of_slice));
    int64_t scratch = 0;
    for (int64_t i = 0; i < p->slice_count; i++) {
        slice *s = &p->slices[i];
        if (!slice_owned(p, s)) {
            continue;
        }
        PROPAGATE(make_states(p, s));
        PROPAGATE(make_matrix_states(p, s));
        const parameter *one = &p->parameters[s->parameter];
        if (one->kind->needs_scratch && panels_count(one) == 1 && s->count > scratch) {
            scratch = s->count;
        }
    }
    PROPAGATE(panels_make(p));
    PROPAGATE(memory_allocate(SLICES_STRETCH, sizeof *p->stretch, &p->stretch));
    return scratch > 0 ? memory_allocate(scratch, sizeof *p->scratch, &p->scratch) : PLUMB_OK;
}

static void free_states(slice *s)
{
    for (int turn = 0; turn < 2; turn++) {
        for (int k = 0; s->states[turn] != NULL && k < s->state_count; k++) {
            memory_free(&s->states[turn][k]);
        }
        memory_free(&s->states[turn]);
        for (int k = 0; s->matrix_states[turn] != NULL && k < s->matrix_state_count; k++) {
            memory_free(&s->matrix_states[turn][k]);
        }
        memory_free(&s->matrix_states[turn]);
    }
    memory_free(&s->matrix_state_sizes);
}

void slices_free(plumb *p)
{
    for (int64_t i = 0; p->slices != NULL && i < p->slice_count; i++) {
        free_states(&p->slices[i]);
    }
    panels_free(p);
    memory_free(&p->slices);
    memory_free(&p->blocks_of);
    memory_free(&p->scratch);
    memory_free(&p->places);
    memory_free(&p->stretch);
    memory_free(&p->groups_of_slice);
    memory_free(&p->curvature_of_slice);
    p->slice_count = 0;
}

void slices_group_means(const plumb *p, exchange *x, int64_t bucket, int64_t offset, int64_t count,
                        double factor, const float **means)
{
    float weight = (float)(p->divisor / p->groups);
    for (int g = 0; g < p->groups; g++) {
        float *group = exchange_group(x, bucket, g) + offset;
        vector_divide(count, weight, group, group);
        if (factor != 1.0) {
            vector_scale(count, (float)factor, group, group);
        }
        means[g] = group;
    }
}
