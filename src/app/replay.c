/*
 * `plumb replay`: recorded gradients through any optimizer, to compare Plumb's steps with those
 * of other implementations, and its own between versions, rank counts and owner maps.
 *
 * Every step of the setup is agreed over the ranks before the next. The file of values is there
 * when everything went well, and not otherwise.
 */
#include "app/blas_restart.h"
#include "app/command.h"
#include "app/options_json.h"
#include "app/replaying.h"
#include "app/stop_signal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

bool replaying_is_matrix(const recorded_parameter *p)
{
    return p->rows > 1 && p->cols > 1;
}

int replaying_note(replaying *r, const shared_error *e)
{
    if (e->kind != SHARED_OK) {
        failure_set(&r->failure, e->kind == SHARED_FILE ? EXIT_DATA : EXIT_LIBRARY, "%s",
                    e->message);
    }
    return r->failure.code;
}

static void log_line(void *context, plumb_log_level level, const char *line)
{
    (void)context;
    if (level == PLUMB_LOG_WARNING) {
        fprintf(stderr, "plumb: warning: %s\n", line);
    }
}

/* What options and file say together. */
static void check_recorded(replaying *r)
{
    const update_options *o = &r->options->update;
    const recorded_parameter *parameters = gradient_file_parameters(r->recorded);
    int64_t total = gradient_file_micro_batches(r->recorded);
    bool corrected = false;
    for (int i = 0; i < r->parameter_count; i++) {
        plumb_parameter_options options;
        update_options_parameter(o, replaying_is_matrix(&parameters[i]), &options);
        corrected = corrected || options.correction != PLUMB_CORRECTION_NONE;
    }
    update_options_check_corrected(o, corrected, &r->failure);
    if (total < r->ranks.count) {
        failure_set(&r->failure, EXIT_USAGE,
                    "%s has %" PRId64
                    " micro-batches a step, less than the %d ranks: every rank needs at least one",
                    r->options->gradients, total, r->ranks.count);
    }
    if (o->groups > 0 && total % o->groups != 0) {
        failure_set(&r->failure, EXIT_USAGE,
                    "--groups %" PRId64 " does not divide the %" PRId64 " micro-batches of %s",
                    o->groups, total, r->options->gradients);
    }
    int64_t groups = o->groups > 0 ? o->groups : total;
    if (o->folds > 0 && groups % o->folds != 0) {
        failure_set(&r->failure, EXIT_USAGE,
                    "--folds %" PRId64 " does not divide the %" PRId64 " groups", o->folds, groups);
    }
}

static void open_recorded(replaying *r)
{
    shared_error e = {0, ""};
    gradient_file_open(&r->recorded, r->ranks.communicator, r->options->gradients,
                       update_options_needs_curvature(&r->options->update), &e);
    if (replaying_note(r, &e) != EXIT_OK) {
        return;
    }
    r->parameter_count = gradient_file_parameter_count(r->recorded);
    check_recorded(r);
}

static void allocate(replaying *r)
{
    const recorded_parameter *parameters = gradient_file_parameters(r->recorded);
    size_t count = (size_t)r->parameter_count;
    bool good = true;
    int64_t largest = 0;
    r->ids = calloc(count, sizeof *r->ids);
    r->values = calloc(count, sizeof *r->values);
    r->steps = r->ranks.rank == 0 ? json_array() : NULL;
    for (size_t i = 0; i < count && r->values != NULL && good; i++) {
        int64_t elements = parameters[i].rows * parameters[i].cols;
        r->values[i] = calloc((size_t)elements, sizeof *r->values[i]);
        good = r->values[i] != NULL;
        largest = elements > largest ? elements : largest;
    }
    if (update_options_needs_curvature(&r->options->update)) {
        r->curvature = malloc((size_t)largest * sizeof *r->curvature);
        good = good && r->curvature != NULL;
    }
    if (!good || r->ids == NULL || r->values == NULL) {
        failure_set(&r->failure, EXIT_LIBRARY, "no memory for the parameters of %s",
                    r->options->gradients);
    }
    ranks_agree(&r->ranks, &r->failure);
}

static void check_finite(replaying *r, const recorded_parameter *p, const float *values)
{
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        if (!isfinite(values[i])) {
            failure_set(&r->failure, EXIT_NONFINITE,
                        "%s: /parameters/%s/initial_values holds NaN or Inf, first in row %" PRId64
                        ", column %" PRId64,
                        r->options->gradients, p->name, i / p->cols, i % p->cols);
            return;
        }
    }
}

static void read_initial_values(replaying *r)
{
    const recorded_parameter *parameters = gradient_file_parameters(r->recorded);
    shared_error e = {0, ""};
    for (int i = 0; i < r->parameter_count; i++) {
        if (parameters[i].has_initial_values) {
            gradient_file_read_initial_values(r->recorded, i, r->values[i], &e);
            check_finite(r, &parameters[i], r->values[i]);
        }
    }
    replaying_note(r, &e);
    ranks_agree(&r->ranks, &r->failure);
}

/* Micro-batches of one size weigh exactly 1, and their mean is the plain one. */
static double nominal_samples(replaying *r)
{
    const double *samples = gradient_file_samples(r->recorded);
    int64_t total = gradient_file_micro_batches(r->recorded);
    for (int64_t k = 1; k < total; k++) {
        r->weighted = r->weighted || samples[k] != samples[0];
    }
    return samples[0];
}

static void create_handle(replaying *r)
{
    const recorded_parameter *parameters = gradient_file_parameters(r->recorded);
    plumb_options options;
    update_options_handle(&r->options->update, &options);
    options.nominal_samples = nominal_samples(r);
    options.log = log_line;
    if (options.groups == 0) {
        options.groups = (int)gradient_file_micro_batches(r->recorded);
    }
    failure_from_library(&r->failure, plumb_create(r->ranks.communicator, &options, &r->plumb),
                         NULL);
    for (int i = 0; i < r->parameter_count && r->failure.code == EXIT_OK; i++) {
        const recorded_parameter *p = &parameters[i];
        plumb_parameter_options o;
        update_options_parameter(&r->options->update, replaying_is_matrix(p), &o);
        plumb_status status =
            plumb_add_parameter(r->plumb, p->name, p->rows, p->cols, r->values[i], &o, &r->ids[i]);
        failure_from_library(&r->failure, status, r->plumb);
    }
    ranks_agree(&r->ranks, &r->failure);
}

static void create_out(replaying *r)
{
    const recorded_parameter *recorded = gradient_file_parameters(r->recorded);
    shared_error e = {0, ""};
    json_t *object = options_to_json(replay_option_table(), r->options);
    char *options = json_dumps(object, JSON_REAL_PRECISION(17));
    written_parameter *parameters = calloc((size_t)r->parameter_count, sizeof *parameters);
    if (options == NULL || parameters == NULL) {
        failure_set(&r->failure, EXIT_LIBRARY, "no memory for the file of values");
    }
    if (ranks_agree(&r->ranks, &r->failure) == EXIT_OK) {
        for (int i = 0; i < r->parameter_count; i++) {
            parameters[i] =
                (written_parameter){recorded[i].name, recorded[i].rows, recorded[i].cols, NULL};
        }
        values_file_create(&r->out, r->ranks.communicator, r->options->out,
                           gradient_file_steps(r->recorded), parameters, r->parameter_count,
                           command_version(), options, &e);
        replaying_note(r, &e);
    }
    free(parameters);
    free(options);
    json_decref(object);
}

/* Each part agrees on its failures before it returns. */
static void set_up(replaying *r)
{
    static void (*const parts[])(replaying *) = {open_recorded, allocate, read_initial_values,
                                                 create_handle, create_out};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (r->failure.code == EXIT_OK) {
            parts[i](r);
        }
    }
}

static void finish_out(replaying *r)
{
    shared_error e = {0, ""};
    if (r->stop_signal != 0) {
        failure_set(&r->failure, EXIT_INTERRUPTED + r->stop_signal,
                    "stopped by a signal: %s is not written", r->options->out);
    }
    if (r->failure.code != EXIT_OK) {
        values_file_abandon(&r->out);
        return;
    }
    values_file_finish(&r->out, &e);
    if (replaying_note(r, &e) == EXIT_OK && r->ranks.rank == 0) {
        replay_report_end(r);
    }
}

static void take_down(replaying *r)
{
    plumb_destroy(&r->plumb);
    gradient_file_close(&r->recorded);
    for (int i = 0; i < r->parameter_count && r->values != NULL; i++) {
        free(r->values[i]);
    }
    free(r->values);
    free(r->curvature);
    free(r->ids);
    json_decref(r->steps);
}

static int replay(const replay_options *options, failure *f)
{
    replaying r = {.options = options, .failure = *f};
    char *setup = options_text(replay_option_table(), "replay", options);
    if (ranks_start(&r.ranks, setup, &r.failure) == EXIT_OK) {
        char line[256];
        if (r.ranks.rank == 0 && update_options_warning(&options->update, line, sizeof line)) {
            log_line(NULL, PLUMB_LOG_WARNING, line);
        }
        stop_signal_watch();
        set_up(&r);
        if (r.failure.code == EXIT_OK) {
            replay_steps(&r);
            stop_signal_settle();
            finish_out(&r);
        }
        take_down(&r);
    }
    free(setup);
    return ranks_finish(&r.ranks, &r.failure);
}

int replay_command(int argc, char **argv)
{
    replay_options options;
    bool help = false;
    failure f = {0, ""};
    replay_options_parse(&options, argc - 2, argv + 2, &help, &f);
    if (help) {
        FILE *stream = command_help_stream();
        if (stream != NULL) {
            options_help(replay_option_table(), stream);
            fprintf(stream, "\n%s", failure_exit_codes);
        }
        return EXIT_OK;
    }
    if (f.code == EXIT_OK) {
        blas_prepare(1, argv);
    }
    return replay(&options, &f);
}
