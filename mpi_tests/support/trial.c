/*
 * The run that tests let fail (trial.h).
 */
#include "support/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

static const struct {
    const char *name;
    int64_t rows, cols;
    plumb_optimizer optimizer;
} shapes[TRIAL_PARAMETERS] = {{"matrix", 12, 10, PLUMB_OPTIMIZER_MUON},
                              {"vector", 1, 9001, PLUMB_OPTIMIZER_ADAMW},
                              {"row", 1, 7, PLUMB_OPTIMIZER_SGD}};

int64_t trial_elements(int i)
{
    return shapes[i].rows * shapes[i].cols;
}

const char *trial_name(int i)
{
    return shapes[i].name;
}

static void take_line(void *context, plumb_log_level level, const char *line)
{
    trial *t = context;
    (void)level;
    size_t used = strlen(t->log);
    snprintf(t->log + used, sizeof t->log - used, "%s\n", line);
}

void trial_options(trial *t, plumb_options *options)
{
    plumb_options_init(options, sizeof *options);
    options->bucket_elements = 4096;
    options->log = take_line;
    options->log_context = t;
}

void trial_parameter_options(int i, plumb_parameter_options *options)
{
    plumb_parameter_options_init(options, sizeof *options, shapes[i].optimizer);
}

plumb_status trial_create(trial *t, const plumb_options *options)
{
    plumb_options defaults;
    memset(t, 0, sizeof *t);
    MPI_Comm_rank(MPI_COMM_WORLD, &t->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &t->size);
    for (int i = 0; i < TRIAL_PARAMETERS; i++) {
        t->values[i] = malloc((size_t)trial_elements(i) * sizeof(float));
        for (int64_t e = 0; e < trial_elements(i); e++) {
            t->values[i][e] = test_value(1, (uint64_t)i, (uint64_t)e);
        }
    }
    trial_options(t, &defaults);
    return plumb_create(MPI_COMM_WORLD, options != NULL ? options : &defaults, &t->p);
}

plumb_status trial_register(trial *t, int i, const plumb_parameter_options *options)
{
    plumb_parameter_options defaults;
    int id = -1;
    trial_parameter_options(i, &defaults);
    t->curvature[i] = options != NULL && options->optimizer == PLUMB_OPTIMIZER_SOPHIA;
    return plumb_add_parameter(t->p, shapes[i].name, shapes[i].rows, shapes[i].cols, t->values[i],
                               options != NULL ? options : &defaults, &id);
}

plumb_status trial_open(trial *t, const plumb_options *options)
{
    plumb_status status = trial_create(t, options);
    for (int i = 0; i < TRIAL_PARAMETERS && status == PLUMB_OK; i++) {
        status = trial_register(t, i, NULL);
    }
    return status;
}

bool trial_close(trial *t)
{
    int64_t allocations = -1;
    int64_t bytes = -1;
    bool destroyed = plumb_destroy(&t->p) == PLUMB_OK && t->p == NULL;
    for (int i = 0; i < TRIAL_PARAMETERS; i++) {
        free(t->values[i]);
    }
    plumb_memory_in_use(&allocations, &bytes);
    if (allocations != 0 || bytes != 0) {
        fprintf(stderr, "%lld allocations of %lld bytes are left\n", (long long)allocations,
                (long long)bytes);
    }
    return destroyed && allocations == 0 && bytes == 0;
}

void trial_gradient(int step, int64_t k, int i, float *gradient)
{
    for (int64_t e = 0; e < trial_elements(i); e++) {
        gradient[e] = test_value((uint64_t)step * 1000 + (uint64_t)k, (uint64_t)i, (uint64_t)e);
    }
}

static plumb_status give_gradient(trial *t, int step, int64_t k, int i)
{
    float *gradient = NULL;
    plumb_status status = plumb_gradient_buffer(t->p, i, &gradient);
    if (status == PLUMB_OK) {
        trial_gradient(step, k, i, gradient);
        status = plumb_accumulate(t->p, i, k, gradient);
    }
    return status;
}

/* What is squared is the gradient of another step. */
static plumb_status give_curvature(trial *t, int step, int64_t k, int i)
{
    int due = 0;
    plumb_status status = plumb_curvature_due(t->p, &due);
    if (status != PLUMB_OK || !due || !t->curvature[i]) {
        return status;
    }
    float *estimate = malloc((size_t)trial_elements(i) * sizeof *estimate);
    trial_gradient(step + 500, k, i, estimate);
    status = plumb_accumulate_curvature(t->p, i, k, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, 3.0,
                                        estimate);
    free(estimate);
    return status;
}

plumb_status trial_give(trial *t, int step, int64_t total)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_share(t->p, total, &first, &count);
    for (int64_t j = 0; j < count; j++) {
        int64_t evens = (count + 1) / 2;
        int64_t k = first + (!t->scattered ? j : j < evens ? 2 * j : 2 * (j - evens) + 1);
        for (int i = 0; i < TRIAL_PARAMETERS && status == PLUMB_OK; i++) {
            status = give_gradient(t, step, k, i);
            if (status == PLUMB_OK) {
                status = give_curvature(t, step, k, i);
            }
        }
    }
    return status;
}

plumb_status trial_step(trial *t, int step)
{
    plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
    if (status == PLUMB_OK) {
        /* A rank that cannot give its gradients still ends the step: the others wait for it. */
        plumb_status given = trial_give(t, step, TRIAL_TOTAL);
        status = plumb_end_step(t->p, 0.03, NULL);
        status = given != PLUMB_OK ? given : status;
    }
    if (status != PLUMB_OK) {
        fprintf(stderr, "step %d: %s\n", step, plumb_error_message(t->p));
    }
    return status;
}

bool trial_refused(const plumb *p, plumb_status status, plumb_status expected, const char *part)
{
    char first[512] = "";
    const char *mine = plumb_error_message(p);
    strncpy(first, mine, sizeof first - 1);
    MPI_Bcast(first, (int)sizeof first, MPI_CHAR, 0, MPI_COMM_WORLD);
    bool good = status == expected && strcmp(first, mine) == 0 && strstr(mine, part) != NULL;
    if (!good) {
        fprintf(stderr, "%s: \"%s\"; rank 0: \"%s\"; expected %s: \"%s\"\n",
                plumb_status_name(status), mine, first, plumb_status_name(expected), part);
    }
    return test_agree(good);
}

bool trial_hash(const trial *t, char hash[33])
{
    char first[33] = "";
    memset(hash, 0, 33);
    bool good = plumb_parameters_hash(t->p, hash) == PLUMB_OK;
    memcpy(first, hash, sizeof first);
    MPI_Bcast(first, (int)sizeof first, MPI_CHAR, 0, MPI_COMM_WORLD);
    return test_agree(good && strcmp(first, hash) == 0);
}
