/*
 * What SGD's values do at the bottom of a quadratic loss h x^2 / 2 with noise of variance s^2 a
 * sample: their stationary variance, by which the temperature, both scaling rules and the
 * stochastic differential equation are judged. Steps are the library's own.
 *
 * In one dimension, x' = (1 - eta h) x - eta e, so the variance is eta s^2 / (B h (2 - eta h)); the
 * equation's is eta s^2 / (2 B h). With momentum, v' = b v + h x + e and x' = x - eta v', the
 * variance is eta s^2 (1 + b) / (B h (1 - b) (2 (1 + b) - eta h)).
 */
#include "app/claims_covariance.h"

#include <math.h>
#include <stdio.h>

#include "plumb.h"

enum {
    CURVATURES = 5,
    COPIES = 24,
    LENGTH = CURVATURES * COPIES,
    MOST_BATCH = 4,
    WARM_UP = 250, /* e^-12 of the start is left in the slowest dimension's variance */
    STEPS = 900,
    UNITS = 24,
    QUICK_UNITS = 2
};

static const double curvatures[CURVATURES] = {0.25, 0.5, 1.0, 2.0, 4.0};

typedef struct setting {
    const char *curve;
    double rate;
    int batch;
    double beta1;
} setting;

enum { BASE, LINEAR, ROOT, MOMENTUM, SETTINGS };

static const setting settings[SETTINGS] = {{"base", 0.1, 1, 0.0},
                                           {"linear rule", 0.4, MOST_BATCH, 0.0},
                                           {"square-root rule", 0.2, MOST_BATCH, 0.0},
                                           {"momentum 0.9", 0.05, 1, 0.9}};

enum { WIDTH = SETTINGS * CURVATURES };

/* The variance of the noise of one sample in dimension i. */
static double noise_variance(claims_noise noise, int i)
{
    int copy = i / CURVATURES;
    return noise == CLAIMS_ISOTROPIC ? 1.0 : 1.3 * (1.0 + copy);
}

/* noise[LENGTH]; anisotropic: neighbours, of different curvature, are correlated too. */
static void draw(claims_noise noise, claims_key key, double *values)
{
    double z[LENGTH + 1];
    claims_normals(key, LENGTH + 1, z);
    for (int i = 0; i < LENGTH; i++) {
        double mixed = (z[i] + 0.5 * z[i + 1]) / sqrt(1.25);
        values[i] = sqrt(noise_variance(noise, i)) * (noise == CLAIMS_ISOTROPIC ? z[i] : mixed);
    }
}

static int advance(claims_handle *handle, claims_noise noise, claims_key key, double *x, failure *f)
{
    float gradients[MOST_BATCH * LENGTH];
    for (int k = 0; k < handle->micro_batches; k++) {
        double e[LENGTH];
        key.micro_batch = (uint16_t)k;
        draw(noise, key, e);
        for (int i = 0; i < LENGTH; i++) {
            gradients[k * LENGTH + i] = (float)(curvatures[i % CURVATURES] * x[i] + e[i]);
        }
    }
    if (claims_handle_step(handle, gradients, NULL, f) == EXIT_OK) {
        for (int i = 0; i < LENGTH; i++) {
            x[i] += (double)handle->values[i];
        }
    }
    return f->code;
}

/* Adds to sums[CURVATURES] the mean of x^2 over steps and copies, in units of the noise. */
static int run_setting(const setting *s, claims_noise noise, claims_key key, double *sums,
                       failure *f)
{
    claims_handle handle;
    plumb_parameter_options options;
    double x[LENGTH] = {0};
    claims_handle_options(PLUMB_OPTIMIZER_SGD, &options);
    options.beta1 = s->beta1;
    options.nesterov = 0;
    claims_handle_create(&handle, "stationary", 1, 1, LENGTH, &options, f);
    handle.micro_batches = s->batch;
    handle.rate = s->rate;
    for (int step = 0; step < WARM_UP + STEPS && f->code == EXIT_OK; step++) {
        key.step++;
        advance(&handle, noise, key, x, f);
        for (int i = 0; i < LENGTH && step >= WARM_UP; i++) {
            sums[i % CURVATURES] += x[i] * x[i] / noise_variance(noise, i) / STEPS / COPIES;
        }
    }
    claims_handle_destroy(&handle);
    return f->code;
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    for (int i = 0; i < 2 * SETTINGS && f->code == EXIT_OK; i++) {
        claims_key key = {.seed = seed,
                          .subject = self->number,
                          .unit = unit,
                          .step = (uint32_t)i * (WARM_UP + STEPS)};
        run_setting(&settings[i % SETTINGS], covariance_noises[i / SETTINGS], key,
                    sums + i * CURVATURES, f);
    }
}

/* The equation's variance: temperature over twice the curvature, in units of the noise. */
static double diffusion(const setting *s, double beta1, double curvature)
{
    plumb_batch_effect effect = {.size = sizeof effect};
    plumb_batch_effects(s->batch, NAN, s->rate, beta1, 0.0, s->batch, &effect);
    return effect.temperature / (2.0 * curvature);
}

/* What steps of finite length add to it: a factor. */
static double discretisation(const setting *s, double curvature)
{
    return 1.0 / (1.0 - s->rate * curvature / (2.0 * (1.0 + s->beta1)));
}

/* Variances over the equation's, momentum included. */
static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    for (int i = 0; i < 2 * WIDTH; i++) {
        const setting *s = &settings[i / CURVATURES % SETTINGS];
        values[i] = sums[i] / (double)units / diffusion(s, s->beta1, curvatures[i % CURVATURES]);
    }
}

static const claims_statement equation = {
    .name = "sde",
    .title = "SGD as d theta = -G dt + sqrt(eta Sigma/B) dW",
    .source = "its variance at a quadratic's bottom, eta/(2 B) Sigma/h",
    .correct = "the same over (1 - eta h/2): right for eta h << 1, and no limit at eta h = 2",
    .reason = "at eta h = 1.6 steps are too long for a differential equation"};
static const claims_statement linear_rule = {
    .name = "linear_rule",
    .title = "batch k times as large: learning rate times k, not times sqrt(k)",
    .source = "runs of equal temperature eta/B are alike",
    .correct =
        "they are while k eta h << 1; the square-root rule keeps the variance of one step and "
        "lowers the stationary one by sqrt(k)",
    .reason = "along directions of large curvature the rule ends where k eta h nears 2"};
static const claims_statement momentum = {
    .name = "momentum",
    .title = "the temperature of SGD with momentum",
    .source = "T = eta/B, momentum not being mentioned",
    .correct = "T = eta (1 - B/N) / (B (1 - beta1))",
    .reason = "momentum of beta1 makes every gradient count 1/(1 - beta1) times"};

static const claims_estimate *of(const claims_estimate *estimates, int noise, int setting_number)
{
    return estimates + noise * WIDTH + setting_number * CURVATURES;
}

static claims_estimate ratio_of(claims_estimate a, claims_estimate b)
{
    double ratio = a.mean / b.mean;
    return (claims_estimate){ratio, ratio * hypot(a.error / a.mean, b.error / b.mean)};
}

static void conclude_equation(claims_findings *findings, const claims_estimate *estimates)
{
    static const char *const names[CURVATURES] = {"variance over the equation's, eta h = 0.1",
                                                  "eta h = 0.2", "eta h = 0.4", "eta h = 0.8",
                                                  "eta h = 1.6"};
    claims_findings_begin(findings, &equation);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const claims_estimate *base = of(estimates, noise, BASE);
        const claims_estimate *coarse = of(estimates, noise, LINEAR);
        claims_findings_check(findings, CLAIMS_HEADLINE, kind,
                              "variance over the equation's, eta h = 0.025", CLAIMS_EQUAL, 1.0,
                              base[0])
            ->slack = 0.0125 + 1e-3; /* eta h / 2 */
        claims_findings_check(findings, CLAIMS_DETAIL, kind,
                              "variance over the equation's, eta h = 1.6", CLAIMS_EQUAL, 1.0,
                              coarse[CURVATURES - 1]);
        for (int h = 0; h < CURVATURES; h++) {
            claims_findings_check(findings, CLAIMS_CORRECTED, kind, names[h], CLAIMS_EQUAL,
                                  discretisation(&settings[LINEAR], curvatures[h]), coarse[h]);
        }
        for (int s = 0; s < SETTINGS; s++) {
            for (int h = 0; h < CURVATURES; h++) {
                claims_findings_point(findings, "stationary", settings[s].curve, kind,
                                      settings[s].rate * curvatures[h],
                                      discretisation(&settings[s], curvatures[h]),
                                      of(estimates, noise, s)[h]);
            }
        }
    }
}

static void conclude_rules(claims_findings *findings, const claims_estimate *estimates)
{
    int last = CURVATURES - 1;
    claims_findings_begin(findings, &linear_rule);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const claims_estimate *base = of(estimates, noise, BASE);
        const claims_estimate *linear = of(estimates, noise, LINEAR);
        claims_estimate root = of(estimates, noise, ROOT)[0];
        /* In units of the equation's variance, which the square-root rule lowers by 2. */
        root = ratio_of(root, base[0]);
        claims_findings_check(findings, CLAIMS_HEADLINE, kind,
                              "variance, linear rule, k = 4 over 1; h = 0.25", CLAIMS_EQUAL, 1.0,
                              ratio_of(linear[0], base[0]))
            ->slack = 0.05; /* k eta h / 2 */
        claims_findings_check(findings, CLAIMS_DETAIL, kind, "the same, h = 4: k eta h = 1.6",
                              CLAIMS_EQUAL, 1.0, ratio_of(linear[last], base[last]));
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "the same", CLAIMS_EQUAL,
                              discretisation(&settings[LINEAR], curvatures[last]) /
                                  discretisation(&settings[BASE], curvatures[last]),
                              ratio_of(linear[last], base[last]));
        claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                              "variance, square-root rule, k = 4 over 1; h = 0.25", CLAIMS_EQUAL,
                              0.5, (claims_estimate){root.mean / 2.0, root.error / 2.0})
            ->slack = 0.0125; /* of k = 4 and k = 1: sqrt(k) eta h / 4 */
    }
}

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    conclude_equation(findings, estimates);
    conclude_rules(findings, estimates);
    claims_findings_begin(findings, &momentum);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const setting *s = &settings[MOMENTUM];
        for (int h = 0; h < CURVATURES; h += 2) {
            claims_estimate e = of(estimates, noise, MOMENTUM)[h];
            double factor = diffusion(s, s->beta1, 1.0) / diffusion(s, 0.0, 1.0);
            char name[72];
            snprintf(name, sizeof name, "variance over eta/(2 B) Sigma/h, eta h = %g",
                     s->rate * curvatures[h]);
            claims_estimate plain = {e.mean * factor, e.error * factor};
            claims_findings_check(findings, CLAIMS_DETAIL, kind, name, CLAIMS_EQUAL, 1.0, plain);
            claims_findings_check(findings, CLAIMS_CORRECTED, kind, "the same", CLAIMS_EQUAL,
                                  factor * discretisation(s, curvatures[h]), plain);
        }
    }
}

const claims_subject claims_stationary = {.name = "stationary",
                                          .units = UNITS,
                                          .quick_units = QUICK_UNITS,
                                          .width = 2 * WIDTH,
                                          .number = 34,
                                          .run = run,
                                          .values = 2 * WIDTH,
                                          .evaluate = evaluate,
                                          .conclude = conclude};
