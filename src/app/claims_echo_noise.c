/*
 * What the echo draft says of the noise alone: where its singular values end, and which variance
 * its two estimators give. The noise of the mean of the groups has variance 1.
 */
#include "app/claims_echo_sampler.h"
#include "app/claims_subject.h"

#include <math.h>
#include <stdio.h>

enum { SHAPES = 3, GROUPS = 8, UNITS = 32, QUICK_UNITS = 2 };

static const int shapes[SHAPES][2] = {{160, 160}, {80, 320}, {60, 960}};

/* Sums of a shape: largest singular value, squared; both estimates over slices of the matrix, and
 * their squared errors. */
enum { SLICES = 16 };
enum { EDGE, MEAN, MEAN_SQUARE, PAIRWISE, PAIRWISE_SQUARE, FIELDS };

static int add_variances(const echo_sampler *s, int slice, double *sums, failure *f)
{
    const float *vectors[GROUPS];
    int64_t length = s->count / SLICES;
    double by_mean = 0.0, by_pairs = 0.0;
    for (int k = 0; k < GROUPS; k++) {
        vectors[k] = s->gradients + (int64_t)k * s->count + slice * length;
    }
    plumb_status status =
        plumb_noise_variance(PLUMB_VARIANCE_MEAN, GROUPS, length, vectors, &by_mean);
    if (status == PLUMB_OK) {
        status = plumb_noise_variance(PLUMB_VARIANCE_PAIRWISE, GROUPS, length, vectors, &by_pairs);
    }
    sums[MEAN] += by_mean;
    sums[MEAN_SQUARE] += (by_mean - 1.0) * (by_mean - 1.0);
    sums[PAIRWISE] += by_pairs;
    sums[PAIRWISE_SQUARE] += (by_pairs - 1.0) * (by_pairs - 1.0);
    return failure_from_library(f, status, NULL);
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    for (int shape = 0; shape < SHAPES && f->code == EXIT_OK; shape++) {
        claims_key key = {
            .seed = seed, .subject = self->number, .unit = unit, .step = (uint32_t)shape};
        const double none = 0.0;
        echo_sampler s;
        if (echo_sampler_create(&s, shapes[shape][0], shapes[shape][1], GROUPS, 1, f) == EXIT_OK &&
            echo_sampler_draw(&s, key, &none, f) == EXIT_OK &&
            echo_sampler_decompose(&s, f) == EXIT_OK) {
            sums[shape * FIELDS + EDGE] += s.found[0] * s.found[0];
            for (int slice = 0; slice < SLICES && f->code == EXIT_OK; slice++) {
                add_variances(&s, slice, sums + shape * FIELDS, f);
            }
        }
        echo_sampler_destroy(&s);
    }
}

/* Of each shape: edge, mean of both estimates; then the ratio of their mean squared errors. */
enum { V_EDGE, V_MEAN, V_PAIRWISE, SHAPE_VALUES, VALUES = SHAPES * SHAPE_VALUES + 1 };

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    double by_mean = 0.0, by_pairs = 0.0;
    (void)self;
    for (int shape = 0; shape < SHAPES; shape++) {
        const double *own = sums + shape * FIELDS;
        double *result = values + shape * SHAPE_VALUES;
        result[V_EDGE] = own[EDGE] / (double)units;
        result[V_MEAN] = own[MEAN] / ((double)units * SLICES);
        result[V_PAIRWISE] = own[PAIRWISE] / ((double)units * SLICES);
        double entries = (double)shapes[shape][0] * shapes[shape][1];
        by_mean += entries * own[MEAN_SQUARE];
        by_pairs += entries * own[PAIRWISE_SQUARE];
    }
    values[SHAPES * SHAPE_VALUES] = log(by_pairs / by_mean);
}

static const claims_statement edge_statement = {
    .name = "edge",
    .title = "where the noise's spectrum ends",
    .source = "E E' of entries of variance sigma^2 has its spectrum in sigma^2 (1 -+ sqrt gamma)^2",
    .correct = "sigma^2 (sqrt m -+ sqrt n)^2 = n sigma^2 (1 -+ sqrt gamma)^2",
    .reason = "the factor n is missing"};

static const claims_statement variance_statement = {
    .name = "variance",
    .title = "the variance from the micro-batches",
    .source = "sum |G_i - mean|^2/((K-1) m n) is the sigma^2 of the matrix whose SVD is taken; "
              "pairwise differences are often more stable",
    .correct = "that is one micro-batch's; the mean's is 1/K of it; differences of neighbours need "
               "no mean but are noisier",
    .reason = "a factor K, the number of micro-batches averaged; the pairwise estimate wastes "
              "degrees of freedom"};

static claims_check *check_shape(claims_findings *findings, claims_part part, const char *quantity,
                                 int shape, double predicted, claims_estimate measured)
{
    char text[72];
    snprintf(text, sizeof text, "%s, %d x %d", quantity, shapes[shape][0], shapes[shape][1]);
    return claims_findings_check(findings, part, CLAIMS_ISOTROPIC, text, CLAIMS_EQUAL, predicted,
                                 measured);
}

/* Expectation of the largest eigenvalue: a little below the edge (Johnstone 2001, Ann. Statist. 29,
 * theorem 1.1; -1.2065 is the mean of the Tracy-Widom law of order 1). */
static double finite_edge(double rows, double cols)
{
    double sum = sqrt(cols - 1.0) + sqrt(rows);
    return sum * sum - 1.2065 * sum * cbrt(1.0 / sqrt(cols - 1.0) + 1.0 / sqrt(rows));
}

static void conclude_edge(const claims_estimate *estimates, claims_findings *findings)
{
    claims_findings_begin(findings, &edge_statement);
    for (int shape = 0; shape < SHAPES; shape++) {
        double root = 1.0 + sqrt((double)shapes[shape][0] / shapes[shape][1]);
        double edge = root * root * shapes[shape][1];
        claims_estimate measured = estimates[shape * SHAPE_VALUES + V_EDGE];
        check_shape(findings, CLAIMS_HEADLINE, "largest eigenvalue/sigma^2", shape, root * root,
                    measured)
            ->most_error = 0.01 * edge;
        check_shape(findings, CLAIMS_CORRECTED, "largest eigenvalue/sigma^2", shape, edge, measured)
            ->slack = 0.05 * edge;
        check_shape(findings, CLAIMS_CORRECTED, "the same for finite matrices", shape,
                    finite_edge(shapes[shape][0], shapes[shape][1]), measured)
            ->slack = 0.005 * edge;
    }
}

static void conclude_variance(const claims_estimate *estimates, claims_findings *findings)
{
    claims_findings_begin(findings, &variance_statement);
    for (int shape = 0; shape < SHAPES; shape++) {
        const claims_estimate *own = estimates + shape * SHAPE_VALUES;
        claims_estimate one = {GROUPS * own[V_MEAN].mean, GROUPS * own[V_MEAN].error};
        check_shape(findings, CLAIMS_DETAIL, "the source's, over the mean's variance", shape, 1.0,
                    one);
        check_shape(findings, CLAIMS_CORRECTED, "the same over K", shape, 1.0, own[V_MEAN]);
        check_shape(findings, CLAIMS_CORRECTED, "pairwise, over K", shape, 1.0, own[V_PAIRWISE]);
    }
    claims_findings_check(findings, CLAIMS_DETAIL, CLAIMS_ISOTROPIC,
                          "log of squared errors, pairwise over the other", CLAIMS_BELOW, 0.0,
                          estimates[SHAPES * SHAPE_VALUES]);
}

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    conclude_edge(estimates, findings);
    conclude_variance(estimates, findings);
}

const claims_subject claims_echo_noise = {.name = "edge",
                                          .units = UNITS,
                                          .quick_units = QUICK_UNITS,
                                          .width = SHAPES * FIELDS,
                                          .number = 22,
                                          .run = run,
                                          .values = VALUES,
                                          .evaluate = evaluate,
                                          .conclude = conclude};
