/*
 * Training steps for benches; see bench_side.h.
 */
#include "app/bench_side.h"
#include "workload/random_text.h"

#include <stdlib.h>
#include <string.h>

/* A micro-batch on its way. */
typedef struct bench_delivery {
    bench_side *side;
    bool is_curvature; /* else the gradient */
    int64_t micro_batch;
    double library_seconds; /* in calls of the library */
    failure *failure;
} bench_delivery;

static int64_t size_of(const workload_parameter *p)
{
    return p->rows * p->cols;
}

static int destination(void *context, int parameter, float **gradient)
{
    bench_delivery *d = context;
    bench_side *s = d->side;
    if (d->is_curvature) {
        *gradient = s->curvature[parameter];
        return 0;
    }
    double start = MPI_Wtime();
    plumb_status status = plumb_gradient_buffer(s->plumb, s->ids[parameter], gradient);
    s->gradients[parameter] = *gradient;
    d->library_seconds += MPI_Wtime() - start;
    return failure_from_library(d->failure, status, s->plumb);
}

static int complete(void *context, int parameter)
{
    bench_delivery *d = context;
    bench_side *s = d->side;
    if (d->is_curvature) {
        return 0;
    }
    double start = MPI_Wtime();
    plumb_status status =
        plumb_accumulate(s->plumb, s->ids[parameter], d->micro_batch, s->gradients[parameter]);
    d->library_seconds += MPI_Wtime() - start;
    return failure_from_library(d->failure, status, s->plumb);
}

static void breathe(void *context)
{
    bench_delivery *d = context;
    double start = MPI_Wtime();
    failure_from_library(d->failure, plumb_progress(d->side->plumb), d->side->plumb);
    d->library_seconds += MPI_Wtime() - start;
}

/* One pass over the micro-batch, whose seconds without the library's are added to the step's. */
static int64_t run_pass(bench_delivery *d, int64_t step)
{
    workload *w = d->side->workload;
    workload_sink sink = {d, destination, complete, breathe};
    workload_result result = {.tokens = 1};
    double start = MPI_Wtime();
    int failed = d->is_curvature ? w->kind->curvature(w, step, d->micro_batch, &sink, &result)
                                 : w->kind->micro_batch(w, step, d->micro_batch, &sink, &result);
    d->side->gradient_seconds += MPI_Wtime() - start - d->library_seconds;
    if (failed != 0) {
        failure_set(d->failure, EXIT_LIBRARY, "%s", w->message);
    }
    return result.tokens;
}

/* How many draws it was is known at the end only. */
static void compute_curvature(bench_side *s, int64_t micro_batch, int64_t step, failure *f)
{
    bench_delivery d = {.side = s, .is_curvature = true, .micro_batch = micro_batch, .failure = f};
    int64_t draws = run_pass(&d, step);
    for (int i = 0; i < s->workload->parameter_count && f->code == EXIT_OK; i++) {
        if (s->has_curvature[i]) {
            plumb_status status = plumb_accumulate_curvature(s->plumb, s->ids[i], micro_batch,
                                                             PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT,
                                                             (double)draws, s->curvature[i]);
            failure_from_library(f, status, s->plumb);
        }
    }
}

/* A step that fails on one rank is still ended by it, as the others wait for that. */
int bench_side_step(bench_side *s, int64_t total, int64_t step, failure *f)
{
    int64_t first, count;
    double start = MPI_Wtime();
    int due = 0;
    s->report = (plumb_report){.size = sizeof s->report};
    s->gradient_seconds = 0.0;
    if (failure_from_library(f, plumb_share(s->plumb, total, &first, &count), s->plumb) !=
            EXIT_OK ||
        failure_from_library(f, plumb_begin_step(s->plumb, total), s->plumb) != EXIT_OK) {
        return f->code;
    }
    failure_from_library(f, plumb_curvature_due(s->plumb, &due), s->plumb);
    for (int64_t m = first; m < first + count && f->code == EXIT_OK; m++) {
        bench_delivery d = {.side = s, .micro_batch = m, .failure = f};
        run_pass(&d, step);
        if (due != 0 && f->code == EXIT_OK) {
            compute_curvature(s, m, step, f);
        }
    }
    failure_from_library(f, plumb_end_step(s->plumb, 1e-4, &s->report), s->plumb);
    s->seconds = MPI_Wtime() - start;
    return f->code;
}

static int create_workload(bench_side *s, const workload_options *options, failure *f)
{
    char message[512];
    int reason = options->data != NULL
                     ? workload_create_gpt(options, &s->workload, message, sizeof message)
                     : workload_create_random_gpt(options, &s->workload, message, sizeof message);
    if (reason == 0) {
        return f->code;
    }
    int code = reason == WORKLOAD_WRONG_OPTIONS ? EXIT_USAGE
               : reason == WORKLOAD_WRONG_DATA  ? EXIT_DATA
                                                : EXIT_LIBRARY;
    return failure_set(f, code, "%s", message);
}

/* Keeps the initial values, and cuts memory for curvature. */
static void cut_memory(bench_side *s, float *curvature)
{
    int64_t offset = 0;
    for (int i = 0; i < s->workload->parameter_count; i++) {
        const workload_parameter *p = &s->workload->parameters[i];
        memcpy(s->initial + offset, p->values, (size_t)size_of(p) * sizeof(float));
        s->curvature[i] = curvature + offset;
        offset += size_of(p);
    }
}

int bench_side_create(bench_side *s, const workload_options *options, failure *f)
{
    *s = (bench_side){.elements = 0};
    if (create_workload(s, options, f) != EXIT_OK) {
        return f->code;
    }
    size_t count = (size_t)s->workload->parameter_count;
    for (size_t i = 0; i < count; i++) {
        s->elements += size_of(&s->workload->parameters[i]);
    }
    s->ids = calloc(count, sizeof *s->ids);
    s->gradients = calloc(count, sizeof *s->gradients);
    s->has_curvature = calloc(count, sizeof *s->has_curvature);
    s->curvature = calloc(count, sizeof *s->curvature);
    s->initial = calloc((size_t)s->elements, sizeof *s->initial);
    float *curvature = calloc((size_t)s->elements, sizeof *curvature);
    if (s->ids == NULL || s->gradients == NULL || s->has_curvature == NULL ||
        s->curvature == NULL || s->initial == NULL || curvature == NULL) {
        free(curvature);
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    cut_memory(s, curvature);
    return f->code;
}

void bench_side_destroy(bench_side *s)
{
    bench_side_close(s);
    workload_destroy(&s->workload);
    if (s->curvature != NULL) {
        free(s->curvature[0]);
    }
    free(s->curvature);
    free(s->initial);
    free(s->ids);
    free(s->gradients);
    free(s->has_curvature);
    *s = (bench_side){.elements = 0};
}

int bench_side_open(bench_side *s, MPI_Comm communicator, const plumb_options *options,
                    bench_side_chooser choose, const void *context, failure *f)
{
    plumb_status status = plumb_create(communicator, options, &s->plumb);
    failure_from_library(f, status, NULL);
    const float *initial = s->initial;
    for (int i = 0; i < s->workload->parameter_count && f->code == EXIT_OK; i++) {
        const workload_parameter *p = &s->workload->parameters[i];
        plumb_parameter_options own;
        choose(context, p->role, &own);
        memcpy(p->values, initial, (size_t)size_of(p) * sizeof(float));
        initial += size_of(p);
        s->has_curvature[i] = own.optimizer == PLUMB_OPTIMIZER_SOPHIA;
        status =
            plumb_add_parameter(s->plumb, p->name, p->rows, p->cols, p->values, &own, &s->ids[i]);
        failure_from_library(f, status, s->plumb);
    }
    return f->code;
}

void bench_side_close(bench_side *s)
{
    plumb_destroy(&s->plumb);
}
