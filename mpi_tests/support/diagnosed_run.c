/*
 * Runs that diagnose (see diagnosed_run.h).
 */
#include "support/diagnosed_run.h"

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

const diagnosed_shape diagnosed_shapes[DIAGNOSED_PARAMETERS] = {
    {"matrix", 12, 10, PLUMB_OPTIMIZER_MUON},
    {"vector", 1, DIAGNOSED_MOST, PLUMB_OPTIMIZER_ADAMW},
    {"wide", 24, 40, PLUMB_OPTIMIZER_MUON},
    {"row", 1, 7, PLUMB_OPTIMIZER_SGD},
    {"narrow", 50, 3, PLUMB_OPTIMIZER_ADAMW}};

int64_t diagnosed_elements(int i)
{
    return diagnosed_shapes[i].rows * diagnosed_shapes[i].cols;
}

double diagnosed_samples(const diagnosed_setup *s, int64_t k)
{
    return s->unequal ? 1.0 + (double)(k % 3) : s->options.nominal_samples;
}

/* What a handle says of the machine's BLAS is not about diagnostics. */
static void take_line(void *context, plumb_log_level level, const char *line)
{
    (void)level;
    diagnosed_setup *s = context;
    if (strncmp(line, "BLAS ", 5) == 0) {
        return;
    }
    snprintf(s->log, sizeof s->log, "%s", line);
    s->lines++;
}

diagnosed_setup diagnosed_setup_of(plumb_diagnostics kind)
{
    diagnosed_setup s = {.total = DIAGNOSED_TOTAL, .steps = DIAGNOSED_STEPS};
    plumb_options_init(&s.options, sizeof s.options);
    s.options.diagnostics = kind;
    s.options.diagnostics_every = 2;
    s.options.bucket_elements = 4096;
    return s;
}

void diagnosed_gradient(const diagnosed_setup *s, int step, int64_t k, int i, float *gradient)
{
    float scale = s->noise == DIAGNOSED_NOISY ? 0.35f : 0.0f;
    for (int64_t e = 0; e < diagnosed_elements(i); e++) {
        uint64_t key = (uint64_t)step * 1000 + (uint64_t)k;
        float noise = test_value(key, (uint64_t)i, (uint64_t)e);
        float signal = test_value(77, (uint64_t)i, (uint64_t)e);
        gradient[e] = s->noise == DIAGNOSED_ZERO ? 0.0f : signal + scale * noise;
    }
}

static void add_parameters(plumb *p, const diagnosed_setup *s, float *const *values)
{
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i++) {
        plumb_parameter_options o;
        plumb_parameter_options_init(&o, sizeof o, diagnosed_shapes[i].optimizer);
        o.pipeline = i == 0 ? s->pipeline : o.pipeline;
        int id;
        for (int64_t e = 0; e < diagnosed_elements(i); e++) {
            values[i][e] = test_value(1, (uint64_t)i, (uint64_t)e);
        }
        plumb_add_parameter(p, diagnosed_shapes[i].name, diagnosed_shapes[i].rows,
                            diagnosed_shapes[i].cols, values[i], &o, &id);
    }
}

/* Some gradients in the library's memory, some in the caller's. */
static plumb_status give(plumb *p, const diagnosed_setup *s, int step, int64_t k, bool broken,
                         float *own)
{
    plumb_status status = plumb_describe_micro_batch(p, k, diagnosed_samples(s, k),
                                                     0.5 * diagnosed_samples(s, k), NULL, 0);
    for (int i = DIAGNOSED_PARAMETERS - 1; i >= 0 && status == PLUMB_OK; i--) {
        float *gradient = own;
        if ((i + k) % 2 == 0) {
            status = plumb_gradient_buffer(p, i, &gradient);
        }
        if (status == PLUMB_OK) {
            diagnosed_gradient(s, step, k, i, gradient);
            if (broken && i == 2 && k == s->total - 1) {
                gradient[5] = NAN;
            }
            status = plumb_accumulate(p, i, k, gradient);
        }
    }
    return status;
}

static plumb_status one_step(plumb *p, const diagnosed_setup *s, int step, bool broken, float *own)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_share(p, s->total, &first, &count);
    if (status == PLUMB_OK) {
        status = plumb_begin_step(p, s->total);
    }
    for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
        status = give(p, s, step, k, broken, own);
    }
    return status == PLUMB_OK ? plumb_end_step(p, 0.02, NULL) : status;
}

static bool read_diagnoses(const plumb *p, diagnosed_outcome *o)
{
    bool good = true;
    for (int i = 0; i <= DIAGNOSED_PARAMETERS; i++) {
        o->found[i].size = sizeof o->found[i];
        good =
            good && plumb_diagnose(p, i < DIAGNOSED_PARAMETERS ? i : -1, &o->found[i]) == PLUMB_OK;
    }
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i++) {
        good = good && plumb_diagnose_spectrum(p, i, 24, o->spectra[i][0], o->spectra[i][1],
                                               o->spectra[i][2], &o->directions[i]) == PLUMB_OK;
    }
    return good;
}

/* A step that fails leaves the diagnosis that was there. */
static bool fails_without_trace(plumb *p, const diagnosed_setup *s, float *own)
{
    diagnosed_outcome before = {0};
    diagnosed_outcome after = {0};
    bool good = read_diagnoses(p, &before);
    good = good && one_step(p, s, s->broken, true, own) == PLUMB_ERROR_NONFINITE;
    good = good && read_diagnoses(p, &after);
    return good && memcmp(&before, &after, sizeof before) == 0;
}

/* Collective over `communicator`. */
static bool run(MPI_Comm communicator, diagnosed_setup *s, diagnosed_outcome *o)
{
    plumb *p = NULL;
    float *values[DIAGNOSED_PARAMETERS];
    float *own = malloc(DIAGNOSED_MOST * sizeof *own);
    memset(o, 0, sizeof *o);
    s->options.log = take_line;
    s->options.log_context = s;
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i++) {
        values[i] = malloc((size_t)diagnosed_elements(i) * sizeof *values[i]);
    }
    bool good = plumb_create(communicator, &s->options, &p) == PLUMB_OK;
    if (good) {
        add_parameters(p, s, values);
    }
    for (int step = 1; good && step <= s->steps; step++) {
        good = step != s->broken || fails_without_trace(p, s, own);
        good = good && one_step(p, s, step, false, own) == PLUMB_OK;
    }
    if (!good) {
        fprintf(stderr, "%s\n", plumb_error_message(p));
    }
    good = good && plumb_parameters_hash(p, o->hash) == PLUMB_OK;
    if (good && s->options.diagnostics != PLUMB_DIAGNOSTICS_OFF) {
        good = read_diagnoses(p, o);
    }
    plumb_destroy(&p);
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i++) {
        free(values[i]);
    }
    free(own);
    int64_t allocations = -1;
    plumb_memory_in_use(&allocations, NULL);
    return good && allocations == 0;
}

void diagnosed_run_on_all(diagnosed_setup *s, diagnosed_outcome *o)
{
    bool good = run(MPI_COMM_WORLD, s, o);
    test_all(good);
}

void diagnosed_run_alone(diagnosed_setup s, diagnosed_outcome *o)
{
    s.options.owners = PLUMB_OWNERS_SHARDED;
    bool good = run(MPI_COMM_SELF, &s, o);
    test_all(good);
}
