/*
 * Claims 4 and 7: how bias and variance of orthogonalised updates fall with the micro-batches m of
 * a group and with the groups n, and what Richardson extrapolation over m leaves. Claim 4's updates
 * are means over groups of orthogonalised means of m micro-batches.
 */
#include "app/claims_orthogonal.h"

#include <math.h>
#include <string.h>

enum { SIZES = 5, COLS = 4, UNITS = 48, QUICK_UNITS = 2, GROUPS = 4, BATCH = 8 };

static const claims_truth truths[] = {MATRIX_TRUTH(0.5, CLAIMS_ISOTROPIC),
                                      MATRIX_TRUTH(0.5, CLAIMS_ANISOTROPIC)};
static const double level = 0.5;

/* ---- Claim 4 ------------------------------------------------------------------------------- */

static const double batch_sizes[SIZES] = {4, 8, 16, 32, 64};
static const double group_sizes[SIZES] = {1, 2, 4, 8, 16};

#define MEAN_OF(truth, groups, size)                                                               \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, (groups), (size), 50,                  \
            CONTROL_OF_GROUPS, false                                                               \
    }
#define MEANS_OF(truth)                                                                            \
    MEAN_OF(truth, GROUPS, 4), MEAN_OF(truth, GROUPS, 8), MEAN_OF(truth, GROUPS, 16),              \
        MEAN_OF(truth, GROUPS, 32), MEAN_OF(truth, GROUPS, 64), MEAN_OF(truth, 1, BATCH),          \
        MEAN_OF(truth, 2, BATCH), MEAN_OF(truth, 4, BATCH), MEAN_OF(truth, 8, BATCH),              \
        MEAN_OF(truth, 16, BATCH)
static const claims_series series[] = {MEANS_OF(0), MEANS_OF(1)};
static const claims_scene scene = {truths, series, 2, COUNT_OF(series)};

enum {
    BIAS_BATCH, /* slopes of bias and variance */
    BIAS_GROUPS,
    VARIANCE_BATCH,
    VARIANCE_GROUPS,
    COEFFICIENT, /* m |bias|, m to infinity */
    COSINE,      /* of the bias at the largest m with the second-order term */
    SPREAD,      /* n m variance, m to infinity */
    SECOND,      /* norm of the second-order term */
    BIASES,
    VARIANCES = BIASES + 2 * SIZES,
    VALUES = VARIANCES + 2 * SIZES
};

/* Variance of one series into variances[count], slope of its logarithm over log x. */
static double variance_slope(const double *sums, int first, const double *x, double *variances)
{
    double logs[SIZES], sizes[SIZES], bias[PROBLEM_MOST];
    for (int i = 0; i < SIZES; i++) {
        double norm = claims_scene_bias(sums, first + i, bias);
        variances[i] = claims_scene_square(sums, first + i) - norm * norm;
        logs[i] = log(variances[i]);
        sizes[i] = log(x[i]);
    }
    return claims_slope(SIZES, sizes, logs, NULL);
}

/* factor x[i] y[i] against 1/x[i], at 1/x = 0. */
static double limit(const double *x, const double *y, double factor)
{
    double inverse[SIZES], scaled[SIZES], intercept;
    for (int i = 0; i < SIZES; i++) {
        inverse[i] = 1.0 / x[i];
        scaled[i] = factor * x[i] * y[i];
    }
    claims_slope(SIZES, inverse, scaled, &intercept);
    return intercept;
}

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    for (int noise = 0; noise < 2; noise++) {
        int first = noise * 2 * SIZES;
        double *own = values + noise * VALUES, bias[PROBLEM_MOST], second[PROBLEM_MOST];
        own[BIAS_BATCH] = claims_scene_slope(sums, first, SIZES, batch_sizes, own + BIASES);
        own[BIAS_GROUPS] =
            claims_scene_slope(sums, first + SIZES, SIZES, group_sizes, own + BIASES + SIZES);
        own[VARIANCE_BATCH] = variance_slope(sums, first, batch_sizes, own + VARIANCES);
        own[VARIANCE_GROUPS] =
            variance_slope(sums, first + SIZES, group_sizes, own + VARIANCES + SIZES);
        own[COEFFICIENT] = limit(batch_sizes, own + BIASES, 1.0);
        own[SPREAD] = limit(batch_sizes, own + VARIANCES, GROUPS);
        own[SECOND] = claims_scene_second(self->setting, sums, units, noise, second);
        double norm = claims_scene_bias(sums, first + SIZES - 1, bias);
        own[COSINE] = claims_dot(PROBLEM_MOST, bias, second) / (norm * own[SECOND]);
    }
}

static const claims_statement statement = {
    .name = "claim4",
    .title = "m micro-batches a group, n groups",
    .source = "bias -U Gamma V'/m whatever n, variance as 1/(n m)",
    .correct = "the same; isotropic: Gamma = sigma^2 diag(b), b_i = (M-N)/(2 s_i^2) + sum 1/(s_i + "
               "s_k)^2; anisotropic noise adds a part outside the span of U",
    .reason = "the slopes are not those"};

static void check_slope(claims_findings *findings, claims_noise kind, const char *name,
                        double predicted, claims_estimate measured)
{
    claims_check *check = claims_findings_check(findings, CLAIMS_HEADLINE, kind, name, CLAIMS_EQUAL,
                                                predicted, measured);
    check->slack = 0.06; /* M7: the next order at the smallest sizes */
    check->most_error = 0.02;
}

static void add_points(claims_findings *findings, claims_noise kind, const claims_estimate *own)
{
    for (int i = 0; i < SIZES; i++) {
        double second = own[SECOND].mean;
        claims_findings_point(findings, "batch", "bias", kind, batch_sizes[i],
                              second / batch_sizes[i], own[BIASES + i]);
        claims_findings_point(findings, "batch", "variance", kind, batch_sizes[i], NAN,
                              own[VARIANCES + i]);
        claims_findings_point(findings, "groups", "bias", kind, group_sizes[i], second / BATCH,
                              own[BIASES + SIZES + i]);
        claims_findings_point(findings, "groups", "variance", kind, group_sizes[i], NAN,
                              own[VARIANCES + SIZES + i]);
    }
}

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    double bias[COLS], error;
    plumb_isotropic_polar_bias(6, COLS, truths[0].singular, level * level, bias, &error);
    claims_findings_begin(findings, &statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * VALUES;
        claims_noise kind = claims_noises[noise];
        bool isotropic = kind == CLAIMS_ISOTROPIC;
        double second = isotropic ? claims_norm(COLS, bias) : own[SECOND].mean;
        check_slope(findings, kind, "slope of |bias| in m, m = 4 ... 64", -1.0, own[BIAS_BATCH]);
        check_slope(findings, kind, "slope of |bias| in n, n = 1 ... 16", 0.0, own[BIAS_GROUPS]);
        check_slope(findings, kind, "slope of the variance in m", -1.0, own[VARIANCE_BATCH]);
        check_slope(findings, kind, "slope of the variance in n", -1.0, own[VARIANCE_GROUPS]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "m |bias|, m to infinity",
                              CLAIMS_EQUAL, second, own[COEFFICIENT])
            ->slack = 0.02 * second;
        claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                              "cosine of bias and second-order term", CLAIMS_EQUAL, 1.0,
                              own[COSINE])
            ->slack = 0.01;
        if (isotropic) {
            claims_findings_check(findings, CLAIMS_CORRECTED, kind, "n m variance, m to infinity",
                                  CLAIMS_EQUAL, error, own[SPREAD])
                ->slack = 0.03 * error;
        }
        add_points(findings, kind, own);
    }
}

const claims_subject claims_claim4 = {.name = "claim4",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(4 * SIZES, 2),
                                      .number = 14,
                                      .setting = &scene,
                                      .run = claims_scene_run,
                                      .values = 2 * VALUES,
                                      .evaluate = evaluate,
                                      .conclude = conclude};
