/*
 * Diagnoses of a handle: the numbers that the functions without a handle find in the gradients as
 * they were given; the same bits for every rank count, owner map and way of messages; values that
 * do not know of them; and what cannot be measured.
 * ranks: 1 2 4
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/fault.h"
#include "plumb.h"
#include "support/test.h"

enum { PARAMETERS = 5, MOST = 9001, TOTAL = 8, STEPS = 3, SIDES = 3 + 10 + 24 };

static const struct {
    const char *name;
    int64_t rows, cols;
    plumb_optimizer optimizer;
} shapes[PARAMETERS] = {{"matrix", 12, 10, PLUMB_OPTIMIZER_MUON},
                        {"vector", 1, MOST, PLUMB_OPTIMIZER_ADAMW},
                        {"wide", 24, 40, PLUMB_OPTIMIZER_MUON},
                        {"row", 1, 7, PLUMB_OPTIMIZER_SGD},
                        {"narrow", 50, 3, PLUMB_OPTIMIZER_ADAMW}};

typedef enum noise_kind { NOISY, CONSTANT, ZERO } noise_kind;

/* What is run. */
typedef struct setup {
    plumb_options options;
    plumb_pipeline pipeline; /* of "matrix" */
    noise_kind noise;
    bool unequal;  /* samples: 1 + k % 3 */
    int64_t total; /* micro-batches */
    int steps;
    int broken;    /* in front of this step comes one with a NaN; 0: none */
    char log[256]; /* last line */
    int lines;
} setup;

/* What it ends with. */
typedef struct outcome {
    char hash[33];
    plumb_diagnosis found[PARAMETERS + 1];
    int64_t directions[PARAMETERS];
    double spectra[PARAMETERS][3][24];
} outcome;

static int64_t elements(int i)
{
    return shapes[i].rows * shapes[i].cols;
}

static double samples_of(const setup *s, int64_t k)
{
    return s->unequal ? 1.0 + (double)(k % 3) : s->options.nominal_samples;
}

static void take_line(void *context, plumb_log_level level, const char *line)
{
    (void)level;
    setup *s = context;
    snprintf(s->log, sizeof s->log, "%s", line);
    s->lines++;
}

static setup setup_of(plumb_diagnostics kind)
{
    setup s = {.total = TOTAL, .steps = STEPS};
    plumb_options_init(&s.options, sizeof s.options);
    s.options.diagnostics = kind;
    s.options.diagnostics_every = 2;
    s.options.bucket_elements = 4096;
    return s;
}

/* A signal, and noise of about a third of its size. */
static void make_gradient(const setup *s, int step, int64_t k, int i, float *gradient)
{
    float scale = s->noise == NOISY ? 0.35f : 0.0f;
    for (int64_t e = 0; e < elements(i); e++) {
        uint64_t key = (uint64_t)step * 1000 + (uint64_t)k;
        float noise = test_value(key, (uint64_t)i, (uint64_t)e);
        float signal = test_value(77, (uint64_t)i, (uint64_t)e);
        gradient[e] = s->noise == ZERO ? 0.0f : signal + scale * noise;
    }
}

static void add_parameters(plumb *p, const setup *s, float *const *values)
{
    for (int i = 0; i < PARAMETERS; i++) {
        plumb_parameter_options o;
        plumb_parameter_options_init(&o, sizeof o, shapes[i].optimizer);
        o.pipeline = i == 0 ? s->pipeline : o.pipeline;
        int id;
        for (int64_t e = 0; e < elements(i); e++) {
            values[i][e] = test_value(1, (uint64_t)i, (uint64_t)e);
        }
        plumb_add_parameter(p, shapes[i].name, shapes[i].rows, shapes[i].cols, values[i], &o, &id);
    }
}

/* Some gradients in the library's memory, some in the caller's. */
static plumb_status give(plumb *p, const setup *s, int step, int64_t k, bool broken, float *own)
{
    plumb_status status =
        plumb_describe_micro_batch(p, k, samples_of(s, k), 0.5 * samples_of(s, k), NULL, 0);
    for (int i = PARAMETERS - 1; i >= 0 && status == PLUMB_OK; i--) {
        float *gradient = own;
        if ((i + k) % 2 == 0) {
            status = plumb_gradient_buffer(p, i, &gradient);
        }
        if (status == PLUMB_OK) {
            make_gradient(s, step, k, i, gradient);
            if (broken && i == 2 && k == s->total - 1) {
                gradient[5] = NAN;
            }
            status = plumb_accumulate(p, i, k, gradient);
        }
    }
    return status;
}

static plumb_status one_step(plumb *p, const setup *s, int step, bool broken, float *own)
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

static bool read_diagnoses(const plumb *p, outcome *o)
{
    bool good = true;
    for (int i = 0; i <= PARAMETERS; i++) {
        o->found[i].size = sizeof o->found[i];
        good = good && plumb_diagnose(p, i < PARAMETERS ? i : -1, &o->found[i]) == PLUMB_OK;
    }
    for (int i = 0; i < PARAMETERS; i++) {
        good = good && plumb_diagnose_spectrum(p, i, 24, o->spectra[i][0], o->spectra[i][1],
                                               o->spectra[i][2], &o->directions[i]) == PLUMB_OK;
    }
    return good;
}

/* A step that fails leaves the diagnosis that was there. */
static bool fails_without_trace(plumb *p, const setup *s, float *own)
{
    outcome before = {0};
    outcome after = {0};
    bool good = read_diagnoses(p, &before);
    good = good && one_step(p, s, s->broken, true, own) == PLUMB_ERROR_NONFINITE;
    good = good && read_diagnoses(p, &after);
    return good && memcmp(&before, &after, sizeof before) == 0;
}

/* Collective over `communicator`. */
static bool run(MPI_Comm communicator, setup *s, outcome *o)
{
    plumb *p = NULL;
    float *values[PARAMETERS];
    float *own = malloc(MOST * sizeof *own);
    memset(o, 0, sizeof *o);
    s->options.log = take_line;
    s->options.log_context = s;
    for (int i = 0; i < PARAMETERS; i++) {
        values[i] = malloc((size_t)elements(i) * sizeof *values[i]);
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
    for (int i = 0; i < PARAMETERS; i++) {
        free(values[i]);
    }
    free(own);
    int64_t allocations = -1;
    plumb_memory_in_use(&allocations, NULL);
    return good && allocations == 0;
}

/* The run on all ranks, and on this one alone. */
static void run_on_all(setup *s, outcome *o)
{
    bool good = run(MPI_COMM_WORLD, s, o);
    test_all(good);
}

static void run_alone(setup s, outcome *o)
{
    s.options.owners = PLUMB_OWNERS_SHARDED;
    bool good = run(MPI_COMM_SELF, &s, o);
    test_all(good);
}

/* ---- A plain reference ---- */

/* One parameter's group means, or for the index PARAMETERS all parameters one behind the other. */
typedef struct reference {
    int64_t length;
    int groups;
    double samples[TOTAL];
    float *means[TOTAL];
    plumb_noise noise; /* of the groups */
    double norms[TOTAL], mean;
    double gram[TOTAL * TOTAL];
} reference;

static void add_micro_batch(const setup *s, int step, int64_t k, int index, double *sum)
{
    float *gradient = malloc(MOST * sizeof *gradient);
    int64_t at = 0;
    for (int i = 0; i < PARAMETERS; i++) {
        if (index == PARAMETERS || i == index) {
            make_gradient(s, step, k, i, gradient);
            for (int64_t e = 0; e < elements(i); e++) {
                sum[at++] += samples_of(s, k) * (double)gradient[e];
            }
        }
    }
    free(gradient);
}

static int64_t length_of(int index)
{
    int64_t length = 0;
    for (int i = 0; i < PARAMETERS; i++) {
        length += index == PARAMETERS || i == index ? elements(i) : 0;
    }
    return length;
}

static reference reference_make(const setup *s, int step, int index, int groups)
{
    reference r = {.length = length_of(index), .groups = groups};
    double *sum = malloc((size_t)r.length * sizeof *sum);
    for (int g = 0; g < groups; g++) {
        r.means[g] = malloc((size_t)r.length * sizeof **r.means);
        memset(sum, 0, (size_t)r.length * sizeof *sum);
        for (int64_t k = g * s->total / groups; k < (g + 1) * s->total / groups; k++) {
            add_micro_batch(s, step, k, index, sum);
            r.samples[g] += samples_of(s, k);
        }
        for (int64_t e = 0; e < r.length; e++) {
            r.means[g][e] = (float)(sum[e] / r.samples[g]);
        }
    }
    free(sum);
    r.noise.size = sizeof r.noise;
    plumb_gram(groups, r.length, (const float *const *)r.means, r.gram);
    plumb_noise_scale(groups, r.samples, r.gram, s->options.population, &r.noise);
    return r;
}

static void reference_free(reference *r)
{
    for (int g = 0; g < r->groups; g++) {
        free(r->means[g]);
    }
}

/* Both unknown, or equal to single precision times a little. */
static bool close_to(double actual, double expected, double scale)
{
    bool good = isnan(expected) ? isnan(actual) : fabs(actual - expected) <= 2e-5 * fabs(scale);
    if (!good) {
        fprintf(stderr, "%.9g is not %.9g\n", actual, expected);
    }
    return good;
}

static bool same(double actual, double expected)
{
    return close_to(actual, expected, expected);
}

static bool same_noise(const plumb_noise *a, const plumb_noise *b, bool errors)
{
    bool good = a->count == b->count && a->size == sizeof *a;
    good = good && same(a->samples, b->samples) && same(a->squared_norm, b->squared_norm);
    good = good && same(a->small_squared_norm, b->small_squared_norm);
    good = good && same(a->trace, b->trace) && same(a->signal, b->signal);
    good = good && same(a->scale, b->scale) && same(a->plateau, b->plateau);
    return good && same(a->trace_error, errors ? b->trace_error : NAN) &&
           same(a->signal_error, errors ? b->signal_error : NAN) &&
           same(a->scale_error, errors ? b->scale_error : NAN);
}

static bool same_update(const plumb_update_noise *a, const plumb_update_noise *b)
{
    bool good = a->count == b->count && a->size == sizeof *a;
    good = good && same(a->variance, b->variance) && same(a->variance_error, b->variance_error);
    good = good && close_to(a->bias, b->bias, b->variance);
    good = good && close_to(a->bias_error, b->bias_error, b->variance);
    good = good && close_to(a->step_bias, b->step_bias, b->step_variance);
    good = good && same(a->step_variance, b->step_variance);
    good = good && close_to(a->ratio, b->ratio, 1.0);
    return good && close_to(a->ratio_error, b->ratio_error, 1.0) &&
           close_to(a->streamed_ratio, b->streamed_ratio, 10.0);
}

static bool right_spectrum(const outcome *o, int i, const reference *r, plumb_diagnosis *expected)
{
    double spectra[3][24];
    int64_t side = shapes[i].rows < shapes[i].cols ? shapes[i].rows : shapes[i].cols;
    plumb_status status = plumb_echo_spectrum(shapes[i].rows, shapes[i].cols, r->groups,
                                              (const float *const *)r->means, NULL, spectra[0],
                                              spectra[1], spectra[2]);
    bool good = status == PLUMB_OK && o->directions[i] == side;
    double sum = 0.0;
    for (int64_t j = 0; j < side; j++) {
        for (int kind = 0; kind < 3; kind++) {
            good = good && close_to(o->spectra[i][kind][j], spectra[kind][j],
                                    kind < 2 ? spectra[0][0] : 10.0);
        }
        sum += o->spectra[i][2][j];
        expected->directions += o->spectra[i][2][j] > 0.5;
    }
    expected->directions_of = side;
    expected->echo = sum / (double)side;
    return good;
}

/* Everything that only matrices have. */
static bool right_matrix(const outcome *o, int i, const reference *r)
{
    const plumb_diagnosis *found = &o->found[i];
    const float *const *means = (const float *const *)r->means;
    plumb_diagnosis expected = {.update.size = sizeof expected.update};
    double error;
    bool good = plumb_update_bias(PLUMB_POLAR_SVD, shapes[i].rows, shapes[i].cols, r->groups, means,
                                  NULL, &expected.update) == PLUMB_OK;
    good = good && same_update(&found->update, &expected.update);
    good = good && plumb_nuclear_noise_scale(shapes[i].rows, shapes[i].cols, r->groups, r->samples,
                                             means, &expected.nuclear_scale, &error) == PLUMB_OK;
    good = good && same(found->nuclear_scale, expected.nuclear_scale);
    good = good && right_spectrum(o, i, r, &expected);
    return good && same(found->echo, expected.echo) && found->directions == expected.directions &&
           found->directions_of == expected.directions_of;
}

static bool no_matrix(const outcome *o, int i)
{
    const plumb_diagnosis *found = &o->found[i];
    return isnan(found->update.variance) && isnan(found->update.bias) &&
           isnan(found->nuclear_scale) && isnan(found->echo) && found->directions == 0 &&
           found->directions_of == 0 && o->directions[i] == 0;
}

/* All parameters together come last. */
static bool right_all(const outcome *o)
{
    const plumb_diagnosis *all = &o->found[PARAMETERS];
    double variance = 0.0;
    double square = 0.0;
    double bias = 0.0;
    double echo = 0.0;
    int64_t directions = 0;
    int64_t above = 0;
    for (int i = 0; i < PARAMETERS; i += 2) {
        const plumb_update_noise *u = &o->found[i].update;
        variance += u->variance;
        square += u->variance_error * u->variance_error;
        bias += u->bias;
        echo += o->found[i].echo * (double)o->found[i].directions_of;
        directions += o->found[i].directions_of;
        above += o->found[i].directions;
    }
    double a = o->found[0].nuclear_scale;
    double b = o->found[2].nuclear_scale;
    double c = o->found[4].nuclear_scale;
    double middle = fmax(fmin(a, b), fmin(fmax(a, b), c));
    double n = (double)all->update.count;
    return same(all->update.variance, variance) && same(all->update.variance_error, sqrt(square)) &&
           close_to(all->update.bias, bias, variance) &&
           close_to(all->update.ratio, bias / (n * variance), 1.0) &&
           same(all->nuclear_scale, middle) && same(all->echo, echo / (double)directions) &&
           all->directions == above && all->directions_of == SIDES && directions == SIDES;
}

static bool right_groups(const setup *s, const outcome *o, int step, int index, int groups)
{
    const plumb_diagnosis *found = &o->found[index];
    reference r = reference_make(s, step, index, groups);
    double reduced = NAN;
    plumb_covariance_spectrum(groups, r.samples, r.gram, 1, NULL, &reduced, NULL);
    bool good = found->full_step == step && same_noise(&found->groups, &r.noise, true);
    good = good && same(found->eigenvalue, reduced) &&
           same(found->eigenvalue_share, reduced / r.noise.trace);
    if (index < PARAMETERS && !s->unequal) {
        good = good && (index % 2 == 0 ? right_matrix(o, index, &r) : no_matrix(o, index));
    }
    reference_free(&r);
    return good;
}

/* Micro-batches as groups of one: the same formulas, the errors left out. */
static bool right_norms(const setup *s, const outcome *o, int step, int index)
{
    reference r = reference_make(s, step, index, (int)s->total);
    plumb_noise expected = {.size = sizeof expected};
    for (int k = 0; k < s->total; k++) {
        r.norms[k] = r.gram[k * s->total + k];
    }
    plumb_status status = plumb_noise_from_norms(s->total, r.samples, r.norms, r.noise.squared_norm,
                                                 s->options.population, &expected);
    bool good = status == PLUMB_OK && o->found[index].step == step &&
                same_noise(&o->found[index].noise, &expected, false);
    reference_free(&r);
    return good;
}

static void expect_right(const setup *s, const outcome *o, int groups)
{
    bool good = true;
    for (int index = 0; index <= PARAMETERS; index++) {
        bool here = right_norms(s, o, STEPS, index);
        bool full = s->options.diagnostics == PLUMB_DIAGNOSTICS_FULL;
        here = here && (!full || right_groups(s, o, STEPS, index, groups));
        if (!here) {
            fprintf(stderr, "diagnosis of %s\n", index < PARAMETERS ? shapes[index].name : "all");
        }
        good = good && here;
    }
    test_all(good);
}

START_TEST(numbers_are_those_of_the_gradients)
{
    outcome o;
    setup s = setup_of(PLUMB_DIAGNOSTICS_ECONOMY);
    run_on_all(&s, &o);
    expect_right(&s, &o, 0);
    test_all(o.found[0].full_step == 0 && isnan(o.found[0].groups.trace) && o.directions[0] == 0);
    s = setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.options.clip_norm = 0.1;
    run_on_all(&s, &o);
    expect_right(&s, &o, TOTAL);
    bool together = right_all(&o);
    test_all(together);
    s.options.groups = 4;
    s.options.population = 1000.0;
    run_on_all(&s, &o);
    expect_right(&s, &o, 4);
}
END_TEST

START_TEST(unequal_samples)
{
    outcome o;
    setup s = setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.unequal = true;
    s.options.groups = 4;
    run_on_all(&s, &o);
    expect_right(&s, &o, 4);
    test_all(o.found[0].nuclear_scale > 0.0 && isnan(o.found[0].update.variance) &&
             isnan(o.found[0].echo) && isnan(o.spectra[0][2][0]));
}
END_TEST

/* The same bits as on one rank. */
static void expect_same_bits(setup s, const outcome *alone)
{
    outcome o;
    run_on_all(&s, &o);
    test_all(memcmp(&o, alone, sizeof o) == 0);
}

START_TEST(bits_do_not_depend_on_ranks)
{
    for (int kind = PLUMB_DIAGNOSTICS_ECONOMY; kind <= (int)PLUMB_DIAGNOSTICS_FULL; kind++) {
        outcome alone;
        setup s = setup_of((plumb_diagnostics)kind);
        s.unequal = kind == PLUMB_DIAGNOSTICS_ECONOMY;
        run_alone(s, &alone);
        expect_same_bits(s, &alone);
        s.options.owners = PLUMB_OWNERS_RANK0;
        expect_same_bits(s, &alone);
        fault.pretended_nodes = 2;
        expect_same_bits(s, &alone);
        fault.pretended_nodes = 0;
        s.options.bucket_elements = 0;
        s.options.shared_memory = 0;
        expect_same_bits(s, &alone);
        s.options.chunk_elements = 100;
        expect_same_bits(s, &alone);
        s.broken = 3;
        expect_same_bits(s, &alone);
    }
}
END_TEST

START_TEST(values_do_not_know_of_diagnostics)
{
    static const plumb_exchange exchanges[] = {PLUMB_EXCHANGE_TRANSPOSED, PLUMB_EXCHANGE_ALLREDUCE};
    for (int i = 0; i < 3; i++) {
        outcome off;
        outcome on;
        setup s = setup_of(PLUMB_DIAGNOSTICS_OFF);
        s.options.exchange = exchanges[i / 2];
        s.options.shared_memory = i != 1;
        run_on_all(&s, &off);
        s.options.diagnostics = PLUMB_DIAGNOSTICS_ECONOMY;
        run_on_all(&s, &on);
        test_all(strcmp(off.hash, on.hash) == 0);
        expect_right(&s, &on, 0);
        s.options.diagnostics = PLUMB_DIAGNOSTICS_FULL;
        run_on_all(&s, &on);
        test_all(strcmp(off.hash, on.hash) == 0);
        expect_right(&s, &on, TOTAL);
    }
}
END_TEST

/* What pipelines form of gradients is no mean of them: then norms alone are known. */
START_TEST(pipelines)
{
    for (int kind = 0; kind <= (int)PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR; kind++) {
        outcome o;
        setup s = setup_of(PLUMB_DIAGNOSTICS_FULL);
        s.pipeline = (plumb_pipeline)kind;
        run_on_all(&s, &o);
        bool kept = kind == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE ||
                    kind == PLUMB_PIPELINE_NORMALISED_WITH_NORM;
        const plumb_noise *noise = &o.found[0].noise;
        bool good = noise->small_squared_norm > 0.0 && noise->count == TOTAL;
        good = good && (kept ? right_norms(&s, &o, STEPS, 0)
                             : isnan(noise->squared_norm) && isnan(noise->trace) &&
                                   isnan(noise->scale) && isnan(noise->plateau));
        good = good && isnan(o.found[PARAMETERS].noise.trace) == !kept;
        good = good && right_norms(&s, &o, STEPS, 1) && right_groups(&s, &o, STEPS, 0, TOTAL);
        test_all(good);
    }
}
END_TEST

START_TEST(one_group_tells_nothing)
{
    outcome o;
    setup s = setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.options.groups = 1;
    run_on_all(&s, &o);
    bool good = true;
    for (int i = 0; i <= PARAMETERS; i++) {
        const plumb_diagnosis *found = &o.found[i];
        good = good && right_norms(&s, &o, STEPS, i) && found->full_step == STEPS;
        good = good && found->groups.count == 1 && found->groups.squared_norm > 0.0;
        good = good && isnan(found->groups.trace) && isnan(found->eigenvalue);
        good = good && isnan(found->update.variance) && isnan(found->nuclear_scale);
        good = good && isnan(found->echo) && found->directions_of == 0;
    }
    test_all(good);
    test_all(s.lines == 0);
}
END_TEST

/* Many groups are taken together. */
START_TEST(many_groups)
{
    outcome o;
    setup s = setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.total = 72;
    s.options.groups = 72;
    s.steps = 1;
    run_on_all(&s, &o);
    test_all(o.found[0].groups.count == 24 && o.found[0].update.count == 24);
    test_all(o.found[PARAMETERS].noise.count == 72);
    double difference = o.found[1].groups.trace - o.found[1].noise.trace;
    test_all(fabs(difference) < 0.1 * o.found[1].noise.trace);
}
END_TEST

START_TEST(zero_and_constant_gradients)
{
    outcome o;
    setup s = setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.noise = CONSTANT;
    run_on_all(&s, &o);
    const plumb_diagnosis *all = &o.found[PARAMETERS];
    test_all(fabs(all->groups.trace) < 1e-5 * all->groups.signal);
    test_all(fabs(all->noise.trace) < 1e-5 * all->noise.signal);
    test_all(!(fabs(all->update.variance) > 1e-4));
    s.noise = ZERO;
    run_on_all(&s, &o);
    test_all(all->groups.squared_norm == 0.0 && all->noise.squared_norm == 0.0);
    test_all(isnan(all->groups.scale) && isnan(all->noise.scale) && isnan(all->noise.plateau));
    test_all(!(o.found[0].nuclear_scale > 0.0));
}
END_TEST

/* A sample of more than the population is no sample: not available, said once, and no failure. */
START_TEST(what_cannot_be_measured_is_said_once)
{
    outcome o;
    int rank;
    setup s = setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.options.population = 3.0;
    run_on_all(&s, &o);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    test_all(rank != 0 || (s.lines == 1 && strstr(s.log, "not available") != NULL));
    test_all(isnan(o.found[0].noise.trace) && isnan(o.found[PARAMETERS].groups.trace));
    test_all(o.found[0].update.variance > 0.0);
}
END_TEST

static plumb *made(plumb_diagnostics kind, int rank_with_other_options, float *values)
{
    int rank;
    plumb *p = NULL;
    setup s = setup_of(kind);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    s.options.diagnostics_every += rank == rank_with_other_options;
    plumb_create(MPI_COMM_WORLD, &s.options, &p);
    int id;
    plumb_add_parameter(p, "one", 4, 4, values, NULL, &id);
    return p;
}

START_TEST(refusals)
{
    float values[16] = {0};
    double number;
    int64_t count;
    plumb_diagnosis d = {.size = sizeof d};
    plumb *p = made(PLUMB_DIAGNOSTICS_OFF, -1, values);
    test_all(plumb_diagnose(p, 0, &d) == PLUMB_ERROR_ORDER);
    test_all(plumb_diagnose_spectrum(p, 0, 1, &number, NULL, NULL, &count) == PLUMB_ERROR_ORDER);
    plumb_destroy(&p);
    p = made(PLUMB_DIAGNOSTICS_FULL, -1, values);
    test_all(plumb_diagnose(p, 0, &d) == PLUMB_OK && d.step == 0 && isnan(d.noise.samples));
    test_all(plumb_diagnose(p, -1, &d) == PLUMB_OK && d.full_step == 0 && isnan(d.echo));
    test_all(plumb_diagnose(p, 1, &d) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose(p, -2, &d) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose(p, 0, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose_spectrum(p, 0, 0, NULL, NULL, NULL, &count) == PLUMB_OK && count == 0);
    test_all(plumb_diagnose_spectrum(p, -1, 0, NULL, NULL, NULL, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose_spectrum(p, 0, -1, NULL, NULL, NULL, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose_spectrum(p, 0, 0, NULL, NULL, NULL, NULL) == PLUMB_ERROR_ARGUMENT);
    d.size = 1;
    test_all(plumb_diagnose(p, 0, &d) == PLUMB_ERROR_ARGUMENT);
    plumb_destroy(&p);
}
END_TEST

/* Gradients of a diagnosed step are under way, and one rank has given none. */
START_TEST(destroyed_in_an_open_step)
{
    float values[16] = {0};
    int rank;
    int64_t first;
    int64_t count;
    int64_t allocations = -1;
    plumb *p = made(PLUMB_DIAGNOSTICS_FULL, -1, values);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    test_all(plumb_share(p, TOTAL, &first, &count) == PLUMB_OK);
    test_all(plumb_begin_step(p, TOTAL) == PLUMB_OK);
    for (int64_t k = first; rank > 0 && k < first + count; k++) {
        plumb_accumulate(p, 0, k, values);
    }
    plumb_destroy(&p);
    plumb_memory_in_use(&allocations, NULL);
    test_all(allocations == 0);
}
END_TEST

START_TEST(options_that_differ)
{
    float values[16] = {0};
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    plumb *p = made(PLUMB_DIAGNOSTICS_FULL, size - 1, values);
    plumb_status status = plumb_begin_step(p, TOTAL);
    test_all(status == (size > 1 ? PLUMB_ERROR_MISMATCH : PLUMB_OK));
    test_all(size == 1 || strstr(plumb_error_message(p), "diagnostics_every") != NULL);
    plumb_destroy(&p);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("diagnoses of a handle");
    test_add(suite, "numbers", numbers_are_those_of_the_gradients);
    test_add(suite, "unequal samples", unequal_samples);
    test_add(suite, "bits", bits_do_not_depend_on_ranks);
    test_add(suite, "values", values_do_not_know_of_diagnostics);
    test_add(suite, "pipelines", pipelines);
    test_add(suite, "one group", one_group_tells_nothing);
    test_add(suite, "many groups", many_groups);
    test_add(suite, "zero and constant", zero_and_constant_gradients);
    test_add(suite, "not available", what_cannot_be_measured_is_said_once);
    test_add(suite, "refusals", refusals);
    test_add(suite, "destroyed", destroyed_in_an_open_step);
    test_add(suite, "options", options_that_differ);
    return test_run_mpi(suite, &argc, &argv);
}
