/*
 * Claims 5 and 6: pipelines that orthogonalise each group and work on the result: a second
 * orthogonalisation of the mean, and a norm that is streamed along. Their bias against n, and its
 * limit, extrapolated as twice the bias at the largest n minus that at half of it.
 */
#include "app/claims_orthogonal.h"

#include <math.h>
#include <string.h>

enum { SIZES = 5, ROWS = 6, COLS = 4, COUNT = ROWS * COLS, UNITS = 48, QUICK_UNITS = 2 };

static const double sizes[SIZES] = {4, 8, 16, 32, 64};

#define UPDATE(truth, pipeline, groups, work)                                                      \
    {                                                                                              \
        (truth), (pipeline), (groups), 1, (work) / (groups), CONTROL_NONE, false                   \
    }
/* As many groups of each size. */
#define UPDATES(truth, pipeline, work)                                                             \
    UPDATE(truth, pipeline, 4, work), UPDATE(truth, pipeline, 8, work),                            \
        UPDATE(truth, pipeline, 16, work), UPDATE(truth, pipeline, 32, work),                      \
        UPDATE(truth, pipeline, 64, work)

/* The mean of the pipeline's updates at all sizes: of those whose mean does not depend on n. */
static void mean_bias(const double *sums, int first, double *mean)
{
    double bias[PROBLEM_MOST];
    memset(mean, 0, PROBLEM_MOST * sizeof *mean);
    for (int i = 0; i < SIZES; i++) {
        claims_scene_bias(sums, first + i, bias);
        for (int e = 0; e < PROBLEM_MOST; e++) {
            mean[e] += bias[e] / SIZES;
        }
    }
}

/* Bias for n to infinity. */
static void limit_bias(const double *sums, int first, double *limit)
{
    double half[PROBLEM_MOST];
    claims_scene_bias(sums, first + SIZES - 1, limit);
    claims_scene_bias(sums, first + SIZES - 2, half);
    for (int e = 0; e < PROBLEM_MOST; e++) {
        limit[e] = 2.0 * limit[e] - half[e];
    }
}

/* Ortho(Q + bias) - Q. */
static void orthogonalise(const claims_problem *p, const double *bias, double *result)
{
    float matrix[PROBLEM_MOST], polar[PROBLEM_MOST] = {0};
    for (int i = 0; i < p->count; i++) {
        matrix[i] = (float)(p->polar[i] + bias[i]);
    }
    if (plumb_polar(PLUMB_POLAR_SVD, p->rows, p->cols, matrix, polar, NULL) != PLUMB_OK) {
        memset(polar, 0, sizeof polar);
    }
    for (int i = 0; i < PROBLEM_MOST; i++) {
        result[i] = (double)polar[i] - p->polar[i];
    }
}

static void add_points(claims_findings *findings, const char *curve, claims_noise kind,
                       const claims_estimate *norms)
{
    for (int i = 0; i < SIZES; i++) {
        claims_findings_point(findings, "pipelines", curve, kind, sizes[i], NAN, norms[i]);
    }
}

/* ---- Claim 5 ------------------------------------------------------------------------------- */

static const claims_truth double_truths[] = {MATRIX_TRUTH(0.5, CLAIMS_ISOTROPIC),
                                             MATRIX_TRUTH(0.5, CLAIMS_ANISOTROPIC)};
static const claims_series double_series[] = {
    UPDATES(0, PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE, 1024),
    UPDATES(1, PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE, 1024),
    UPDATES(0, PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, 512),
    UPDATES(1, PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, 512)};
static const claims_scene double_scene = {double_truths, double_series, 2, COUNT_OF(double_series)};

enum {
    SLOPE,
    LIMIT_SQUARE,
    LIMIT,     /* its norm */
    PREDICTED, /* norm of Ortho(E W) - Q, W of one group */
    COSINE,    /* of the limit with the tangent part of the bias of one group */
    DOUBLES,
    SINGLES = DOUBLES + SIZES,
    DOUBLE_VALUES = SINGLES + SIZES
};

static void evaluate_double(const claims_subject *self, const double *sums, int64_t units,
                            double *values)
{
    (void)self;
    (void)units;
    for (int noise = 0; noise < 2; noise++) {
        double *own = values + noise * DOUBLE_VALUES;
        double limit[PROBLEM_MOST], single[PROBLEM_MOST], again[PROBLEM_MOST];
        double tangent[PROBLEM_MOST] = {0};
        claims_problem p;
        claims_truth_problem(&double_truths[noise], &p);
        own[SLOPE] = claims_scene_slope(sums, noise * SIZES, SIZES, sizes, own + DOUBLES);
        claims_scene_slope(sums, (2 + noise) * SIZES, SIZES, sizes, own + SINGLES);
        limit_bias(sums, noise * SIZES, limit);
        mean_bias(sums, (2 + noise) * SIZES, single);
        orthogonalise(&p, single, again);
        claims_problem_tangent(&p, single, tangent);
        own[LIMIT_SQUARE] = claims_dot(COUNT, limit, limit);
        own[LIMIT] = sqrt(own[LIMIT_SQUARE]);
        own[PREDICTED] = claims_norm(COUNT, again);
        own[COSINE] =
            claims_dot(COUNT, limit, tangent) / (own[LIMIT] * claims_norm(COUNT, tangent));
    }
}

static const claims_statement double_statement = {
    .name = "claim5",
    .title = "orthogonalise, average, orthogonalise",
    .source = "the O(1) bias survives for all n; its sign flips",
    .correct = "the limit is the tangent part of one group's bias, with its sign; isotropic noise "
               "has none, and there the bias falls as 1/n",
    .reason = "isotropic noise only shrinks, which the second Ortho repairs; where the bias "
              "survives it keeps its sign"};

static void conclude_double(const claims_subject *self, const claims_estimate *estimates,
                            claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &double_statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * DOUBLE_VALUES;
        claims_noise kind = claims_noises[noise];
        claims_findings_check(findings, CLAIMS_HEADLINE, kind, "squared bias, n to infinity",
                              CLAIMS_ABOVE, 0.0, own[LIMIT_SQUARE])
            ->most_error = 4e-4;
        if (kind == CLAIMS_ISOTROPIC) {
            claims_check *check = claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                                        "squared bias, n to infinity", CLAIMS_EQUAL,
                                                        0.0, own[LIMIT_SQUARE]);
            check->most_error = 1e-4;
            check = claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                          "slope of |bias| in n, n = 4 ... 64", CLAIMS_EQUAL, -1.0,
                                          own[SLOPE]);
            check->slack = 0.04;
            check->most_error = 0.03;
        } else {
            claims_findings_check(findings, CLAIMS_CORRECTED, kind, "|bias|, n to infinity",
                                  CLAIMS_EQUAL, own[PREDICTED].mean, own[LIMIT])
                ->slack = 0.02 * own[PREDICTED].mean;
            claims_findings_check(findings, CLAIMS_DETAIL, kind,
                                  "cosine of its limit and the tangent bias", CLAIMS_EQUAL, -1.0,
                                  own[COSINE])
                ->slack = 0.05;
            claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                  "cosine of its limit and the tangent bias", CLAIMS_EQUAL, 1.0,
                                  own[COSINE])
                ->slack = 0.05;
        }
        add_points(findings, "double-orthogonalise", kind, own + DOUBLES);
        add_points(findings, "orthogonalise-then-average", kind, own + SINGLES);
    }
}

const claims_subject claims_claim5 = {.name = "claim5",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(4 * SIZES, 2),
                                      .number = 15,
                                      .setting = &double_scene,
                                      .run = claims_scene_run,
                                      .values = 2 * DOUBLE_VALUES,
                                      .evaluate = evaluate_double,
                                      .conclude = conclude_double};

/* ---- Claim 6 ------------------------------------------------------------------------------- */

static const claims_truth norm_truths[] = {
    MATRIX_TRUTH(0.5, CLAIMS_ISOTROPIC), MATRIX_TRUTH(0.5, CLAIMS_ANISOTROPIC),
    VECTOR_TRUTH(1.0, CLAIMS_ISOTROPIC), VECTOR_TRUTH(1.0, CLAIMS_ANISOTROPIC)};

/* What the owner forms of one group's stream: norm times Ortho. */
#define FORMED(truth)                                                                              \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 8, 1, 64, CONTROL_NONE, true             \
    }
static const claims_series norm_series[] = {
    UPDATES(0, PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 512),
    UPDATES(1, PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 512),
    UPDATES(0, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 768),
    UPDATES(1, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 768),
    UPDATES(0, PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, 256),
    UPDATES(1, PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, 256),
    UPDATES(0, PLUMB_PIPELINE_NORMALISED_WITH_NORM, 512),
    UPDATES(1, PLUMB_PIPELINE_NORMALISED_WITH_NORM, 512),
    UPDATES(2, PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 512),
    UPDATES(3, PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 512),
    FORMED(0),
    FORMED(1)};
static const claims_scene norm_scene = {norm_truths, norm_series, 4, COUNT_OF(norm_series)};

/* Families of series in norm_series, with one list of sizes for each noise. */
enum { WITH_NORM, AVERAGED, WITH_FACTOR, NORMALISED, VECTORS, FAMILIES };

enum {
    SLOPES,                         /* of each family */
    NORM_LIMIT = SLOPES + FAMILIES, /* of WITH_NORM */
    NORM_LIMIT_SQUARE,
    NORM_PREDICTED, /* Ortho of the mean of what is formed */
    MISMATCH,       /* |E rho W - G| / |G| */
    NORMS,          /* of each family and size */
    NORM_VALUES = NORMS + FAMILIES * SIZES
};

static void evaluate_norm(const claims_subject *self, const double *sums, int64_t units,
                          double *values)
{
    (void)self;
    (void)units;
    for (int noise = 0; noise < 2; noise++) {
        double *own = values + noise * NORM_VALUES;
        double limit[PROBLEM_MOST], formed[PROBLEM_MOST], again[PROBLEM_MOST], gap[PROBLEM_MOST];
        claims_problem p;
        claims_truth_problem(&norm_truths[noise], &p);
        for (int family = 0; family < FAMILIES; family++) {
            own[SLOPES + family] = claims_scene_slope(sums, (2 * family + noise) * SIZES, SIZES,
                                                      sizes, own + NORMS + family * SIZES);
        }
        limit_bias(sums, noise * SIZES, limit);
        own[NORM_LIMIT_SQUARE] = claims_dot(COUNT, limit, limit);
        own[NORM_LIMIT] = sqrt(own[NORM_LIMIT_SQUARE]);
        claims_scene_bias(sums, 2 * FAMILIES * SIZES + noise, formed);
        for (int i = 0; i < COUNT; i++) {
            gap[i] = formed[i] + p.polar[i] - p.gradient[i];
        }
        own[MISMATCH] = claims_norm(COUNT, gap) / claims_norm(COUNT, p.gradient);
        orthogonalise(&p, formed, again);
        own[NORM_PREDICTED] = claims_norm(COUNT, again);
    }
}

static const claims_statement norm_statement = {
    .name = "claim6",
    .title = "stream Ortho(g) and one norm rho",
    .source = "g = rho W, so E rho W = G, and Ortho of the mean is biased by O(1/n)",
    .correct =
        "true for vectors; a matrix is g = W H, H = (g' g)^(1/2): stream H, or g/rho and rho",
    .reason = "rho W is not g for rank 2 and more; the bias then stays under anisotropic noise and "
              "falls under isotropic noise by symmetry only"};

static void check_slope(claims_findings *findings, claims_part part, claims_noise kind,
                        const char *name, claims_estimate slope)
{
    claims_check *check =
        claims_findings_check(findings, part, kind, name, CLAIMS_EQUAL, -1.0, slope);
    check->slack = 0.06;
    check->most_error = 0.05;
}

static void conclude_norm(const claims_subject *self, const claims_estimate *estimates,
                          claims_findings *findings)
{
    static const char *const curves[] = {"orthogonalised-with-norm", "average-then-orthogonalise",
                                         "orthogonalised-with-factor", "normalised-with-norm"};
    (void)self;
    claims_findings_begin(findings, &norm_statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * NORM_VALUES;
        claims_noise kind = claims_noises[noise];
        check_slope(findings, CLAIMS_HEADLINE, kind, "vectors: slope of |bias| in n, n = 4 ... 64",
                    own[SLOPES + VECTORS]);
        check_slope(findings, CLAIMS_HEADLINE, kind, "matrices: slope of |bias| in n",
                    own[SLOPES + WITH_NORM]);
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "matrices: |E rho W - G|/|G|",
                              CLAIMS_EQUAL, 0.0, own[MISMATCH])
            ->most_error = 0.02;
        if (kind == CLAIMS_ANISOTROPIC) {
            claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                  "matrices: |bias|, n to infinity", CLAIMS_EQUAL,
                                  own[NORM_PREDICTED].mean, own[NORM_LIMIT])
                ->slack = 0.06 * own[NORM_PREDICTED].mean;
        }
        check_slope(findings, CLAIMS_CORRECTED, kind, "average raw gradients: slope",
                    own[SLOPES + AVERAGED]);
        check_slope(findings, CLAIMS_CORRECTED, kind, "stream g/rho and rho: slope",
                    own[SLOPES + NORMALISED]);
        check_slope(findings, CLAIMS_CORRECTED, kind, "stream W and H: slope",
                    own[SLOPES + WITH_FACTOR]);
        for (int family = 0; family < COUNT_OF(curves); family++) {
            add_points(findings, curves[family], kind, own + NORMS + family * SIZES);
        }
    }
}

const claims_subject claims_claim6 = {.name = "claim6",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(2 * FAMILIES * SIZES + 2, 4),
                                      .number = 16,
                                      .setting = &norm_scene,
                                      .run = claims_scene_run,
                                      .values = 2 * NORM_VALUES,
                                      .evaluate = evaluate_norm,
                                      .conclude = conclude_norm};
