/*
 * Measuring the constants of `plumb plan`: updates and exchanges by the library itself, gradients
 * by the gpt workload, products by BLAS. Medians of short runs, a few seconds in all.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/bench_side.h"
#include "app/plan.h"
#include "workload/polar_benchmark.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    REPEATS = 5,
    FEW_GROUPS = 4, /* even, and enough for every correction */
    MANY_GROUPS = 8,
    ELEMENT_COUNT = 1 << 20,
    SMALL_PAYLOAD = 1 << 10,
    LARGE_PAYLOAD = 1 << 22,
    COPY_BYTES = 64 << 20,
    LEAST_SIDE = 64,
    MOST_SIDE = 512
};

/* Where nothing can be measured: 10 Gbit/s Ethernet, and a message between cores. */
static const double usual_network_bandwidth = 1.25e9, usual_network_latency = 20e-6,
                    usual_node_latency = 1e-6;

/* One parameter on its own. */
typedef struct trial {
    plumb *plumb;
    float *values, *gradient;
    int64_t elements;
    int id;
} trial;

static void trial_end(trial *t)
{
    plumb_destroy(&t->plumb);
    free(t->values);
    free(t->gradient);
}

static int trial_begin(trial *t, MPI_Comm communicator, int64_t rows, int64_t cols, int groups,
                       const plumb_parameter_options *own, failure *f)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.groups = groups;
    options.replica_check = 0;
    *t = (trial){.elements = rows * cols};
    t->values = calloc((size_t)t->elements, sizeof *t->values);
    t->gradient = calloc((size_t)t->elements, sizeof *t->gradient);
    if (t->values == NULL || t->gradient == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    polar_benchmark_fill(t->elements, 1, t->gradient);
    failure_from_library(f, plumb_create(communicator, &options, &t->plumb), NULL);
    if (f->code == EXIT_OK) {
        failure_from_library(
            f, plumb_add_parameter(t->plumb, "trial", rows, cols, t->values, own, &t->id),
            t->plumb);
    }
    return f->code;
}

static void give(trial *t, int64_t micro_batch, int due, failure *f)
{
    t->gradient[micro_batch % t->elements] += 1.0F; /* groups differ */
    failure_from_library(f, plumb_accumulate(t->plumb, t->id, micro_batch, t->gradient), t->plumb);
    if (due != 0 && f->code == EXIT_OK) {
        failure_from_library(f,
                             plumb_accumulate_curvature(t->plumb, t->id, micro_batch,
                                                        PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, 1.0,
                                                        t->gradient),
                             t->plumb);
    }
}

static int trial_step(trial *t, int64_t total, plumb_report *report, failure *f)
{
    int64_t first, count;
    int due = 0;
    *report = (plumb_report){.size = sizeof *report};
    failure_from_library(f, plumb_share(t->plumb, total, &first, &count), t->plumb);
    if (f->code == EXIT_OK) {
        failure_from_library(f, plumb_begin_step(t->plumb, total), t->plumb);
    }
    if (f->code == EXIT_OK) {
        failure_from_library(f, plumb_curvature_due(t->plumb, &due), t->plumb);
    }
    for (int64_t m = first; f->code == EXIT_OK && m < first + count; m++) {
        give(t, m, due, f);
        if (f->code == EXIT_OK) {
            failure_from_library(f, plumb_describe_micro_batch(t->plumb, m, 1.0, 0.0, NULL, 0),
                                 t->plumb);
        }
    }
    if (f->code == EXIT_OK) {
        failure_from_library(f, plumb_end_step(t->plumb, 1e-4, report), t->plumb);
    }
    return f->code;
}

/* Of an update, a step with decompositions or curvature spread over its interval. */
static double update_seconds(const plan_options *o, int64_t rows, int64_t cols, bool matrix,
                             int groups, failure *f)
{
    plumb_parameter_options own;
    update_options_parameter(&o->update, matrix, &own);
    bool interval =
        own.optimizer == PLUMB_OPTIMIZER_SHAMPOO || own.optimizer == PLUMB_OPTIMIZER_SOAP;
    int steps = interval ? own.root_interval : 1;
    double times[REPEATS];
    trial t;
    plumb_report report;
    if (trial_begin(&t, MPI_COMM_SELF, rows, cols, groups, &own, f) == EXIT_OK) {
        trial_step(&t, groups, &report, f);
    }
    for (int i = 0; i < REPEATS && f->code == EXIT_OK; i++) {
        times[i] = 0.0;
        for (int k = 0; k < steps && trial_step(&t, groups, &report, f) == EXIT_OK; k++) {
            times[i] += report.update_seconds / steps;
        }
    }
    trial_end(&t);
    return f->code == EXIT_OK ? quartiles_of(times, REPEATS).median : 0.0;
}

/* product * constants[0] + cube * constants[1] = seconds, for a square and a four times as tall. */
static void fit_roots(const plan_options *o, int64_t side, int groups, double *product,
                      double *cube, failure *f)
{
    double square[2], tall[2];
    plan_features(o, side, side, &square[0], &square[1]);
    plan_features(o, 4 * side, side, &tall[0], &tall[1]);
    double a = update_seconds(o, side, side, true, groups, f);
    double b = f->code == EXIT_OK ? update_seconds(o, 4 * side, side, true, groups, f) : 0.0;
    double determinant = square[0] * tall[1] - square[1] * tall[0];
    *product = (a * tall[1] - b * square[1]) / determinant;
    *cube = (square[0] * b - tall[0] * a) / determinant;
    if (*cube < 0.0 || *product < 0.0) { /* noise: one coefficient that fits both on the average */
        *product = (a + b) / (square[0] + tall[0]);
        *cube = 0.0;
    }
}

/* Through both group counts; nothing gets cheaper by more groups but by noise. */
static plan_cost line_through(double at_few, double at_many)
{
    double slope = fmax(0.0, (at_many - at_few) / (MANY_GROUPS - FEW_GROUPS));
    return (plan_cost){fmax(0.0, at_few - FEW_GROUPS * slope), slope};
}

static void measure_updates(const plan_options *o, const plan_model *m, plan_constants *c,
                            failure *f)
{
    bool by_groups = m->by_groups_elements > 0;
    double element[2] = {0.0}, product[2] = {0.0}, cube[2] = {0.0};
    int64_t side = (int64_t)fmin(fmax(m->widest, LEAST_SIDE), MOST_SIDE);
    for (int i = 0; i < (by_groups ? 2 : 1) && f->code == EXIT_OK; i++) {
        int groups = i == 0 ? FEW_GROUPS : MANY_GROUPS;
        bool matrix = o->update.optimizer == PLUMB_OPTIMIZER_SGD ||
                      o->update.optimizer == PLUMB_OPTIMIZER_SOPHIA;
        element[i] = update_seconds(o, 1, ELEMENT_COUNT, matrix, groups, f) / (double)ELEMENT_COUNT;
        if (m->widest > 0.0 && f->code == EXIT_OK) {
            fit_roots(o, side, groups, &product[i], &cube[i], f);
        }
    }
    c->element = by_groups ? line_through(element[0], element[1]) : (plan_cost){element[0], 0.0};
    c->product = by_groups ? line_through(product[0], product[1]) : (plan_cost){product[0], 0.0};
    c->cube = by_groups ? line_through(cube[0], cube[1]) : (plan_cost){cube[0], 0.0};
}

static void choose_sgd(const void *context, workload_role role, plumb_parameter_options *options)
{
    (void)context;
    (void)role;
    plumb_parameter_options_init(options, sizeof *options, PLUMB_OPTIMIZER_SGD);
}

/* One rank's passes, nobody else computing. */
static void measure_gradient(const plan_options *o, plan_constants *c, failure *f)
{
    bool gpt = o->shapes == NULL;
    const workload_options options = {.layers = gpt ? o->layers : 2,
                                      .width = gpt ? o->width : 256,
                                      .heads = gpt ? o->heads : 4,
                                      .context = gpt ? o->context : 128,
                                      .micro_batch_size = gpt ? o->micro_batch_size : 4,
                                      .seed = 1};
    plumb_options handle;
    plumb_options_init(&handle, sizeof handle);
    double times[REPEATS];
    bench_side side;
    if (bench_side_create(&side, &options, f) == EXIT_OK) {
        bench_side_open(&side, MPI_COMM_SELF, &handle, choose_sgd, NULL, f);
    }
    for (int i = -1; i < REPEATS && f->code == EXIT_OK; i++) {
        bench_side_step(&side, 2, i + 1, f);
        times[i < 0 ? 0 : i] = side.gradient_seconds / 2.0;
    }
    if (f->code == EXIT_OK) {
        double tokens = (double)(options.micro_batch_size * options.context);
        c->gradient_rate =
            side.workload->flops_per_token * tokens / quartiles_of(times, REPEATS).median;
    }
    bench_side_destroy(&side);
}

static void measure_machine(plan_constants *c, failure *f)
{
    char message[256];
    bool wanted[POLAR_CONTESTANTS] = {[POLAR_FAST] = true};
    polar_speeds speeds;
    if (polar_benchmark(512, 512, 0.0, wanted, 0.2, &speeds, message, sizeof message) != 0) {
        failure_set(f, EXIT_LIBRARY, "%s", message);
        return;
    }
    c->product_rate = 2.0 * 512 * 512 * 512 / speeds.product_seconds;
    char *from = calloc(COPY_BYTES, 1);
    char *to = calloc(COPY_BYTES, 1);
    double times[REPEATS];
    for (int i = 0; i < REPEATS && from != NULL && to != NULL; i++) {
        double start = quartiles_clock();
        from[i] = (char)i;
        memcpy(to, from, COPY_BYTES);
        times[i] = quartiles_clock() - start + (to[i] == 77 ? 1e-12 : 0.0); /* the copy is used */
    }
    if (from == NULL || to == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    } else {
        c->memory_bandwidth = COPY_BYTES / quartiles_of(times, REPEATS).median;
    }
    free(from);
    free(to);
}

/* Seconds of an exchange of that many floats, waits excluded by a barrier. Collective. */
static double exchange_seconds(const ranks *r, int64_t elements, double *bytes, failure *f)
{
    plumb_parameter_options own;
    plumb_parameter_options_init(&own, sizeof own, PLUMB_OPTIMIZER_SGD);
    double times[REPEATS];
    trial t;
    plumb_report report = {.size = sizeof report};
    trial_begin(&t, r->communicator, 1, elements, 1, &own, f);
    for (int i = -1; i < REPEATS && ranks_agree(r, f) == EXIT_OK; i++) {
        double unused = 0.0;
        ranks_add(r, &unused, 1);
        double start = MPI_Wtime();
        trial_step(&t, r->count, &report, f);
        times[i < 0 ? 0 : i] = MPI_Wtime() - start - report.update_seconds;
        bench_largest(r, &times[i < 0 ? 0 : i], 1);
    }
    *bytes = (double)report.exchange_bytes;
    trial_end(&t);
    return f->code == EXIT_OK ? quartiles_of(times, REPEATS).lower : 0.0;
}

/* Both sizes; a step has 1 round of messages, 3 agreements and the values' tree. */
static void measure_exchange(const ranks *r, plan_constants *c, failure *f)
{
    c->node_bandwidth = c->memory_bandwidth;
    c->node_latency = usual_node_latency;
    c->network_bandwidth = usual_network_bandwidth;
    c->network_latency = usual_network_latency;
    if (r->count < 2) {
        return;
    }
    bool one_node = bench_one_node(r);
    double small_bytes, large_bytes;
    double small = exchange_seconds(r, SMALL_PAYLOAD, &small_bytes, f);
    double large = exchange_seconds(r, LARGE_PAYLOAD, &large_bytes, f);
    double rounds = 1.0 + 4.0 * ceil(log2((double)r->count));
    double rate = (large_bytes - small_bytes) / fmax(large - small, 1e-9);
    if (one_node) {
        c->node_bandwidth = rate;
        c->node_latency = small / rounds;
    } else {
        c->network_bandwidth = rate / r->count;
        c->network_latency = small / rounds;
    }
}

int plan_measure(const ranks *r, const plan_options *o, const plan_model *m, plan_constants *c,
                 failure *f)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *c = (plan_constants){.cores = cores > 0 ? cores : 1};
    if (r->rank == 0) {
        measure_machine(c, f);
        if (f->code == EXIT_OK) {
            measure_gradient(o, c, f);
        }
        if (f->code == EXIT_OK) {
            measure_updates(o, m, c, f);
        }
    }
    bench_wait_idle(r);
    if (ranks_agree(r, f) == EXIT_OK) {
        ranks_broadcast(r, c, sizeof *c);
        measure_exchange(r, c, f);
        ranks_agree(r, f);
    }
    return f->code;
}
