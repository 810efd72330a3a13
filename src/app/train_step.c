/*
 * From the workload's backward pass into the library's exchange; see train_step.h.
 */
#include "app/train_step.h"
#include "app/stop_signal.h"
#include "app/summary.h"
#include "app/train_record.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A micro-batch on its way. */
typedef struct delivery {
    training *training;
    int64_t step, micro_batch;
    int completed; /* parameters whose gradient is complete */
    int held_back; /* the last of them: it is handed over after the loss is known to be finite */
} delivery;

poison poison_from_environment(void)
{
    poison p = {.set = false};
    const char *text = getenv("PLUMB_TEST_POISON");
    p.set = text != NULL &&
            sscanf(text, "%d:%" SCNd64 ":%" SCNd64, &p.rank, &p.step, &p.micro_batch) == 3;
    p.curvature = text != NULL && strstr(text, ":curvature") != NULL;
    return p;
}

static void apply_poison(const delivery *d, int parameter)
{
    const training *t = d->training;
    if (t->poison.set && !t->poison.curvature && d->completed == 0 &&
        t->poison.rank == t->ranks.rank && t->poison.step == d->step + 1 &&
        t->poison.micro_batch == d->micro_batch) {
        t->gradients[parameter][0] = NAN;
    }
}

static int destination(void *context, int parameter, float **gradient)
{
    delivery *d = context;
    training *t = d->training;
    plumb_status status = plumb_gradient_buffer(t->plumb, t->ids[parameter], gradient);
    if (failure_from_library(&t->failure, status, t->plumb) != EXIT_OK) {
        return t->failure.code;
    }
    t->gradients[parameter] = *gradient;
    return 0;
}

static int hand_over(delivery *d, int parameter)
{
    training *t = d->training;
    if (train_record_gradient(t, d->step, d->micro_batch, parameter) != EXIT_OK) {
        return t->failure.code;
    }
    plumb_status status =
        plumb_accumulate(t->plumb, t->ids[parameter], d->micro_batch, t->gradients[parameter]);
    return failure_from_library(&t->failure, status, t->plumb);
}

static int complete(void *context, int parameter)
{
    delivery *d = context;
    apply_poison(d, parameter);
    if (++d->completed == d->training->workload->parameter_count) {
        d->held_back = parameter;
        return stop_signal_seen();
    }
    int result = hand_over(d, parameter);
    return result != 0 ? result : stop_signal_seen();
}

static void breathe(void *context)
{
    delivery *d = context;
    training *t = d->training;
    failure_from_library(&t->failure, plumb_progress(t->plumb), t->plumb);
}

/* One micro-batch; false if the rest of the share is not to be computed. */
static bool deliver(delivery *d)
{
    training *t = d->training;
    workload *w = t->workload;
    workload_sink sink = {d, destination, complete, breathe};
    workload_result result = {0, 0, 0.0, NULL};
    int code = w->kind->micro_batch(w, d->step, d->micro_batch, &sink, &result);
    if (t->failure.code != EXIT_OK || stop_signal_seen() != 0) {
        return false;
    }
    if (code != 0) {
        failure_set(&t->failure, EXIT_LIBRARY,
                    "step %" PRId64 ", micro-batch %" PRId64 " on rank %d: %s", d->step + 1,
                    d->micro_batch, t->ranks.rank, w->message);
        return false;
    }
    if (!isfinite(result.loss_sum)) {
        failure_set(&t->failure, EXIT_NONFINITE,
                    "step %" PRId64 ": the loss of micro-batch %" PRId64
                    " on rank %d is not finite",
                    d->step + 1, d->micro_batch, t->ranks.rank);
        return false;
    }
    plumb_status status = plumb_describe_micro_batch(
        t->plumb, d->micro_batch, (double)result.samples, result.loss_sum, result.norms,
        result.norms != NULL ? result.samples : 0);
    if (failure_from_library(&t->failure, status, t->plumb) != EXIT_OK) {
        return false;
    }
    return hand_over(d, d->held_back) == EXIT_OK;
}

void train_step_gradients(training *t, int64_t step)
{
    int64_t first, count;
    plumb_status status = plumb_share(t->plumb, t->micro_batches, &first, &count);
    if (failure_from_library(&t->failure, status, t->plumb) != EXIT_OK) {
        return;
    }
    for (int64_t m = first; m < first + count; m++) {
        delivery d = {.training = t, .step = step, .micro_batch = m};
        if (stop_signal_seen() != 0 || !deliver(&d)) {
            break;
        }
    }
    if (stop_signal_seen() != 0) {
        summary_note_interruption(t);
    }
}
