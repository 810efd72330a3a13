/*
 * The end of a run in numbers; see summary.h.
 */
#include "app/summary.h"
#include "app/command.h"
#include "app/options_json.h"
#include "app/stop_signal.h"
#include "app/train_diagnostics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void set_number(json_t *object, const char *name, double value)
{
    json_object_set_new(object, name, isfinite(value) ? json_real(value) : json_null());
}

static void set_count(json_t *object, const char *name, double value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* Updates that were made, as opposed to skipped. */
static double updates(const training *t)
{
    return (double)(t->totals.steps - t->totals.skipped);
}

static double units_per_second(const training *t)
{
    return t->totals.units / t->totals.step_seconds;
}

static double overlap(const training *t)
{
    return t->totals.overlap_sum / updates(t);
}

static int64_t value_count(const training *t)
{
    int64_t count = 0;
    for (int i = 0; i < t->workload->parameter_count; i++) {
        count += t->workload->parameters[i].rows * t->workload->parameters[i].cols;
    }
    return count;
}

/* The last evaluation is of the model as it stands: no step came after it. */
static bool evaluated_at_end(const training *t)
{
    return t->totals.held_out_step == t->totals.steps;
}

static json_t *losses(const training *t)
{
    const training_totals *totals = &t->totals;
    held_out end = evaluated_at_end(t) ? totals->last : (held_out){NAN, NAN};
    json_t *object = json_object();
    set_number(object, "held_out_loss_untrained", totals->initial.loss);
    set_number(object, "held_out_loss", end.loss);
    set_number(object, "held_out_loss_last_evaluated", totals->last.loss);
    if (t->options->model == MODEL_MLP) {
        set_number(object, "held_out_accuracy_untrained", totals->initial.accuracy);
        set_number(object, "held_out_accuracy", end.accuracy);
        set_number(object, "held_out_accuracy_last_evaluated", totals->last.accuracy);
    }
    if (t->options->average != PLUMB_AVERAGE_NONE) {
        held_out average = evaluated_at_end(t) ? totals->last_average : (held_out){NAN, NAN};
        set_number(object, "held_out_loss_average", average.loss);
        if (t->options->model == MODEL_MLP) {
            set_number(object, "held_out_accuracy_average", average.accuracy);
        }
    }
    json_object_set_new(object, "held_out_step",
                        totals->held_out_step >= 0 ? json_integer(totals->held_out_step)
                                                   : json_null());
    set_number(object, "loss_first", totals->first_loss);
    set_number(object, "loss_last", totals->last_loss);
    return object;
}

static json_t *phases(const training *t)
{
    const training_totals *totals = &t->totals;
    json_t *object = json_object();
    set_number(object, "gradients", totals->gradient_seconds);
    if (training_clips_elements(t)) {
        set_number(object, "curvature", totals->curvature_seconds);
    }
    set_number(object, "exchange", totals->exchange_seconds);
    set_number(object, "update", totals->update_seconds);
    if (t->options->diagnostics == PLUMB_DIAGNOSTICS_FULL) {
        set_number(object, "diagnosis", totals->diagnosis_seconds);
    }
    set_number(object, "evaluation", totals->evaluation_seconds);
    return object;
}

static json_t *exchange(const training *t)
{
    json_t *object = json_object();
    set_count(object, "bytes", t->totals.exchange_bytes);
    set_count(object, "messages", t->totals.exchange_messages);
    set_number(object, "first_leg_ratio", t->totals.first_leg_ratio);
    set_number(object, "overlap", overlap(t));
    return object;
}

/* What optimizers count, where the options make them count it. */
static json_t *counts(const training *t)
{
    json_t *object = json_object();
    if (training_corrects(t)) {
        set_number(object, "correction_clipped", t->totals.correction_clipped_sum / updates(t));
    }
    if (training_clips_elements(t)) {
        set_number(object, "unclipped", t->totals.unclipped_sum / updates(t));
    }
    if (training_takes_roots(t)) {
        set_count(object, "roots_failed", t->totals.roots_failed);
    }
    return object;
}

/* What limits the run, where diagnostics are on. */
static json_t *diagnosis(const training *t)
{
    plumb_advice advice;
    json_t *object = json_object();
    if (train_diagnostics_advise(t, &advice)) {
        set_number(object, "noise_scale", advice.samples);
        set_number(object, "noise_scale_error", advice.samples_error);
        json_object_set_new(object, "limit", json_string(train_diagnostics_limit(advice.limit)));
        json_object_set_new(object, "advice", json_string(advice.text));
    }
    return object;
}

static json_t *to_json(const training *t, const char *status, const char *reason)
{
    json_t *object = json_object();
    json_object_set_new(object, "status", json_string(status));
    json_object_set_new(object, "reason", reason != NULL ? json_text(reason) : json_null());
    json_object_set_new(object, "version", json_string(command_version()));
    json_object_set_new(object, "run", json_text(t->directory.path));
    json_object_set_new(object, "ranks", json_integer(t->ranks.count));
    json_object_set_new(object, "steps", json_integer(t->totals.steps));
    json_object_set_new(object, "steps_wanted", json_integer(t->options->steps));
    json_object_set_new(object, "steps_skipped", json_integer(t->totals.skipped));
    json_object_set_new(object, "parameter_values", json_integer(value_count(t)));
    json_object_update_new(object, losses(t));
    json_object_set_new(object, "unit", json_string(t->workload->unit_name));
    set_number(object, "seconds", t->totals.seconds);
    set_number(object, "step_seconds", t->totals.step_seconds);
    set_number(object, "tokens_per_second", units_per_second(t));
    set_number(object, "model_flops_per_second",
               units_per_second(t) * t->workload->flops_per_token);
    json_object_set_new(object, "phase_seconds", phases(t));
    json_object_set_new(object, "exchange", exchange(t));
    json_object_update_new(object, counts(t));
    json_object_update_new(object, diagnosis(t));
    json_object_set_new(object, "parameters_hash", json_string(t->totals.parameters_hash));
    json_object_set_new(object, "sample", t->sample != NULL ? json_text(t->sample) : json_null());
    return object;
}

int summary_write(const training *t, const char *status, const char *reason, char *message,
                  size_t message_size)
{
    json_t *object = to_json(t, status, reason);
    int result = run_directory_write(&t->directory, "summary.json", object, message, message_size);
    json_decref(object);
    return result;
}

void summary_note_interruption(training *t)
{
    char message[512];
    if (t->ranks.rank == 0 && t->directory_made && !t->interruption_noted) {
        t->interruption_noted = true;
        summary_write(t, "interrupted", stop_signal_name(stop_signal_seen()), message,
                      sizeof message);
    }
}

static void print_losses(const training *t)
{
    const training_totals *totals = &t->totals;
    int64_t step = totals->held_out_step;
    const char *start = t->options->initial_parameters == NULL ? "untrained" : "at the start";
    if (step >= 0) {
        printf("held-out loss    %.4f %s, %.4f at step %" PRId64 " (nats per %s)\n",
               totals->initial.loss, start, totals->last.loss, step, t->workload->unit_name);
    } else {
        printf("held-out loss    not evaluated\n");
    }
    if (step >= 0 && t->options->model == MODEL_MLP) {
        printf("accuracy         %.2f %% %s, %.2f %% at step %" PRId64 "\n",
               100 * totals->initial.accuracy, start, 100 * totals->last.accuracy, step);
    }
    if (!isnan(totals->last_average.loss)) {
        printf("... of averages  %.4f at step %" PRId64 " (%s)\n", totals->last_average.loss, step,
               t->options->average_text);
    }
    if (!isnan(totals->first_loss)) {
        printf("training loss    %.4f first, %.4f last\n", totals->first_loss, totals->last_loss);
    }
}

static void print_counts(const training *t)
{
    const training_totals *totals = &t->totals;
    if (training_corrects(t)) {
        printf("correction       %s, at its bound for %.3g %% of the elements\n",
               train_option_word(t->options, "correction"),
               100 * totals->correction_clipped_sum / updates(t));
    }
    if (training_clips_elements(t)) {
        printf("unclipped        %.3g %% of the elements\n",
               100 * totals->unclipped_sum / updates(t));
    }
    if (training_takes_roots(t)) {
        printf("failed roots     %.0f\n", totals->roots_failed);
    }
}

static void print_costs(const training *t)
{
    const training_totals *totals = &t->totals;
    char duration[32];
    progress_duration(totals->seconds, duration, sizeof duration);
    printf("speed            %.0f %ss/s, %.1f model Gflop/s over all ranks\n", units_per_second(t),
           t->workload->unit_name, units_per_second(t) * t->workload->flops_per_token * 1e-9);
    printf("time             %s: gradients %.1f s, ", duration, totals->gradient_seconds);
    if (training_clips_elements(t)) {
        printf("curvature %.1f s, ", totals->curvature_seconds);
    }
    printf("exchange %.1f s, updates %.1f s, ", totals->exchange_seconds, totals->update_seconds);
    if (t->options->diagnostics == PLUMB_DIAGNOSTICS_FULL) {
        printf("diagnoses %.1f s, ", totals->diagnosis_seconds);
    }
    printf("evaluation %.1f s\n", totals->evaluation_seconds);
}

static void print_exchange(const training *t)
{
    const training_totals *totals = &t->totals;
    printf("exchange         %.2f MB in %.0f messages a step, first leg %.2f times a plain sum's, "
           "overlap %.2f\n",
           totals->exchange_bytes / updates(t) * 1e-6, totals->exchange_messages / updates(t),
           totals->first_leg_ratio, overlap(t));
}

/* Text as it may go to a terminal: no control characters but line ends and tabs. */
static void print_plainly(const char *text)
{
    json_t *valid = json_string(text);
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        bool control = (byte < 32 && byte != '\n' && byte != '\t') || byte == 127;
        putchar(control || (byte > 127 && valid == NULL) ? '?' : byte);
    }
    putchar('\n');
    json_decref(valid);
}

/* The last thing that is said, in lines that fit a terminal. */
static void print_advice(const training *t)
{
    enum { INDENT = 17, WIDTH = 96 };
    plumb_advice advice;
    if (!train_diagnostics_advise(t, &advice)) {
        return;
    }
    printf("%-*s", INDENT, "advice");
    int column = INDENT;
    for (const char *word = advice.text; *word != '\0';) {
        int length = (int)strcspn(word, " ");
        if (column > INDENT && column + 1 + length > WIDTH) {
            printf("\n%*s", INDENT, "");
            column = INDENT;
        }
        column += printf("%s%.*s", column > INDENT ? " " : "", length, word);
        word += length;
        word += strspn(word, " ");
    }
    putchar('\n');
}

static void print_table(const training *t, const char *status, const char *reason)
{
    const train_options *o = t->options;
    printf("model            %s, %s, %s\n", train_option_word(o, "model"),
           train_option_word(o, "optimizer"), train_option_word(o, "pipeline"));
    printf("parameters       %" PRId64 " in %d arrays, %s owners\n", value_count(t),
           t->workload->parameter_count, train_option_word(o, "owners"));
    printf("batch            %" PRId64 "%s micro-batches of %" PRId64 ", %" PRId64
           " groups, on %d rank%s\n",
           t->micro_batches, o->adaptive_text != NULL ? " (at the end)" : "", o->micro_batch_size,
           train_options_groups(o), t->ranks.count, t->ranks.count == 1 ? "" : "s");
    printf("steps            %" PRId64 " of %" PRId64 ", %s%s%s\n", t->totals.steps, o->steps,
           status, reason != NULL ? ": " : "", reason != NULL ? reason : "");
    print_losses(t);
    if (updates(t) >= 1.0) {
        print_counts(t);
    }
    print_costs(t);
    if (updates(t) >= 1.0) {
        print_exchange(t);
    }
    printf("parameters hash  %s\n", t->totals.parameters_hash);
    printf("run directory    %s\n", t->directory.path);
    if (t->sample != NULL) {
        printf("sample\n");
        print_plainly(t->sample);
    }
    print_advice(t);
}

void summary_print(const training *t, const char *status, const char *reason)
{
    if (!t->options->json) {
        print_table(t, status, reason);
        return;
    }
    json_t *object = to_json(t, status, reason);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(object);
}
