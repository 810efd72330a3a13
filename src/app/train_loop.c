/*
 * The training loop; see train_loop.h.
 */
#include "app/train_loop.h"
#include "app/evaluate.h"
#include "app/train_adaptive.h"
#include "app/train_curvature.h"
#include "app/train_diagnostics.h"
#include "app/train_record.h"
#include "app/train_step.h"

#include "app/stop_signal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* What one pass through the loop found out. */
typedef struct step_record {
    metrics_line line;
    char reason[1024]; /* why the update was skipped */
    bool dropped;      /* a signal: the step was not done and has no line */
} step_record;

static plumb_schedule schedule_of(const train_options *o)
{
    return (plumb_schedule){.size = sizeof(plumb_schedule),
                            .shape = (plumb_schedule_shape)o->schedule,
                            .peak = o->update.learning_rate,
                            .floor_fraction = o->floor,
                            .warm_up = o->warm_up,
                            .steps = o->steps};
}

/* The longest step, one with a full diagnosis, takes some three plain ones. */
static const double DIAGNOSED_STEP = 5.0;

/*
 * The end of a step that failed on every rank. A cause that only one rank knows comes first; a
 * signal that made a rank leave out its gradients is no failure.
 */
static void end_failed_step(training *t, plumb_status status, step_record *record)
{
    failure library = {0, ""};
    failure_from_library(&library, status, t->plumb);
    if (status == PLUMB_ERROR_MISMATCH) {
        library.code = EXIT_LIBRARY; /* replicas that drifted apart are nobody's options */
    }
    if (status == PLUMB_ERROR_MPI) {
        ranks_abort(&library);
    }
    t->stop_signal = stop_signal_seen();
    ranks_agree_largest(&t->ranks, &t->failure, &t->stop_signal);
    record->dropped = true;
    if (t->failure.code == EXIT_OK && t->stop_signal == 0) {
        failure_set(&t->failure, library.code, "%s", library.message);
    }
    if (t->failure.code == EXIT_NONFINITE && t->options->on_nonfinite == NONFINITE_SKIP) {
        snprintf(record->reason, sizeof record->reason, "%s", t->failure.message);
        t->failure = (failure){0, ""};
        record->line.skipped = true;
        record->line.reason = record->reason;
        record->dropped = false;
        t->totals.skipped++;
    }
}

static void note_report(training *t, const plumb_report *report, step_record *record)
{
    training_totals *totals = &t->totals;
    metrics_line *line = &record->line;
    line->loss = report->loss;
    line->gradient_norm = report->gradient_norm;
    line->clip_factor = report->clip_factor;
    line->exchange_bytes = (double)report->exchange_bytes;
    line->exchange_seconds = report->exchange_seconds;
    line->update_seconds = report->update_seconds;
    line->overlap = report->overlap;
    if (t->options->diagnostics == PLUMB_DIAGNOSTICS_FULL) {
        line->diagnosis_seconds = report->diagnosis_seconds;
        totals->diagnosis_seconds += report->diagnosis_seconds;
    }
    if (training_corrects(t)) {
        line->correction_clipped = report->correction_clipped;
    }
    if (training_clips_elements(t)) {
        line->unclipped = report->unclipped;
    }
    if (training_takes_roots(t)) {
        line->roots_failed = (double)report->roots_failed;
    }
    totals->first_loss = isnan(totals->first_loss) ? report->loss : totals->first_loss;
    totals->last_loss = report->loss;
    totals->exchange_seconds += report->exchange_seconds;
    totals->update_seconds += report->update_seconds;
    totals->exchange_bytes += (double)report->exchange_bytes;
    totals->exchange_messages += (double)report->exchange_messages;
    /* The ordinary step's: full diagnoses send gradients a second time, now and then. */
    totals->first_leg_ratio = totals->steps == 0
                                  ? report->first_leg_ratio
                                  : fmin(totals->first_leg_ratio, report->first_leg_ratio);
    totals->overlap_sum += report->overlap;
    totals->correction_clipped_sum += report->correction_clipped;
    totals->unclipped_sum += report->unclipped;
    totals->roots_failed += (double)report->roots_failed;
}

static metrics_line empty_line(int64_t step)
{
    return (metrics_line){.step = step,
                          .loss = NAN,
                          .held_out_loss = NAN,
                          .held_out_accuracy = NAN,
                          .held_out_loss_average = NAN,
                          .held_out_accuracy_average = NAN,
                          .gradient_norm = NAN,
                          .clip_factor = NAN,
                          .correction_clipped = NAN,
                          .unclipped = NAN,
                          .roots_failed = NAN,
                          .exchange_bytes = NAN,
                          .exchange_seconds = NAN,
                          .update_seconds = NAN,
                          .diagnosis_seconds = NAN,
                          .overlap = NAN};
}

/* One update, or none: record->dropped, record->line.skipped and t->failure tell. */
static void update(training *t, int64_t step, const plumb_schedule *schedule, step_record *record)
{
    double began = MPI_Wtime();
    record->line = empty_line(step + 1);
    record->line.trained = true;
    record->line.micro_batches = t->micro_batches;
    plumb_schedule_rate(schedule, step, &record->line.learning_rate);
    record->line.learning_rate *= train_adaptive_rate(t);
    plumb_status status = t->step_open ? PLUMB_OK : plumb_begin_step(t->plumb, t->micro_batches);
    t->step_open = false;
    if (status != PLUMB_OK) {
        failure_from_library(&t->failure, status, t->plumb);
        record->dropped = true;
        return;
    }
    train_step_gradients(t, step);
    t->totals.gradient_seconds += MPI_Wtime() - began;
    if (t->failure.code == EXIT_OK) {
        train_curvature_estimates(t, step);
    }
    plumb_report report = {.size = sizeof report};
    status = plumb_end_step(t->plumb, record->line.learning_rate, &report);
    if (status != PLUMB_OK) {
        end_failed_step(t, status, record);
    } else {
        note_report(t, &report, record);
        train_record_step_done(t, step);
        train_diagnostics_note(t, &report);
        record->line.diagnosis = t->ranks.rank == 0 ? train_diagnostics_fields(t, step + 1) : NULL;
    }
    double seconds = MPI_Wtime() - began;
    t->totals.step_seconds += seconds;
    stop_signal_expect(DIAGNOSED_STEP * seconds);
    t->totals.units += training_units_per_step(t);
    record->line.tokens_per_second = training_units_per_step(t) / seconds;
}

static bool evaluation_is_due(const training *t, int64_t step)
{
    int64_t every = t->options->evaluate_every;
    return step == t->options->steps || (every > 0 && step % every == 0);
}

/* The same with the averaged parameters, once there are some. */
static void add_average_evaluation(training *t, metrics_line *line)
{
    bool classifies = t->options->model == MODEL_MLP;
    held_out result = evaluate_average(t);
    t->totals.last_average = result;
    line->held_out_loss_average = result.loss;
    line->held_out_accuracy_average = classifies ? result.accuracy : NAN;
}

/* Held-out loss of the model as it is, into the line and the totals. */
static void add_evaluation(training *t, metrics_line *line)
{
    held_out result = evaluate(t);
    if (isnan(result.loss)) {
        return;
    }
    line->held_out_loss = result.loss;
    line->held_out_accuracy = t->options->model == MODEL_MLP ? result.accuracy : NAN;
    t->progress.held_out_loss = result.loss;
    if (line->step == 0) {
        t->totals.initial = result;
    }
    t->totals.last = result;
    t->totals.held_out_step = line->step;
    if (t->options->average != PLUMB_AVERAGE_NONE) {
        add_average_evaluation(t, line);
    }
}

/* Writes the line at rank 0, then all ranks agree on failures and signals. */
static void finish_line(training *t, metrics_line *line)
{
    failure_from_library(&t->failure, plumb_parameters_hash(t->plumb, t->totals.parameters_hash),
                         t->plumb);
    line->parameters_hash = t->totals.parameters_hash;
    line->seconds = MPI_Wtime() - t->start;
    t->totals.seconds = line->seconds;
    t->totals.steps = line->step;
    if (t->ranks.rank == 0 && t->failure.code == EXIT_OK) {
        char message[512];
        if (metrics_write(t->metrics, line, message, sizeof message) != 0) {
            failure_set(&t->failure, EXIT_DATA, "%s", message);
        }
    }
    if (t->failure.code == EXIT_OK) {
        progress_show(&t->progress, line->step, line->loss, line->tokens_per_second, line->seconds,
                      t->totals.step_seconds);
    }
    int number = stop_signal_seen();
    ranks_agree_largest(&t->ranks, &t->failure, &number);
    t->stop_signal = number;
}

/* Line 0: the untrained model. */
static void begin(training *t)
{
    metrics_line line = empty_line(0);
    add_evaluation(t, &line);
    finish_line(t, &line);
}

void train_loop(training *t)
{
    plumb_schedule schedule = schedule_of(t->options);
    t->start = MPI_Wtime();
    begin(t);
    for (int64_t step = 0; step < t->options->steps; step++) {
        if (t->failure.code != EXIT_OK || t->stop_signal != 0) {
            break;
        }
        step_record record = {.dropped = false};
        update(t, step, &schedule, &record);
        if (step == 0) { /* the library says nearly everything while it plans the first step */
            warnings_gather(&t->warnings, &t->ranks, training_warn, t);
        }
        if (record.dropped) {
            break;
        }
        if (evaluation_is_due(t, step + 1)) {
            add_evaluation(t, &record.line);
        }
        finish_line(t, &record.line);
        json_decref(record.line.diagnosis);
        train_adaptive_step(t, step + 1);
    }
    t->totals.seconds = MPI_Wtime() - t->start;
    progress_clear(&t->progress);
}
