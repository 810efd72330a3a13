/*
 * One parameter in a handle of this process alone, as a way to ask the library for an update: the
 * values are 0 before each step and there is no decay, so that afterwards they are minus the
 * update at learning rate 1.
 */
#ifndef APP_CLAIMS_HANDLE_H
#define APP_CLAIMS_HANDLE_H

#include "app/failure.h"

#include <stdint.h>

typedef struct claims_handle {
    plumb *plumb;
    int id;
    int groups;
    int micro_batches; /* of a step; at first as many as groups */
    double rate;       /* learning rate; at first 1 */
    int64_t count;
    float *values; /* rows x cols */
} claims_handle;

/* Sets what all of them have in common: `optimizer`'s defaults without decay. */
void claims_handle_options(plumb_optimizer optimizer, plumb_parameter_options *options);

/* `name` is what errors call it. Returns f's code; claims_handle_destroy is to be called in any
 * case. */
int claims_handle_create(claims_handle *h, const char *name, int groups, int64_t rows, int64_t cols,
                         const plumb_parameter_options *options, failure *f);

/*
 * gradients[micro_batches][count], and curvature[micro_batches][count] for an optimizer that wants
 * it in this step, else NULL: h->values is minus the update. Returns f's code.
 */
int claims_handle_step(claims_handle *h, const float *gradients, const float *curvature,
                       failure *f);

void claims_handle_destroy(claims_handle *h);

#endif
