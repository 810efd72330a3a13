/*
 * Creating and destroying handles, their messages and their log.
 */
#include "step/handle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "exchange/transport.h"
#include "optim/bounds.h"
#include "optim/pipeline.h"
#include "step/curvature.h"
#include "step/diagnostics.h"
#include "step/gradients.h"
#include "step/reduce.h"
#include "step/slices.h"
#include "step/weights.h"

void plumb_version(int *major, int *minor, int *patch)
{
    *major = PLUMB_VERSION_MAJOR;
    *minor = PLUMB_VERSION_MINOR;
    *patch = PLUMB_VERSION_PATCH;
}

const char *plumb_error_message(const plumb *p)
{
    return p == NULL ? error_text() : p->message;
}

plumb_status handle_result(plumb *p, plumb_status status)
{
    if (status != PLUMB_OK) {
        memcpy(p->message, error_text(), sizeof p->message - 1);
    }
    if (status == PLUMB_ERROR_MPI || status == PLUMB_ERROR_INTERNAL) {
        p->phase = HANDLE_BROKEN;
    }
    return status;
}

plumb_status handle_given(const plumb *p)
{
    REQUIRE(p != NULL, PLUMB_ERROR_ARGUMENT, "the handle is NULL");
    return PLUMB_OK;
}

static const char *phase_name(handle_phase phase)
{
    switch (phase) {
    case HANDLE_IDLE:
        return "no step is open";
    case HANDLE_OPEN:
        return "a step is open";
    case HANDLE_REDUCED:
        return "the step is reduced and waits for plumb_update";
    case HANDLE_BROKEN:
        break;
    }
    return "the handle broke in an earlier call and can only be destroyed";
}

plumb_status handle_expect(const plumb *p, handle_phase phase, const char *call)
{
    REQUIRE(p->phase == phase, PLUMB_ERROR_ORDER, "%s: not now, %s", call, phase_name(p->phase));
    return PLUMB_OK;
}

void handle_log(const plumb *p, plumb_log_level level, const char *format, ...)
{
    if (p->options.log == NULL || level > p->options.log_level ||
        exchange_order(p->exchange)->rank != 0) {
        return;
    }
    char line[ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    p->options.log(p->options.log_context, level, line);
}

plumb_status handle_parameter(const plumb *p, int id, const parameter **found)
{
    REQUIRE(id >= 0 && id < p->parameter_count, PLUMB_ERROR_ARGUMENT,
            "there is no parameter %d; there are %lld", id, (long long)p->parameter_count);
    *found = &p->parameters[id];
    return PLUMB_OK;
}

plumb_status handle_named(const plumb *p, const parameter *one, plumb_status status)
{
    if (status == PLUMB_OK) {
        return status;
    }
    char reason[ERROR_MESSAGE_SIZE];
    memcpy(reason, error_text(), sizeof reason);
    return error_raise(status, "parameter \"%s\" (rank %d): %.300s", one->name,
                       exchange_order(p->exchange)->rank, reason);
}

static plumb_status encode(void *context, int64_t index, const float *sum, float weight,
                           float *stream, float *tail)
{
    const plumb *p = context;
    const parameter *one = &p->parameters[index];
    return handle_named(
        p, one, pipeline_encode(&one->options, one->rows, one->cols, sum, weight, stream, tail));
}

static plumb_status decode(void *context, int64_t index, const float *stream, const float *tail,
                           float *contribution)
{
    const plumb *p = context;
    const parameter *one = &p->parameters[index];
    return handle_named(
        p, one, pipeline_decode(&one->options, one->rows, one->cols, stream, tail, contribution));
}

static plumb_status check_call(MPI_Comm communicator, plumb *const *p)
{
    REQUIRE(p != NULL, PLUMB_ERROR_ARGUMENT, "plumb_create: p is NULL");
    return transport_usable(communicator);
}

/* A handle on a duplicate of the communicator, or the failure all ranks agree on. */
static plumb_status make(MPI_Comm communicator, const plumb_options *options, plumb **p)
{
    plumb_status mine = bounds_check_options(options);
    if (mine == PLUMB_OK) {
        mine = memory_zeroed(1, sizeof **p, p);
    }
    exchange_settings settings = {.context = *p, .encode = encode, .decode = decode};
    exchange *x = NULL;
    if (mine == PLUMB_OK) {
        (*p)->options = *options;
        settings.allreduce = options->exchange == PLUMB_EXCHANGE_ALLREDUCE;
        settings.shared_memory = options->shared_memory != 0;
        settings.look_later = true;
        settings.chunk = options->chunk_elements;
        settings.nominal_samples = options->nominal_samples;
    }
    PROPAGATE(exchange_create(communicator, mine, &settings, &x));
    (*p)->exchange = x;
    return PLUMB_OK;
}

plumb_status plumb_create(MPI_Comm communicator, const plumb_options *options, plumb **p)
{
    PROPAGATE(check_call(communicator, p));
    *p = NULL;
    plumb_options defaults;
    if (options == NULL) {
        PROPAGATE(plumb_options_init(&defaults, sizeof defaults));
        options = &defaults;
    }
    plumb *made = NULL;
    plumb_status status = make(communicator, options, &made);
    if (status != PLUMB_OK) {
        memory_free(&made);
    }
    *p = made;
    return status;
}

plumb_status plumb_create_f(MPI_Fint communicator, const plumb_options *options, plumb **p)
{
    PROPAGATE(transport_usable(MPI_COMM_SELF));
    return plumb_create(MPI_Comm_f2c(communicator), options, p);
}

/* Messages of an open step are under way: the gradients still missing become zeros, and all go. */
static void drop_step(plumb *p)
{
    if (p->phase == HANDLE_OPEN && !transport_over() && gradients_complete(p) == PLUMB_OK) {
        (void)exchange_deliver(p->exchange);
        (void)curvature_deliver(p);
        (void)diagnostics_deliver(p);
    }
}

plumb_status plumb_destroy(plumb **p)
{
    REQUIRE(p != NULL, PLUMB_ERROR_ARGUMENT, "plumb_destroy: p is NULL");
    plumb *gone = *p;
    if (gone == NULL) {
        return PLUMB_OK;
    }
    drop_step(gone);
    slices_free(gone);
    reduce_free(gone);
    for (int64_t i = 0; i < gone->described; i++) {
        memory_free(&gone->descriptions[i].norms);
    }
    memory_free(&gone->descriptions);
    memory_free(&gone->sample_norms);
    weights_free(gone);
    diagnostics_free(gone);
    memory_free(&gone->parameters);
    exchange_destroy(&gone->curvature);
    exchange_destroy(&gone->exchange);
    memory_free(p);
    return PLUMB_OK;
}
