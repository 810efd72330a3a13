/*
 * Claim 8: a meter of bias and variance from the gradients of one step, by plumb_update_bias. The
 * truth it is held to is the bias of many updates of one group. K groups of one step; pairs of them
 * stand for groups of twice the size.
 */
#include "app/claims_orthogonal.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, COLS = 4, COUNT = ROWS * COLS, UNITS = 48, QUICK_UNITS = 2 };
enum { GROUPS = 16, PAIRS = GROUPS / 2, METERS = 100, WORKERS = 256 };

static const claims_truth truths[] = {MATRIX_TRUTH(0.25, CLAIMS_ISOTROPIC),
                                      MATRIX_TRUTH(0.25, CLAIMS_ANISOTROPIC)};

/* One group for the truth; means over many workers for the error that is left. */
#define TRUE_BIAS(truth)                                                                           \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 1, 1, 400, CONTROL_OF_MEAN, false      \
    }
#define STREAMED(truth)                                                                            \
    {                                                                                              \
        (truth), PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, WORKERS, 1, 6, CONTROL_NONE, false     \
    }
static const claims_series series[] = {TRUE_BIAS(0), TRUE_BIAS(1), STREAMED(0), STREAMED(1)};
enum { SERIES = COUNT_OF(series), SCENE = SCENE_WIDTH(SERIES, 2) };
static const claims_scene scene = {truths, series, 2, SERIES};

/* Sums over meters, for each noise, after those of the scene. */
enum { METER_BIAS, METER_VARIANCE, GAP_SQUARE, GAP, METER_WIDTH = GAP + COUNT };

/* Z_m and Z_2m of one step's groups: means of orthogonalised groups and pairs of groups. */
typedef struct meter {
    const claims_problem *problem;
    claims_sampler single, paired;
} meter;

static int open_meter(meter *m, const claims_problem *p, failure *f)
{
    const claims_series one = {
        0, PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, GROUPS, 1, 0, CONTROL_NONE, false};
    const claims_series two = {
        0, PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, PAIRS, 2, 0, CONTROL_NONE, false};
    *m = (meter){.problem = p};
    claims_sampler_create(&m->single, p, &one, f);
    if (f->code == EXIT_OK) {
        claims_sampler_create(&m->paired, p, &two, f);
    }
    return f->code;
}

/* The library's meter on the gradients that the sampler has given last. */
static int read_meter(const claims_sampler *s, double *sums, failure *f)
{
    const float *groups[GROUPS];
    plumb_update_noise noise = {.size = sizeof noise};
    for (int k = 0; k < GROUPS; k++) {
        groups[k] = s->gradients + k * COUNT;
    }
    plumb_status status =
        plumb_update_bias(PLUMB_POLAR_SVD, ROWS, COLS, GROUPS, groups, NULL, &noise);
    sums[METER_BIAS] += noise.bias;
    sums[METER_VARIANCE] += noise.variance;
    return failure_from_library(f, status, NULL);
}

static void run_meter(meter *m, claims_key key, double *sums, failure *f)
{
    for (int r = 0; r < METERS && f->code == EXIT_OK; r++) {
        claims_sample single, paired;
        claims_sampler_draw(&m->single, key, &single, f);
        claims_sampler_draw(&m->paired, key, &paired, f); /* the same noise */
        if (f->code == EXIT_OK) {
            read_meter(&m->single, sums, f);
        }
        for (int i = 0; i < COUNT; i++) {
            double gap = single.plus[i] - paired.plus[i];
            sums[GAP_SQUARE] += gap * gap;
            sums[GAP + i] += single.error[i] - paired.error[i];
        }
        key.step++;
    }
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    claims_scene_run(self, seed, unit, sums, f);
    for (int noise = 0; noise < 2 && f->code == EXIT_OK; noise++) {
        claims_problem p;
        meter m;
        claims_truth_problem(&truths[noise], &p);
        claims_key key = {.seed = seed,
                          .subject = self->number,
                          .unit = unit,
                          .step = 1u << 31 | (uint32_t)noise << 20};
        if (open_meter(&m, &p, f) == EXIT_OK) {
            run_meter(&m, key, sums + SCENE + noise * METER_WIDTH, f);
        }
        claims_sampler_destroy(&m.single);
        claims_sampler_destroy(&m.paired);
    }
}

enum {
    DRAFT_RATIO, /* |E(Z_m - Z_2m)| over the bias */
    METER_RATIO, /* the meter's bias, squared, over the truth's */
    NAIVE_RATIO, /* mean of |Z_m - Z_2m|^2 of one step over |E(Z_m - Z_2m)|^2 */
    VARIANCE_RATIO,
    SHARE,           /* of the squared error of a mean over many workers that is bias */
    SHARE_PREDICTED, /* from the meter */
    SNR,             /* the source's: bias over the deviation of one update */
    VALUES
};

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    double count = (double)units * METERS;
    for (int noise = 0; noise < 2; noise++) {
        const double *meters = sums + SCENE + noise * METER_WIDTH;
        double *own = values + noise * VALUES, bias[PROBLEM_MOST], gap = 0.0;
        double norm = claims_scene_bias(sums, noise, bias);
        double square = norm * norm;
        double variance = claims_scene_square(sums, noise) - square;
        for (int i = 0; i < COUNT; i++) {
            gap += meters[GAP + i] / count * (meters[GAP + i] / count);
        }
        double meter_bias = meters[METER_BIAS] / count;
        double meter_variance = meters[METER_VARIANCE] / count;
        own[DRAFT_RATIO] = sqrt(gap) / norm;
        own[METER_RATIO] = meter_bias / square;
        own[NAIVE_RATIO] = meters[GAP_SQUARE] / count / gap;
        own[VARIANCE_RATIO] = meter_variance / variance;
        own[SHARE] = square / claims_scene_square(sums, 2 + noise);
        own[SHARE_PREDICTED] = WORKERS * meter_bias / (WORKERS * meter_bias + meter_variance);
        own[SNR] = norm / sqrt(variance);
    }
}

static const claims_statement statement = {
    .name = "claim8",
    .title = "bias and variance from gradients of one step",
    .source = "bias = |Z_m - Z_2m|; compare it with the deviation of one Z: below 1 variance "
              "dominates",
    .correct = "bias = 2 |Z_m - Z_2m|, without the noise of the difference: 4 (|sum D|^2 - sum "
               "|D|^2)/(J (J-1)); compare bias^2 with variance/n",
    .reason = "doubling m removes half of the bias, not all; |Z_m - Z_2m| of one step has a noise "
              "floor; what averaging leaves is variance/n"};

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &statement);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *own = estimates + noise * VALUES;
        claims_noise kind = claims_noises[noise];
        claims_findings_check(findings, CLAIMS_HEADLINE, kind, "meter sees a bias: its square",
                              CLAIMS_ABOVE, 0.0, own[METER_RATIO]);
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "|E(Z_m - Z_2m)| over the bias",
                              CLAIMS_EQUAL, 1.0, own[DRAFT_RATIO])
            ->slack = 0.03;
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "|E(Z_m - Z_2m)| over the bias",
                              CLAIMS_EQUAL, 0.5, own[DRAFT_RATIO])
            ->slack = 0.03;
        claims_findings_check(findings, CLAIMS_DETAIL, kind,
                              "one step's |Z_m - Z_2m|^2 over the expected one's", CLAIMS_EQUAL,
                              1.0, own[NAIVE_RATIO]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "corrected meter over bias^2",
                              CLAIMS_EQUAL, 1.0, own[METER_RATIO])
            ->slack = 0.1;
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "its variance over the variance",
                              CLAIMS_EQUAL, 1.0, own[VARIANCE_RATIO])
            ->slack = 0.01;
        claims_findings_check(findings, CLAIMS_DETAIL, kind,
                              "bias share of the squared error, 256 workers",
                              own[SNR].mean < 1.0 ? CLAIMS_BELOW : CLAIMS_ABOVE, 0.5, own[SHARE]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                              "bias share of the squared error, 256 workers", CLAIMS_EQUAL,
                              own[SHARE_PREDICTED].mean, own[SHARE])
            ->slack = 0.02;
    }
}

const claims_subject claims_claim8 = {.name = "claim8",
                                      .units = UNITS,
                                      .quick_units = QUICK_UNITS,
                                      .width = SCENE + 2 * METER_WIDTH,
                                      .number = 18,
                                      .setting = &scene,
                                      .run = run,
                                      .values = 2 * VALUES,
                                      .evaluate = evaluate,
                                      .conclude = conclude};
