/*
 * The run in which curvature travels (curvature_run.h).
 */
#include "support/curvature_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

const curvature_shape curvature_shapes[CURVATURE_PARAMETERS] = {
    {"wide", 1, CURVATURE_LARGEST, PLUMB_OPTIMIZER_SOPHIA, PLUMB_CURVATURE_DIAGONAL,
     PLUMB_CORRECTION_NONE},
    {"matrix", 6, 5, PLUMB_OPTIMIZER_MUON, PLUMB_CURVATURE_DIAGONAL, PLUMB_CORRECTION_NONE},
    {"bias", 1, 7, PLUMB_OPTIMIZER_SOPHIA, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT,
     PLUMB_CORRECTION_NONE},
    {"vector", 1, 40, PLUMB_OPTIMIZER_ADAMW, PLUMB_CURVATURE_DIAGONAL, PLUMB_CORRECTION_NONE},
    {"row", 3, 5, PLUMB_OPTIMIZER_SOPHIA, PLUMB_CURVATURE_HUTCHINSON, PLUMB_CORRECTION_NONE},
    {"long", 1, 8200, PLUMB_OPTIMIZER_SOPHIA, PLUMB_CURVATURE_DIAGONAL, PLUMB_CORRECTION_LOO},
    {"few", 1, 9, PLUMB_OPTIMIZER_SOPHIA, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT,
     PLUMB_CORRECTION_MOMENT},
    {"after", 1, 11, PLUMB_OPTIMIZER_SOPHIA, PLUMB_CURVATURE_DIAGONAL, PLUMB_CORRECTION_NONE},
    {"last", 1, 3, PLUMB_OPTIMIZER_SGD, PLUMB_CURVATURE_DIAGONAL, PLUMB_CORRECTION_NONE},
};

int curvature_run_elements(int i)
{
    return curvature_shapes[i].rows * curvature_shapes[i].cols;
}

bool curvature_run_uses(int i)
{
    return curvature_shapes[i].optimizer == PLUMB_OPTIMIZER_SOPHIA;
}

/* ---- What is given: small integers ---- */

static double draws_of(int64_t k)
{
    return (double)(1 + k % 3);
}

double curvature_run_samples(const curvature_run *r, int step, int64_t k)
{
    return r->unequal && step < 2 ? (double)(1 + (k + step) % 3) : 1.0;
}

float curvature_run_gradient(int step, int64_t k, int i, int e)
{
    uint64_t key = (uint64_t)step * 100 + (uint64_t)k;
    return test_integer(key, (uint64_t)i, (uint64_t)e, 3);
}

/* What is handed over for an estimate. */
static float estimate_of(int step, int64_t k, int i, int e)
{
    uint64_t key = (uint64_t)step * 100 + (uint64_t)k + 5000;
    int limit = curvature_shapes[i].kind == PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT ? 1 : 4;
    float value = test_integer(key, (uint64_t)i, (uint64_t)e, limit);
    return curvature_shapes[i].kind == PLUMB_CURVATURE_HUTCHINSON ? value
                                                                  : value + (float)limit + 1.0f;
}

float curvature_run_curvature(int step, int64_t k, int i, int e)
{
    float estimate = estimate_of(step, k, i, e);
    return curvature_shapes[i].kind == PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT
               ? (float)draws_of(k) * estimate * estimate
               : estimate;
}

/* ---- The run ---- */

static void options_of(const curvature_run *r, int i, plumb_parameter_options *o)
{
    plumb_parameter_options_init(o, sizeof *o, curvature_shapes[i].optimizer);
    if (curvature_run_uses(i)) {
        o->beta1 = o->beta2 = o->weight_decay = 0.0;
        o->rho = 1.0;
        o->clip = 1e30;
        o->curvature_interval = CURVATURE_INTERVAL;
        o->correction = r->corrected ? curvature_shapes[i].correction : PLUMB_CORRECTION_NONE;
        o->folds = o->correction == PLUMB_CORRECTION_LOO ? 2 : 0;
    }
}

plumb_status curvature_run_open(const curvature_run *r, MPI_Comm communicator, float *values,
                                plumb **p)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.groups = r->groups;
    options.owners = r->owners;
    options.exchange = r->exchange;
    options.bucket_elements = 4096;
    plumb_status status = plumb_create(communicator, &options, p);
    for (int i = 0; i < CURVATURE_PARAMETERS && status == PLUMB_OK; i++) {
        plumb_parameter_options one;
        int id;
        options_of(r, i, &one);
        for (int e = 0; e < curvature_run_elements(i); e++) {
            values[e] = test_value(1, (uint64_t)i, (uint64_t)e);
        }
        status = plumb_add_parameter(*p, curvature_shapes[i].name, curvature_shapes[i].rows,
                                     curvature_shapes[i].cols, values, &one, &id);
        values += curvature_run_elements(i);
    }
    return status;
}

plumb_status curvature_run_give_curvature(plumb *p, int step, int64_t k, int i)
{
    float estimate[CURVATURE_LARGEST];
    int due = 0;
    plumb_status status = plumb_curvature_due(p, &due);
    if (status != PLUMB_OK || !due || !curvature_run_uses(i)) {
        return status;
    }
    for (int e = 0; e < curvature_run_elements(i); e++) {
        estimate[e] = estimate_of(step, k, i, e);
    }
    return plumb_accumulate_curvature(p, i, k, curvature_shapes[i].kind, draws_of(k), estimate);
}

plumb_status curvature_run_give_gradient(plumb *p, int step, int64_t k, int i)
{
    float gradient[CURVATURE_LARGEST];
    for (int e = 0; e < curvature_run_elements(i); e++) {
        gradient[e] = curvature_run_gradient(step, k, i, e);
    }
    return plumb_accumulate(p, i, k, gradient);
}

/* Curvature comes before or after the gradient, parameters up or down. */
static plumb_status give_micro_batch(const curvature_run *r, plumb *p, int step, int64_t k)
{
    double samples = curvature_run_samples(r, step, k);
    plumb_status status =
        samples == 1.0 ? PLUMB_OK : plumb_describe_micro_batch(p, k, samples, 0.0, NULL, 0);
    for (int j = 0; j < CURVATURE_PARAMETERS && status == PLUMB_OK; j++) {
        int i = k % 2 == 0 ? j : CURVATURE_PARAMETERS - 1 - j;
        bool before = (step + k) % 2 == 0;
        status = before ? curvature_run_give_curvature(p, step, k, i)
                        : curvature_run_give_gradient(p, step, k, i);
        if (status == PLUMB_OK) {
            status = before ? curvature_run_give_gradient(p, step, k, i)
                            : curvature_run_give_curvature(p, step, k, i);
        }
        if (status == PLUMB_OK) {
            status = plumb_progress(p);
        }
    }
    return status;
}

plumb_status curvature_run_give(const curvature_run *r, plumb *p, int step)
{
    int64_t first = 0, count = 0;
    plumb_status status = plumb_share(p, r->total, &first, &count);
    for (int64_t j = 0; j < count && status == PLUMB_OK; j++) {
        int64_t k = step == 2 ? first + count - 1 - j : first + j;
        status = give_micro_batch(r, p, step, k);
    }
    return status;
}

plumb_status curvature_run_step(const curvature_run *r, plumb *p, int step)
{
    plumb_report report = {.size = sizeof report};
    plumb_status status = plumb_begin_step(p, r->total);
    if (status == PLUMB_OK) {
        plumb_status given = curvature_run_give(r, p, step);
        status = plumb_end_step(p, 1.0, &report);
        status = given != PLUMB_OK ? given : status;
    }
    if (status != PLUMB_OK) {
        fprintf(stderr, "K %lld G %d step %d: %s\n", (long long)r->total, r->groups, step,
                plumb_error_message(p));
    }
    return status;
}

plumb_status curvature_run_go(const curvature_run *r, MPI_Comm communicator, float *values)
{
    plumb *p = NULL;
    float *now = malloc(CURVATURE_ELEMENTS * sizeof *now);
    plumb_status status = curvature_run_open(r, communicator, now, &p);
    memcpy(values, now, CURVATURE_ELEMENTS * sizeof *now);
    for (int step = 0; step < CURVATURE_STEPS && status == PLUMB_OK; step++) {
        status = curvature_run_step(r, p, step);
        memcpy(values + (size_t)(step + 1) * CURVATURE_ELEMENTS, now,
               CURVATURE_ELEMENTS * sizeof *now);
    }
    plumb_destroy(&p);
    free(now);
    return status;
}
