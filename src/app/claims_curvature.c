/*
 * The bias of Sophia's update m / h, h from eight groups' estimates of a curvature of 1, each a
 * chi-square of four degrees over 4. Momentum and clip are off (beta1 = 0), so that with a constant
 * gradient of 1 the update is the inverse of h. In one case h is a moving average, in another the
 * gradient is tied to the curvature: g = 1 + (c - 1)/2 in every group.
 *
 * What is linear in the errors of m and h has expectation 0 and is subtracted. Second order: the
 * inverse's bias is V = Var h, the coupling's - Cov(m, h), in shares of the target, which is 1.
 */
#include "app/claims_handle.h"
#include "app/claims_random.h"
#include "app/claims_subject.h"

#include <math.h>
#include <stdlib.h>

enum { GROUPS = 8, REPETITIONS = 2048 };

typedef struct curvature_case {
    const char *name;
    double beta2, tie;  /* tie: of g's error to c's */
    int warm_up, steps; /* steps of one stream: independent repetitions if beta2 = 0 */
} curvature_case;

static const curvature_case cases[] = {
    {"curvature h of one step", 0.0, 0.0, 0, 16},
    {"curvature h averaged, beta2=0.9", 0.9, 0.0, 160, 40},
    {"curvature h of one step, g tied to it", 0.0, 0.5, 0, 16},
};

typedef struct curvature_estimator {
    const char *name;
    plumb_correction correction;
    int folds;
    bool inversion, coupling; /* what it leaves */
    bool predicted;
} curvature_estimator;

static const curvature_estimator estimators[] = {
    {"none", PLUMB_CORRECTION_NONE, 0, true, true, true},
    {"moment", PLUMB_CORRECTION_MOMENT, 0, false, true, true},
    {"loo", PLUMB_CORRECTION_LOO, 0, false, false, true},
    {"loo, 2 folds", PLUMB_CORRECTION_LOO, 2, false, false, true},
    {"jackknife", PLUMB_CORRECTION_JACKKNIFE, 0, false, false, true},
    {"paper-cf", PLUMB_CORRECTION_PAPER_CF, 0, false, false, false},
    {"paper-inv", PLUMB_CORRECTION_PAPER_INV, 0, false, false, false},
    {"paper-full", PLUMB_CORRECTION_PAPER_FULL, 0, false, false, false},
};

enum {
    CASES = sizeof cases / sizeof cases[0],
    ESTIMATORS = sizeof estimators / sizeof estimators[0],
    WIDTH = 2 * CASES * ESTIMATORS
};

typedef struct curvature_stream {
    const curvature_case *setting;
    claims_handle handles[ESTIMATORS];
    double squares[REPETITIONS];
    float gradients[GROUPS][REPETITIONS], curvature[GROUPS][REPETITIONS];
    double first[REPETITIONS], average[REPETITIONS]; /* m and h in double */
    double totals[ESTIMATORS][REPETITIONS];
} curvature_stream;

static int open_handles(curvature_stream *s, failure *f)
{
    for (int e = 0; e < ESTIMATORS; e++) {
        plumb_parameter_options options;
        claims_handle_options(PLUMB_OPTIMIZER_SOPHIA, &options);
        options.beta1 = 0.0;
        options.beta2 = s->setting->beta2;
        options.epsilon = 1e-30;
        options.rho = 1.0;
        options.clip = 1e30;
        options.curvature_interval = 1;
        options.correction = estimators[e].correction;
        options.folds = estimators[e].folds;
        claims_handle_create(&s->handles[e], estimators[e].name, GROUPS, 1, REPETITIONS, &options,
                             f);
    }
    return f->code;
}

static void draw(curvature_stream *s, claims_key key)
{
    double beta2 = s->setting->beta2;
    for (int i = 0; i < REPETITIONS; i++) {
        s->first[i] = 0.0;
        s->average[i] *= beta2;
    }
    for (int k = 0; k < GROUPS; k++) {
        key.micro_batch = (uint16_t)k;
        claims_squares(key, REPETITIONS, s->squares);
        for (int i = 0; i < REPETITIONS; i++) {
            double gradient = 1.0 + s->setting->tie * (s->squares[i] - 1.0);
            s->curvature[k][i] = (float)s->squares[i];
            s->gradients[k][i] = (float)gradient;
            s->first[i] += gradient / GROUPS;
            s->average[i] += (1.0 - beta2) * s->squares[i] / GROUPS;
        }
    }
}

static void add_estimates(curvature_stream *s, int e)
{
    for (int i = 0; i < REPETITIONS; i++) {
        double linear = (s->first[i] - 1.0) - (s->average[i] - 1.0);
        s->totals[e][i] += -(double)s->handles[e].values[i] - 1.0 - linear;
    }
}

static void run_stream(curvature_stream *s, claims_key key, failure *f)
{
    int last = s->setting->warm_up + s->setting->steps;
    for (int t = 0; t < last && f->code == EXIT_OK; t++) {
        key.step = (uint32_t)t;
        draw(s, key);
        for (int e = 0; e < ESTIMATORS && f->code == EXIT_OK; e++) {
            claims_handle_step(&s->handles[e], s->gradients[0], s->curvature[0], f);
            if (t >= s->setting->warm_up && f->code == EXIT_OK) {
                add_estimates(s, e);
            }
        }
    }
}

static void run_case(int number, claims_key key, double *sums, failure *f)
{
    curvature_stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return;
    }
    s->setting = &cases[number];
    if (open_handles(s, f) == EXIT_OK) {
        run_stream(s, key, f);
    }
    for (int e = 0; e < ESTIMATORS; e++) {
        for (int i = 0; i < REPETITIONS; i++) {
            double mean = s->totals[e][i] / (double)s->setting->steps;
            sums[2 * e] += mean;
            sums[2 * e + 1] += mean * mean;
        }
        claims_handle_destroy(&s->handles[e]);
    }
    free(s);
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    for (int c = 0; c < CASES && f->code == EXIT_OK; c++) {
        claims_key key = {
            .seed = seed, .subject = self->number, .unit = unit * CASES + (uint32_t)c};
        run_case(c, key, sums + 2 * c * ESTIMATORS, f);
    }
}

static double predict(const curvature_case *c, const curvature_estimator *e)
{
    double variance = 0.5 / GROUPS * (1.0 - c->beta2) / (1.0 + c->beta2);
    double covariance = c->tie * 0.5 / GROUPS * (1.0 - c->beta2);
    if (!e->predicted) {
        return NAN;
    }
    return (e->inversion ? variance : 0.0) - (e->coupling ? covariance : 0.0);
}

static void report(const claims_subject *self, const double *sums, int64_t units,
                   claims_table *table)
{
    (void)self;
    for (int c = 0; c < CASES; c++) {
        for (int e = 0; e < ESTIMATORS; e++) {
            const double *pair = sums + 2 * (c * ESTIMATORS + e);
            claims_estimate bias =
                claims_estimate_of(pair[0], pair[1], (double)(units * REPETITIONS));
            claims_table_add(table, cases[c].name, estimators[e].name,
                             predict(&cases[c], &estimators[e]), bias.mean, bias.error);
        }
    }
}

const claims_subject claims_curvature = {.name = "curvature",
                                         .units = 8,
                                         .quick_units = 2,
                                         .width = WIDTH,
                                         .number = 2,
                                         .run = run,
                                         .report = report};
