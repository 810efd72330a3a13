/*
 * `plumb train`: sets a run up, trains, and leaves a run directory that tells how it went.
 *
 * Every step of the setup is agreed over the ranks before the next: what is wrong on one rank ends
 * all of them, with one line and one exit code.
 */
#include "app/blas_restart.h"
#include "app/command.h"
#include "app/evaluate.h"
#include "app/stop_signal.h"
#include "app/summary.h"
#include "app/train_config.h"
#include "app/train_curvature.h"
#include "app/train_diagnostics.h"
#include "app/train_loop.h"
#include "app/train_parameters.h"
#include "app/train_record.h"
#include "app/train_step.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Rank 0 speaks; what only other ranks have to say it hears at the next warnings_gather. */
static void log_line(void *context, plumb_log_level level, const char *line)
{
    training *t = context;
    if (level == PLUMB_LOG_WARNING && warnings_add(&t->warnings, line) && t->ranks.rank == 0) {
        training_warn(t, line);
    }
}

static int exit_code_of(int reason)
{
    return reason == WORKLOAD_WRONG_OPTIONS ? EXIT_USAGE
           : reason == WORKLOAD_WRONG_DATA  ? EXIT_DATA
                                            : EXIT_LIBRARY;
}

static void create_workload(training *t)
{
    const train_options *o = t->options;
    char message[512] = "";
    workload_options options = {.data = o->data,
                                .held_out_data = o->held_out_data,
                                .vocabulary = o->vocabulary,
                                .layers = o->layers,
                                .width = o->width,
                                .heads = o->heads,
                                .context = o->context,
                                .micro_batch_size = o->micro_batch_size,
                                .seed = (uint64_t)o->seed,
                                .noise = o->noise};
    int code = o->model == MODEL_GPT
                   ? workload_create_gpt(&options, &t->workload, message, sizeof message)
                   : workload_create_mlp(&options, &t->workload, message, sizeof message);
    if (code != 0) {
        failure_set(&t->failure, exit_code_of(code), "%s", message);
    }
    if (ranks_agree(&t->ranks, &t->failure) == EXIT_OK) {
        /* Files of one name may differ between hosts. */
        snprintf(message, sizeof message, "content of %.300s = %016" PRIx64 "\n", o->data,
                 t->workload->data_hash);
        ranks_compare(&t->ranks, message, &t->failure);
    }
}

/* Memory for averages of the parameters and for curvature, if the options ask for them. */
static void allocate_extras(training *t)
{
    int64_t count = 0;
    for (int i = 0; i < t->workload->parameter_count; i++) {
        count += t->workload->parameters[i].rows * t->workload->parameters[i].cols;
    }
    if (t->options->average != PLUMB_AVERAGE_NONE) {
        t->plain_values = calloc((size_t)count, sizeof *t->plain_values);
        if (t->plain_values == NULL) {
            failure_set(&t->failure, EXIT_LIBRARY, "no memory for averages of the parameters");
        }
    }
    train_curvature_allocate(t);
    train_diagnostics_create(t);
}

static void add_parameters(training *t)
{
    size_t count = (size_t)t->workload->parameter_count;
    t->ids = calloc(count, sizeof *t->ids);
    t->gradients = calloc(count, sizeof *t->gradients);
    if (t->ids == NULL || t->gradients == NULL) {
        failure_set(&t->failure, EXIT_LIBRARY, "no memory");
        return;
    }
    bool corrected = false;
    for (size_t i = 0; i < count && t->failure.code == EXIT_OK; i++) {
        const workload_parameter *p = &t->workload->parameters[i];
        plumb_parameter_options options;
        train_config_parameter(t->options, p, &options);
        plumb_status status = plumb_add_parameter(t->plumb, p->name, p->rows, p->cols, p->values,
                                                  &options, &t->ids[i]);
        failure_from_library(&t->failure, status, t->plumb);
        corrected = corrected || options.correction != PLUMB_CORRECTION_NONE;
    }
    update_options_check_corrected(&t->options->update, corrected, &t->failure);
}

static void create_handle(training *t)
{
    plumb_options options;
    train_config_handle(t->options, &options);
    options.log = log_line;
    options.log_context = t;
    plumb_status status = plumb_create(t->ranks.communicator, &options, &t->plumb);
    if (failure_from_library(&t->failure, status, NULL) == EXIT_OK) {
        add_parameters(t);
        allocate_extras(t);
    }
    ranks_agree(&t->ranks, &t->failure);
}

/*
 * The first step is begun here, where the library makes its plan and checks what depends on the
 * groups: a run that cannot begin leaves no directory behind.
 */
static void begin_first_step(training *t)
{
    plumb_status status = plumb_begin_step(t->plumb, t->micro_batches);
    t->step_open = failure_from_library(&t->failure, status, t->plumb) == EXIT_OK;
}

/* Rank 0's part of the setup; the others wait for its verdict. */
static void create_directory(training *t)
{
    char message[512] = "";
    char stem[64];
    char path[2304];
    snprintf(stem, sizeof stem, "%s-%s", train_option_word(t->options, "model"),
             train_option_word(t->options, "optimizer"));
    if (run_directory_create(&t->directory, t->options->run, stem, message, sizeof message) != 0) {
        failure_set(&t->failure, EXIT_DATA, "%s", message);
        return;
    }
    t->directory_made = true;
    if (run_directory_file(&t->directory, "metrics.jsonl", path, sizeof path) != 0 ||
        train_config_write(t, message, sizeof message) != 0 ||
        metrics_open(&t->metrics, path, message, sizeof message) != 0) {
        failure_set(&t->failure, EXIT_DATA, "%s", message);
    }
}

static void set_up(training *t)
{
    train_options_check_ranks(t->options, t->ranks.count, &t->failure);
    if (ranks_agree(&t->ranks, &t->failure) == EXIT_OK) {
        create_workload(t);
    }
    if (t->failure.code == EXIT_OK) {
        train_parameters_load(t);
    }
    if (t->failure.code == EXIT_OK) {
        create_handle(t);
    }
    if (t->failure.code == EXIT_OK) {
        begin_first_step(t);
    }
    if (t->failure.code == EXIT_OK) {
        train_record_create(t);
    }
    if (t->failure.code == EXIT_OK && machine_gather(&t->machine, &t->ranks) != 0) {
        failure_set(&t->failure, EXIT_LIBRARY, "no memory");
    }
    if (t->failure.code == EXIT_OK && t->ranks.rank == 0) {
        create_directory(t);
    }
    ranks_agree(&t->ranks, &t->failure);
}

static void generate_sample(training *t)
{
    const train_options *o = t->options;
    workload *w = t->workload;
    if (o->generate == 0 || w->kind->generate == NULL) {
        return;
    }
    t->sample = calloc((size_t)o->generate + 1, 1);
    if (t->sample == NULL || w->kind->generate(w, o->prompt, o->generate, o->temperature,
                                               (uint64_t)o->seed, t->sample) != 0) {
        training_warn(t, t->sample == NULL ? "no memory for a sample" : w->message);
        free(t->sample);
        t->sample = NULL;
    }
}

/* Rank 0: the metrics closed, the parameters saved, the summary written and shown. */
static void write_summary(training *t)
{
    char message[512] = "";
    bool trained = t->failure.code == EXIT_OK;
    if (metrics_close(&t->metrics, message, sizeof message) != 0) {
        failure_set(&t->failure, EXIT_DATA, "%s", message);
    }
    if (trained && t->stop_signal == 0) {
        generate_sample(t);
    }
    if (trained) {
        train_parameters_save(t);
    }
    bool failed = t->failure.code != EXIT_OK;
    const char *status = failed ? "failed" : t->stop_signal != 0 ? "interrupted" : "completed";
    const char *reason = failed                ? t->failure.message
                         : t->stop_signal != 0 ? stop_signal_name(t->stop_signal)
                                               : NULL;
    if (summary_write(t, status, reason, message, sizeof message) != 0) {
        failure_set(&t->failure, EXIT_DATA, "%s", message);
    }
    if (trained) {
        summary_print(t, status, reason);
    }
}

static void run(training *t)
{
    const train_options *o = t->options;
    if (t->ranks.rank == 0) {
        char line[256];
        machine_warnings(&t->machine, false, training_warn, t);
        if (update_options_warning(&o->update, line, sizeof line)) {
            training_warn(t, line);
        }
    }
    progress_start(&t->progress, (progress_mode)o->progress, t->ranks.rank == 0, o->steps,
                   t->workload->unit_name);
    t->poison = poison_from_environment();
    train_loop(t);
}

static void take_down(training *t)
{
    stop_signal_settle();
    warnings_gather(&t->warnings, &t->ranks, training_warn, t);
    train_record_finish(t);
    if (t->ranks.rank == 0 && t->directory_made) {
        write_summary(t);
    }
    ranks_agree(&t->ranks, &t->failure);
    plumb_destroy(&t->plumb);
    train_curvature_free(t);
    train_diagnostics_free(t);
    workload_destroy(&t->workload);
    machine_free(&t->machine);
    free(t->ids);
    free(t->gradients);
    free(t->plain_values);
    free(t->sample);
    if (t->failure.code == EXIT_OK && t->stop_signal != 0) {
        failure_set(&t->failure, EXIT_INTERRUPTED + t->stop_signal,
                    "stopped by %s after step %" PRId64, stop_signal_name(t->stop_signal),
                    t->totals.steps);
    }
}

static int train(const train_options *options, failure *f)
{
    training t = {.options = options, .micro_batches = options->micro_batches, .failure = *f};
    t.totals.initial = t.totals.last = t.totals.last_average = (held_out){NAN, NAN};
    t.totals.held_out_step = -1;
    t.totals.first_loss = t.totals.last_loss = NAN;
    char *setup = options_text(train_option_table(), "train", options);
    if (ranks_start(&t.ranks, setup, &t.failure) == EXIT_OK) {
        stop_signal_watch();
        set_up(&t);
        if (t.failure.code == EXIT_OK) {
            run(&t);
        }
        take_down(&t);
    }
    free(setup);
    return ranks_finish(&t.ranks, &t.failure);
}

int train_command(int argc, char **argv)
{
    train_options options;
    bool help = false;
    failure f = {0, ""};
    train_options_parse(&options, argc - 2, argv + 2, &help, &f);
    if (help) {
        FILE *stream = command_help_stream();
        if (stream != NULL) {
            options_help(train_option_table(), stream);
            fprintf(stream, "\n%s", failure_exit_codes);
        }
        return EXIT_OK;
    }
    if (f.code == EXIT_OK) {
        blas_prepare((int)options.blas_threads, argv);
    }
    return train(&options, &f);
}
