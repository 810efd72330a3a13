/*
 * Recording of a run's gradients; see train_record.h.
 */
#include "app/train_record.h"
#include "app/command.h"
#include "app/options_json.h"
#include "store/gradient_recorder.h"

#include <stdlib.h>

struct train_record {
    gradient_recorder *file;
    int64_t steps; /* complete in it */
    shared_error error;
};

static int note(training *t, const shared_error *e)
{
    if (e->kind != SHARED_OK) {
        failure_set(&t->failure, e->kind == SHARED_FILE ? EXIT_DATA : EXIT_LIBRARY, "%s",
                    e->message);
    }
    return t->failure.code;
}

static bool is_recorded(const training *t, int64_t step)
{
    return t->record != NULL && step % t->options->record_every == 0;
}

static void create_file(training *t, const written_parameter *parameters, const char *options)
{
    const train_options *o = t->options;
    int64_t steps = (o->steps - 1) / o->record_every + 1;
    train_record *r = t->record;
    gradient_recorder_create(&r->file, t->ranks.communicator, o->record, steps, o->micro_batches,
                             (double)o->micro_batch_size, parameters, t->workload->parameter_count,
                             command_version(), options, &r->error);
    note(t, &r->error);
}

void train_record_create(training *t)
{
    if (t->options->record == NULL) {
        return;
    }
    const workload *w = t->workload;
    written_parameter *parameters = calloc((size_t)w->parameter_count, sizeof *parameters);
    json_t *object = options_to_json(train_option_table(), t->options);
    char *options = json_dumps(object, JSON_REAL_PRECISION(17));
    t->record = calloc(1, sizeof *t->record);
    if (parameters == NULL || options == NULL || t->record == NULL) {
        failure_set(&t->failure, EXIT_LIBRARY, "no memory for the file of gradients");
    }
    if (ranks_agree(&t->ranks, &t->failure) == EXIT_OK) {
        for (int i = 0; i < w->parameter_count; i++) {
            const workload_parameter *p = &w->parameters[i];
            parameters[i] = (written_parameter){p->name, p->rows, p->cols, p->values};
        }
        create_file(t, parameters, options);
    }
    free(options);
    json_decref(object);
    free(parameters);
}

int train_record_gradient(training *t, int64_t step, int64_t micro_batch, int parameter)
{
    if (is_recorded(t, step)) {
        train_record *r = t->record;
        gradient_recorder_write(r->file, parameter, r->steps, micro_batch, t->gradients[parameter],
                                &r->error);
        note(t, &r->error);
    }
    return t->failure.code;
}

void train_record_step_done(training *t, int64_t step)
{
    if (is_recorded(t, step)) {
        t->record->steps++;
    }
}

void train_record_finish(training *t)
{
    train_record *r = t->record;
    if (r != NULL && r->file != NULL) {
        if (shared_error_agree(&r->error, t->ranks.communicator) == SHARED_OK && r->steps > 0) {
            gradient_recorder_finish(&r->file, r->steps, &r->error);
        }
        gradient_recorder_abandon(&r->file);
        note(t, &r->error);
    }
    free(r);
    t->record = NULL;
}
