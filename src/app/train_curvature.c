/*
 * Estimates of the Hessian's diagonal for Sophia; see train_curvature.h.
 *
 * They are computed after the step's gradients, whose messages are on their way meanwhile. What a
 * pass of the workload hands out is kept until it is complete: only then is the number of drawn
 * labels known, which an estimate is scaled by, and Hutchinson's is a mean over passes.
 */
#include "app/train_curvature.h"
#include "app/stop_signal.h"
#include "app/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One pass of the workload over a micro-batch. */
typedef struct curvature_pass {
    training *training;
    int64_t step, micro_batch;
} curvature_pass;

static size_t value_count(const workload_parameter *p)
{
    return (size_t)(p->rows * p->cols);
}

static bool averages_probes(const training *t)
{
    return t->options->curvature == CURVATURE_HUTCHINSON;
}

static float **allocate(training *t)
{
    const workload *w = t->workload;
    float **memory = calloc((size_t)w->parameter_count, sizeof *memory);
    bool good = memory != NULL;
    for (int i = 0; i < w->parameter_count && good; i++) {
        memory[i] = calloc(value_count(&w->parameters[i]), sizeof *memory[i]);
        good = memory[i] != NULL;
    }
    if (!good) {
        failure_set(&t->failure, EXIT_LIBRARY, "no memory for estimates of curvature");
    }
    return memory;
}

void train_curvature_allocate(training *t)
{
    if (update_options_needs_curvature(&t->options->update)) {
        t->curvature = allocate(t);
        t->probe_sums = averages_probes(t) ? allocate(t) : NULL;
    }
}

static void release(float **memory, int count)
{
    for (int i = 0; i < count && memory != NULL; i++) {
        free(memory[i]);
    }
    free(memory);
}

void train_curvature_free(training *t)
{
    int count = t->workload != NULL ? t->workload->parameter_count : 0;
    release(t->curvature, count);
    release(t->probe_sums, count);
    t->curvature = t->probe_sums = NULL;
}

static int destination(void *context, int parameter, float **estimate)
{
    const curvature_pass *pass = context;
    *estimate = pass->training->curvature[parameter];
    return 0;
}

static void apply_poison(const curvature_pass *pass, int parameter)
{
    const training *t = pass->training;
    if (t->poison.set && t->poison.curvature && t->poison.rank == t->ranks.rank &&
        t->poison.step == pass->step + 1 && t->poison.micro_batch == pass->micro_batch) {
        t->curvature[parameter][0] = NAN;
    }
}

static int complete(void *context, int parameter)
{
    const curvature_pass *pass = context;
    training *t = pass->training;
    apply_poison(pass, parameter);
    if (t->probe_sums != NULL) {
        size_t count = value_count(&t->workload->parameters[parameter]);
        for (size_t i = 0; i < count; i++) {
            t->probe_sums[parameter][i] += t->curvature[parameter][i];
        }
    }
    return stop_signal_seen();
}

static void breathe(void *context)
{
    training *t = ((const curvature_pass *)context)->training;
    failure_from_library(&t->failure, plumb_progress(t->plumb), t->plumb);
}

/* False if the rest of the share is not to be computed. */
static bool passed(const curvature_pass *pass, int code)
{
    training *t = pass->training;
    if (t->failure.code != EXIT_OK || stop_signal_seen() != 0) {
        return false;
    }
    if (code != 0) {
        failure_set(&t->failure, EXIT_LIBRARY,
                    "step %" PRId64 ", curvature of micro-batch %" PRId64 " on rank %d: %s",
                    pass->step + 1, pass->micro_batch, t->ranks.rank, t->workload->message);
    }
    return code == 0;
}

static bool hand_over(const curvature_pass *pass, plumb_curvature kind, int64_t draws,
                      float *const *estimates)
{
    training *t = pass->training;
    for (int i = 0; i < t->workload->parameter_count; i++) {
        plumb_status status = plumb_accumulate_curvature(t->plumb, t->ids[i], pass->micro_batch,
                                                         kind, (double)draws, estimates[i]);
        if (failure_from_library(&t->failure, status, t->plumb) != EXIT_OK) {
            return false;
        }
    }
    return true;
}

static bool gauss_newton(curvature_pass *pass, const workload_sink *sink)
{
    training *t = pass->training;
    workload *w = t->workload;
    workload_result result = {0, 0, 0.0, NULL};
    int code = w->kind->curvature(w, pass->step, pass->micro_batch, sink, &result);
    if (!passed(pass, code)) {
        return false;
    }
    if (!isfinite(result.loss_sum)) {
        failure_set(&t->failure, EXIT_NONFINITE,
                    "step %" PRId64 ": the loss of labels drawn for micro-batch %" PRId64
                    " on rank %d is not finite",
                    pass->step + 1, pass->micro_batch, t->ranks.rank);
        return false;
    }
    return hand_over(pass, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, result.tokens, t->curvature);
}

static bool hutchinson(curvature_pass *pass, const workload_sink *sink)
{
    training *t = pass->training;
    workload *w = t->workload;
    int64_t probes = t->options->probes;
    for (int i = 0; i < w->parameter_count; i++) {
        memset(t->probe_sums[i], 0, value_count(&w->parameters[i]) * sizeof *t->probe_sums[i]);
    }
    for (int64_t probe = 0; probe < probes; probe++) {
        int code = w->kind->hutchinson(w, pass->step, pass->micro_batch, probe, sink);
        if (!passed(pass, code)) {
            return false;
        }
    }
    for (int i = 0; i < w->parameter_count; i++) {
        size_t count = value_count(&w->parameters[i]);
        for (size_t k = 0; k < count; k++) {
            t->probe_sums[i][k] /= (float)probes;
        }
    }
    return hand_over(pass, PLUMB_CURVATURE_HUTCHINSON, 0, t->probe_sums);
}

static void estimate_share(training *t, int64_t step)
{
    int64_t first, count;
    plumb_status status = plumb_share(t->plumb, t->micro_batches, &first, &count);
    if (failure_from_library(&t->failure, status, t->plumb) != EXIT_OK) {
        return;
    }
    for (int64_t m = first; m < first + count && stop_signal_seen() == 0; m++) {
        curvature_pass pass = {t, step, m};
        workload_sink sink = {&pass, destination, complete, breathe};
        if (!(averages_probes(t) ? hutchinson(&pass, &sink) : gauss_newton(&pass, &sink))) {
            break;
        }
    }
    if (stop_signal_seen() != 0) {
        summary_note_interruption(t);
    }
}

void train_curvature_estimates(training *t, int64_t step)
{
    int due = 0;
    plumb_status status = plumb_curvature_due(t->plumb, &due);
    if (failure_from_library(&t->failure, status, t->plumb) != EXIT_OK || due == 0) {
        return;
    }
    double began = MPI_Wtime();
    estimate_share(t, step);
    t->totals.curvature_seconds += MPI_Wtime() - began;
}
