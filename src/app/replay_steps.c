/*
 * From recorded gradients to parameters, step by step: in memory is what the library needs of one
 * step, however long the recording is. Each rank reads its own micro-batches alone.
 */
#include "app/replaying.h"
#include "app/stop_signal.h"

#include <inttypes.h>

static void note_library(replaying *r, plumb_status status)
{
    failure_from_library(&r->failure, status, r->plumb);
}

/* A micro-batch's gradient straight into the library's memory. */
static void deliver(replaying *r, int parameter, int64_t step, int64_t micro_batch)
{
    shared_error e = {0, ""};
    float *gradient = NULL;
    note_library(r, plumb_gradient_buffer(r->plumb, r->ids[parameter], &gradient));
    if (r->failure.code == EXIT_OK) {
        gradient_file_read(r->recorded, parameter, step, micro_batch, gradient, &e);
    }
    if (replaying_note(r, &e) == EXIT_OK) {
        note_library(r, plumb_accumulate(r->plumb, r->ids[parameter], micro_batch, gradient));
    }
}

/* The same for its curvature, which the library copies. */
static void deliver_curvature(replaying *r, int parameter, int64_t step, int64_t micro_batch)
{
    shared_error e = {0, ""};
    gradient_file_read_curvature(r->recorded, parameter, step, micro_batch, r->curvature, &e);
    if (replaying_note(r, &e) == EXIT_OK) {
        note_library(r, plumb_accumulate_curvature(r->plumb, r->ids[parameter], micro_batch,
                                                   PLUMB_CURVATURE_DIAGONAL, 0.0, r->curvature));
    }
}

static void describe(replaying *r, int64_t first, int64_t count)
{
    const double *samples = gradient_file_samples(r->recorded);
    for (int64_t k = first; r->weighted && k < first + count; k++) {
        note_library(r, plumb_describe_micro_batch(r->plumb, k, samples[k], 0.0, NULL, 0));
    }
}

/* A failure that one rank alone knows goes before what the library says about its consequences. */
static void end_failed_step(replaying *r, plumb_status status, int64_t step)
{
    failure library = {0, ""};
    failure_from_library(&library, status, r->plumb);
    if (status == PLUMB_ERROR_MISMATCH) {
        library.code = EXIT_LIBRARY; /* replicas that drifted apart are nobody's options */
    }
    if (status == PLUMB_ERROR_MPI) {
        ranks_abort(&library);
    }
    if (ranks_agree(&r->ranks, &r->failure) == EXIT_OK) {
        failure_set(&r->failure, library.code, "%s, step %" PRId64 ": %s", r->options->gradients,
                    step, library.message);
    }
}

static bool run_step(replaying *r, int64_t step, plumb_report *report)
{
    int64_t total = gradient_file_micro_batches(r->recorded);
    int64_t first, count;
    plumb_status status = plumb_begin_step(r->plumb, total);
    if (status == PLUMB_OK) {
        status = plumb_share(r->plumb, total, &first, &count);
    }
    if (status != PLUMB_OK) {
        note_library(r, status);
        return false;
    }
    describe(r, first, count);
    /* After an error the rest is left out, which makes the step fail on every rank. */
    int due = 0;
    note_library(r, plumb_curvature_due(r->plumb, &due));
    for (int i = 0; i < r->parameter_count && r->failure.code == EXIT_OK; i++) {
        for (int64_t k = first; k < first + count && r->failure.code == EXIT_OK; k++) {
            deliver(r, i, step, k);
            if (due != 0 && r->failure.code == EXIT_OK) {
                deliver_curvature(r, i, step, k);
            }
        }
    }
    status = plumb_end_step(r->plumb, r->options->update.learning_rate, report);
    if (status != PLUMB_OK) {
        end_failed_step(r, status, step + 1);
        return false;
    }
    return true;
}

static void write_values(replaying *r, int64_t step)
{
    shared_error e = {0, ""};
    for (int i = 0; i < r->parameter_count; i++) {
        values_file_write(r->out, i, step, r->values[i], &e);
    }
    replaying_note(r, &e);
}

static void show(replaying *r, int64_t step, const plumb_report *report)
{
    char hash[33] = "";
    note_library(r, plumb_parameters_hash(r->plumb, hash));
    if (r->ranks.rank == 0 && r->failure.code == EXIT_OK) {
        replay_report_step(r, step, report, hash);
    }
}

void replay_steps(replaying *r)
{
    int64_t steps = gradient_file_steps(r->recorded);
    show(r, 0, NULL);
    for (int64_t step = 0; step < steps; step++) {
        plumb_report report = {.size = sizeof report};
        if (!run_step(r, step, &report)) {
            return;
        }
        write_values(r, step);
        show(r, step + 1, &report);
        r->stop_signal = stop_signal_seen();
        ranks_agree_largest(&r->ranks, &r->failure, &r->stop_signal);
        if (r->failure.code != EXIT_OK || r->stop_signal != 0) {
            return;
        }
    }
}
