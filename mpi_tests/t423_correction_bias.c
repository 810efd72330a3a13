/*
 * The bias of AdamW's update with and without corrections, by Monte Carlo over a stationary stream:
 * normal gradients of known mean and variance 1 in each of eight groups, elements as independent
 * repetitions. The target is mean / sqrt(mean^2 + c).
 *
 * What is linear in the errors of m and v has expectation 0 and is subtracted from every estimate,
 * which takes away almost all noise. Predictions come from an independent
 * simulation without it; each may be missed by four standard errors and the prediction's own two
 * or, where it is 0, by what the next order of the expansion amounts to.
 * ranks: serial
 */
#include <math.h>

#include "support/optimizer_problem.h"

enum { COUNT = 4096, GROUPS = 8, HALF = GROUPS / 2, WARM = 120, STEPS = 220 };

static const double pi = 3.14159265358979323846;

/* Uniform in (0, 1): splitmix64 (Steele, Lea, Flood 2014). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

/* Groups of normal gradients (Box and Muller 1958), and their mean. */
static void draw(optimizer_problem *p, double mean, uint64_t *state)
{
    for (int k = 0; k < GROUPS; k++) {
        for (int i = 0; i < COUNT; i += 2) {
            double radius = sqrt(-2.0 * log(uniform(state)));
            double angle = 2.0 * pi * uniform(state);
            p->group_gradients[k][i] = (float)(mean + radius * cos(angle));
            p->group_gradients[k][i + 1] = (float)(mean + radius * sin(angle));
        }
    }
    problem_mean(p);
}

typedef enum estimator {
    CORRECTED,         /* what the optimizer did */
    PLAIN,             /* m / sqrt(v) */
    ONE_ONLY,          /* moment: the inverse alone corrected; loo: cross-fitted alone */
    INVERSE,           /* 1 / sqrt(v) */
    CORRECTED_INVERSE, /* the same divided by 1 + 3/8 q/v^2 */
    ESTIMATORS
} estimator;

/* Bias relative to the target and its standard error, in percent. */
typedef struct bias {
    double mean, error;
} bias;

typedef struct stream {
    plumb_correction correction;
    double mean, noise_floor, beta1, beta2;
    int folds; /* 0: one a group */
} stream;

/* One element's moments with unbiased weights, from the states of a correction. */
typedef struct moments {
    double first, second, variance, crossed;
} moments;

static double state(const optimizer_problem *p, int number, int i)
{
    return (double)p->states[number][i];
}

static moments moments_of(const optimizer_problem *p, int i)
{
    double unbias1 = 1.0 / (1.0 - pow(p->options.beta1, (double)p->updates));
    double unbias2 = 1.0 / (1.0 - pow(p->options.beta2, (double)p->updates));
    moments m = {0};
    if (p->options.correction == PLUMB_CORRECTION_MOMENT) {
        m.first = unbias1 * state(p, 0, i);
        m.second = unbias2 * state(p, 1, i);
        m.variance = fmax(unbias2 * unbias2 * state(p, 2, i) * fabs(state(p, 2, i)), 0.0);
        return m;
    }
    int tracks = p->options.correction == PLUMB_CORRECTION_LOO ? 1 : 0;
    int folds = p->options.folds > 0 ? p->options.folds : GROUPS;
    for (int f = 0; f < folds; f++) {
        double first = unbias1 * state(p, tracks + f, i);
        double second = unbias2 * state(p, tracks + folds + f, i);
        m.first += first / folds;
        m.second += second / folds;
        m.crossed += first / sqrt(second) / folds;
    }
    m.second = tracks > 0 ? unbias2 * state(p, 0, i) : m.second;
    return m;
}

/* One element's estimates relative to their targets, linear errors subtracted. */
static void estimate(const stream *s, const moments *m, double corrected, double *relative)
{
    double floor = s->noise_floor == 0.0 ? 1.0 / GROUPS : s->noise_floor;
    double target = s->mean * s->mean + floor;
    double first = m->first / s->mean - 1.0, second = 0.5 * (m->second / target - 1.0);
    double scale = sqrt(target) / s->mean;
    double excess = 1.0 + 0.375 * m->variance / (m->second * m->second);
    double plain = m->first / sqrt(m->second) * scale;
    bool folds = s->correction == PLUMB_CORRECTION_LOO;
    relative[CORRECTED] = corrected * scale - first + second;
    relative[PLAIN] = plain - first + second;
    relative[ONE_ONLY] = (folds ? m->crossed * scale : plain / excess) - first + second;
    relative[INVERSE] = sqrt(target / m->second) + second;
    relative[CORRECTED_INVERSE] = sqrt(target / m->second) / excess + second;
}

static void summarise(double (*sums)[ESTIMATORS], bias *result)
{
    for (int e = 0; e < ESTIMATORS; e++) {
        double sum = 0.0, squares = 0.0;
        for (int i = 0; i < COUNT; i++) {
            double value = 100.0 * (sums[i][e] / (STEPS - WARM) - 1.0);
            sum += value / COUNT;
            squares += value * value / COUNT;
        }
        result[e] = (bias){sum, sqrt((squares - sum * sum) / (COUNT - 1))};
    }
}

static void problem_of(optimizer_problem *p, const stream *s)
{
    problem_init(p, PLUMB_OPTIMIZER_ADAMW, COUNT, 1);
    p->groups = GROUPS;
    p->options.correction = s->correction;
    p->options.noise_floor = s->noise_floor;
    p->options.folds = s->folds;
    p->options.beta1 = s->beta1;
    p->options.beta2 = s->beta2;
    p->options.weight_decay = 0.0;
    ck_assert_int_eq(optimizer_validate(&p->options, COUNT, 1), PLUMB_OK);
}

static void measure(const stream *s, bias *result)
{
    static double sums[COUNT][ESTIMATORS];
    memset(sums, 0, sizeof sums);
    optimizer_problem p;
    problem_of(&p, s);
    uint64_t seed = 20260;
    for (int t = 0; t < STEPS; t++) {
        draw(&p, s->mean, &seed);
        memset(p.values, 0, COUNT * sizeof *p.values);
        problem_step(&p, 1.0);
        for (int i = 0; i < COUNT && t >= WARM; i++) {
            double relative[ESTIMATORS];
            moments m = moments_of(&p, i);
            estimate(s, &m, -(double)p.values[i], relative);
            for (int e = 0; e < ESTIMATORS; e++) {
                sums[i][e] += relative[e];
            }
        }
    }
    summarise(sums, result);
    problem_free(&p);
}

/* Within four standard errors of the prediction, and `slack` percent for its own error. */
static void assert_bias(bias measured, double predicted, double slack, double largest_error)
{
    ck_assert_msg(measured.error < largest_error, "standard error %.4f %%", measured.error);
    ck_assert_msg(fabs(measured.mean - predicted) <= 4.0 * measured.error + slack,
                  "bias %+.4f %% (standard error %.4f), not %+.4f", measured.mean, measured.error,
                  predicted);
}

/* Mean of squares, mean 0.5. Published standard error of the predictions: 0.013. */
START_TEST(mean_of_squares)
{
    bias b[ESTIMATORS];
    stream s = {PLUMB_CORRECTION_MOMENT, 0.5, 1.0, 0.9, 0.95, 0};
    measure(&s, b);
    assert_bias(b[PLAIN], -0.119, 0.026, 0.004);
    assert_bias(b[ONE_ONLY], -0.347, 0.026, 0.004);
    assert_bias(b[CORRECTED], 0.0, 0.01, 0.004); /* third order: -0.0065 */
    assert_bias(b[INVERSE], 0.231, 0.026, 0.004);
    ck_assert_double_lt(fabs(b[CORRECTED_INVERSE].mean), 0.1 * b[INVERSE].mean);
    s.correction = PLUMB_CORRECTION_LOO;
    measure(&s, b);
    assert_bias(b[PLAIN], -0.119, 0.026, 0.004);
    assert_bias(b[ONE_ONLY], 0.258, 0.026, 0.004);
    assert_bias(b[CORRECTED], 0.0, 0.01, 0.004);
    s.correction = PLUMB_CORRECTION_JACKKNIFE;
    measure(&s, b);
    assert_bias(b[CORRECTED], 0.0, 0.01, 0.004);
}
END_TEST

/* Square of the mean, AdamW's own target, mean 0.3: larger biases, larger third order. */
START_TEST(square_of_mean)
{
    bias b[ESTIMATORS];
    stream s = {PLUMB_CORRECTION_MOMENT, 0.3, 0.0, 0.9, 0.95, 0};
    measure(&s, b);
    assert_bias(b[PLAIN], -0.422, 0.044, 0.012);
    double before = fabs(b[PLAIN].mean);
    assert_bias(b[CORRECTED], -0.06, 0.03, 0.012);
    ck_assert_double_lt(fabs(b[CORRECTED].mean), 0.3 * before);
    s.correction = PLUMB_CORRECTION_LOO;
    measure(&s, b);
    assert_bias(b[CORRECTED], 0.0, 0.03, 0.016); /* third order: -0.024 */
    ck_assert_double_lt(fabs(b[CORRECTED].mean), 0.3 * before);
    s.folds = 4;
    measure(&s, b);
    assert_bias(b[CORRECTED], 0.0, 0.03, 0.022);
}
END_TEST

/*
 * Two folds, mean of squares, mean 0.5. Published prediction for the cross-fit alone, with tracks
 * of its own for each fold: +0.455. Corrected at most a twentieth of inversion and coupling of the
 * plain estimator, 0.231 and 0.345, is left; and so with the noise floor of the whole where the
 * gradient is as large as its noise.
 */
START_TEST(two_folds)
{
    bias b[ESTIMATORS];
    stream s = {PLUMB_CORRECTION_LOO, 0.5, 1.0, 0.9, 0.95, 2};
    measure(&s, b);
    assert_bias(b[ONE_ONLY], 0.455, 0.026, 0.008);
    assert_bias(b[CORRECTED], 0.0, 0.01, 0.008);
    ck_assert_double_le(fabs(b[CORRECTED].mean), 0.05 * (0.231 + 0.345));
    s.correction = PLUMB_CORRECTION_JACKKNIFE;
    measure(&s, b);
    assert_bias(b[CORRECTED], 0.0, 0.03, 0.008);
    s = (stream){PLUMB_CORRECTION_LOO, 1.0, 0.0, 0.9, 0.95, 2};
    measure(&s, b);
    assert_bias(b[CORRECTED], -0.026, 0.0, 0.014);
    ck_assert_double_le(fabs(b[CORRECTED].mean), 0.05 * (0.404 + 0.383));
}
END_TEST

/* The tracker of the variance leaves less than a tenth of the bias of the inverse. */
START_TEST(inverse_of_slow_average)
{
    bias b[ESTIMATORS];
    stream s = {PLUMB_CORRECTION_MOMENT, 0.5, 1.0, 0.9, 0.9, 0};
    measure(&s, b);
    ck_assert_double_gt(b[INVERSE].mean, 10.0 * b[INVERSE].error);
    ck_assert_double_lt(fabs(b[CORRECTED_INVERSE].mean), 0.1 * b[INVERSE].mean);
}
END_TEST

/* Sums for a covariance. */
typedef struct covariance {
    double count, left, right, product;
} covariance;

static void add(covariance *c, double left, double right)
{
    c->count += 1.0;
    c->left += left;
    c->right += right;
    c->product += left * right;
}

static double value_of(const covariance *c)
{
    return c->product / c->count - c->left / c->count * (c->right / c->count);
}

static double half_mean(const optimizer_problem *p, int begin, int i)
{
    double sum = 0.0;
    for (int k = 0; k < HALF; k++) {
        sum += (double)p->group_gradients[begin + k][i] / HALF;
    }
    return sum;
}

/* One element's moments now, those of the step before, and what was crossed in this step only. */
static void add_couplings(const optimizer_problem *p, int i, covariance *whole, covariance *crossed,
                          covariance *rolling)
{
    double beta1 = p->options.beta1, beta2 = p->options.beta2;
    double old_first = (double)p->new_states[0][i], old_second = (double)p->new_states[1][i];
    add(whole, state(p, 0, i), state(p, 1, i));
    add(rolling, old_first, state(p, 1, i));
    for (int half = 0; half < GROUPS; half += HALF) {
        double other = half_mean(p, HALF - half, i);
        add(crossed, beta1 * old_first + (1.0 - beta1) * half_mean(p, half, i),
            beta2 * old_second + (1.0 - beta2) * other * other);
    }
}

/*
 * Crossing the folds of one step on shared averages, as the published modes do, leaves beta1 beta2
 * of the covariance of m and v; taking the preconditioner's fold from the next step's gradient
 * fold ("rolling") leaves beta2 of it.
 */
START_TEST(coupling_left_by_shared_averages)
{
    stream s = {PLUMB_CORRECTION_PAPER_LOO, 1.0, 0.0, 0.7, 0.8, 0};
    optimizer_problem p;
    problem_of(&p, &s);
    uint64_t seed = 7;
    covariance whole = {0}, crossed = {0}, rolling = {0};
    for (int t = 0; t < 80; t++) {
        draw(&p, s.mean, &seed);
        problem_step(&p, 0.01);
        for (int i = 0; i < COUNT && t >= 40; i++) {
            add_couplings(&p, i, &whole, &crossed, &rolling);
        }
    }
    ck_assert_double_eq_tol(value_of(&crossed) / value_of(&whole), 0.7 * 0.8, 0.02);
    ck_assert_double_eq_tol(value_of(&rolling) / value_of(&whole), 0.8, 0.02);
    problem_free(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("correction bias");
    test_add(suite, "mean of squares", mean_of_squares);
    test_add(suite, "square of mean", square_of_mean);
    test_add(suite, "two folds", two_folds);
    test_add(suite, "inverse of slow average", inverse_of_slow_average);
    test_add(suite, "coupling left by shared averages", coupling_left_by_shared_averages);
    return test_run(suite);
}
