/*
 * Loading and saving a model's parameters; see train_parameters.h.
 */
#include "app/train_parameters.h"
#include "store/parameter_folder.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* What the store wants to know of the workload's parameters, allocated; NULL without memory. */
static saved_parameter *list(training *t)
{
    const workload *w = t->workload;
    saved_parameter *parameters = calloc((size_t)w->parameter_count, sizeof *parameters);
    for (int i = 0; i < w->parameter_count && parameters != NULL; i++) {
        const workload_parameter *p = &w->parameters[i];
        parameters[i] = (saved_parameter){p->name, p->rows, p->cols, p->values};
    }
    if (parameters == NULL) {
        failure_set(&t->failure, EXIT_LIBRARY, "no memory for the list of parameters");
    }
    return parameters;
}

static void check_finite(training *t, const workload_parameter *p)
{
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        if (!isfinite(p->values[i])) {
            failure_set(&t->failure, EXIT_NONFINITE,
                        "--initial-parameters: %s/parameters/%s.npy holds NaN or Inf, first in row "
                        "%" PRId64 ", column %" PRId64,
                        t->options->initial_parameters, p->name, i / p->cols, i % p->cols);
            return;
        }
    }
}

static void load(training *t)
{
    char message[768];
    saved_parameter *parameters = list(t);
    if (parameters == NULL) {
        return;
    }
    if (parameter_folder_read(t->options->initial_parameters, parameters,
                              t->workload->parameter_count, message, sizeof message) != 0) {
        failure_set(&t->failure, EXIT_DATA, "--initial-parameters: %s", message);
    }
    for (int i = 0; i < t->workload->parameter_count && t->failure.code == EXIT_OK; i++) {
        check_finite(t, &t->workload->parameters[i]);
    }
    free(parameters);
}

void train_parameters_load(training *t)
{
    if (t->options->initial_parameters == NULL) {
        return;
    }
    if (t->ranks.rank == 0) {
        load(t);
    }
    if (ranks_agree(&t->ranks, &t->failure) != EXIT_OK) {
        return;
    }
    const int64_t most = 1 << 28; /* values of one message, 1 GiB */
    for (int i = 0; i < t->workload->parameter_count; i++) {
        const workload_parameter *p = &t->workload->parameters[i];
        int64_t count = p->rows * p->cols;
        for (int64_t at = 0; at < count; at += most) {
            int64_t part = count - at < most ? count - at : most;
            ranks_broadcast(&t->ranks, p->values + at, (size_t)part * sizeof *p->values);
        }
    }
}

int train_parameters_save(training *t)
{
    char message[768];
    if (t->options->save_parameters == 0) {
        return EXIT_OK;
    }
    saved_parameter *parameters = list(t);
    if (parameters != NULL &&
        parameter_folder_write(t->directory.path, parameters, t->workload->parameter_count, message,
                               sizeof message) != 0) {
        failure_set(&t->failure, EXIT_DATA, "%s", message);
    }
    free(parameters);
    return t->failure.code;
}
