/*
 * Claim 7: Richardson extrapolation from updates of m and of 2m micro-batches, by
 * plumb_richardson. With bias c/m + c2/m^2 the extrapolated update is off by -c2/(2 m^2), and the
 * coefficient found is c + 1.5 c2/m.
 *
 * With isotropic noise the update is a vector's: for the 6 x 4 matrix c2 is too near 0 to have a
 * slope measured.
 */
#include "app/claims_orthogonal.h"

#include <math.h>
#include <string.h>

enum { SIZES = 5, UNITS = 48, QUICK_UNITS = 2 };

static const double sizes[SIZES] = {4, 6, 8, 12, 16};

static const claims_truth truths[] = {VECTOR_TRUTH(1.0, CLAIMS_ISOTROPIC),
                                      MATRIX_TRUTH(0.5, CLAIMS_ANISOTROPIC)};

#define BATCH(truth, size)                                                                         \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 1, (size), 120, CONTROL_OF_MEAN, false \
    }
/* Every size, then its double. */
#define BATCHES(truth)                                                                             \
    BATCH(truth, 4), BATCH(truth, 6), BATCH(truth, 8), BATCH(truth, 12), BATCH(truth, 16),         \
        BATCH(truth, 8), BATCH(truth, 12), BATCH(truth, 16), BATCH(truth, 24), BATCH(truth, 32)
static const claims_series series[] = {BATCHES(0), BATCHES(1)};
static const claims_scene scene = {truths, series, 2, COUNT_OF(series)};

enum {
    SLOPE,       /* of the extrapolated update's bias */
    PLAIN_SLOPE, /* of the bias as it is */
    COEFFICIENT, /* |c| found, m to infinity */
    RATIO,       /* (c found - c) m over m^2 times the extrapolated bias, at the middle size */
    SECOND,
    BIASES,
    EXTRAPOLATED = BIASES + SIZES,
    VALUES = EXTRAPOLATED + SIZES
};

/* Extrapolated bias[], and coefficient[], from size number i. */
static void extrapolate(const double *sums, int first, int i, double *bias, double *coefficient)
{
    float coarse[PROBLEM_MOST], fine[PROBLEM_MOST];
    double result[PROBLEM_MOST];
    double at_size[PROBLEM_MOST], at_double[PROBLEM_MOST];
    claims_scene_bias(sums, first + i, at_size);
    claims_scene_bias(sums, first + SIZES + i, at_double);
    for (int e = 0; e < PROBLEM_MOST; e++) { /* biases extrapolate as updates do */
        coarse[e] = (float)at_size[e];
        fine[e] = (float)at_double[e];
    }
    if (plumb_richardson(PROBLEM_MOST, sizes[i], coarse, fine, result, coefficient) != PLUMB_OK) {
        memset(result, 0, sizeof result);
    }
    for (int e = 0; e < PROBLEM_MOST; e++) {
        bias[e] = result[e];
    }
}

static void evaluate_noise(const double *sums, int first, const double *second, double *own)
{
    double logs[SIZES], log_sizes[SIZES], inverse[SIZES], found[SIZES];
    double bias[PROBLEM_MOST], coefficient[PROBLEM_MOST];
    own[PLAIN_SLOPE] = claims_scene_slope(sums, first, SIZES, sizes, own + BIASES);
    for (int i = 0; i < SIZES; i++) {
        extrapolate(sums, first, i, bias, coefficient);
        own[EXTRAPOLATED + i] = claims_norm(PROBLEM_MOST, bias);
        logs[i] = log(own[EXTRAPOLATED + i]);
        log_sizes[i] = log(sizes[i]);
        inverse[i] = 1.0 / sizes[i];
        found[i] = claims_norm(PROBLEM_MOST, coefficient);
        if (i == SIZES / 2) {
            for (int e = 0; e < PROBLEM_MOST; e++) {
                coefficient[e] -= second[e];
            }
            own[RATIO] = claims_dot(PROBLEM_MOST, coefficient, bias) /
                         (sizes[i] * claims_dot(PROBLEM_MOST, bias, bias));
        }
    }
    own[SLOPE] = claims_slope(SIZES, log_sizes, logs, NULL);
    claims_slope(SIZES, inverse, found, &own[COEFFICIENT]);
}

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    for (int noise = 0; noise < 2; noise++) {
        double second[PROBLEM_MOST];
        double *own = values + noise * VALUES;
        own[SECOND] = claims_scene_second(self->setting, sums, units, noise, second);
        evaluate_noise(sums, noise * 2 * SIZES, second, own);
    }
}

static const claims_statement statement = {
    .name = "claim7",
    .title = "Richardson extrapolation",
    .source = "2 Z_2m - Z_m is biased by O(m^-2); 2m (Z_m - Z_2m) = c + O(1/m)",
    .correct = "the same: -c2/(2 m^2) and c + 1.5 c2/m; the result is no isometry",
    .reason = "the slopes are not those"};

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    double closed, error;
    plumb_isotropic_polar_bias(truths[0].rows, 1, truths[0].singular, 1.0, &closed, &error);
    claims_findings_begin(findings, &statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * VALUES;
        claims_noise kind = claims_noises[noise];
        double second = kind == CLAIMS_ISOTROPIC ? closed : own[SECOND].mean;
        claims_check *check = claims_findings_check(
            findings, CLAIMS_HEADLINE, kind, "slope of the extrapolated |bias|, m = 4 ... 16",
            CLAIMS_EQUAL, -2.0, own[SLOPE]);
        check->slack = 0.2;
        check->most_error = 0.1;
        check = claims_findings_check(findings, CLAIMS_HEADLINE, kind, "slope of |bias| without it",
                                      CLAIMS_EQUAL, -1.0, own[PLAIN_SLOPE]);
        check->slack = 0.1;
        check->most_error = 0.02;
        claims_findings_check(findings, CLAIMS_HEADLINE, kind, "coefficient found, m to infinity",
                              CLAIMS_EQUAL, second, own[COEFFICIENT])
            ->slack = 0.03 * second;
        check = claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                      "(c found - c)/(m bias left), m = 8", CLAIMS_EQUAL, -3.0,
                                      own[RATIO]);
        check->slack = 0.3;
        for (int i = 0; i < SIZES; i++) {
            claims_findings_point(findings, "richardson", "bias", kind, sizes[i], second / sizes[i],
                                  own[BIASES + i]);
            claims_findings_point(findings, "richardson", "extrapolated", kind, sizes[i], NAN,
                                  own[EXTRAPOLATED + i]);
        }
    }
}

const claims_subject claims_claim7 = {.name = "claim7",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(4 * SIZES, 2),
                                      .number = 17,
                                      .setting = &scene,
                                      .run = claims_scene_run,
                                      .values = 2 * VALUES,
                                      .evaluate = evaluate,
                                      .conclude = conclude};
