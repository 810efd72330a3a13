/*
 * The layout of curvature and its way through a step (curvature.h).
 */
#include "step/curvature.h"

#include <math.h>

#include "base/memory.h"
#include "base/vector.h"
#include "exchange/agreement.h"
#include "step/gradients.h"
#include "step/slices.h"

static bool uses_curvature(const parameter *one)
{
    return optimizer_curvature_interval(&one->options) > 0;
}

/* Numbers the parameters that use curvature and gives them places in a flat space. MEMORY. */
static plumb_status place_parameters(plumb *p, layout *l)
{
    for (int64_t i = 0; i < p->parameter_count; i++) {
        parameter *one = &p->parameters[i];
        one->curvature_index = uses_curvature(one) ? l->parameter_count++ : -1;
    }
    PROPAGATE(memory_zeroed(l->parameter_count, sizeof *l->parameters, &l->parameters));
    for (int64_t i = 0; i < p->parameter_count; i++) {
        const parameter *one = &p->parameters[i];
        if (one->curvature_index >= 0) {
            int64_t count = one->rows * one->cols;
            l->parameters[one->curvature_index] =
                (layout_parameter){.offset = l->length, .count = count, .first_bucket = -1};
            l->length += layout_round_up(count, LAYOUT_ALIGNMENT);
        }
    }
    return PLUMB_OK;
}

/* Puts the slice into the last bucket if its gradient shares one with the slice before it. */
static void place_slice(plumb *p, slice *s, int64_t *last_gradient_bucket, layout *l)
{
    const parameter *one = &p->parameters[s->parameter];
    int64_t index = one->curvature_index;
    layout_parameter *where = &l->parameters[index];
    int64_t start = where->offset + s->first;
    if (s->bucket != *last_gradient_bucket) {
        *last_gradient_bucket = s->bucket;
        l->buckets[l->bucket_count++] =
            (layout_bucket){.first = start,
                            .owner = exchange_layout(p->exchange)->buckets[s->bucket].owner,
                            .first_parameter = index};
    }
    int64_t number = l->bucket_count - 1;
    layout_bucket *b = &l->buckets[number];
    b->count = start + s->count - b->first;
    b->last_parameter = index;
    b->by_group = b->by_group || optimizer_wants_curvature_groups(&one->options);
    where->first_bucket = where->first_bucket < 0 ? number : where->first_bucket;
    where->last_bucket = number;
    s->curvature_bucket = number;
    s->curvature_offset = start - b->first;
}

/* Slices are listed in the order of flat space, which is that of the curvature's too. */
static plumb_status make_layout(plumb *p, layout *l)
{
    PROPAGATE(place_parameters(p, l));
    PROPAGATE(memory_zeroed(p->slice_count, sizeof *l->buckets, &l->buckets));
    int64_t last_gradient_bucket = -1;
    for (int64_t i = 0; i < p->slice_count; i++) {
        p->slices[i].curvature_bucket = -1;
        if (p->parameters[p->slices[i].parameter].curvature_index >= 0) {
            place_slice(p, &p->slices[i], &last_gradient_bucket, l);
        }
    }
    return PLUMB_OK;
}

static plumb_status make_exchange(plumb *p, plumb_status mine)
{
    exchange_settings settings = {.allreduce = p->options.exchange == PLUMB_EXCHANGE_ALLREDUCE,
                                  .shared_memory = p->options.shared_memory != 0,
                                  .one_way = true,
                                  .chunk = p->options.chunk_elements,
                                  .nominal_samples = p->options.nominal_samples};
    return exchange_create(exchange_communicator(p->exchange), mine, &settings, &p->curvature);
}

plumb_status curvature_set_up(plumb *p)
{
    exchange_destroy(&p->curvature);
    if (p->curvature_interval == 0) {
        return PLUMB_OK;
    }
    layout l = {0};
    plumb_status status = make_exchange(p, make_layout(p, &l));
    if (status == PLUMB_OK) {
        status = exchange_adopt(p->curvature, &l);
    }
    layout_free(&l); /* which is empty where the exchange took it: at the coordinator */
    return agreement_verdict(exchange_communicator(p->exchange), status);
}

bool curvature_due(const plumb *p)
{
    return p->curvature_interval > 0 && p->steps % p->curvature_interval == 0;
}

plumb_status curvature_prepare(plumb *p)
{
    return curvature_due(p) ? exchange_prepare(p->curvature, p->micro_batches, p->groups)
                            : PLUMB_OK;
}

plumb_status curvature_provide(plumb *p)
{
    return curvature_due(p) ? exchange_provide(p->curvature) : PLUMB_OK;
}

plumb_status curvature_open(plumb *p)
{
    return curvature_due(p) ? exchange_open(p->curvature) : PLUMB_OK;
}

plumb_status plumb_curvature_due(plumb *p, int *due)
{
    PROPAGATE(handle_given(p));
    plumb_status status = handle_expect(p, HANDLE_OPEN, "plumb_curvature_due");
    if (status == PLUMB_OK && due == NULL) {
        status = error_raise(PLUMB_ERROR_ARGUMENT, "plumb_curvature_due: due is NULL");
    }
    if (status == PLUMB_OK) {
        *due = curvature_due(p);
    }
    return handle_result(p, status);
}

/* In double: the square of a small gradient may be no float, and many draws times it be one. */
VECTOR_CLONES
static void square(int64_t count, double draws, const float *restrict gradient,
                   float *restrict curvature)
{
    for (int64_t i = 0; i < count; i++) {
        double g = (double)gradient[i];
        curvature[i] = (float)(draws * (g * g));
    }
}

static plumb_status check_kind(const parameter *one, plumb_curvature kind, double draws)
{
    REQUIRE(kind >= PLUMB_CURVATURE_DIAGONAL && kind <= PLUMB_CURVATURE_HUTCHINSON,
            PLUMB_ERROR_ARGUMENT, "parameter \"%s\": there is no kind of curvature number %d",
            one->name, (int)kind);
    REQUIRE(kind != PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT ||
                (draws >= 1.0 && draws <= 0x1p52 && draws == floor(draws)),
            PLUMB_ERROR_ARGUMENT,
            "parameter \"%s\": curvature of %.17g draws; must be a whole number from 1 to 2^52",
            one->name, draws);
    return PLUMB_OK;
}

static plumb_status check_call(const plumb *p, int id, int64_t micro_batch, plumb_curvature kind,
                               double draws, const float *estimate)
{
    const parameter *one = NULL;
    PROPAGATE(handle_expect(p, HANDLE_OPEN, "plumb_accumulate_curvature"));
    PROPAGATE(handle_parameter(p, id, &one));
    REQUIRE(uses_curvature(one), PLUMB_ERROR_ARGUMENT,
            "parameter \"%s\": its optimizer, %s, uses no curvature", one->name, one->kind->name);
    REQUIRE(curvature_due(p), PLUMB_ERROR_ORDER,
            "parameter \"%s\": curvature is due every %d steps, not in step %lld", one->name,
            p->curvature_interval, (long long)p->steps);
    PROPAGATE(gradients_check_micro_batch(p, micro_batch));
    REQUIRE(estimate != NULL, PLUMB_ERROR_ARGUMENT, "parameter \"%s\": curvature is NULL",
            one->name);
    PROPAGATE(check_kind(one, kind, draws));
    REQUIRE(!exchange_seen(p->curvature, one->curvature_index, micro_batch), PLUMB_ERROR_COVERAGE,
            "parameter \"%s\": the curvature of micro-batch %lld was given twice on rank %d",
            one->name, (long long)micro_batch, exchange_order(p->exchange)->rank);
    return PLUMB_OK;
}

static plumb_status accumulate(plumb *p, int id, int64_t micro_batch, plumb_curvature kind,
                               double draws, const float *estimate)
{
    PROPAGATE(check_call(p, id, micro_batch, kind, draws, estimate));
    const parameter *one = &p->parameters[id];
    gradients_touch(p, micro_batch);
    const float *given = estimate;
    if (kind == PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT) {
        float *buffer = NULL;
        PROPAGATE(exchange_buffer(p->curvature, one->curvature_index, &buffer));
        square(one->rows * one->cols, draws, estimate, buffer);
        given = buffer;
    }
    bool finite = true;
    PROPAGATE(exchange_accumulate(p->curvature, one->curvature_index, micro_batch, given, &finite));
    if (!finite) {
        bool squared = given != estimate && vector_all_finite(one->rows * one->cols, estimate);
        gradients_remember(
            p, error_raise(PLUMB_ERROR_NONFINITE,
                           "curvature of parameter \"%s\" is not finite (rank %d, micro-batch "
                           "%lld)%s",
                           one->name, exchange_order(p->exchange)->rank, (long long)micro_batch,
                           squared ? ", though its gradient is: the square is too large" : ""));
    }
    return PLUMB_OK;
}

plumb_status plumb_accumulate_curvature(plumb *p, int id, int64_t micro_batch, plumb_curvature kind,
                                        double draws, const float *estimate)
{
    PROPAGATE(handle_given(p));
    plumb_status status = handle_result(p, accumulate(p, id, micro_batch, kind, draws, estimate));
    if (status == PLUMB_ERROR_COVERAGE || status == PLUMB_ERROR_MEMORY) {
        gradients_remember(p, status);
    }
    return status;
}

static plumb_status missing(const plumb *p, const parameter *one)
{
    int64_t k = p->first;
    while (exchange_seen(p->curvature, one->curvature_index, k)) {
        k++;
    }
    return error_raise(PLUMB_ERROR_COVERAGE,
                       "parameter \"%s\": the curvature of micro-batch %lld is missing on rank %d",
                       one->name, (long long)k, exchange_order(p->exchange)->rank);
}

plumb_status curvature_complete(plumb *p)
{
    for (int64_t i = 0; curvature_due(p) && i < p->parameter_count; i++) {
        const parameter *one = &p->parameters[i];
        if (one->curvature_index >= 0 && !exchange_complete(p->curvature, one->curvature_index)) {
            gradients_remember(p, missing(p, one));
            PROPAGATE(exchange_blank(p->curvature, one->curvature_index));
        }
    }
    return PLUMB_OK;
}

plumb_status curvature_deliver(plumb *p)
{
    return curvature_due(p) ? exchange_deliver(p->curvature) : PLUMB_OK;
}

const float *curvature_mean(plumb *p, const slice *s)
{
    float *sum = exchange_sum(p->curvature, s->curvature_bucket) + s->curvature_offset;
    vector_divide(s->count, (float)p->divisor, sum, sum);
    return sum;
}

void curvature_groups(plumb *p, const slice *s, const float **groups)
{
    slices_group_means(p, p->curvature, s->curvature_bucket, s->curvature_offset, s->count, 1.0,
                       groups);
}
