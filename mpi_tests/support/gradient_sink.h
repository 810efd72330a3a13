/*
 * A sink that keeps every gradient of a workload's micro-batch and notes how it was called.
 */
#ifndef SUPPORT_GRADIENT_SINK_H
#define SUPPORT_GRADIENT_SINK_H

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "workload/workload.h"

enum { SINK_MOST = 128 };

typedef struct gradient_sink {
    workload *w;
    float *gradients[SINK_MOST];
    int destinations[SINK_MOST], completions[SINK_MOST]; /* calls for each parameter */
    int order[SINK_MOST];                                /* parameters as they were completed */
    int calls, completed, breaths;
    int stop_at; /* the call, counted from 0, that answers "stop"; -1: none */
} gradient_sink;

static inline int64_t sink_count(const gradient_sink *sink, int parameter)
{
    return sink->w->parameters[parameter].rows * sink->w->parameters[parameter].cols;
}

static inline void sink_init(gradient_sink *sink, workload *w)
{
    *sink = (gradient_sink){.w = w, .stop_at = -1};
    ck_assert_int_le(w->parameter_count, SINK_MOST);
    for (int p = 0; p < w->parameter_count; p++) {
        sink->gradients[p] = malloc((size_t)sink_count(sink, p) * sizeof(float));
        ck_assert_ptr_nonnull(sink->gradients[p]);
    }
}

static inline void sink_free(gradient_sink *sink)
{
    for (int p = 0; p < SINK_MOST; p++) {
        free(sink->gradients[p]);
    }
}

/* Contents are undefined by contract: NaN shows who relies on them. */
static inline int sink_destination(void *context, int parameter, float **gradient)
{
    gradient_sink *sink = context;
    if (sink->calls++ == sink->stop_at) {
        return 7;
    }
    sink->destinations[parameter]++;
    for (int64_t i = 0; i < sink_count(sink, parameter); i++) {
        sink->gradients[parameter][i] = NAN;
    }
    *gradient = sink->gradients[parameter];
    return 0;
}

static inline int sink_complete(void *context, int parameter)
{
    gradient_sink *sink = context;
    if (sink->calls++ == sink->stop_at) {
        return 7;
    }
    ck_assert_int_eq(sink->destinations[parameter], sink->completions[parameter] + 1);
    sink->completions[parameter]++;
    sink->order[sink->completed++ % SINK_MOST] = parameter;
    return 0;
}

static inline void sink_breathe(void *context)
{
    ((gradient_sink *)context)->breaths++;
}

static inline int sink_run(gradient_sink *sink, int64_t step, int64_t micro_batch,
                           workload_result *result)
{
    workload_sink interface = {sink, sink_destination, sink_complete, sink_breathe};
    return sink->w->kind->micro_batch(sink->w, step, micro_batch, &interface, result);
}

/* Squared norm of all gradients together. */
static inline double sink_squares(const gradient_sink *sink)
{
    double squares = 0.0;
    for (int p = 0; p < sink->w->parameter_count; p++) {
        for (int64_t i = 0; i < sink_count(sink, p); i++) {
            squares += (double)sink->gradients[p][i] * (double)sink->gradients[p][i];
        }
    }
    return squares;
}

#endif
