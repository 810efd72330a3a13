/*
 * Whole training steps of one model by two optimizers in turns; see bench_step.h. Either side has
 * parameters and state of its own and sees the same batches; which of them goes first changes
 * from step to step, so that what the machine does meanwhile hits both alike.
 */
#include "app/bench_step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN, CORRECTED, SIDES };

typedef struct bench_step_side {
    workload *workload;
    plumb *plumb;
    int *ids;              /* [parameter_count] */
    float **gradients;     /* [parameter_count]: the library's memory of the micro-batch */
    bool *has_curvature;   /* [parameter_count] */
    double seconds, bytes; /* of the last step */
} bench_step_side;

struct bench_step_pair {
    const ranks *ranks;
    const bench_step_options *options;
    bench_step_side sides[SIDES];
    float **curvature; /* [parameter_count]: memory for estimates */
    float *initial;    /* all parameters, one after the other */
    int64_t elements;
};

/* A micro-batch on its way. */
typedef struct bench_delivery {
    bench_step_side *side;
    float **curvature; /* NULL: it is the gradient */
    int64_t micro_batch;
    failure *failure;
} bench_delivery;

static int64_t size_of(const workload_parameter *p)
{
    return p->rows * p->cols;
}

static int destination(void *context, int parameter, float **gradient)
{
    bench_delivery *d = context;
    bench_step_side *s = d->side;
    if (d->curvature != NULL) {
        *gradient = d->curvature[parameter];
        return 0;
    }
    plumb_status status = plumb_gradient_buffer(s->plumb, s->ids[parameter], gradient);
    s->gradients[parameter] = *gradient;
    return failure_from_library(d->failure, status, s->plumb);
}

static int complete(void *context, int parameter)
{
    bench_delivery *d = context;
    bench_step_side *s = d->side;
    if (d->curvature != NULL) {
        return 0;
    }
    plumb_status status =
        plumb_accumulate(s->plumb, s->ids[parameter], d->micro_batch, s->gradients[parameter]);
    return failure_from_library(d->failure, status, s->plumb);
}

static void breathe(void *context)
{
    bench_delivery *d = context;
    failure_from_library(d->failure, plumb_progress(d->side->plumb), d->side->plumb);
}

static void compute_gradient(bench_delivery *d, int64_t step)
{
    workload *w = d->side->workload;
    workload_sink sink = {d, destination, complete, breathe};
    workload_result result;
    d->curvature = NULL;
    if (w->kind->micro_batch(w, step, d->micro_batch, &sink, &result) != 0) {
        failure_set(d->failure, EXIT_LIBRARY, "%s", w->message);
    }
}

/* How many draws it was is known at the end only. */
static void compute_curvature(bench_delivery *d, float **memory, int64_t step)
{
    bench_step_side *s = d->side;
    workload *w = s->workload;
    workload_sink sink = {d, destination, complete, breathe};
    workload_result result;
    d->curvature = memory;
    if (w->kind->curvature(w, step, d->micro_batch, &sink, &result) != 0) {
        failure_set(d->failure, EXIT_LIBRARY, "%s", w->message);
    }
    for (int i = 0; i < w->parameter_count && d->failure->code == EXIT_OK; i++) {
        if (s->has_curvature[i]) {
            plumb_status status = plumb_accumulate_curvature(s->plumb, s->ids[i], d->micro_batch,
                                                             PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT,
                                                             (double)result.tokens, memory[i]);
            failure_from_library(d->failure, status, s->plumb);
        }
    }
}

/* A step that fails on one rank is still ended by it, as the others wait for that. */
static int run_step(bench_step_pair *pair, bench_step_side *s, int64_t step, failure *f)
{
    int64_t total = pair->options->micro_batches, first, count;
    double start = MPI_Wtime();
    int due = 0;
    plumb_report report = {.size = sizeof report};
    if (failure_from_library(f, plumb_share(s->plumb, total, &first, &count), s->plumb) !=
            EXIT_OK ||
        failure_from_library(f, plumb_begin_step(s->plumb, total), s->plumb) != EXIT_OK) {
        return f->code;
    }
    failure_from_library(f, plumb_curvature_due(s->plumb, &due), s->plumb);
    for (int64_t m = first; m < first + count && f->code == EXIT_OK; m++) {
        bench_delivery d = {.side = s, .micro_batch = m, .failure = f};
        compute_gradient(&d, step);
        if (due != 0 && f->code == EXIT_OK) {
            compute_curvature(&d, pair->curvature, step);
        }
    }
    failure_from_library(f, plumb_end_step(s->plumb, 1e-4, &report), s->plumb);
    s->seconds = MPI_Wtime() - start;
    s->bytes = (double)report.exchange_bytes;
    return f->code;
}

static int create_side(bench_step_side *s, const bench_step_options *o, failure *f)
{
    workload_options options = {.data = o->data,
                                .layers = o->layers,
                                .width = o->width,
                                .heads = o->heads,
                                .context = o->context,
                                .micro_batch_size = o->micro_batch_size,
                                .seed = 1};
    char message[512];
    int reason = workload_create_gpt(&options, &s->workload, message, sizeof message);
    if (reason != 0) {
        int code = reason == WORKLOAD_WRONG_OPTIONS ? EXIT_USAGE
                   : reason == WORKLOAD_WRONG_DATA  ? EXIT_DATA
                                                    : EXIT_LIBRARY;
        return failure_set(f, code, "%s", message);
    }
    size_t count = (size_t)s->workload->parameter_count;
    s->ids = calloc(count, sizeof *s->ids);
    s->gradients = calloc(count, sizeof *s->gradients);
    s->has_curvature = calloc(count, sizeof *s->has_curvature);
    if (s->ids == NULL || s->gradients == NULL || s->has_curvature == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    return f->code;
}

/* Keeps the initial values, and makes memory for curvature. */
static int keep_initial(bench_step_pair *pair, failure *f)
{
    const workload *w = pair->sides[PLAIN].workload;
    for (int i = 0; i < w->parameter_count; i++) {
        pair->elements += size_of(&w->parameters[i]);
    }
    size_t count = (size_t)(w->parameter_count > 0 ? w->parameter_count : 1);
    pair->initial = calloc((size_t)pair->elements, sizeof *pair->initial);
    pair->curvature = calloc(count, sizeof *pair->curvature);
    float *curvature = calloc((size_t)pair->elements, sizeof *curvature);
    if (pair->initial == NULL || pair->curvature == NULL || curvature == NULL) {
        free(curvature);
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    int64_t offset = 0;
    for (int i = 0; i < w->parameter_count; i++) {
        const workload_parameter *p = &w->parameters[i];
        memcpy(pair->initial + offset, p->values, (size_t)size_of(p) * sizeof(float));
        pair->curvature[i] = curvature + offset;
        offset += size_of(p);
    }
    return f->code;
}

int bench_step_pair_create(const ranks *r, const bench_step_options *o, bench_step_pair **pair,
                           failure *f)
{
    *pair = calloc(1, sizeof **pair);
    if (*pair == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return ranks_agree(r, f);
    }
    (*pair)->ranks = r;
    (*pair)->options = o;
    for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
        create_side(&(*pair)->sides[i], o, f);
    }
    if (f->code == EXIT_OK) {
        keep_initial(*pair, f);
    }
    return ranks_agree(r, f);
}

int64_t bench_step_elements(const bench_step_pair *pair)
{
    return pair->elements;
}

static void destroy_side(bench_step_side *s)
{
    plumb_destroy(&s->plumb);
    workload_destroy(&s->workload);
    free(s->ids);
    free(s->gradients);
    free(s->has_curvature);
}

void bench_step_pair_destroy(bench_step_pair **pair)
{
    bench_step_pair *p = *pair;
    if (p == NULL) {
        return;
    }
    for (int i = 0; i < SIDES; i++) {
        destroy_side(&p->sides[i]);
    }
    if (p->curvature != NULL) {
        free(p->curvature[0]);
    }
    free(p->curvature);
    free(p->initial);
    free(p);
    *pair = NULL;
}

/* The handle of one side of a row, with the values that the model began with. */
static int open_side(bench_step_pair *pair, int number, const bench_step_case *c, int groups,
                     failure *f)
{
    bench_step_side *s = &pair->sides[number];
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.groups = groups;
    options.replica_check = 0;
    options.nominal_samples = (double)pair->options->micro_batch_size;
    plumb_status status = plumb_create(pair->ranks->communicator, &options, &s->plumb);
    failure_from_library(f, status, NULL);
    const float *initial = pair->initial;
    for (int i = 0; i < s->workload->parameter_count && f->code == EXIT_OK; i++) {
        const workload_parameter *p = &s->workload->parameters[i];
        plumb_parameter_options own;
        bench_step_parameter(c, number == CORRECTED, p->role, &own);
        memcpy(p->values, initial, (size_t)size_of(p) * sizeof(float));
        initial += size_of(p);
        s->has_curvature[i] = own.optimizer == PLUMB_OPTIMIZER_SOPHIA;
        status =
            plumb_add_parameter(s->plumb, p->name, p->rows, p->cols, p->values, &own, &s->ids[i]);
        failure_from_library(f, status, s->plumb);
    }
    return ranks_agree(pair->ranks, f);
}

/* Both sides' step number `step`. */
static int run_pair(bench_step_pair *pair, int64_t step, failure *f)
{
    int first = (int)(step % SIDES);
    for (int i = 0; i < SIDES && f->code == EXIT_OK; i++) {
        run_step(pair, &pair->sides[(first + i) % SIDES], step, f);
    }
    return ranks_agree(pair->ranks, f);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The quantile at `share` of the sorted values, between neighbours where need be. */
static double quantile(const double *sorted, int64_t count, double share)
{
    double position = share * (double)(count - 1);
    int64_t below = (int64_t)position;
    int64_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (position - (double)below) * (sorted[above] - sorted[below]);
}

/* Seconds a step of every window, either side, and their ratio. */
typedef struct bench_windows {
    double *seconds[SIDES], *ratios;
} bench_windows;

static void summarise(const bench_windows *w, int64_t count, bench_step_result *result)
{
    size_t n = (size_t)count;
    qsort(w->seconds[PLAIN], n, sizeof(double), ascending);
    qsort(w->seconds[CORRECTED], n, sizeof(double), ascending);
    qsort(w->ratios, n, sizeof(double), ascending);
    result->windows = count;
    result->plain_seconds = quantile(w->seconds[PLAIN], count, 0.5);
    result->corrected_seconds = quantile(w->seconds[CORRECTED], count, 0.5);
    result->lower = quantile(w->ratios, count, 0.25);
    result->ratio = quantile(w->ratios, count, 0.5);
    result->upper = quantile(w->ratios, count, 0.75);
}

/* The windows' steps, after one pair that does not count: everything is allocated in it. */
static int run_windows(bench_step_pair *pair, int64_t windows, int interval, bench_windows *w,
                       bench_step_result *result, failure *f)
{
    const bench_step_side *sides = pair->sides;
    int64_t step = 0;
    run_pair(pair, step++, f);
    for (int64_t i = 0; i < windows && f->code == EXIT_OK; i++) {
        double plain = 0.0, corrected = 0.0;
        for (int j = 0; j < interval && run_pair(pair, step++, f) == EXIT_OK; j++) {
            plain += sides[PLAIN].seconds / interval;
            corrected += sides[CORRECTED].seconds / interval;
            result->plain_bytes += sides[PLAIN].bytes / (double)(windows * interval);
            result->corrected_bytes += sides[CORRECTED].bytes / (double)(windows * interval);
        }
        w->seconds[PLAIN][i] = plain;
        w->seconds[CORRECTED][i] = corrected;
        w->ratios[i] = corrected / plain;
    }
    return f->code;
}

int bench_step_measure(bench_step_pair *pair, const bench_step_case *c, bench_step_result *result,
                       failure *f)
{
    int interval = bench_step_interval(c);
    int64_t pairs = pair->options->pairs, windows = (pairs + interval - 1) / interval;
    double *memory = calloc((size_t)windows * (SIDES + 1), sizeof *memory);
    bench_windows w = {{memory, memory + windows}, memory + 2 * windows};
    *result = (bench_step_result){.groups = c->groups > 0 ? c->groups : (int)pair->options->groups};
    if (memory == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    for (int i = 0; i < SIDES && ranks_agree(pair->ranks, f) == EXIT_OK; i++) {
        open_side(pair, i, c, result->groups, f);
    }
    if (f->code == EXIT_OK && run_windows(pair, windows, interval, &w, result, f) == EXIT_OK) {
        summarise(&w, windows, result);
    }
    for (int i = 0; i < SIDES; i++) {
        plumb_destroy(&pair->sides[i].plumb);
    }
    free(memory);
    return f->code;
}
