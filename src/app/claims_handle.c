/*
 * Updates from the library itself; see claims_handle.h.
 */
#include "app/claims_handle.h"

#include <stdlib.h>
#include <string.h>

void claims_handle_options(plumb_optimizer optimizer, plumb_parameter_options *options)
{
    plumb_parameter_options_init(options, sizeof *options, optimizer);
    options->weight_decay = 0.0;
}

int claims_handle_create(claims_handle *h, const char *name, int groups, int64_t rows, int64_t cols,
                         const plumb_parameter_options *options, failure *f)
{
    plumb_options handle;
    plumb_options_init(&handle, sizeof handle);
    handle.groups = groups;
    handle.replica_check = 0;
    *h = (claims_handle){
        .groups = groups, .micro_batches = groups, .rate = 1.0, .count = rows * cols};
    h->values = calloc((size_t)h->count, sizeof *h->values);
    if (h->values == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    plumb_status status = plumb_create(MPI_COMM_SELF, &handle, &h->plumb);
    if (failure_from_library(f, status, NULL) == EXIT_OK) {
        status = plumb_add_parameter(h->plumb, name, rows, cols, h->values, options, &h->id);
        failure_from_library(f, status, h->plumb);
    }
    return f->code;
}

static plumb_status give(claims_handle *h, const float *gradients, const float *curvature)
{
    plumb_status status = PLUMB_OK;
    for (int k = 0; k < h->micro_batches && status == PLUMB_OK; k++) {
        status = plumb_accumulate(h->plumb, h->id, k, gradients + k * h->count);
        if (status == PLUMB_OK && curvature != NULL) {
            status = plumb_accumulate_curvature(h->plumb, h->id, k, PLUMB_CURVATURE_DIAGONAL, 1.0,
                                                curvature + k * h->count);
        }
    }
    return status;
}

int claims_handle_step(claims_handle *h, const float *gradients, const float *curvature, failure *f)
{
    memset(h->values, 0, (size_t)h->count * sizeof *h->values);
    plumb_status status = plumb_begin_step(h->plumb, h->micro_batches);
    if (status == PLUMB_OK) {
        status = give(h, gradients, curvature);
    }
    if (status == PLUMB_OK) {
        status = plumb_end_step(h->plumb, h->rate, NULL);
    }
    return failure_from_library(f, status, h->plumb);
}

void claims_handle_destroy(claims_handle *h)
{
    plumb_destroy(&h->plumb);
    free(h->values);
    h->values = NULL;
}
