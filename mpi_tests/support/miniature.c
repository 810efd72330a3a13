/*
 * The miniature training run (miniature.h).
 */
#include "support/miniature.h"

#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"
#include "support/test.h"

enum { PARAMETERS = 6 };

typedef struct shape {
    const char *name;
    int64_t rows, cols;
    bool matrix;
} shape;

static const shape shapes[PARAMETERS] = {
    {"embedding", 300, 33, false}, {"tall", 40, 24, true}, {"gain", 1, 37, false},
    {"wide", 12, 50, true},        {"bias", 1, 5, false},  {"square", 16, 16, true},
};

void miniature_init(miniature *m)
{
    memset(m, 0, sizeof *m);
    plumb_options_init(&m->options, sizeof m->options);
    m->options.replica_check = 1;
    m->optimizer = PLUMB_OPTIMIZER_MUON;
    m->polar = PLUMB_POLAR_NEWTON_SCHULZ;
    m->micro_batches = 8;
    m->steps = 4;
    m->order = MINIATURE_ASCENDING;
    m->interval = 2;
}

typedef struct model {
    float *values[PARAMETERS];
    float *gradient; /* own memory */
} model;

static int64_t elements(int i)
{
    return shapes[i].rows * shapes[i].cols;
}

static plumb_optimizer optimizer_of(const miniature *m, int i)
{
    bool embedding = i == 0;
    if (shapes[i].matrix || (embedding && m->optimizer == PLUMB_OPTIMIZER_SOPHIA)) {
        return m->optimizer;
    }
    return i == 4 ? PLUMB_OPTIMIZER_SGD : PLUMB_OPTIMIZER_ADAMW;
}

static void correct(const miniature *m, plumb_parameter_options *options)
{
    const optimizer_kind *kind = optimizer_find(options->optimizer);
    bool has_floor =
        options->optimizer != PLUMB_OPTIMIZER_SOPHIA && options->optimizer != PLUMB_OPTIMIZER_MUON;
    if (m->correction != PLUMB_CORRECTION_NONE && (kind->corrections >> m->correction & 1U) != 0) {
        options->correction = m->correction;
        options->noise_floor = has_floor ? m->noise_floor : 0.0;
        options->folds = m->folds;
    }
}

static plumb_status add_parameters(plumb *p, const miniature *m, model *w)
{
    for (int i = 0; i < PARAMETERS; i++) {
        plumb_parameter_options options;
        plumb_parameter_options_init(&options, sizeof options, optimizer_of(m, i));
        options.polar = m->polar;
        options.root_interval = m->interval;
        options.curvature_interval = m->interval;
        if (shapes[i].matrix) {
            options.pipeline = m->pipeline;
        }
        correct(m, &options);
        if (options.optimizer == PLUMB_OPTIMIZER_MUON) {
            options.weights = m->weights;
        }
        w->values[i] = malloc((size_t)elements(i) * sizeof(float));
        for (int64_t e = 0; e < elements(i); e++) {
            w->values[i][e] = test_value(1, (uint64_t)i, (uint64_t)e);
        }
        int id;
        plumb_status status = plumb_add_parameter(p, shapes[i].name, shapes[i].rows, shapes[i].cols,
                                                  w->values[i], &options, &id);
        if (status != PLUMB_OK) {
            return status;
        }
    }
    return PLUMB_OK;
}

static void make_gradient(const model *w, int step, int64_t k, int i, float *gradient)
{
    for (int64_t e = 0; e < elements(i); e++) {
        float noise = test_value((uint64_t)step * 1000 + (uint64_t)k, (uint64_t)i, (uint64_t)e);
        float other = w->values[(i + 1) % PARAMETERS][e % elements((i + 1) % PARAMETERS)];
        gradient[e] = 0.3f * w->values[i][e] + 0.1f * other + noise;
    }
}

/* Positive, but for a few elements, and unlike the gradient. */
static plumb_status give_curvature(plumb *p, const model *w, int step, int64_t k, int i)
{
    for (int64_t e = 0; e < elements(i); e++) {
        float noise =
            test_value((uint64_t)step * 1000 + (uint64_t)k, (uint64_t)i + 50, (uint64_t)e);
        w->gradient[e] = 0.9f + noise + 0.1f * w->values[i][e];
    }
    return plumb_accumulate_curvature(p, i, k, PLUMB_CURVATURE_DIAGONAL, 0.0, w->gradient);
}

static plumb_status give(plumb *p, const miniature *m, const model *w, int step, int64_t k, int i)
{
    float *gradient = w->gradient;
    plumb_status status = PLUMB_OK;
    if (!m->own_memory) {
        status = plumb_gradient_buffer(p, i, &gradient);
    }
    if (status == PLUMB_OK) {
        make_gradient(w, step, k, i, gradient);
        status = plumb_accumulate(p, i, k, gradient);
    }
    int due = 0;
    if (status == PLUMB_OK) {
        status = plumb_curvature_due(p, &due);
    }
    if (status == PLUMB_OK && due && optimizer_of(m, i) == PLUMB_OPTIMIZER_SOPHIA) {
        status = give_curvature(p, w, step, k, i);
    }
    if (status == PLUMB_OK && m->progress) {
        status = plumb_progress(p);
    }
    return status;
}

/* The n-th of `count` in the run's order, and the parameter that goes with it. */
static void pick(const miniature *m, int64_t n, int64_t count, int64_t *k, int *i)
{
    switch (m->order) {
    case MINIATURE_ASCENDING:
        *k = n / PARAMETERS;
        *i = PARAMETERS - 1 - (int)(n % PARAMETERS);
        break;
    case MINIATURE_SCRAMBLED:
        *i = (int)((n + n / PARAMETERS) % PARAMETERS);
        *k = (n / PARAMETERS + *i) % count;
        break;
    case MINIATURE_BY_PARAMETER:
        *k = count - 1 - n % count;
        *i = (int)(n / count);
        break;
    }
}

static plumb_status one_step(plumb *p, const miniature *m, const model *w, int step,
                             plumb_report *report)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_share(p, m->micro_batches, &first, &count);
    if (status == PLUMB_OK) {
        status = plumb_begin_step(p, m->micro_batches);
    }
    for (int64_t n = 0; status == PLUMB_OK && n < count; n++) {
        int64_t k = first + n;
        double samples = m->options.nominal_samples;
        samples *= m->unequal_samples ? 1.0 + (double)(k % 3) : 1.0;
        status = plumb_describe_micro_batch(p, k, samples, samples * 0.5, NULL, 0);
    }
    for (int64_t n = 0; status == PLUMB_OK && n < count * PARAMETERS; n++) {
        int64_t k = 0;
        int i = 0;
        pick(m, n, count, &k, &i);
        status = give(p, m, w, step, first + k, i);
    }
    return status == PLUMB_OK ? plumb_end_step(p, 0.05, report) : status;
}

void miniature_run(MPI_Comm communicator, const miniature *m, miniature_result *result)
{
    memset(result, 0, sizeof *result);
    result->report.size = sizeof result->report;
    plumb *p = NULL;
    model w = {.gradient = malloc((size_t)elements(0) * sizeof(float))};
    plumb_status status = plumb_create(communicator, &m->options, &p);
    if (status == PLUMB_OK) {
        status = add_parameters(p, m, &w);
    }
    for (int step = 0; status == PLUMB_OK && step < m->steps; step++) {
        status = one_step(p, m, &w, step, &result->report);
    }
    if (status == PLUMB_OK) {
        status = plumb_parameters_hash(p, result->hash);
    }
    result->status = status;
    strncpy(result->message, plumb_error_message(p), sizeof result->message - 1);
    plumb_destroy(&p);
    for (int i = 0; i < PARAMETERS; i++) {
        free(w.values[i]);
    }
    free(w.gradient);
}

void miniature_run_on(int ranks, const miniature *m, miniature_result *result)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm part;
    MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &part);
    if (part != MPI_COMM_NULL) {
        miniature_run(part, m, result);
        MPI_Comm_free(&part);
    }
    MPI_Bcast(result, (int)sizeof *result, MPI_BYTE, 0, MPI_COMM_WORLD);
}
