/*
 * Placement: which rank owns which bucket, by a table of estimated seconds, and the plan as callers
 * may read it.
 *
 * Longest processing time first (Graham 1969): the longest job left goes to the rank with the least
 * so far. No rank then has more than an equal share and the longest job together.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "step/panels.h"
#include "step/plan.h"
#include "step/slices.h"

/* Seconds to move one element to its owner and back. */
static const double seconds_per_element = 4e-9;

/* Panels have different owners where the whole update takes more than this share of what each rank
 * would have if all had the same: below, longest processing time first balances well enough, and
 * nothing has to be sent between owners. */
static const double least_share_to_spread = 0.25;

/* Of one update of the whole parameter. */
static double update_seconds(const plumb *p, const parameter *one)
{
    if (one->options.cost_seconds > 0.0) {
        return one->options.cost_seconds;
    }
    return one->kind->cost(&one->options, p->state_groups, one->rows, one->cols,
                           one->rows * one->cols);
}

/* Pieces of one parameter have equal shares of its seconds; panels do, whatever their rows, so that
 * they may change places. */
static double bucket_seconds(const plumb *p, const layout *l, const layout_bucket *b)
{
    double seconds = 0.0;
    for (int64_t i = b->first_parameter; i <= b->last_parameter; i++) {
        const parameter *one = &p->parameters[i];
        const layout_parameter *where = &l->parameters[i];
        double share = 1.0;
        if (panels_count(one) > 1) {
            share = 1.0 / panels_count(one);
        } else if (where->first_bucket != where->last_bucket) {
            share = (double)b->count / (double)where->count;
        }
        double moving = seconds_per_element * (double)where->count;
        seconds += share * (update_seconds(p, one) + moving);
    }
    return seconds;
}

static int compare_jobs(const void *left, const void *right)
{
    const job *a = left;
    const job *b = right;
    if (a->seconds != b->seconds) {
        return a->seconds > b->seconds ? -1 : 1;
    }
    return a->first < b->first ? -1 : 1;
}

static int least_loaded(const double *loads, int ranks)
{
    int least = 0;
    for (int rank = 1; rank < ranks; rank++) {
        least = loads[rank] < loads[least] ? rank : least;
    }
    return least;
}

static int64_t list_jobs(const plumb *p, const layout *l, double equal_share, job *jobs)
{
    int64_t count = 0;
    for (int64_t i = 0; i < l->bucket_count;) {
        const layout_bucket *b = &l->buckets[i];
        job one = {b->seconds, i, 1};
        int pieces = panels_count(&p->parameters[b->first_parameter]);
        double whole = pieces * b->seconds;
        if (pieces > 1 &&
            (!p->options.spread_panels || whole < least_share_to_spread * equal_share)) {
            one = (job){whole, i, pieces};
        }
        jobs[count++] = one;
        i += one.count;
    }
    return count;
}

void placement_deal(int64_t count, job *jobs, int ranks, double *loads, layout *l)
{
    qsort(jobs, (size_t)count, sizeof *jobs, compare_jobs);
    for (int64_t i = 0; i < count; i++) {
        int owner = least_loaded(loads, ranks);
        loads[owner] += jobs[i].seconds;
        for (int64_t k = 0; k < jobs[i].count; k++) {
            l->buckets[jobs[i].first + k].owner = owner;
        }
    }
}

static void deal(const plumb *p, int ranks, job *jobs, double *loads, layout *l)
{
    double sum = 0.0;
    for (int64_t i = 0; i < l->bucket_count; i++) {
        sum += l->buckets[i].seconds;
    }
    placement_deal(list_jobs(p, l, sum / ranks, jobs), jobs, ranks, loads, l);
}

static int compare_owners(const void *left, const void *right)
{
    const layout_bucket *a = left;
    const layout_bucket *b = right;
    return a->owner < b->owner ? -1 : a->owner > b->owner;
}

/* One owner's panels next to each other: it sends the sum of their Gram matrices then. */
static void gather_panels(const plumb *p, layout *l)
{
    for (int64_t i = 0; i < p->parameter_count; i++) {
        int pieces = panels_count(&p->parameters[i]);
        layout_bucket *first = &l->buckets[l->parameters[i].first_bucket];
        layout_bucket sorted[POLAR_MOST_PANELS];
        for (int k = 0; pieces > 1 && k < pieces; k++) {
            sorted[k] = first[k];
        }
        if (pieces > 1) {
            qsort(sorted, (size_t)pieces, sizeof *sorted, compare_owners);
        }
        for (int k = 0; pieces > 1 && k < pieces; k++) {
            first[k].owner = sorted[k].owner;
        }
    }
}

plumb_status placement_choose(const plumb *p, int ranks, layout *l)
{
    for (int64_t i = 0; i < l->bucket_count; i++) {
        l->buckets[i].seconds = bucket_seconds(p, l, &l->buckets[i]);
    }
    if (p->options.owners == PLUMB_OWNERS_RANK0) {
        return PLUMB_OK;
    }
    job *jobs = NULL;
    double *loads = NULL;
    plumb_status status = memory_allocate(l->bucket_count, sizeof *jobs, &jobs);
    if (status == PLUMB_OK) {
        status = memory_zeroed(ranks, sizeof *loads, &loads);
    }
    if (status == PLUMB_OK) {
        deal(p, ranks, jobs, loads, l);
        gather_panels(p, l);
    }
    memory_free(&jobs);
    memory_free(&loads);
    return status;
}

/* A bucket's parameters share its seconds by their elements. */
static plumb_placement placement_of(const plumb *p, const slice *s)
{
    const layout *l = exchange_layout(p->exchange);
    const layout_bucket *b = &l->buckets[s->bucket];
    int64_t elements = 0;
    for (int64_t i = b->first_parameter; i <= b->last_parameter; i++) {
        elements += b->first_parameter == b->last_parameter ? s->count : l->parameters[i].count;
    }
    return (plumb_placement){.parameter = s->parameter,
                             .first = s->first,
                             .count = s->count,
                             .owner = b->owner,
                             .seconds = b->seconds * (double)s->count / (double)elements};
}

static plumb_status list_placements(const plumb *p, plumb_placement *list, int64_t capacity,
                                    int64_t *count)
{
    REQUIRE(count != NULL && capacity >= 0 && (list != NULL || capacity == 0), PLUMB_ERROR_ARGUMENT,
            "plumb_placements: count is NULL, or list has no room");
    REQUIRE(p->planned, PLUMB_ERROR_ORDER,
            "plumb_placements: the first plumb_begin_step makes the plan");
    for (int64_t i = 0; i < p->slice_count && i < capacity; i++) {
        list[i] = placement_of(p, &p->slices[i]);
    }
    *count = p->slice_count;
    return PLUMB_OK;
}

plumb_status plumb_placements(const plumb *p, plumb_placement *list, int64_t capacity,
                              int64_t *count)
{
    PROPAGATE(handle_given(p));
    return list_placements(p, list, capacity, count);
}
