/*
 * Estimated against true echo for a matrix of rank 4 in isotropic and anisotropic noise (rows and
 * columns of log-normal scale): the law with the groups' variance put in, and the cross-validated
 * estimate, both by plumb_echo_spectrum. The true echo of a found direction is u_hat' (U V') v_hat,
 * the weight that brings it nearest to the true polar factor.
 */
#include "app/claims_echo_sampler.h"
#include "app/claims_problem.h"
#include "app/claims_subject.h"

#include <math.h>
#include <string.h>

enum { ROWS = 60, COLS = 100, RANK = 4, GROUPS = 8, REPETITIONS = 3, UNITS = 40, QUICK_UNITS = 2 };

/* In thresholds of isotropic noise. */
static const double strengths[RANK] = {6.0, 4.0, 3.0, 2.0};
static const double log_deviation = 0.8;

/* Sums of each: echoes of the leading directions, then the squared distance of the weighted factor
 * from the true one, per direction. */
enum { TRUE_ECHO, PLUG_IN, CROSS_VALIDATED, FIELDS };
enum { LOSSES = FIELDS * RANK, NOISE_WIDTH = LOSSES + FIELDS };

/* scale[count]: log-normal, fixed, with mean square 1. */
static void fill_scale(int count, uint16_t which, double *scale)
{
    claims_key key = {.seed = 1, .subject = 23, .micro_batch = which, .unit = UINT32_MAX};
    double squares = 0.0;
    claims_normals(key, count, scale);
    for (int i = 0; i < count; i++) {
        scale[i] = exp(log_deviation * scale[i]);
        squares += scale[i] * scale[i] / count;
    }
    for (int i = 0; i < count; i++) {
        scale[i] /= sqrt(squares);
    }
}

static void add_true(const echo_sampler *s, double *sums)
{
    for (int found = 0; found < RANK; found++) {
        for (int k = 0; k < RANK; k++) {
            sums[found] += claims_dot(ROWS, s->left + k * ROWS, s->found_left + found * ROWS) *
                           claims_dot(COLS, s->right + k * COLS, s->found_right + found * COLS);
        }
    }
}

/* |sum w u_hat v_hat' - U V'|^2 / rank. */
static double distance(const echo_sampler *s, const float *weighted)
{
    double squares = 0.0;
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            double difference = (double)weighted[i * COLS + j];
            for (int k = 0; k < RANK; k++) {
                difference -= s->left[k * ROWS + i] * s->right[k * COLS + j];
            }
            squares += difference * difference;
        }
    }
    return squares / RANK;
}

static int add_estimate(const echo_sampler *s, int field, double *sums, failure *f)
{
    static float weighted[ROWS * COLS];
    const float *groups[GROUPS];
    double echoes[RANK] = {0};
    plumb_echo_options options = {.size = sizeof options,
                                  .method = field == PLUG_IN ? PLUMB_ECHO_PLUG_IN
                                                             : PLUMB_ECHO_CROSS_VALIDATED,
                                  .most = RANK};
    for (int k = 0; k < GROUPS; k++) {
        groups[k] = s->gradients + (int64_t)k * s->count;
    }
    plumb_status status =
        plumb_echo_spectrum(ROWS, COLS, GROUPS, groups, &options, NULL, NULL, echoes);
    options.most = 0;
    if (status == PLUMB_OK) {
        status = plumb_echo_polar(ROWS, COLS, GROUPS, groups, &options, weighted);
    }
    for (int i = 0; i < RANK; i++) {
        sums[field * RANK + i] += echoes[i];
    }
    sums[LOSSES + field] += distance(s, weighted);
    return failure_from_library(f, status, NULL);
}

static void run_noise(echo_sampler *s, claims_key key, double *sums, failure *f)
{
    double signals[RANK];
    for (int i = 0; i < RANK; i++) {
        signals[i] = strengths[i] * pow((double)ROWS * COLS, 0.25);
    }
    for (int r = 0; r < REPETITIONS && f->code == EXIT_OK; r++) {
        if (echo_sampler_draw(s, key, signals, f) == EXIT_OK &&
            echo_sampler_decompose(s, f) == EXIT_OK) {
            add_true(s, sums + TRUE_ECHO * RANK);
            for (int field = PLUG_IN; field < FIELDS && f->code == EXIT_OK; field++) {
                add_estimate(s, field, sums, f);
            }
        }
        key.step++;
    }
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    double row_scale[ROWS], col_scale[COLS];
    fill_scale(ROWS, 0, row_scale);
    fill_scale(COLS, 1, col_scale);
    for (int noise = 0; noise < 2 && f->code == EXIT_OK; noise++) {
        claims_key key = {.seed = seed,
                          .subject = self->number,
                          .unit = unit,
                          .step = (uint32_t)(noise * REPETITIONS)};
        echo_sampler s;
        if (echo_sampler_create(&s, ROWS, COLS, GROUPS, RANK, f) == EXIT_OK) {
            s.row_scale = noise == 0 ? NULL : row_scale;
            s.col_scale = noise == 0 ? NULL : col_scale;
            run_noise(&s, key, sums + noise * NOISE_WIDTH, f);
        }
        echo_sampler_destroy(&s);
    }
}

/* Of each noise: means over directions of estimate - truth; then the echoes themselves. */
enum { PLUG_IN_ERROR, CROSS_ERROR, CLOSER, GAIN, ECHOES, NOISE_VALUES = ECHOES + NOISE_WIDTH };

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    double count = (double)units * REPETITIONS;
    for (int noise = 0; noise < 2; noise++) {
        double *own = values + noise * NOISE_VALUES;
        double *echoes = own + ECHOES;
        own[PLUG_IN_ERROR] = own[CROSS_ERROR] = 0.0;
        for (int i = 0; i < NOISE_WIDTH; i++) {
            echoes[i] = sums[noise * NOISE_WIDTH + i] / count;
        }
        for (int i = 0; i < RANK; i++) {
            double truth = echoes[TRUE_ECHO * RANK + i];
            own[PLUG_IN_ERROR] += (echoes[PLUG_IN * RANK + i] - truth) / RANK;
            own[CROSS_ERROR] += (echoes[CROSS_VALIDATED * RANK + i] - truth) / RANK;
        }
        own[CLOSER] = fabs(own[CROSS_ERROR]) - fabs(own[PLUG_IN_ERROR]);
        own[GAIN] = echoes[LOSSES + CROSS_VALIDATED] - echoes[LOSSES + PLUG_IN];
    }
}

static const claims_statement statement = {
    .name = "anisotropy",
    .title = "noise of unequal rows and columns",
    .source = "anisotropic noise shifts the knee and slightly changes the slope: a law in one "
              "sigma^2 still serves",
    .correct =
        "one sigma^2 does not describe it; cross-validation over groups is nearer, though its "
        "weights are then too high as well",
    .reason = "with the variance right, the law is far too high for weak directions"};

static void conclude_cross(const claims_estimate *own, claims_noise noise,
                           claims_findings *findings)
{
    if (noise == CLAIMS_ISOTROPIC) {
        claims_check *check = claims_findings_check(findings, CLAIMS_CORRECTED, noise,
                                                    "cross-validated - true echo, the same",
                                                    CLAIMS_EQUAL, 0.0, own[CROSS_ERROR]);
        check->slack = 0.05;
        check->most_error = 0.02;
        return;
    }
    claims_findings_check(findings, CLAIMS_CORRECTED, noise,
                          "error of cross-validated less that of law", CLAIMS_BELOW, 0.0,
                          own[CLOSER]);
    claims_findings_check(findings, CLAIMS_CORRECTED, noise, "squared distance to U V', likewise",
                          CLAIMS_BELOW, 0.0, own[GAIN]);
}

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    static const claims_noise noises[] = {CLAIMS_ISOTROPIC, CLAIMS_ANISOTROPIC};
    static const char *const curves[] = {"true", "law with the groups' variance",
                                         "cross-validated"};
    (void)self;
    claims_findings_begin(findings, &statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * NOISE_VALUES;
        claims_check *check = claims_findings_check(findings, CLAIMS_HEADLINE, noises[noise],
                                                    "law - true echo, mean of 4 directions",
                                                    CLAIMS_EQUAL, 0.0, own[PLUG_IN_ERROR]);
        check->slack = 0.05;
        check->most_error = 0.02;
        conclude_cross(own, noises[noise], findings);
        for (int field = 0; field < FIELDS; field++) {
            for (int i = 0; i < RANK; i++) {
                claims_findings_point(findings, "spectrum", curves[field], noises[noise], i + 1,
                                      NAN, own[ECHOES + field * RANK + i]);
            }
        }
    }
}

const claims_subject claims_echo_spectrum = {.name = "anisotropy",
                                             .units = UNITS,
                                             .quick_units = QUICK_UNITS,
                                             .width = 2 * NOISE_WIDTH,
                                             .number = 23,
                                             .run = run,
                                             .values = 2 * NOISE_VALUES,
                                             .evaluate = evaluate,
                                             .conclude = conclude};
