/*
 * From the command line to the library's options and to config.json; see train_config.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/train_config.h"
#include "app/command.h"
#include "app/evaluate.h"
#include "app/options_json.h"

#include <math.h>
#include <time.h>

void train_config_handle(const train_options *o, plumb_options *options)
{
    update_options_handle(&o->update, options);
    options->nominal_samples = (double)o->micro_batch_size;
    options->replica_check = (int)o->replica_check;
    options->average_weights = o->average;
    options->average_beta = o->average_beta;
    options->average_from = o->average_from;
    options->diagnostics = (plumb_diagnostics)o->diagnostics;
    options->diagnostics_every = (int)o->diagnostics_every;
    if (o->adaptive_text != NULL) {
        options->groups = (int)train_options_groups(o); /* whatever K becomes */
    }
}

/* Muon, Shampoo and SOAP are for hidden matrices; gains and biases are not decayed. */
void train_config_parameter(const train_options *o, const workload_parameter *parameter,
                            plumb_parameter_options *options)
{
    update_options_parameter(&o->update, parameter->role == WORKLOAD_MATRIX, options);
    if (parameter->role == WORKLOAD_VECTOR) {
        options->weight_decay = 0.0;
    }
}

static json_t *parameters_to_json(const training *t)
{
    static const char *const roles[] = {"matrix", "embedding", "head", "vector"};
    json_t *array = json_array();
    for (int i = 0; i < t->workload->parameter_count; i++) {
        const workload_parameter *p = &t->workload->parameters[i];
        plumb_parameter_options o;
        train_config_parameter(t->options, p, &o);
        json_array_append_new(
            array, json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:f}", "name", p->name, "rows",
                             (json_int_t)p->rows, "cols", (json_int_t)p->cols, "role",
                             roles[p->role], "optimizer", update_optimizer_name(o.optimizer),
                             "correction", update_correction_name(o.correction), "learning_rate",
                             t->options->update.learning_rate * o.learning_rate_factor));
    }
    return array;
}

static json_t *machine_to_json(const training *t)
{
    const rank_facts *first = &t->machine.ranks[0];
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(mpi, &length);
    for (char *c = mpi; *c != '\0'; c++) {
        *c = *c == '\n' || *c == ',' ? '\0' : *c;
        if (*c == '\0') {
            break;
        }
    }
    return json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "ranks", t->ranks.count,
                     "nodes", t->machine.nodes, "cpu", first->cpu, "vector_unit",
                     first->environment.vector_unit, "blas", first->environment.blas_library,
                     "blas_kernel", first->environment.blas_kernel, "blas_threads",
                     first->environment.blas_threads, "blas_started_again_with",
                     first->restarted_with, "mpi", mpi);
}

int train_config_write(const training *t, char *message, size_t message_size)
{
    char started[32] = "";
    time_t now = time(NULL);
    struct tm calendar;
    if (gmtime_r(&now, &calendar) != NULL) {
        strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &calendar);
    }
    json_t *object = json_object();
    json_object_set_new(object, "program", json_string("plumb train"));
    json_object_set_new(object, "version", json_string(command_version()));
    json_object_set_new(object, "started", json_string(started));
    json_object_set_new(object, "options", options_to_json(train_option_table(), t->options));
    json_object_set_new(object, "groups", json_integer(train_options_groups(t->options)));
    json_object_set_new(object, "units_per_step",
                        json_integer(llround(training_units_per_step(t))));
    json_object_set_new(object, "unit", json_string(t->workload->unit_name));
    json_object_set_new(object, "held_out_units", json_integer(evaluate_unit_count(t)));
    json_object_set_new(object, "flops_per_token", json_real(t->workload->flops_per_token));
    json_object_set_new(object, "machine", machine_to_json(t));
    json_object_set_new(object, "parameters", parameters_to_json(t));
    int result = run_directory_write(&t->directory, "config.json", object, message, message_size);
    json_decref(object);
    return result;
}
