/*
 * Registering parameters, and the hash by which replicas are compared.
 */
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "exchange/agreement.h"
#include "optim/pipeline.h"
#include "step/handle.h"

static plumb_status check_name(const plumb *p, const char *name)
{
    REQUIRE(name != NULL && name[0] != '\0', PLUMB_ERROR_ARGUMENT, "a parameter needs a name");
    REQUIRE(strlen(name) < PARAMETER_NAME_SIZE, PLUMB_ERROR_ARGUMENT,
            "parameter name \"%.40s...\" is longer than %d bytes", name, PARAMETER_NAME_SIZE - 1);
    REQUIRE(strchr(name, '\n') == NULL, PLUMB_ERROR_ARGUMENT,
            "a parameter name may not contain a line break");
    for (int64_t i = 0; i < p->parameter_count; i++) {
        REQUIRE(strcmp(p->parameters[i].name, name) != 0, PLUMB_ERROR_ARGUMENT,
                "there is a parameter \"%s\" already", name);
    }
    return PLUMB_OK;
}

static plumb_status check_shape(const char *name, int64_t rows, int64_t cols)
{
    int64_t count;
    REQUIRE(rows >= 1 && cols >= 1 && !__builtin_mul_overflow(rows, cols, &count) &&
                count <= INT64_MAX / 64,
            PLUMB_ERROR_ARGUMENT, "parameter \"%s\": %lld x %lld is no shape", name,
            (long long)rows, (long long)cols);
    return PLUMB_OK;
}

static plumb_status check_values(const char *name, const float *values,
                                 const plumb_parameter_options *options)
{
    REQUIRE(values != NULL || optimizer_find(options->optimizer)->keeps_gradient,
            PLUMB_ERROR_ARGUMENT, "parameter \"%s\": values is NULL", name);
    return PLUMB_OK;
}

static plumb_status check_options(const plumb *p, const char *name, int64_t rows, int64_t cols,
                                  const plumb_parameter_options *options)
{
    plumb_status status = optimizer_validate(options, rows, cols);
    if (status != PLUMB_OK) {
        char reason[ERROR_MESSAGE_SIZE];
        memcpy(reason, error_text(), sizeof reason);
        return error_raise(status, "parameter \"%s\": %.300s", name, reason);
    }
    REQUIRE(p->options.exchange != PLUMB_EXCHANGE_ALLREDUCE ||
                (!pipeline_by_group(options->pipeline) && !optimizer_wants_groups(options) &&
                 !optimizer_wants_curvature_groups(options)),
            PLUMB_ERROR_UNSUPPORTED,
            "parameter \"%s\": its pipeline, correction or weights need every group's gradient at "
            "the owner, which the allreduce exchange does not bring",
            name);
    return PLUMB_OK;
}

/* Curvature is due for all of a handle's parameters at once, or one pass would not do. */
static plumb_status take_curvature_interval(plumb *p, const char *name,
                                            const plumb_parameter_options *options)
{
    int interval = optimizer_curvature_interval(options);
    REQUIRE(interval == 0 || p->curvature_interval == 0 || interval == p->curvature_interval,
            PLUMB_ERROR_ARGUMENT,
            "parameter \"%s\": curvature_interval is %d, that of parameters before it %d", name,
            interval, p->curvature_interval);
    if (interval > 0) {
        p->curvature_interval = interval;
    }
    return PLUMB_OK;
}

static plumb_status add(plumb *p, const parameter *one, int *id)
{
    if (p->parameter_count == p->parameter_capacity) {
        int64_t capacity = 2 * p->parameter_capacity + 16;
        PROPAGATE(
            memory_grow(p->parameter_capacity, capacity, sizeof *p->parameters, &p->parameters));
        p->parameter_capacity = capacity;
    }
    *id = (int)p->parameter_count;
    p->parameters[p->parameter_count++] = *one;
    return PLUMB_OK;
}

static plumb_status add_checked(plumb *p, const char *name, int64_t rows, int64_t cols,
                                float *values, const plumb_parameter_options *options, int *id)
{
    PROPAGATE(handle_expect(p, HANDLE_IDLE, "plumb_add_parameter"));
    REQUIRE(!p->planned, PLUMB_ERROR_ORDER,
            "parameters cannot be added after the first plumb_begin_step");
    REQUIRE(id != NULL, PLUMB_ERROR_ARGUMENT, "plumb_add_parameter: id is NULL");
    PROPAGATE(check_name(p, name));
    PROPAGATE(check_shape(name, rows, cols));
    plumb_parameter_options defaults;
    if (options == NULL) {
        PROPAGATE(plumb_parameter_options_init(&defaults, sizeof defaults, PLUMB_OPTIMIZER_ADAMW));
        options = &defaults;
    }
    PROPAGATE(check_options(p, name, rows, cols, options));
    PROPAGATE(check_values(name, values, options));
    PROPAGATE(take_curvature_interval(p, name, options));
    parameter one = {.rows = rows,
                     .cols = cols,
                     .values = values,
                     .options = *options,
                     .kind = optimizer_find(options->optimizer),
                     .curvature_index = -1};
    strncpy(one.name, name, sizeof one.name - 1);
    return add(p, &one, id);
}

plumb_status plumb_add_parameter(plumb *p, const char *name, int64_t rows, int64_t cols,
                                 float *values, const plumb_parameter_options *options, int *id)
{
    PROPAGATE(handle_given(p));
    return handle_result(p, add_checked(p, name, rows, cols, values, options, id));
}

static plumb_status hash_values(const plumb *p, char hash[33])
{
    REQUIRE(p->parameter_count > 0, PLUMB_ERROR_ORDER, "there are no parameters to hash");
    XXH3_state_t *state = XXH3_createState();
    REQUIRE(state != NULL, PLUMB_ERROR_MEMORY, "no memory for a hash");
    XXH3_128bits_reset(state);
    for (int64_t i = 0; i < p->parameter_count; i++) {
        const parameter *one = &p->parameters[i];
        if (parameter_has_values(one)) {
            XXH3_128bits_update(state, one->values,
                                (size_t)(one->rows * one->cols) * sizeof *one->values);
        }
    }
    XXH128_hash_t value = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    snprintf(hash, 33, "%016llx%016llx", (unsigned long long)value.high64,
             (unsigned long long)value.low64);
    return PLUMB_OK;
}

plumb_status plumb_parameters_hash(const plumb *p, char hash[33])
{
    PROPAGATE(handle_given(p));
    REQUIRE(hash != NULL, PLUMB_ERROR_ARGUMENT, "plumb_parameters_hash: hash is NULL");
    return hash_values(p, hash);
}

plumb_status plumb_check_replicas(plumb *p)
{
    PROPAGATE(handle_given(p));
    if (p->phase == HANDLE_BROKEN) {
        return handle_result(p, handle_expect(p, HANDLE_IDLE, "plumb_check_replicas"));
    }
    char text[64] = "parameters_hash = ";
    plumb_status status = hash_values(p, text + strlen(text));
    status = agreement_verdict(exchange_communicator(p->exchange), status);
    if (status == PLUMB_OK) {
        status = agreement_text(exchange_communicator(p->exchange), text);
        p->drifted = status == PLUMB_ERROR_MISMATCH;
    }
    return handle_result(p, status);
}
