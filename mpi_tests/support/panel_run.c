/*
 * The runs with row panels (panel_run.h).
 */
#include "support/panel_run.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    int64_t rows, cols;
    plumb_optimizer optimizer;
} shapes[PANEL_PARAMETERS] = {
    {"tall", 8192, 192, PLUMB_OPTIMIZER_MUON},  /* three panels */
    {"odd", 8200, 129, PLUMB_OPTIMIZER_MUON},   /* 8192 rows, and 8 */
    {"broad", 2120, 500, PLUMB_OPTIMIZER_MUON}, /* two, of 2048 rows and 72 */
    {"small", 40, 24, PLUMB_OPTIMIZER_MUON},    /* one */
    {"wide", 24, 400, PLUMB_OPTIMIZER_MUON},    /* one */
    {"vector", 1, 9001, PLUMB_OPTIMIZER_ADAMW}};

int64_t panel_run_rows(int i)
{
    return shapes[i].rows;
}

int64_t panel_run_cols(int i)
{
    return shapes[i].cols;
}

int64_t panel_run_elements(int i)
{
    return shapes[i].rows * shapes[i].cols;
}

const char *panel_run_name(int i)
{
    return shapes[i].name;
}

void panel_run_init(panel_run *r)
{
    *r = (panel_run){.end = PANEL_PARAMETERS, .scale = 1.0f, .head_scale = 1.0f};
    plumb_options_init(&r->options, sizeof r->options);
    plumb_parameter_options_init(&r->muon, sizeof r->muon, PLUMB_OPTIMIZER_MUON);
    r->options.groups = 2;
    r->muon.polar = PLUMB_POLAR_FAST;
}

/* Numerical Recipes' 32-bit congruential generator: many elements have to come quickly. */
static float next_integer(uint32_t *state, int limit)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)((int)((*state >> 8) % (uint32_t)(2 * limit + 1)) - limit);
}

void panel_run_gradient(int step, int64_t k, int i, float *gradient)
{
    uint32_t state = (uint32_t)(step * 7919 + (int)k * 104729 + i * 1299709 + 1);
    for (int64_t e = 0; e < panel_run_elements(i); e++) {
        gradient[e] = next_integer(&state, 1000);
    }
}

static plumb_status add_parameter(panel_run *r, int i)
{
    int id = -1;
    uint32_t state = (uint32_t)i + 99u;
    plumb_parameter_options options = r->muon;
    if (shapes[i].optimizer != PLUMB_OPTIMIZER_MUON) {
        plumb_parameter_options_init(&options, sizeof options, shapes[i].optimizer);
    }
    options.cost_seconds = r->cost_seconds[i];
    for (int64_t e = 0; e < panel_run_elements(i); e++) {
        r->values[i][e] = next_integer(&state, 1000) / 1024.0f;
    }
    return plumb_add_parameter(r->p, shapes[i].name, shapes[i].rows, shapes[i].cols, r->values[i],
                               &options, &id);
}

plumb_status panel_run_open(panel_run *r, MPI_Comm communicator)
{
    plumb_status status = plumb_create(communicator, &r->options, &r->p);
    int64_t most = 0;
    for (int i = r->first; i < r->end; i++) {
        most = panel_run_elements(i) > most ? panel_run_elements(i) : most;
        r->values[i] = malloc((size_t)panel_run_elements(i) * sizeof(float));
        if (status == PLUMB_OK) {
            status = add_parameter(r, i);
        }
    }
    r->gradient = malloc((size_t)most * sizeof(float));
    return status;
}

void panel_run_scaled_gradient(const panel_run *r, int step, int64_t k, int i, float *gradient)
{
    panel_run_gradient(step, k, i, gradient);
    for (int64_t e = 0; e < panel_run_elements(i); e++) {
        gradient[e] *= 2 * e < panel_run_elements(i) ? r->scale * r->head_scale : r->scale;
    }
}

plumb_status panel_run_give(panel_run *r, int step)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_begin_step(r->p, PANEL_TOTAL);
    if (status == PLUMB_OK) {
        status = plumb_share(r->p, PANEL_TOTAL, &first, &count);
    }
    for (int64_t k = first; k < first + count; k++) {
        for (int i = r->first; i < r->end && status == PLUMB_OK; i++) {
            panel_run_scaled_gradient(r, step, k, i, r->gradient);
            status = plumb_accumulate(r->p, i - r->first, k, r->gradient);
        }
    }
    return status;
}

plumb_status panel_run_step(panel_run *r, int step, plumb_report *report)
{
    plumb_status status = panel_run_give(r, step);
    plumb_status ended = plumb_end_step(r->p, 0.02, report);
    status = status != PLUMB_OK ? status : ended;
    if (status != PLUMB_OK) {
        fprintf(stderr, "step %d: %s\n", step, plumb_error_message(r->p));
    }
    return status;
}

void panel_run_close(panel_run *r)
{
    plumb_destroy(&r->p);
    for (int i = 0; i < PANEL_PARAMETERS; i++) {
        free(r->values[i]);
        r->values[i] = NULL;
    }
    free(r->gradient);
    r->gradient = NULL;
}
