/*
 * Batches drawn without replacement from a data set of 24 samples: the variance of their mean, and
 * what the noise's estimates make of them.
 */
#include "app/claims_covariance.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "plumb.h"

enum {
    DIMENSIONS = 6,
    POPULATION = 24,
    BATCH = 12,
    PARTS = 6, /* micro-batches of the batch */
    SIZE = BATCH / PARTS,
    REPETITIONS = 1000,
    UNITS = 32,
    QUICK_UNITS = 4
};

enum { SPREAD, TRACE, SIGNAL, PLAIN_SIGNAL, COUNT, WIDTH }; /* added up, for each noise */

typedef struct population {
    double samples[POPULATION][DIMENSIONS];
    double mean[DIMENSIONS];
    double trace, signal; /* tr S with the divisor N - 1, |mean|^2 */
} population;

/* The same data set for every seed. */
static void make_population(claims_noise noise, population *p)
{
    *p = (population){0};
    for (int n = 0; n < POPULATION; n++) {
        claims_key key = {.seed = 1, .subject = 32, .step = UINT32_MAX, .micro_batch = (uint16_t)n};
        claims_normals(key, DIMENSIONS, p->samples[n]);
        for (int i = 0; i < DIMENSIONS; i++) {
            double spread = noise == CLAIMS_ISOTROPIC ? 1.0 : 3.0 / (1.0 + i * i);
            p->samples[n][i] = (double)(float)(1.0 + spread * p->samples[n][i]);
            p->mean[i] += p->samples[n][i] / POPULATION;
        }
    }
    for (int i = 0; i < DIMENSIONS; i++) {
        p->signal += p->mean[i] * p->mean[i];
        for (int n = 0; n < POPULATION; n++) {
            double error = p->samples[n][i] - p->mean[i];
            p->trace += error * error / (POPULATION - 1);
        }
    }
}

/* The samples in the order of random numbers; the first BATCH of them are the batch. */
static void shuffle(claims_key key, int *order)
{
    double rank[POPULATION];
    claims_normals(key, POPULATION, rank);
    for (int n = 0; n < POPULATION; n++) {
        int place = n;
        for (; place > 0 && rank[order[place - 1]] > rank[n]; place--) {
            order[place] = order[place - 1];
        }
        order[place] = n;
    }
}

/* gradients[PARTS][DIMENSIONS]: means of BATCH / PARTS samples. */
static void form_parts(const population *p, const int *order, float *gradients)
{
    for (int k = 0; k < PARTS; k++) {
        for (int i = 0; i < DIMENSIONS; i++) {
            double sum = 0.0;
            for (int s = 0; s < SIZE; s++) {
                sum += p->samples[order[k * SIZE + s]][i];
            }
            gradients[k * DIMENSIONS + i] = (float)(sum / SIZE);
        }
    }
}

static plumb_status add_estimates(const float *gradients, double *sums)
{
    const float *vectors[PARTS];
    double samples[PARTS], gram[PARTS * PARTS] = {0};
    plumb_noise noise = {.size = sizeof noise}, endless = noise;
    for (int k = 0; k < PARTS; k++) {
        vectors[k] = gradients + k * DIMENSIONS;
        samples[k] = SIZE;
    }
    plumb_status status = plumb_gram(PARTS, DIMENSIONS, vectors, gram);
    if (status == PLUMB_OK) {
        status = plumb_noise_scale(PARTS, samples, gram, POPULATION, &noise);
    }
    if (status == PLUMB_OK) {
        status = plumb_noise_scale(PARTS, samples, gram, 0.0, &endless);
    }
    sums[TRACE] += noise.trace;
    sums[SIGNAL] += noise.signal;
    sums[PLAIN_SIGNAL] += endless.signal;
    return status;
}

static int add_repetition(const population *p, claims_handle *handle, claims_key key, double *sums,
                          failure *f)
{
    int order[POPULATION] = {0};
    float gradients[PARTS * DIMENSIONS];
    shuffle(key, order);
    form_parts(p, order, gradients);
    if (claims_handle_step(handle, gradients, NULL, f) == EXIT_OK) {
        for (int i = 0; i < DIMENSIONS; i++) {
            double error = -(double)handle->values[i] - p->mean[i];
            sums[SPREAD] += error * error;
        }
        sums[COUNT] += 1.0;
        failure_from_library(f, add_estimates(gradients, sums), NULL);
    }
    return f->code;
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    claims_handle handle;
    plumb_parameter_options options;
    claims_handle_options(PLUMB_OPTIMIZER_SGD, &options);
    options.beta1 = 0.0;
    claims_handle_create(&handle, "population", 1, 1, DIMENSIONS, &options, f);
    handle.micro_batches = PARTS;
    for (int noise = 0; noise < 2; noise++) {
        population p;
        make_population(covariance_noises[noise], &p);
        for (int r = 0; r < REPETITIONS && f->code == EXIT_OK; r++) {
            claims_key key = {.seed = seed,
                              .subject = self->number,
                              .unit = unit,
                              .step = (uint32_t)(noise * REPETITIONS + r)};
            add_repetition(&p, &handle, key, sums + noise * WIDTH, f);
        }
    }
    claims_handle_destroy(&handle);
}

/* Over the truth; the spread over that of independent samples. */
static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    (void)units;
    covariance_means(sums, WIDTH, COUNT, values);
    for (int noise = 0; noise < 2; noise++) {
        double *v = values + noise * WIDTH;
        population p;
        make_population(covariance_noises[noise], &p);
        double sigma = p.trace * (POPULATION - 1) / POPULATION; /* tr Sigma, divisor N */
        v[SPREAD] *= BATCH / sigma;
        v[TRACE] /= p.trace;
        v[SIGNAL] /= p.signal;
        v[PLAIN_SIGNAL] /= p.signal;
    }
}

static const claims_statement statement = {
    .name = "population",
    .title = "samples drawn without replacement",
    .source = "Cov(g_B) = (N-B)/(N-1) Sigma/B, with Sigma's divisor N",
    .correct = "the same; the scatter of micro-batches estimates S = N/(N-1) Sigma without any "
               "factor, and the squared norm's excess is (1 - B/N) tr(S)/B",
    .reason = "the variance is another"};

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    double factor = (double)(POPULATION - BATCH) / (POPULATION - 1);
    claims_findings_begin(findings, &statement);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const claims_estimate *e = estimates + noise * WIDTH;
        claims_findings_check(findings, CLAIMS_HEADLINE, kind,
                              "variance over tr(Sigma)/B, B = 12, N = 24", CLAIMS_EQUAL, factor,
                              e[SPREAD]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "trace of micro-batches over tr(S)",
                              CLAIMS_EQUAL, 1.0, e[TRACE]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                              "squared gradient, population given, over |G|^2", CLAIMS_EQUAL, 1.0,
                              e[SIGNAL]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "as if endless, over |G|^2",
                              CLAIMS_BELOW, 1.0, e[PLAIN_SIGNAL]);
    }
}

const claims_subject claims_population = {.name = "population",
                                          .units = UNITS,
                                          .quick_units = QUICK_UNITS,
                                          .width = 2 * WIDTH,
                                          .number = 32,
                                          .run = run,
                                          .values = 2 * WIDTH,
                                          .evaluate = evaluate,
                                          .conclude = conclude};
