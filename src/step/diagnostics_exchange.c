/*
 * The second way of the gradients in a fully diagnosed step (diagnostics.h): by groups, to owners
 * of whole parameters, balanced by what there is to compute.
 */
#include "step/diagnostics.h"

#include "base/memory.h"
#include "base/vector.h"
#include "exchange/agreement.h"
#include "step/plan.h"

enum {
    TARGET = 16 << 10, /* elements of a bucket of small neighbours */
    MOST_BUCKETS = 8192
};

/* Of one group's share of all decompositions, fitted to 64 x 64 up to 1024 x 256: by the longer
 * side times the square of the shorter, and by the cube of the shorter. Of an element's way. */
static const double seconds_per_product = 5e-10;
static const double seconds_per_cube = 1.6e-9;
static const double seconds_per_element = 4e-9;

static double parameter_seconds(const parameter *one)
{
    double side = (double)(one->rows < one->cols ? one->rows : one->cols);
    double elements = (double)(one->rows * one->cols);
    double moving = seconds_per_element * elements;
    if (!diagnostics_decomposes(one)) {
        return moving;
    }
    return moving + seconds_per_product * elements * side + seconds_per_cube * side * side * side;
}

/* Whole parameters; small neighbours share a bucket. */
static plumb_status place_parameters(const plumb *p, layout *l)
{
    l->parameter_count = p->parameter_count;
    PROPAGATE(memory_zeroed(l->parameter_count, sizeof *l->parameters, &l->parameters));
    PROPAGATE(memory_zeroed(l->parameter_count, sizeof *l->buckets, &l->buckets));
    for (int64_t i = 0; i < p->parameter_count; i++) {
        int64_t count = p->parameters[i].rows * p->parameters[i].cols;
        l->parameters[i] = (layout_parameter){.offset = l->length, .count = count};
        l->length += layout_round_up(count, LAYOUT_ALIGNMENT);
    }
    return PLUMB_OK;
}

static void fill_buckets(const plumb *p, layout *l)
{
    int64_t least = l->length / MOST_BUCKETS;
    int64_t target = least > TARGET ? least : TARGET;
    for (int64_t i = 0; i < l->parameter_count; i++) {
        layout_parameter *where = &l->parameters[i];
        layout_bucket *b = l->bucket_count > 0 ? &l->buckets[l->bucket_count - 1] : NULL;
        if (b == NULL || where->offset + where->count - b->first > target) {
            b = &l->buckets[l->bucket_count++];
            *b = (layout_bucket){.first = where->offset, .first_parameter = i, .by_group = 1};
        }
        b->last_parameter = i;
        b->count = where->offset + where->count - b->first;
        b->seconds += parameter_seconds(&p->parameters[i]);
        where->first_bucket = where->last_bucket = l->bucket_count - 1;
    }
}

static plumb_status choose_owners(int ranks, layout *l)
{
    job *jobs = NULL;
    double *loads = NULL;
    plumb_status status = memory_allocate(l->bucket_count, sizeof *jobs, &jobs);
    if (status == PLUMB_OK) {
        status = memory_zeroed(ranks, sizeof *loads, &loads);
    }
    if (status == PLUMB_OK) {
        for (int64_t i = 0; i < l->bucket_count; i++) {
            jobs[i] = (job){l->buckets[i].seconds, i, 1};
        }
        placement_deal(l->bucket_count, jobs, ranks, loads, l);
    }
    memory_free(&jobs);
    memory_free(&loads);
    return status;
}

static plumb_status make_layout(const plumb *p, layout *l)
{
    PROPAGATE(place_parameters(p, l));
    fill_buckets(p, l);
    return choose_owners(exchange_order(p->exchange)->size, l);
}

plumb_status diagnostics_exchange_make(plumb *p)
{
    exchange_settings settings = {.shared_memory = p->options.shared_memory != 0,
                                  .one_way = true,
                                  .chunk = p->options.chunk_elements,
                                  .nominal_samples = p->options.nominal_samples};
    MPI_Comm communicator = exchange_communicator(p->exchange);
    layout l = {0};
    exchange *x = NULL;
    plumb_status status = exchange_create(communicator, make_layout(p, &l), &settings, &x);
    if (status == PLUMB_OK) {
        p->diagnostics->exchange = x;
        status = exchange_adopt(x, &l);
    }
    layout_free(&l); /* which is empty where the exchange took it: at the coordinator */
    return agreement_verdict(communicator, status);
}

plumb_status diagnostics_provide(plumb *p)
{
    return diagnostics_due(p) ? exchange_provide(p->diagnostics->exchange) : PLUMB_OK;
}

plumb_status diagnostics_open(plumb *p)
{
    return diagnostics_due(p) ? exchange_open(p->diagnostics->exchange) : PLUMB_OK;
}

void diagnostics_weigh(plumb *p, int64_t micro_batch, double samples)
{
    if (diagnostics_due(p)) {
        exchange_weigh(p->diagnostics->exchange, micro_batch, samples);
    }
}

/* The step itself tells what is missing. */
plumb_status diagnostics_complete(plumb *p)
{
    for (int64_t i = 0; diagnostics_due(p) && i < p->parameter_count; i++) {
        if (!exchange_complete(p->diagnostics->exchange, i)) {
            PROPAGATE(exchange_blank(p->diagnostics->exchange, i));
        }
    }
    return PLUMB_OK;
}

plumb_status diagnostics_progress(plumb *p)
{
    return diagnostics_due(p) ? exchange_progress(p->diagnostics->exchange) : PLUMB_OK;
}

plumb_status diagnostics_deliver(plumb *p)
{
    return diagnostics_due(p) ? exchange_deliver(p->diagnostics->exchange) : PLUMB_OK;
}

plumb_status diagnostics_failure(const plumb *p)
{
    return diagnostics_due(p) ? exchange_failure(p->diagnostics->exchange) : PLUMB_OK;
}

static const layout_bucket *bucket_of(const plumb *p, int64_t id)
{
    const layout *l = exchange_layout(p->diagnostics->exchange);
    return &l->buckets[l->parameters[id].first_bucket];
}

int diagnostics_owner(const plumb *p, int64_t id)
{
    return (int)bucket_of(p, id)->owner;
}

void diagnostics_weigh_groups(plumb *p)
{
    diagnostics *d = p->diagnostics;
    int64_t unit = p->micro_batches / d->groups;
    for (int g = 0; g < d->groups; g++) {
        d->weights[g] = 0.0;
        d->group_samples[g] = 0.0;
        for (int64_t k = g * unit; k < (g + 1) * unit; k++) {
            d->weights[g] += (double)(float)(d->samples[k] / p->options.nominal_samples);
            d->group_samples[g] += d->samples[k];
        }
    }
}

void diagnostics_group_means(plumb *p, int64_t id, const float **means)
{
    const diagnostics *d = p->diagnostics;
    const layout *l = exchange_layout(d->exchange);
    const layout_parameter *where = &l->parameters[id];
    int64_t bucket = where->first_bucket;
    for (int g = 0; g < d->groups; g++) {
        float *group =
            exchange_group(d->exchange, bucket, g) + (where->offset - l->buckets[bucket].first);
        vector_divide(where->count, (float)d->weights[g], group, group);
        means[g] = group;
    }
}
