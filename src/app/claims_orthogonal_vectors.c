/*
 * Claims 1 and 2: a vector's direction, normalised after averaging over n groups and before.
 *
 * With z the direction, P = I - z z', C a group's covariance, the second order of z's estimate is
 * - [tr(P C)/(2 |g|^2) z + P C z/|g|^2] / n. The coefficients are taken from n times the bias by
 * regression on 1/n, whose intercept is n to infinity, the remainder's slope from samples without
 * their own second-order term.
 */
#include "app/claims_orthogonal.h"

#include <math.h>
#include <string.h>

enum { SIZES = 5, ROWS = 10, UNITS = 48, QUICK_UNITS = 2 };

static const double after_sizes[SIZES] = {8, 16, 32, 64, 128};
static const double before_sizes[SIZES] = {1, 4, 16, 64, 256};

#define AFTER(truth, groups, repetitions, control)                                                 \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, (groups), 1, (repetitions), (control), \
            false                                                                                  \
    }
#define AFTER_SIZES(truth, repetitions, control)                                                   \
    AFTER(truth, 8, repetitions, control), AFTER(truth, 16, repetitions, control),                 \
        AFTER(truth, 32, repetitions, control), AFTER(truth, 64, repetitions, control),            \
        AFTER(truth, 128, repetitions, control)
#define BEFORE(truth, groups)                                                                      \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, (groups), 1, 512 / (groups),           \
            CONTROL_NONE, false                                                                    \
    }
#define BEFORE_SIZES(truth)                                                                        \
    BEFORE(truth, 1), BEFORE(truth, 4), BEFORE(truth, 16), BEFORE(truth, 64), BEFORE(truth, 256)

static const claims_truth after_truths[] = {VECTOR_TRUTH(1.0, CLAIMS_ISOTROPIC),
                                            VECTOR_TRUTH(1.0, CLAIMS_ANISOTROPIC)};
static const claims_series after_series[] = {
    AFTER_SIZES(0, 120, CONTROL_NONE), AFTER_SIZES(1, 120, CONTROL_NONE),
    AFTER_SIZES(0, 60, CONTROL_OF_MEAN), AFTER_SIZES(1, 60, CONTROL_OF_MEAN)};
static const claims_scene after_scene = {after_truths, after_series, 2, COUNT_OF(after_series)};

static const claims_truth before_truths[] = {VECTOR_TRUTH(0.25, CLAIMS_ISOTROPIC),
                                             VECTOR_TRUTH(0.25, CLAIMS_ANISOTROPIC)};
static const claims_series before_series[] = {BEFORE_SIZES(0), BEFORE_SIZES(1)};
static const claims_scene before_scene = {before_truths, before_series, 2, COUNT_OF(before_series)};

/* What theory says of a problem: coefficients along z and along `across`, both for n = 1. */
typedef struct vector_theory {
    double along;        /* tr(P C)/(2 |g|^2) */
    double turn;         /* |P C z|/|g|^2 */
    double across[ROWS]; /* direction of P C z; isotropic: any one across z */
    double norm;         /* |g| */
} vector_theory;

static void predict(const claims_truth *truth, vector_theory *theory)
{
    claims_problem p;
    double mixed[ROWS], turned[ROWS], trace = 0.0;
    claims_truth_problem(truth, &p);
    const double *z = p.polar;
    for (int j = 0; j < ROWS; j++) { /* L' z */
        mixed[j] = 0.0;
        for (int i = 0; i < ROWS; i++) {
            mixed[j] += p.row_mix[i * ROWS + j] * z[i];
            trace += p.row_mix[i * ROWS + j] * p.row_mix[i * ROWS + j];
        }
    }
    double along = claims_dot(ROWS, mixed, mixed);
    for (int i = 0; i < ROWS; i++) {
        turned[i] = claims_dot(ROWS, p.row_mix + i * ROWS, mixed) - along * z[i];
    }
    theory->norm = p.singular[0];
    double square = theory->norm * theory->norm;
    theory->along = (trace - along) / (2.0 * square);
    theory->turn = claims_norm(ROWS, turned) / square;
    bool none = truth->noise == CLAIMS_ISOTROPIC;
    for (int i = 0; i < ROWS; i++) {
        /* A third cosine is orthogonal to z, the second. */
        theory->across[i] =
            none ? sqrt(2.0 / ROWS) * cos(3.14159265358979323846 * (i + 0.5) * 2.0 / ROWS)
                 : turned[i] / (square * theory->turn);
    }
    theory->turn = none ? 0.0 : theory->turn;
}

/* ---- Claim 1 ------------------------------------------------------------------------------- */

enum { SLOPE, ALONG, ACROSS, REMAINDER, NORMS, AFTER_VALUES = NORMS + SIZES };

/* n times the bias along `direction`, to n = infinity. */
static double coefficient(const double *sums, int first, const double *direction)
{
    double inverse[SIZES], scaled[SIZES], bias[PROBLEM_MOST], intercept;
    for (int i = 0; i < SIZES; i++) {
        claims_scene_bias(sums, first + i, bias);
        inverse[i] = 1.0 / after_sizes[i];
        scaled[i] = -after_sizes[i] * claims_dot(ROWS, bias, direction);
    }
    claims_slope(SIZES, inverse, scaled, &intercept);
    return intercept;
}

/* Slope of |bias - second order|. */
static double remainder_slope(const claims_scene *scene, const double *sums, int64_t units,
                              int noise)
{
    double x[SIZES], y[SIZES], bias[PROBLEM_MOST], second[PROBLEM_MOST];
    claims_scene_second(scene, sums, units, noise, second);
    for (int i = 0; i < SIZES; i++) {
        claims_scene_bias(sums, (2 + noise) * SIZES + i, bias);
        for (int e = 0; e < ROWS; e++) {
            bias[e] -= second[e] / after_sizes[i];
        }
        x[i] = log(after_sizes[i]);
        y[i] = log(claims_norm(ROWS, bias));
    }
    return claims_slope(SIZES, x, y, NULL);
}

static void evaluate_after(const claims_subject *self, const double *sums, int64_t units,
                           double *values)
{
    for (int noise = 0; noise < 2; noise++) {
        double *own = values + noise * AFTER_VALUES;
        claims_problem p;
        vector_theory theory;
        claims_truth_problem(&after_truths[noise], &p);
        predict(&after_truths[noise], &theory);
        own[SLOPE] = claims_scene_slope(sums, noise * SIZES, SIZES, after_sizes, own + NORMS);
        own[ALONG] = coefficient(sums, noise * SIZES, p.polar);
        own[ACROSS] = coefficient(sums, noise * SIZES, theory.across);
        own[REMAINDER] = remainder_slope(self->setting, sums, units, noise);
    }
}

static const claims_statement after_statement = {
    .name = "claim1",
    .title = "vectors: normalise after averaging",
    .source = "bias O(1/n): E f = z - tr(P C)/(2 |g|^3 n) z + O(n^-3/2)",
    .correct = "E f = z - [tr(P C)/(2 |g|^2) z + P C z/|g|^2]/n + O(n^-2)",
    .reason = "the square of |g|, not its cube; the term P C z/|g|^2 turns the direction under "
              "anisotropic noise"};

static void conclude_after(const claims_subject *self, const claims_estimate *estimates,
                           claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &after_statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * AFTER_VALUES;
        claims_noise kind = claims_noises[noise];
        vector_theory theory;
        predict(&after_truths[noise], &theory);
        claims_check *check = claims_findings_check(findings, CLAIMS_HEADLINE, kind,
                                                    "slope of |bias| in n, n = 8 ... 128",
                                                    CLAIMS_EQUAL, -1.0, own[SLOPE]);
        check->slack = 0.04;
        check->most_error = 0.02;
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "n bias along z, n to infinity",
                              CLAIMS_EQUAL, theory.along / theory.norm, own[ALONG])
            ->slack = 0.01 * theory.along;
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "n bias along z, n to infinity",
                              CLAIMS_EQUAL, theory.along, own[ALONG])
            ->slack = 0.01 * theory.along;
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "n bias across z, n to infinity",
                              CLAIMS_EQUAL, 0.0, own[ACROSS])
            ->most_error = 0.02 * theory.along;
        check = claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                      "n bias across z, n to infinity", CLAIMS_EQUAL, theory.turn,
                                      own[ACROSS]);
        check->slack = 0.03 * theory.turn;
        check->most_error = 0.02 * theory.along;
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "slope of the remainder in n",
                              CLAIMS_BELOW, -1.5, own[REMAINDER]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "slope of the remainder in n",
                              CLAIMS_EQUAL, -2.0, own[REMAINDER])
            ->slack = 0.1;
        for (int i = 0; i < SIZES; i++) {
            claims_findings_point(findings, "vectors", "normalised after averaging", kind,
                                  after_sizes[i], hypot(theory.along, theory.turn) / after_sizes[i],
                                  own[NORMS + i]);
        }
    }
}

const claims_subject claims_claim1 = {.name = "claim1",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(4 * SIZES, 2),
                                      .number = 11,
                                      .setting = &after_scene,
                                      .run = claims_scene_run,
                                      .values = 2 * AFTER_VALUES,
                                      .evaluate = evaluate_after,
                                      .conclude = conclude_after};

/* ---- Claim 2 ------------------------------------------------------------------------------- */

enum { LEVEL_SLOPE, SHORTER, TURNED, ANGLE_SQUARE, LEVELS, BEFORE_VALUES = LEVELS + SIZES };

static void evaluate_before(const claims_subject *self, const double *sums, int64_t units,
                            double *values)
{
    (void)self;
    (void)units;
    for (int noise = 0; noise < 2; noise++) {
        double *own = values + noise * BEFORE_VALUES;
        double mean[ROWS] = {0}, bias[PROBLEM_MOST];
        claims_problem p;
        vector_theory theory;
        claims_truth_problem(&before_truths[noise], &p);
        predict(&before_truths[noise], &theory);
        own[LEVEL_SLOPE] =
            claims_scene_slope(sums, noise * SIZES, SIZES, before_sizes, own + LEVELS);
        for (int i = 0; i < SIZES; i++) {
            claims_scene_bias(sums, noise * SIZES + i, bias);
            for (int e = 0; e < ROWS; e++) {
                mean[e] += bias[e] / SIZES;
            }
        }
        double along = claims_dot(ROWS, mean, p.polar);
        own[SHORTER] = -along;
        own[TURNED] = -claims_dot(ROWS, mean, theory.across) / (1.0 + along);
        own[ANGLE_SQUARE] =
            (claims_dot(ROWS, mean, mean) - along * along) / ((1.0 + along) * (1.0 + along));
    }
}

static const claims_statement before_statement = {
    .name = "claim2",
    .title = "vectors: normalise before averaging",
    .source = "bias O(1) in n, tr(P C)/(2 |g|^3) along z; never converges to the true direction",
    .correct = "O(1) in n, tr(P C)/(2 |g|^2) shorter; the direction turns by |P C z|/|g|^2, which "
               "is 0 for isotropic noise",
    .reason =
        "the length's bias stays, with |g|^2 for |g|^3; the direction is biased by anisotropic "
        "noise only"};

static void conclude_before(const claims_subject *self, const claims_estimate *estimates,
                            claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &before_statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * BEFORE_VALUES;
        claims_noise kind = claims_noises[noise];
        bool isotropic = kind == CLAIMS_ISOTROPIC;
        vector_theory theory;
        predict(&before_truths[noise], &theory);
        claims_findings_check(findings, CLAIMS_HEADLINE, kind,
                              "slope of |bias| in n, n = 1 ... 256", CLAIMS_EQUAL, 0.0,
                              own[LEVEL_SLOPE])
            ->most_error = 0.02;
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "squared angle to the true direction",
                              CLAIMS_ABOVE, 0.0, own[ANGLE_SQUARE]);
        claims_check *check =
            claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                                  isotropic ? "turn across z, rad" : "turn along P C z, rad",
                                  CLAIMS_EQUAL, theory.turn, own[TURNED]);
        check->slack = 0.1 * theory.turn;
        check->most_error = 0.0005;
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "shortening along z", CLAIMS_EQUAL,
                              theory.along / theory.norm, own[SHORTER])
            ->slack = 0.1 * theory.along / theory.norm;
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "shortening along z", CLAIMS_EQUAL,
                              theory.along, own[SHORTER])
            ->slack = 0.1 * theory.along;
        for (int i = 0; i < SIZES; i++) {
            claims_findings_point(findings, "vectors", "normalised before averaging", kind,
                                  before_sizes[i], hypot(theory.along, theory.turn),
                                  own[LEVELS + i]);
        }
    }
}

const claims_subject claims_claim2 = {.name = "claim2",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(2 * SIZES, 2),
                                      .number = 12,
                                      .setting = &before_scene,
                                      .run = claims_scene_run,
                                      .values = 2 * BEFORE_VALUES,
                                      .evaluate = evaluate_before,
                                      .conclude = conclude_before};
