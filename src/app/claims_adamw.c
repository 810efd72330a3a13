/*
 * The bias of AdamW's update on a stationary stream: eight groups of normal gradients mu + sigma z,
 * elements of one parameter as independent repetitions, three signal-to-noise ratios side by side
 * in it, every estimator on the same z. The target is mu / sqrt(mu^2 + c sigma^2).
 *
 * What is linear in the errors of m and v has expectation 0. It is formed from the same data in
 * double and subtracted from every update, which takes away nearly all noise and no bias. Errors
 * come from the means over time of the repetitions, which are independent.
 *
 * The prediction for the plain update is second order, with the exact factors of moving averages
 * after t steps, in shares of the target:
 *
 *     inversion   3/8 Var v / v^2,          Var v = Var s (1-b2)(1+b2^t) / ((1+b2)(1-b2^t))
 *     coupling   -1/2 Cov(m, v) / (m v),    Cov(m, v) = Cov(a, s) (1-b1)(1-b2)(1-(b1 b2)^t) /
 *                                                       ((1-b1 b2)(1-b1^t)(1-b2^t))
 *
 * with Var s = 4 mu^2 sigma^2/G + 2 sigma^4/G^2 + (c - 1/G)^2 2 sigma^4/(G-1) and Cov(a, s) =
 * 2 mu sigma^2/G for normal gradients, a their mean and s the sample of the second moment.
 */
#include "app/claims_handle.h"
#include "app/claims_random.h"
#include "app/claims_subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 8, HALF = GROUPS / 2, REPETITIONS = 2048, SCALES = 3 };
enum { ELEMENTS = SCALES * REPETITIONS };

static const double scales[SCALES] = {0.1, 0.3, 1.0}; /* mu / sigma */

/* c: AdamW's own, and the mean of squares. */
enum { OWN_FLOOR, SQUARES_FLOOR, FLOORS };
static const double floors[FLOORS] = {1.0 / GROUPS, 1.0};
static const char *const floor_words[FLOORS] = {"1/8", "1"};

typedef struct adamw_setting {
    double beta1, beta2;
    int warm_up, steps; /* updates before and while it is measured */
} adamw_setting;

typedef struct adamw_estimator {
    const char *name;
    plumb_correction correction;
    int floor, folds;
    bool goal;
} adamw_estimator;

static const adamw_estimator estimators[] = {
    {"none", PLUMB_CORRECTION_NONE, OWN_FLOOR, 0, false},
    {"moment", PLUMB_CORRECTION_MOMENT, OWN_FLOOR, 0, true},
    {"loo", PLUMB_CORRECTION_LOO, OWN_FLOOR, 0, true},
    {"loo, 2 folds", PLUMB_CORRECTION_LOO, OWN_FLOOR, 2, false},
    {"paper-cf", PLUMB_CORRECTION_PAPER_CF, OWN_FLOOR, 0, false},
    {"paper-inv", PLUMB_CORRECTION_PAPER_INV, OWN_FLOOR, 0, false},
    {"paper-full", PLUMB_CORRECTION_PAPER_FULL, OWN_FLOOR, 0, false},
    {"paper-pre-ema", PLUMB_CORRECTION_PAPER_PRE_EMA, OWN_FLOOR, 0, false},
    {"paper-loo", PLUMB_CORRECTION_PAPER_LOO, OWN_FLOOR, 0, false},
    {"paper-loo-jensen", PLUMB_CORRECTION_PAPER_LOO_JENSEN, OWN_FLOOR, 0, false},
    {"paper-sym", PLUMB_CORRECTION_PAPER_SYM, OWN_FLOOR, 0, false},
    {"moment", PLUMB_CORRECTION_MOMENT, SQUARES_FLOOR, 0, true},
    {"loo", PLUMB_CORRECTION_LOO, SQUARES_FLOOR, 0, true},
    {"loo, 2 folds", PLUMB_CORRECTION_LOO, SQUARES_FLOOR, 2, false},
    {"jackknife", PLUMB_CORRECTION_JACKKNIFE, SQUARES_FLOOR, 0, false},
};

enum { ESTIMATORS = sizeof estimators / sizeof estimators[0] };

/* Formed here from the averages in double, for either floor: the plain update and its two parts. */
enum { PLAIN, INVERSION, COUPLING, PARTS };
/* Shares of Cov(m, v) that are left after crossing halves, at the largest mu. */
enum { CROSSED, ROLLING, FRACTIONS };

enum {
    FIRST_PART = ESTIMATORS * SCALES,
    FIRST_FRACTION = FIRST_PART + FLOORS * PARTS * SCALES,
    ROWS = FIRST_FRACTION + FRACTIONS,
    WIDTH = 2 * ROWS /* sums and sums of squares */
};

typedef struct adamw_stream {
    const adamw_setting *setting;
    claims_handle handles[ESTIMATORS];
    int step; /* 1 for the first */
    float gradients[GROUPS][ELEMENTS];
    double normals[REPETITIONS];
    double first[ELEMENTS], second[FLOORS][ELEMENTS]; /* averages without the factors below */
    double linear[FLOORS][ELEMENTS];                  /* what is subtracted */
    double totals[ROWS][REPETITIONS];                 /* over the measured steps */
} adamw_stream;

static double target_of(int scale, int noise_floor)
{
    return scales[scale] * scales[scale] + floors[noise_floor];
}

/* Two averages' sum of products of weights, in terms of one with the fraction `beta` kept. */
static double product_factor(double beta1, double beta2, int step)
{
    double both = beta1 * beta2, t = (double)step;
    return (1.0 - beta1) * (1.0 - beta2) * (1.0 - pow(both, t)) /
           ((1.0 - both) * (1.0 - pow(beta1, t)) * (1.0 - pow(beta2, t)));
}

/* Predictions after `step` updates, as shares of the target. */
static double inversion_at(const adamw_setting *s, int scale, int noise_floor, int step)
{
    double mu = scales[scale], v = target_of(scale, noise_floor), n = (double)GROUPS;
    double scatter = floors[noise_floor] - 1.0 / n;
    double variance = 4.0 * mu * mu / n + 2.0 / (n * n) + scatter * scatter * 2.0 / (n - 1.0);
    return 0.375 * variance * product_factor(s->beta2, s->beta2, step) / (v * v);
}

static double covariance_at(const adamw_setting *s, int scale, int step)
{
    return 2.0 * scales[scale] / (double)GROUPS * product_factor(s->beta1, s->beta2, step);
}

static double coupling_at(const adamw_setting *s, int scale, int noise_floor, int step)
{
    double v = target_of(scale, noise_floor);
    return -0.5 * covariance_at(s, scale, step) / (scales[scale] * v);
}

static int open_handles(adamw_stream *s, failure *f)
{
    for (int e = 0; e < ESTIMATORS; e++) {
        const adamw_estimator *estimator = &estimators[e];
        plumb_parameter_options options;
        claims_handle_options(PLUMB_OPTIMIZER_ADAMW, &options);
        options.beta1 = s->setting->beta1;
        options.beta2 = s->setting->beta2;
        options.epsilon = 1e-12;
        options.correction = estimator->correction;
        options.folds = estimator->folds;
        options.noise_floor = estimator->floor == OWN_FLOOR ? 0.0 : floors[estimator->floor];
        claims_handle_create(&s->handles[e], estimators[e].name, GROUPS, 1, ELEMENTS, &options, f);
    }
    return f->code;
}

static void draw_gradients(adamw_stream *s, claims_key key)
{
    key.step = (uint32_t)s->step;
    for (int k = 0; k < GROUPS; k++) {
        key.micro_batch = (uint16_t)k;
        claims_normals(key, REPETITIONS, s->normals);
        for (int scale = 0; scale < SCALES; scale++) {
            float *gradients = s->gradients[k] + scale * REPETITIONS;
            for (int i = 0; i < REPETITIONS; i++) {
                gradients[i] = (float)(scales[scale] + s->normals[i]);
            }
        }
    }
}

/* The mean of one half's gradients. */
static double half_mean(const adamw_stream *s, int begin, int element)
{
    double sum = 0.0;
    for (int k = begin; k < begin + HALF; k++) {
        sum += (double)s->gradients[k][element];
    }
    return sum / HALF;
}

/*
 * What crossing halves on shared averages leaves of Cov(m, v), as the published modes do it, and
 * what taking the preconditioner's half from the next step's gradient half leaves. Their known
 * multiples of Cov(m, v) itself, whose expectation is exact, take most of the noise away.
 */
static void add_fractions(adamw_stream *s, int i)
{
    const adamw_setting *setting = s->setting;
    double b1 = setting->beta1, b2 = setting->beta2, t = (double)s->step;
    double unbiased1 = 1.0 / (1.0 - pow(b1, t)), unbiased2 = 1.0 / (1.0 - pow(b2, t));
    int element = (SCALES - 1) * REPETITIONS + i;
    double mu = scales[SCALES - 1], v = target_of(SCALES - 1, OWN_FLOOR);
    double half_floor = 2.0 * floors[OWN_FLOOR];
    double mean = 0.5 * (half_mean(s, 0, element) + half_mean(s, HALF, element));
    double first = s->first[element], second = s->second[OWN_FLOOR][element];
    double old_first = (first - (1.0 - b1) * mean) / b1 - mu * (1.0 - pow(b1, t - 1.0));
    double old_second = (second - (1.0 - b2) * mean * mean) / b2 - v * (1.0 - pow(b2, t - 1.0));
    double crossed = 0.0;
    for (int half = 0; half < GROUPS; half += HALF) {
        double a = half_mean(s, half, element) - mu;
        double b = half_mean(s, HALF - half, element);
        double m = b1 * old_first + (1.0 - b1) * a;
        crossed += 0.5 * m * (b2 * old_second + (1.0 - b2) * (b * b - mu * mu - half_floor));
    }
    double v_error = second * unbiased2 - v;
    double rolling = old_first * unbiased1 * v_error;
    double expected = covariance_at(setting, SCALES - 1, s->step);
    double surplus = (first * unbiased1 - mu) * v_error / expected - 1.0;
    s->totals[FIRST_FRACTION + CROSSED][i] +=
        crossed * unbiased1 * unbiased2 / expected - b1 * b2 * surplus;
    s->totals[FIRST_FRACTION + ROLLING][i] += rolling / expected - b2 * surplus;
}

static void average(double *value, double beta, double sample)
{
    *value = beta * *value + (1.0 - beta) * sample;
}

/* The averages, in double, of one element. */
static void follow(adamw_stream *s, int element)
{
    double sum = 0.0, squares = 0.0;
    for (int k = 0; k < GROUPS; k++) {
        double g = (double)s->gradients[k][element];
        sum += g;
        squares += g * g;
    }
    double mean = sum / GROUPS;
    average(&s->first[element], s->setting->beta1, mean);
    average(&s->second[OWN_FLOOR][element], s->setting->beta2, mean * mean);
    average(&s->second[SQUARES_FLOOR][element], s->setting->beta2, squares / GROUPS);
}

/* Adds the plain update's two parts, and keeps what is to be subtracted from all estimates. */
static void add_parts(adamw_stream *s, int scale, int i)
{
    int element = scale * REPETITIONS + i;
    double unbiased1 = 1.0 / (1.0 - pow(s->setting->beta1, (double)s->step));
    double unbiased2 = 1.0 / (1.0 - pow(s->setting->beta2, (double)s->step));
    double first = s->first[element] * unbiased1 / scales[scale];
    for (int c = 0; c < FLOORS; c++) {
        double second = s->second[c][element] * unbiased2 / target_of(scale, c);
        double inverse = 1.0 / sqrt(second);
        double linear = first - 1.0 - 0.5 * (second - 1.0);
        double plain = first * inverse - linear, inversion = inverse + 0.5 * (second - 1.0);
        double *const parts = &s->totals[FIRST_PART + (c * PARTS) * SCALES + scale][i];
        parts[PLAIN * SCALES * REPETITIONS] += plain - 1.0;
        parts[INVERSION * SCALES * REPETITIONS] += inversion - 1.0;
        parts[COUPLING * SCALES * REPETITIONS] += plain - inversion;
        s->linear[c][element] = linear;
    }
}

static void add_estimates(adamw_stream *s, int e)
{
    int c = estimators[e].floor;
    const float *values = s->handles[e].values;
    for (int scale = 0; scale < SCALES; scale++) {
        double inverse_target = sqrt(target_of(scale, c)) / scales[scale];
        const double *linear = s->linear[c] + scale * REPETITIONS;
        double *total = s->totals[e * SCALES + scale];
        for (int i = 0; i < REPETITIONS; i++) {
            double update = -(double)values[scale * REPETITIONS + i];
            total[i] += update * inverse_target - linear[i] - 1.0;
        }
    }
}

static void step(adamw_stream *s, bool measured, failure *f)
{
    for (int element = 0; element < ELEMENTS; element++) {
        follow(s, element);
    }
    for (int element = 0; measured && element < ELEMENTS; element++) {
        add_parts(s, element / REPETITIONS, element % REPETITIONS);
    }
    for (int i = 0; measured && i < REPETITIONS; i++) {
        add_fractions(s, i);
    }
    for (int e = 0; e < ESTIMATORS && f->code == EXIT_OK; e++) {
        claims_handle_step(&s->handles[e], s->gradients[0], NULL, f);
        if (measured && f->code == EXIT_OK) {
            add_estimates(s, e);
        }
    }
}

static void sum_repetitions(const adamw_stream *s, double *sums)
{
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < REPETITIONS; i++) {
            double mean = s->totals[row][i] / (double)s->setting->steps;
            sums[2 * row] += mean;
            sums[2 * row + 1] += mean * mean;
        }
    }
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    adamw_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return;
    }
    s->setting = self->setting;
    claims_key key = {.seed = seed, .subject = self->number, .unit = unit};
    int last = s->setting->warm_up + s->setting->steps;
    open_handles(s, f);
    for (s->step = 1; s->step <= last && f->code == EXIT_OK; s->step++) {
        draw_gradients(s, key);
        step(s, s->step > s->setting->warm_up, f);
    }
    sum_repetitions(s, sums);
    for (int e = 0; e < ESTIMATORS; e++) {
        claims_handle_destroy(&s->handles[e]);
    }
    free(s);
}

/* Means over the measured steps. */
typedef struct adamw_prediction {
    double inversion, coupling;
} adamw_prediction;

static adamw_prediction predict(const adamw_setting *s, int scale, int noise_floor)
{
    adamw_prediction p = {0.0, 0.0};
    for (int t = s->warm_up + 1; t <= s->warm_up + s->steps; t++) {
        p.inversion += inversion_at(s, scale, noise_floor, t) / (double)s->steps;
        p.coupling += coupling_at(s, scale, noise_floor, t) / (double)s->steps;
    }
    return p;
}

static claims_estimate estimate(const double *sums, int64_t units, int row)
{
    return claims_estimate_of(sums[2 * row], sums[2 * row + 1], (double)(units * REPETITIONS));
}

static void report_parts(const char *name, const double *sums, int64_t units, int scale,
                         int noise_floor, adamw_prediction p, claims_table *table)
{
    static const char *const names[PARTS] = {"plain", "  its inversion", "  its coupling"};
    double predicted[PARTS] = {p.inversion + p.coupling, p.inversion, p.coupling};
    for (int part = 0; part < PARTS; part++) {
        int row = FIRST_PART + (noise_floor * PARTS + part) * SCALES + scale;
        claims_estimate e = estimate(sums, units, row);
        claims_table_add(table, name, names[part], predicted[part], e.mean, e.error);
    }
}

/*
 * The published modes with a fold for the second moment aim at the mean of squares, whatever their
 * inverse does; for the others of them there is no prediction of second order here.
 */
static double predicted_of(const adamw_estimator *estimator, int scale, adamw_prediction p)
{
    switch (estimator->correction) {
    case PLUMB_CORRECTION_NONE:
        return p.inversion + p.coupling;
    case PLUMB_CORRECTION_MOMENT:
    case PLUMB_CORRECTION_LOO:
    case PLUMB_CORRECTION_JACKKNIFE:
        return 0.0;
    case PLUMB_CORRECTION_PAPER_CF:
    case PLUMB_CORRECTION_PAPER_FULL:
    case PLUMB_CORRECTION_PAPER_PRE_EMA:
        return sqrt(target_of(scale, OWN_FLOOR) / target_of(scale, SQUARES_FLOOR)) - 1.0;
    default:
        return NAN;
    }
}

static void report_estimators(const char *name, const double *sums, int64_t units, int scale,
                              int noise_floor, adamw_prediction p, claims_table *table)
{
    double size = fabs(p.inversion) + fabs(p.coupling);
    for (int e = 0; e < ESTIMATORS; e++) {
        if (estimators[e].floor == noise_floor) {
            claims_estimate measured = estimate(sums, units, e * SCALES + scale);
            claims_row *row = claims_table_add(table, name, estimators[e].name,
                                               predicted_of(&estimators[e], scale, p),
                                               measured.mean, measured.error);
            if (estimators[e].goal) {
                row->goal = 0.05 * size;
                row->error_goal = 0.01 * size;
            }
        }
    }
}

static void report_fractions(const adamw_setting *s, const double *sums, int64_t units,
                             claims_table *table)
{
    static const char *const names[FRACTIONS] = {"same-step crossing", "rolling folds"};
    double predicted[FRACTIONS] = {s->beta1 * s->beta2, s->beta2};
    for (int i = 0; i < FRACTIONS; i++) {
        claims_estimate e = estimate(sums, units, FIRST_FRACTION + i);
        claims_table_add(table, "coupling left, of Cov(m, v)", names[i], predicted[i], e.mean,
                         e.error);
    }
}

static void report(const claims_subject *self, const double *sums, int64_t units,
                   claims_table *table)
{
    const adamw_setting *setting = self->setting;
    for (int c = FLOORS - 1; c >= 0; c--) {
        for (int scale = 0; scale < SCALES; scale++) {
            char name[64];
            snprintf(name, sizeof name, "adamw c=%s mu/sigma=%g", floor_words[c], scales[scale]);
            adamw_prediction p = predict(setting, scale, c);
            report_parts(name, sums, units, scale, c, p, table);
            report_estimators(name, sums, units, scale, c, p, table);
        }
    }
    report_fractions(setting, sums, units, table);
}

static const adamw_setting usual = {.beta1 = 0.9, .beta2 = 0.95, .warm_up = 100, .steps = 300};

const claims_subject claims_adamw = {.name = "adamw",
                                     .units = 16,
                                     .quick_units = 1,
                                     .width = WIDTH,
                                     .number = 1,
                                     .setting = &usual,
                                     .run = run,
                                     .report = report};
