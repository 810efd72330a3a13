/*
 * plumb_update: owners compute new values and states into spare memory, all ranks agree that
 * nobody failed, and only then the states change and the values go to everyone.
 */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "exchange/agreement.h"
#include "exchange/transport.h"
#include "optim/pipeline.h"
#include "step/curvature.h"
#include "step/panels.h"
#include "step/reduce.h"
#include "step/slices.h"
#include "step/update.h"
#include "step/weights.h"

float *update_gradient(plumb *p, const slice *s)
{
    const layout *l = exchange_layout(p->exchange);
    return exchange_sum(p->exchange, s->bucket) + (s->offset - l->buckets[s->bucket].first);
}

float *update_values(plumb *p, const slice *s)
{
    const layout *l = exchange_layout(p->exchange);
    return exchange_values(p->exchange, s->bucket) + (s->offset - l->buckets[s->bucket].first);
}

plumb_status update_prepare(plumb *p, const slice *s, float *gradient)
{
    const parameter *one = &p->parameters[s->parameter];
    vector_divide(s->count, (float)p->divisor, gradient, gradient);
    if (p->report.clip_factor != 1.0) {
        vector_scale(s->count, (float)p->report.clip_factor, gradient, gradient);
    }
    if (pipeline_finishes(&one->options)) {
        return pipeline_finish(&one->options, one->rows, one->cols, gradient, gradient);
    }
    return PLUMB_OK;
}

optimizer_input update_input(plumb *p, slice *s, double learning_rate, const float *gradient)
{
    const parameter *one = &p->parameters[s->parameter];
    optimizer_input input = {
        .options = &one->options,
        .rows = one->rows,
        .cols = one->cols,
        .count = s->count,
        .update = p->steps + 1,
        .learning_rate = learning_rate * one->options.learning_rate_factor,
        .gradient = gradient,
        .values = parameter_has_values(one) ? one->values + s->first : NULL,
        .new_values = update_values(p, s),
        .states = (const float *const *)s->states[p->current],
        .new_states = s->states[1 - p->current],
        .matrix_states = (const double *const *)s->matrix_states[p->current],
        .new_matrix_states = s->matrix_states[1 - p->current],
        .counts = &p->counts,
        .scratch = p->scratch,
    };
    if (optimizer_wants_groups(&one->options)) {
        input.group_count = p->groups;
        input.groups = p->groups_of_slice;
    }
    if (curvature_due(p) && one->curvature_index >= 0) {
        input.curvature = curvature_mean(p, s);
        if (optimizer_wants_curvature_groups(&one->options)) {
            input.group_count = p->groups;
            curvature_groups(p, s, p->curvature_of_slice);
            input.curvature_groups = p->curvature_of_slice;
        }
    }
    return input;
}

/* An overflow in a state would stay there for good, even where the new values look sane. */
plumb_status update_check(const plumb *p, const slice *s, const optimizer_input *input)
{
    const parameter *one = &p->parameters[s->parameter];
    int rank = exchange_order(p->exchange)->rank;
    REQUIRE(vector_all_finite(s->count, input->new_values), PLUMB_ERROR_NONFINITE,
            "the update of parameter \"%s\" is not finite (rank %d)", one->name, rank);
    for (int i = 0; i < s->state_count; i++) {
        int group;
        REQUIRE(vector_all_finite(s->count, input->new_states[i]), PLUMB_ERROR_NONFINITE,
                "the %s of parameter \"%s\" is not finite (rank %d)",
                one->kind->state_name(&one->options, p->state_groups, i, &group), one->name, rank);
    }
    for (int i = 0; i < s->matrix_state_count; i++) {
        int group;
        REQUIRE(vector_all_finite_doubles(s->matrix_state_sizes[i], input->new_matrix_states[i]),
                PLUMB_ERROR_NONFINITE, "the %s of parameter \"%s\" is not finite (rank %d)",
                one->kind->matrix_state_name(&one->options, p->state_groups, one->rows, one->cols,
                                             i, &group),
                one->name, rank);
    }
    return PLUMB_OK;
}

static plumb_status update_whole(plumb *p, slice *s, double learning_rate)
{
    const parameter *one = &p->parameters[s->parameter];
    const layout *l = exchange_layout(p->exchange);
    float *gradient = update_gradient(p, s);
    plumb_status status = update_prepare(p, s, gradient);
    if (optimizer_wants_groups(&one->options)) {
        int64_t offset = s->offset - l->buckets[s->bucket].first;
        slices_group_means(p, p->exchange, s->bucket, offset, s->count, p->report.clip_factor,
                           p->groups_of_slice);
    }
    optimizer_input input = update_input(p, s, learning_rate, gradient);
    bool in_place = input.new_values == gradient && !one->kind->keeps_gradient;
    if (in_place) {
        REQUIRE(s->count <= SLICES_STRETCH, PLUMB_ERROR_INTERNAL, "%lld values in place",
                (long long)s->count);
        input.new_values = p->stretch;
    }
    if (status == PLUMB_OK) {
        status = one->kind->update(&input);
    }
    PROPAGATE(handle_named(p, one, status));
    PROPAGATE(update_check(p, s, &input));
    if (in_place) {
        memcpy(gradient, p->stretch, (size_t)s->count * sizeof *gradient);
    }
    return PLUMB_OK;
}

/* Stretch by stretch, so that what one pass has left in the cache is there for the next. */
static plumb_status update_slice(plumb *p, slice *s, double learning_rate)
{
    if (!slices_in_stretches(p, &p->parameters[s->parameter])) {
        return update_whole(p, s, learning_rate);
    }
    for (int64_t from = 0; from < s->count; from += SLICES_STRETCH) {
        float *states[2][SLICES_MOST_CUT_STATES];
        slice stretch = *s;
        stretch.first += from;
        stretch.offset += from;
        stretch.curvature_offset += from;
        stretch.count = s->count - from < SLICES_STRETCH ? s->count - from : SLICES_STRETCH;
        for (int turn = 0; turn < 2; turn++) {
            for (int i = 0; i < s->state_count; i++) {
                states[turn][i] = s->states[turn][i] + from;
            }
            stretch.states[turn] = states[turn];
        }
        PROPAGATE(update_whole(p, &stretch, learning_rate));
    }
    return PLUMB_OK;
}

static plumb_status check_rate(double learning_rate)
{
    REQUIRE(isfinite(learning_rate) && learning_rate >= 0.0, PLUMB_ERROR_ARGUMENT,
            "the learning rate is %g", learning_rate);
    return PLUMB_OK;
}

/* What this rank owns, as long as *mine is no failure; panels first, since ranks wait for each
 * other there. Returns failures of MPI only. */
static plumb_status compute(plumb *p, double learning_rate, plumb_status *mine)
{
    p->counts = (optimizer_counts){0};
    PROPAGATE(panels_update(p, learning_rate, mine));
    for (int64_t i = 0; i < p->slice_count && *mine == PLUMB_OK; i++) {
        slice *s = &p->slices[i];
        if (slice_owned(p, s) && panels_count(&p->parameters[s->parameter]) == 1) {
            *mine = update_slice(p, s, learning_rate);
        }
    }
    return PLUMB_OK;
}

/* Where this rank keeps what the step has made of a slice. */
static float *values_of(plumb *p, const slice *s)
{
    float *values = p->parameters[s->parameter].values;
    return s->first + (values != NULL ? values : exchange_own_memory(p->exchange, s->parameter));
}

/* Buckets of one slice that arrive here need no other memory than the caller's. */
static void find_places(plumb *p)
{
    const layout *l = exchange_layout(p->exchange);
    for (int64_t i = 0; i < p->slice_count; i++) {
        const slice *s = &p->slices[i];
        bool alone = l->buckets[s->bucket].count == s->count;
        bool arrives = exchange_arrives_here(p->exchange, s->bucket);
        p->places[s->bucket] = alone && arrives ? values_of(p, s) : NULL;
    }
}

static void take_values(plumb *p, exchange_distance distance)
{
    for (int64_t i = 0; i < p->slice_count; i++) {
        const slice *s = &p->slices[i];
        if (p->places[s->bucket] != NULL ||
            exchange_distance_of(p->exchange, s->bucket) != distance) {
            continue;
        }
        const float *from = update_values(p, s);
        float *to = values_of(p, s);
        if (from != to) {
            memcpy(to, from, (size_t)s->count * sizeof *to);
        }
    }
}

/* To all, and into the caller's memory: own values first, while they are in this rank's cache. */
static plumb_status publish(plumb *p)
{
    find_places(p);
    PROPAGATE(exchange_publish(p->exchange, p->places));
    take_values(p, EXCHANGE_OWN);
    take_values(p, EXCHANGE_NEAR);
    PROPAGATE(exchange_await_values(p->exchange));
    take_values(p, EXCHANGE_FAR);
    return PLUMB_OK;
}

/* What the optimizers counted, over all owners: whole numbers, the same in any order. */
static plumb_status sum_counts(plumb *p)
{
    plumb_report *report = &p->report;
    report->correction_clipped = 0.0;
    report->unclipped = 1.0;
    report->roots_failed = 0;
    if (!p->counting) {
        return PLUMB_OK;
    }
    const optimizer_counts *c = &p->counts;
    double sums[] = {(double)c->corrected, (double)c->clipped, (double)c->clippable,
                     (double)c->unclipped, (double)c->roots_failed};
    PROPAGATE(agreement_sum(exchange_communicator(p->exchange), sizeof sums / sizeof *sums, sums));
    if (sums[0] > 0.0) {
        report->correction_clipped = sums[1] / sums[0];
    }
    if (sums[2] > 0.0) {
        report->unclipped = sums[3] / sums[2];
    }
    report->roots_failed = (int64_t)sums[4];
    return PLUMB_OK;
}

/* The point of no return is behind us: every rank has computed what it owns. */
static plumb_status commit(plumb *p)
{
    double start = transport_seconds();
    PROPAGATE(publish(p));
    p->current = 1 - p->current;
    p->steps++;
    p->means_here = true;
    weights_add(p);
    double seconds = 0.0;
    if (exchange_publishes(p->exchange)) {
        seconds = transport_seconds() - start;
        PROPAGATE(agreement_largest(exchange_communicator(p->exchange), 1, &seconds));
    }
    p->report.panel_bytes = p->panels == NULL ? 0 : p->panels->bytes;
    p->report.exchange_seconds += seconds;
    return sum_counts(p);
}

/* Before anything changes: afterwards all ranks have the owners' values, whatever was there. */
static plumb_status check_replicas(plumb *p)
{
    int interval = p->options.replica_check;
    bool due = interval > 0 && (p->steps + 1) % interval == 0;
    return due ? plumb_check_replicas(p) : PLUMB_OK;
}

static plumb_status update(plumb *p, double learning_rate, const plumb_report *report)
{
    double start = transport_seconds();
    plumb_status status = reduce_check_report(report);
    if (status == PLUMB_OK) {
        status = check_rate(learning_rate);
    }
    PROPAGATE(compute(p, learning_rate, &status));
    p->report.update_seconds = transport_seconds() - start;
    PROPAGATE(agreement_equal_largest(exchange_communicator(p->exchange), status,
                                      "the learning rate", learning_rate,
                                      &p->report.update_seconds));
    PROPAGATE(check_replicas(p));
    return commit(p);
}

plumb_status plumb_update(plumb *p, double learning_rate, plumb_report *report)
{
    PROPAGATE(handle_given(p));
    PROPAGATE(handle_result(p, handle_expect(p, HANDLE_REDUCED, "plumb_update")));
    p->phase = HANDLE_IDLE;
    plumb_status status = update(p, learning_rate, report);
    if (status == PLUMB_OK && report != NULL) {
        *report = p->report;
    }
    return handle_result(p, status);
}

static plumb_status find_mean(const plumb *p, int id, const float **mean)
{
    const parameter *one = NULL;
    PROPAGATE(handle_parameter(p, id, &one));
    REQUIRE(mean != NULL, PLUMB_ERROR_ARGUMENT, "plumb_mean_gradient: mean is NULL");
    REQUIRE(one->kind->keeps_gradient, PLUMB_ERROR_ARGUMENT,
            "parameter \"%s\": the mean gradient is kept with optimizer none only, not with %s",
            one->name, one->kind->name);
    REQUIRE(p->means_here, PLUMB_ERROR_ORDER,
            "plumb_mean_gradient: no step has ended well since the last plumb_begin_step");
    *mean = one->values != NULL ? one->values : exchange_own_memory(p->exchange, (int64_t)id);
    return PLUMB_OK;
}

plumb_status plumb_mean_gradient(const plumb *p, int id, const float **mean)
{
    PROPAGATE(handle_given(p));
    return find_mean(p, id, mean);
}

plumb_status plumb_end_step(plumb *p, double learning_rate, plumb_report *report)
{
    PROPAGATE(handle_given(p));
    PROPAGATE(handle_result(p, reduce_run(p, report)));
    return plumb_update(p, learning_rate, report);
}
