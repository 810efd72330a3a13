/*
 * Claim 3: can the bias of orthogonalised matrices be removed by one number, by a fixed matrix on
 * the right, or by orthogonalising the mean again? What each leaves of the squared bias |E W -
 * Q|^2, with the best scalar and the best right factor there are. Noise is small enough for the
 * second order to predict these shares.
 */
#include "app/claims_orthogonal.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, TRUTHS = 3, UNITS = 48, QUICK_UNITS = 2 };

static const double level = 0.25;

static const claims_truth truths[TRUTHS] = {MATRIX_TRUTH(0.25, CLAIMS_ISOTROPIC),
                                            {.rows = ROWS,
                                             .cols = COLS,
                                             .level = 0.25,
                                             .noise = CLAIMS_ISOTROPIC,
                                             .singular = {1.85, 1.85, 1.85, 1.85}},
                                            MATRIX_TRUTH(0.25, CLAIMS_ANISOTROPIC)};

#define ONE_BATCH(truth)                                                                           \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 1, 1, 400, CONTROL_OF_MEAN, false      \
    }
static const claims_series series[TRUTHS] = {ONE_BATCH(0), ONE_BATCH(1), ONE_BATCH(2)};
static const claims_scene scene = {truths, series, TRUTHS, TRUTHS};

enum { COSINE, SCALAR, RIGHT, AGAIN, VALUES };

/* What is left of |Q - x W| for the best number x, squared. */
static double left_by_scalar(const double *w, const double *q)
{
    double product = claims_dot(COUNT, w, q);
    return claims_dot(COUNT, q, q) - product * product / claims_dot(COUNT, w, w);
}

/* What is left of |Q - W R| for the best R, squared: Q without the span of W's columns. */
static double left_by_right_factor(const double *w, const double *q)
{
    double columns[COLS][ROWS], rest = 0.0;
    for (int j = 0; j < COLS; j++) { /* Gram and Schmidt */
        for (int i = 0; i < ROWS; i++) {
            columns[j][i] = w[i * COLS + j];
        }
        for (int k = 0; k < j; k++) {
            double part = claims_dot(ROWS, columns[j], columns[k]);
            for (int i = 0; i < ROWS; i++) {
                columns[j][i] -= part * columns[k][i];
            }
        }
        double norm = claims_norm(ROWS, columns[j]);
        for (int i = 0; i < ROWS; i++) {
            columns[j][i] /= norm;
        }
    }
    for (int j = 0; j < COLS; j++) {
        double column[ROWS];
        for (int i = 0; i < ROWS; i++) {
            column[i] = q[i * COLS + j];
        }
        for (int k = 0; k < COLS; k++) {
            double part = claims_dot(ROWS, column, columns[k]);
            for (int i = 0; i < ROWS; i++) {
                column[i] -= part * columns[k][i];
            }
        }
        rest += claims_dot(ROWS, column, column);
    }
    return rest;
}

/* |Ortho(W) - Q|^2. */
static double left_by_orthogonalising(const double *w, const double *q)
{
    float matrix[COUNT], polar[COUNT];
    double rest = 0.0;
    for (int i = 0; i < COUNT; i++) {
        matrix[i] = (float)w[i];
    }
    if (plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, matrix, polar, NULL) != PLUMB_OK) {
        return NAN;
    }
    for (int i = 0; i < COUNT; i++) {
        rest += ((double)polar[i] - q[i]) * ((double)polar[i] - q[i]);
    }
    return rest;
}

static void measure(const claims_problem *p, const double *bias, double *values)
{
    double w[COUNT];
    double square = claims_dot(COUNT, bias, bias);
    for (int i = 0; i < COUNT; i++) {
        w[i] = p->polar[i] + bias[i];
    }
    values[COSINE] =
        claims_dot(COUNT, bias, p->polar) / sqrt(square * claims_dot(COUNT, p->polar, p->polar));
    values[SCALAR] = left_by_scalar(w, p->polar) / square;
    values[RIGHT] = left_by_right_factor(w, p->polar) / square;
    values[AGAIN] = left_by_orthogonalising(w, p->polar) / square;
}

/* Measured values, then those of the second-order term. */
static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    for (int t = 0; t < TRUTHS; t++) {
        claims_problem p;
        double bias[PROBLEM_MOST];
        claims_truth_problem(&truths[t], &p);
        claims_scene_bias(sums, t, bias);
        measure(&p, bias, values + 2 * t * VALUES);
        claims_scene_second(self->setting, sums, units, t, bias);
        measure(&p, bias, values + (2 * t + 1) * VALUES);
    }
}

static const claims_statement statement = {
    .name = "claim3",
    .title = "matrices: a scalar cannot remove the bias",
    .source =
        "the bias B is orthogonal to U V'; no scalar and no fixed right factor removes it for "
        "rank 2 and more",
    .correct =
        "isotropic: B = -tau^2 U diag(b) V', nearly against U V'; no scalar removes it unless "
        "all b_i are equal; the right factor V (I - tau^2 b)^-1 V' and a second Ortho do",
    .reason = "linear terms have mean zero, so B is not in their space; equal singular values are "
              "repaired by a scalar, distinct ones by a right factor, if the noise is isotropic"};

/* Cosine with Q, and what the best scalar leaves, from the closed form. */
static void closed_form(const double *singular, double *cosine, double *left)
{
    double bias[COLS], error, sum = 0.0, squares = 0.0, w = 0.0, ww = 0.0;
    plumb_isotropic_polar_bias(ROWS, COLS, singular, level * level, bias, &error);
    for (int i = 0; i < COLS; i++) {
        sum += bias[i];
        squares += bias[i] * bias[i];
        w += 1.0 - bias[i];
        ww += (1.0 - bias[i]) * (1.0 - bias[i]);
    }
    *cosine = -sum / sqrt(COLS * squares);
    *left = (COLS - w * w / ww) / squares;
}

static void conclude_isotropic(const claims_estimate *distinct, const claims_estimate *equal,
                               claims_findings *findings)
{
    double cosine, left;
    closed_form(truths[0].singular, &cosine, &left);
    claims_findings_check(findings, CLAIMS_HEADLINE, CLAIMS_ISOTROPIC,
                          "squared bias left by the best scalar", CLAIMS_ABOVE, 0.0,
                          distinct[SCALAR]);
    claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ISOTROPIC,
                          "squared bias left by the best scalar", CLAIMS_EQUAL, left,
                          distinct[SCALAR])
        ->slack = 0.1 * left;
    claims_findings_check(findings, CLAIMS_DETAIL, CLAIMS_ISOTROPIC,
                          "the same, equal singular values", CLAIMS_ABOVE, 0.0, equal[SCALAR]);
    claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ISOTROPIC,
                          "the same, equal singular values", CLAIMS_EQUAL, 0.0, equal[SCALAR])
        ->most_error = 0.002;
    claims_findings_check(findings, CLAIMS_DETAIL, CLAIMS_ISOTROPIC, "cosine of bias and U V'",
                          CLAIMS_EQUAL, 0.0, distinct[COSINE])
        ->most_error = 0.01;
    claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ISOTROPIC, "cosine of bias and U V'",
                          CLAIMS_EQUAL, cosine, distinct[COSINE])
        ->slack = 0.02;
    claims_findings_check(findings, CLAIMS_DETAIL, CLAIMS_ISOTROPIC,
                          "squared bias left by the best right factor", CLAIMS_ABOVE, 0.0,
                          distinct[RIGHT]);
    claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ISOTROPIC,
                          "squared bias left by the best right factor", CLAIMS_EQUAL, 0.0,
                          distinct[RIGHT])
        ->most_error = 0.002;
    claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ISOTROPIC,
                          "squared bias left by Ortho(E W)", CLAIMS_EQUAL, 0.0, distinct[AGAIN])
        ->most_error = 0.002;
}

static void conclude_anisotropic(const claims_estimate *own, const claims_estimate *second,
                                 claims_findings *findings)
{
    static const struct {
        int value;
        const char *name;
    } left[] = {{SCALAR, "squared bias left by the best scalar"},
                {RIGHT, "squared bias left by the best right factor"},
                {AGAIN, "squared bias left by Ortho(E W)"}};
    for (int i = 0; i < COUNT_OF(left); i++) {
        if (left[i].value != AGAIN) {
            claims_findings_check(findings, i == 0 ? CLAIMS_HEADLINE : CLAIMS_DETAIL,
                                  CLAIMS_ANISOTROPIC, left[i].name, CLAIMS_ABOVE, 0.0,
                                  own[left[i].value]);
        }
        double predicted = second[left[i].value].mean;
        claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ANISOTROPIC, left[i].name,
                              CLAIMS_EQUAL, predicted, own[left[i].value])
            ->slack = 0.2 * predicted;
    }
    claims_findings_check(findings, CLAIMS_DETAIL, CLAIMS_ANISOTROPIC, "cosine of bias and U V'",
                          CLAIMS_EQUAL, 0.0, own[COSINE])
        ->most_error = 0.01;
    claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ANISOTROPIC, "cosine of bias and U V'",
                          CLAIMS_EQUAL, second[COSINE].mean, own[COSINE])
        ->slack = 0.03;
}

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &statement);
    conclude_isotropic(estimates, estimates + 2 * VALUES, findings);
    conclude_anisotropic(estimates + 4 * VALUES, estimates + 5 * VALUES, findings);
}

const claims_subject claims_claim3 = {.name = "claim3",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE_WIDTH(TRUTHS, TRUTHS),
                                      .number = 13,
                                      .setting = &scene,
                                      .run = claims_scene_run,
                                      .values = 2 * TRUTHS * VALUES,
                                      .evaluate = evaluate,
                                      .conclude = conclude};
