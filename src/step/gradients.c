/*
 * Micro-batches come in: plumb_describe_micro_batch, plumb_gradient_buffer, plumb_accumulate,
 * plumb_progress. What is wrong with a gradient is remembered and agreed by plumb_reduce.
 */
#include "step/gradients.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/vector.h"
#include "step/curvature.h"
#include "step/diagnostics.h"

plumb_status gradients_begin(plumb *p)
{
    if (p->described < p->count) {
        PROPAGATE(memory_grow(p->described, p->count, sizeof *p->descriptions, &p->descriptions));
        p->described = p->count;
    }
    for (int64_t i = 0; i < p->described; i++) {
        memory_free(&p->descriptions[i].norms);
        p->descriptions[i] = (description){.samples = p->options.nominal_samples};
    }
    p->failure = PLUMB_OK;
    memory_free(&p->sample_norms);
    p->sample_norm_count = 0;
    return PLUMB_OK;
}

void gradients_remember(plumb *p, plumb_status status)
{
    if (p->failure == PLUMB_OK) {
        p->failure = status;
        memcpy(p->failure_text, error_text(), sizeof p->failure_text);
    }
}

plumb_status gradients_check_micro_batch(const plumb *p, int64_t micro_batch)
{
    REQUIRE(micro_batch >= p->first && micro_batch < p->first + p->count, PLUMB_ERROR_ARGUMENT,
            "micro-batch %lld is not rank %d's, which has %lld to %lld", (long long)micro_batch,
            exchange_order(p->exchange)->rank, (long long)p->first,
            (long long)(p->first + p->count - 1));
    return PLUMB_OK;
}

void gradients_touch(plumb *p, int64_t micro_batch)
{
    p->descriptions[micro_batch - p->first].touched = true;
}

static plumb_status find_description(plumb *p, int64_t micro_batch, description **found)
{
    PROPAGATE(gradients_check_micro_batch(p, micro_batch));
    *found = &p->descriptions[micro_batch - p->first];
    return PLUMB_OK;
}

static plumb_status check_description(const description *known, int64_t micro_batch, double samples,
                                      double loss_sum, const float *norms, int64_t count)
{
    /* Whole numbers add up to the same in any order, whichever ranks add them. */
    REQUIRE(samples >= 1.0 && samples <= 1073741824.0 && samples == floor(samples),
            PLUMB_ERROR_ARGUMENT, "micro-batch %lld: %g samples; must be a whole number to 2^30",
            (long long)micro_batch, samples);
    REQUIRE(!known->touched || known->samples == samples, PLUMB_ERROR_ORDER,
            "micro-batch %lld: its samples must be described before its first gradient",
            (long long)micro_batch);
    REQUIRE(isfinite(loss_sum), PLUMB_ERROR_NONFINITE, "micro-batch %lld: the loss is %g",
            (long long)micro_batch, loss_sum);
    REQUIRE(count >= 0 && (count == 0 || norms != NULL), PLUMB_ERROR_ARGUMENT,
            "micro-batch %lld: %lld norms at NULL", (long long)micro_batch, (long long)count);
    REQUIRE(count == 0 || vector_all_finite(count, norms), PLUMB_ERROR_NONFINITE,
            "micro-batch %lld: a per-sample norm is not finite", (long long)micro_batch);
    return PLUMB_OK;
}

static plumb_status describe(plumb *p, int64_t micro_batch, double samples, double loss_sum,
                             const float *norms, int64_t count)
{
    PROPAGATE(handle_expect(p, HANDLE_OPEN, "plumb_describe_micro_batch"));
    description *known = NULL;
    PROPAGATE(find_description(p, micro_batch, &known));
    PROPAGATE(check_description(known, micro_batch, samples, loss_sum, norms, count));
    float *copy = NULL;
    if (count > 0) {
        PROPAGATE(memory_allocate(count, sizeof *copy, &copy));
        memcpy(copy, norms, (size_t)count * sizeof *copy);
    }
    memory_free(&known->norms);
    known->norms = copy;
    known->norm_count = count;
    known->loss_sum = loss_sum;
    if (known->samples != samples) {
        known->samples = samples;
        exchange_weigh(p->exchange, micro_batch, samples);
        if (curvature_due(p)) {
            exchange_weigh(p->curvature, micro_batch, samples);
        }
        diagnostics_weigh(p, micro_batch, samples);
    }
    return PLUMB_OK;
}

plumb_status plumb_describe_micro_batch(plumb *p, int64_t micro_batch, double samples,
                                        double loss_sum, const float *norms, int64_t count)
{
    PROPAGATE(handle_given(p));
    return handle_result(p, describe(p, micro_batch, samples, loss_sum, norms, count));
}

static plumb_status find_buffer(plumb *p, int id, float **gradient)
{
    const parameter *one = NULL;
    PROPAGATE(handle_expect(p, HANDLE_OPEN, "plumb_gradient_buffer"));
    PROPAGATE(handle_parameter(p, id, &one));
    REQUIRE(gradient != NULL, PLUMB_ERROR_ARGUMENT, "plumb_gradient_buffer: gradient is NULL");
    REQUIRE(!exchange_complete(p->exchange, id), PLUMB_ERROR_ORDER,
            "all gradients of parameter \"%s\" are in", one->name);
    return exchange_buffer(p->exchange, id, gradient);
}

plumb_status plumb_gradient_buffer(plumb *p, int id, float **gradient)
{
    PROPAGATE(handle_given(p));
    return handle_result(p, find_buffer(p, id, gradient));
}

static void remember_nonfinite(plumb *p, const parameter *one, int rank, int64_t micro_batch)
{
    gradients_remember(
        p, error_raise(PLUMB_ERROR_NONFINITE,
                       "gradient of parameter \"%s\" is not finite (rank %d, micro-batch %lld)",
                       one->name, rank, (long long)micro_batch));
}

void gradients_look(plumb *p)
{
    exchange_suspect found = exchange_suspected(p->exchange);
    if (found.parameter >= 0) {
        remember_nonfinite(p, &p->parameters[found.parameter], found.rank, found.micro_batch);
    }
}

static plumb_status accumulate(plumb *p, int id, int64_t micro_batch, const float *gradient)
{
    const parameter *one = NULL;
    description *known = NULL;
    PROPAGATE(handle_expect(p, HANDLE_OPEN, "plumb_accumulate"));
    PROPAGATE(handle_parameter(p, id, &one));
    PROPAGATE(find_description(p, micro_batch, &known));
    REQUIRE(gradient != NULL, PLUMB_ERROR_ARGUMENT, "parameter \"%s\": gradient is NULL",
            one->name);
    REQUIRE(!exchange_seen(p->exchange, id, micro_batch), PLUMB_ERROR_COVERAGE,
            "parameter \"%s\": micro-batch %lld was given twice on rank %d", one->name,
            (long long)micro_batch, exchange_order(p->exchange)->rank);
    bool finite = true;
    known->touched = true;
    PROPAGATE(diagnostics_accumulate(p, id, micro_batch, gradient));
    PROPAGATE(exchange_accumulate(p->exchange, id, micro_batch, gradient, &finite));
    if (!finite) {
        remember_nonfinite(p, one, exchange_order(p->exchange)->rank, micro_batch);
    }
    return PLUMB_OK;
}

plumb_status plumb_accumulate(plumb *p, int id, int64_t micro_batch, const float *gradient)
{
    PROPAGATE(handle_given(p));
    plumb_status status = handle_result(p, accumulate(p, id, micro_batch, gradient));
    if (status == PLUMB_ERROR_COVERAGE || status == PLUMB_ERROR_MEMORY) {
        gradients_remember(p, status);
    }
    return status;
}

plumb_status plumb_progress(plumb *p)
{
    PROPAGATE(handle_given(p));
    if (p->phase != HANDLE_OPEN) {
        return PLUMB_OK;
    }
    plumb_status status = exchange_progress(p->exchange);
    if (status == PLUMB_OK && curvature_due(p)) {
        status = exchange_progress(p->curvature);
    }
    if (status == PLUMB_OK) {
        status = diagnostics_progress(p);
    }
    return handle_result(p, status);
}

/* Tells which micro-batch of an incomplete parameter is the first to lack its gradient. */
static void remember_missing(plumb *p, int id)
{
    int64_t k = p->first;
    while (exchange_seen(p->exchange, id, k)) {
        k++;
    }
    gradients_remember(
        p, error_raise(PLUMB_ERROR_COVERAGE,
                       "parameter \"%s\": the gradient of micro-batch %lld is missing on "
                       "rank %d",
                       p->parameters[id].name, (long long)k, exchange_order(p->exchange)->rank));
}

plumb_status gradients_complete(plumb *p)
{
    for (int id = 0; id < p->parameter_count; id++) {
        if (!exchange_complete(p->exchange, id)) {
            remember_missing(p, id);
            PROPAGATE(exchange_blank(p->exchange, id));
        }
    }
    PROPAGATE(curvature_complete(p));
    return diagnostics_complete(p);
}
