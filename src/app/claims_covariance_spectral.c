/*
 * The spectral norm of the covariance from few gradients in many dimensions, which the post leaves
 * open: the largest eigenvalue of the gradients' scatter is too large by about trace/(K-1).
 */
#include "app/claims_covariance.h"

#include <math.h>
#include <stdlib.h>

#include "plumb.h"

enum { DIMENSIONS = 2000, GRADIENTS = 24, REPETITIONS = 12, UNITS = 32, QUICK_UNITS = 4 };

/* Of one direction, above the unit variance of the others. */
static const double spike = 300.0;

enum { PLAIN, REDUCED, COUNT, WIDTH };

/* The others' variances: 1, or falling from 4. */
static double bulk(claims_noise noise, int i)
{
    return noise == CLAIMS_ISOTROPIC ? 1.0 : 4.0 / (1.0 + 8.0 * i / DIMENSIONS);
}

static void draw(claims_noise noise, claims_key key, double *normals, float *gradients)
{
    for (int k = 0; k < GRADIENTS; k++) {
        key.micro_batch = (uint16_t)k;
        claims_normals(key, DIMENSIONS, normals);
        for (int i = 0; i < DIMENSIONS; i++) {
            double variance = i == 7 ? spike : bulk(noise, i);
            gradients[k * DIMENSIONS + i] = (float)(0.1 + sqrt(variance) * normals[i]);
        }
    }
}

static plumb_status add_repetition(const float *gradients, double *sums)
{
    const float *vectors[GRADIENTS];
    double gram[GRADIENTS * GRADIENTS] = {0}, plain = 0.0, reduced = 0.0;
    for (int k = 0; k < GRADIENTS; k++) {
        vectors[k] = gradients + k * DIMENSIONS;
    }
    plumb_status status = plumb_gram(GRADIENTS, DIMENSIONS, vectors, gram);
    if (status == PLUMB_OK) {
        status = plumb_covariance_spectrum(GRADIENTS, NULL, gram, 1, &plain, &reduced, NULL);
    }
    sums[PLAIN] += plain;
    sums[REDUCED] += reduced;
    sums[COUNT] += 1.0;
    return status;
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    double *normals = malloc(DIMENSIONS * sizeof *normals);
    float *gradients = malloc((size_t)GRADIENTS * DIMENSIONS * sizeof *gradients);
    if (normals == NULL || gradients == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    for (int r = 0; r < 2 * REPETITIONS && f->code == EXIT_OK; r++) {
        claims_key key = {.seed = seed, .subject = self->number, .unit = unit, .step = (uint32_t)r};
        draw(covariance_noises[r % 2], key, normals, gradients);
        failure_from_library(f, add_repetition(gradients, sums + r % 2 * WIDTH), NULL);
    }
    free(normals);
    free(gradients);
}

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    (void)units;
    for (int i = 0; i < 2 * WIDTH; i++) {
        values[i] = sums[i] / sums[i / WIDTH * WIDTH + COUNT] / spike;
    }
}

static const claims_statement statement = {
    .name = "spectral",
    .title = "the largest eigenvalue of Sigma from few gradients",
    .source = "(the section is empty)",
    .correct = "the Gram matrix of K gradients has the eigenvalues of their scatter; the largest "
               "is about tr/(K-1) too large, which noise reduction takes off (Yata, Aoshima 2012)",
    .reason = "the eigenvalues are others"};

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &statement);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const claims_estimate *e = estimates + noise * WIDTH;
        double trace = 0.0;
        for (int i = 0; i < DIMENSIONS; i++) {
            trace += i == 7 ? 0.0 : bulk(kind, i);
        }
        double inflated = 1.0 + trace / (GRADIENTS - 1) / spike;
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "as it is, over the true one",
                              CLAIMS_EQUAL, inflated, e[PLAIN])
            ->slack = 0.05; /* of next order */
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "noise-reduced, over the true one",
                              CLAIMS_EQUAL, 1.0, e[REDUCED])
            ->slack = 0.05;
    }
}

const claims_subject claims_spectral = {.name = "spectral",
                                        .units = UNITS,
                                        .quick_units = QUICK_UNITS,
                                        .width = 2 * WIDTH,
                                        .number = 33,
                                        .run = run,
                                        .values = 2 * WIDTH,
                                        .evaluate = evaluate,
                                        .conclude = conclude};
