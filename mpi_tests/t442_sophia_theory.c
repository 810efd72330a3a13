/*
 * The bias of Sophia's update with and without corrections, by Monte Carlo through the update
 * itself, elements as independent repetitions: the inverse of curvature from few groups, the
 * tracker of its variance, gradients that are coupled to it. Then the variance of
 * Gauss-Newton-Bartlett curvature on its way through a handle, and the order of correction,
 * product and clip.
 *
 * Curvature is the mean of four squared normal numbers in each group, so that its expectation is 1
 * and its variance 1/2. Predictions are published numbers or those of the chi-square distribution;
 * each may be missed by four standard errors and by what is said beside it.
 * ranks: 1
 */
#include <math.h>

#include "support/curvature_problem.h"

enum { COUNT = 1 << 16 };

static const double pi = 3.14159265358979323846;

/* Uniform in (0, 1): splitmix64 (Steele, Lea, Flood 2014). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

/* Two independent normal numbers (Box and Muller 1958). */
static void normals(uint64_t *state, double *left, double *right)
{
    double radius = sqrt(-2.0 * log(uniform(state))), angle = 2.0 * pi * uniform(state);
    *left = radius * cos(angle);
    *right = radius * sin(angle);
}

/* The mean of four squares of normal numbers: that of two exponential ones (Box and Muller). */
static double four_squares(uint64_t *state)
{
    return -0.5 * log(uniform(state) * uniform(state));
}

/* Groups of curvature, and gradients 1 + coupling (curvature - 1). */
static void draw(curvature_problem *p, double coupling, uint64_t *state)
{
    for (int k = 0; k < p->groups; k++) {
        for (int64_t i = 0; i < p->count; i++) {
            double c = four_squares(state);
            p->curvatures[k][i] = (float)c;
            p->gradients[k][i] = (float)(1.0 + coupling * (c - 1.0));
        }
    }
    curvature_problem_means(p);
}

/* No momentum, no clip, no decay: the update is the direction. */
static plumb_parameter_options options_of(plumb_correction correction, int folds, double beta)
{
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_SOPHIA), PLUMB_OK);
    o.correction = correction;
    o.folds = folds;
    o.beta1 = beta;
    o.beta2 = beta;
    o.rho = 1.0;
    o.clip = 1e30;
    o.weight_decay = 0.0;
    o.curvature_interval = 1;
    return o;
}

/* Mean and standard error of what is left when the target 1 is taken away. */
typedef struct bias {
    double mean, error;
} bias;

typedef double element_function(const curvature_problem *p, int64_t i);

static double direction(const curvature_problem *p, int64_t i)
{
    return -(double)p->values[i];
}

static bias summarise(const curvature_problem *p, element_function *value)
{
    double sum = 0.0, squares = 0.0, n = (double)p->count;
    for (int64_t i = 0; i < p->count; i++) {
        double v = value(p, i) - 1.0;
        sum += v / n;
        squares += v * v / n;
    }
    return (bias){sum, sqrt((squares - sum * sum) / (n - 1.0))};
}

/* The bias of one update from nothing, without memory. */
static bias bias_of(plumb_correction correction, int groups, int folds, double coupling,
                    element_function *value)
{
    curvature_problem p;
    plumb_parameter_options options = options_of(correction, folds, 0.0);
    uint64_t seed = 20260;
    curvature_problem_init(&p, &options, groups, COUNT / (groups > 8 ? 4 : 1));
    draw(&p, coupling, &seed);
    curvature_problem_step(&p, 1.0);
    bias b = summarise(&p, value);
    curvature_problem_free(&p);
    return b;
}

static void assert_bias(const char *what, bias b, double predicted, double slack)
{
    ck_assert_msg(fabs(b.mean - predicted) <= 4.0 * b.error + slack,
                  "%s: bias %+.5f (standard error %.5f), not %+.5f", what, b.mean, b.error,
                  predicted);
}

/* The direction, and what is linear in the error of h, which has expectation 0, taken away. */
static double centred(const curvature_problem *p, int64_t i)
{
    return direction(p, i) + (double)p->curvature[i] - 1.0;
}

/* What is not offered, from what is kept: curvature in state 1, its deviation in state 2. */
static double subtractive(const curvature_problem *p, int64_t i)
{
    double h = (double)p->states[1][i], deviation = (double)p->states[2][i];
    return 1.0 / h - deviation * deviation / (h * h * h) + (double)p->curvature[i] - 1.0;
}

static double half_sample(const curvature_problem *p, int64_t i)
{
    double halves[2] = {0.0, 0.0}, size = 0.5 * p->groups;
    for (int k = 0; k < p->groups; k++) {
        halves[k >= p->groups / 2] += (double)p->curvatures[k][i] / size;
    }
    return 2.0 * centred(p, i) - 0.5 * (1.0 / halves[0] + 1.0 / halves[1]) -
           ((double)p->curvature[i] - 1.0);
}

/*
 * Eight groups: 32 degrees of freedom, E 1/h = 32/30; what second order predicts is V/h^2 = 1/16.
 * Published: +.0670 (standard error about .001), +.0042, +.0087, -.0048, -.0092.
 */
START_TEST(inverse_of_eight_groups)
{
    bias plain = bias_of(PLUMB_CORRECTION_NONE, 8, 0, 0.0, centred);
    assert_bias("plain", plain, 1.0 / 15.0, 0.0);
    assert_bias("plain, second order", plain, 0.0625, 0.005);
    assert_bias("subtractive", bias_of(PLUMB_CORRECTION_MOMENT, 8, 0, 0.0, subtractive), 0.0042,
                0.001);
    assert_bias("safe", bias_of(PLUMB_CORRECTION_MOMENT, 8, 0, 0.0, centred), 0.0087, 0.001);
    assert_bias("jackknife", bias_of(PLUMB_CORRECTION_JACKKNIFE, 8, 0, 0.0, centred), -0.0048,
                0.001);
    assert_bias("half", bias_of(PLUMB_CORRECTION_NONE, 8, 0, 0.0, half_sample), -0.0092, 0.001);
}
END_TEST

/* 256 degrees of freedom. Published: +.0079, +.0001, +.0002, -.00003, -.00007. */
START_TEST(inverse_of_sixty_four_groups)
{
    assert_bias("plain", bias_of(PLUMB_CORRECTION_NONE, 64, 0, 0.0, centred), 1.0 / 127.0, 0.0);
    assert_bias("subtractive", bias_of(PLUMB_CORRECTION_MOMENT, 64, 0, 0.0, subtractive), 0.0001,
                0.0001);
    assert_bias("safe", bias_of(PLUMB_CORRECTION_MOMENT, 64, 0, 0.0, centred), 0.0002, 0.0001);
    assert_bias("jackknife", bias_of(PLUMB_CORRECTION_JACKKNIFE, 64, 0, 0.0, centred), -0.00003,
                0.0001);
    assert_bias("half", bias_of(PLUMB_CORRECTION_NONE, 64, 0, 0.0, half_sample), -0.00007, 0.0001);
}
END_TEST

/*
 * A gradient that is coupled to the curvature: with +1 the plain update is exactly 1, its two
 * biases cancel, and correcting the inverse alone makes it worse; with -1 they add up. Folds have
 * no coupling and correct the inverse; the jackknife takes both at once.
 */
START_TEST(coupled_gradients)
{
    bias b = bias_of(PLUMB_CORRECTION_NONE, 8, 0, 1.0, direction);
    ck_assert_double_lt(fabs(b.mean), 1e-6);
    assert_bias("inverse alone", bias_of(PLUMB_CORRECTION_MOMENT, 8, 0, 1.0, direction), -0.0527,
                0.002);
    assert_bias("plain", bias_of(PLUMB_CORRECTION_NONE, 8, 0, -1.0, direction), 2.0 / 15.0, 0.0);
    for (double coupling = -1.0; coupling <= 1.0; coupling += 2.0) {
        assert_bias("leave-one-out", bias_of(PLUMB_CORRECTION_LOO, 8, 0, coupling, direction), 0.0,
                    0.015);
        assert_bias("four folds", bias_of(PLUMB_CORRECTION_LOO, 8, 4, coupling, direction), 0.0,
                    0.018);
        assert_bias("jackknife", bias_of(PLUMB_CORRECTION_JACKKNIFE, 8, 0, coupling, direction),
                    0.0, 0.012);
    }
}
END_TEST

enum { INTERVAL = 2, CURVATURE_UPDATES = 21, STEPS = INTERVAL * CURVATURE_UPDATES - 1 };

/* Runs of several updates with memory, curvature in every other. */
static void run(curvature_problem *p, plumb_correction correction, double beta, double coupling)
{
    plumb_parameter_options options = options_of(correction, 0, beta);
    uint64_t seed = 4711;
    options.curvature_interval = INTERVAL;
    curvature_problem_init(p, &options, 8, COUNT / 8);
    for (int t = 0; t < STEPS; t++) {
        draw(p, coupling, &seed);
        memset(p->values, 0, (size_t)p->count * sizeof *p->values);
        curvature_problem_step(p, 1.0);
    }
}

static double variance_of_state(const curvature_problem *p, int state, double *mean)
{
    double sum = 0.0, squares = 0.0, n = (double)p->count;
    for (int64_t i = 0; i < p->count; i++) {
        double v = (double)p->states[state][i];
        sum += v / n;
        squares += v * v / n;
    }
    *mean = sum;
    return squares - sum * sum;
}

/*
 * The average of curvature after 21 of its updates: the variance that is tracked is the one it has,
 * and its closed form, for weights that are not divided by their sum.
 */
START_TEST(tracked_variance)
{
    curvature_problem p;
    run(&p, PLUMB_CORRECTION_MOMENT, 0.9, 0.0);
    double mean, unused, tracked, updates = CURVATURE_UPDATES;
    double variance = variance_of_state(&p, 1, &mean);
    tracked = variance_of_state(&p, 2, &unused) + unused * unused;
    double closed = 0.1 / 1.9 * (1.0 - pow(0.9, 2.0 * updates)) * 0.5 / 8.0;
    ck_assert_double_eq_tol(mean, 1.0 - pow(0.9, updates), 0.005);
    ck_assert_double_eq_tol(tracked / closed, 1.0, 0.01);
    ck_assert_double_eq_tol(variance / closed, 1.0, 4.0 * sqrt(2.0 / (double)p.count));
    curvature_problem_free(&p);
}
END_TEST

/* The update with memory over its target, E m / E h, linear errors subtracted. */
static bias bias_with_memory(plumb_correction correction, double coupling)
{
    curvature_problem p, plain;
    double beta = 0.7, curvature = 1.0 - pow(beta, CURVATURE_UPDATES);
    double gradient = 1.0 - pow(beta, STEPS);
    run(&p, correction, beta, coupling);
    run(&plain, PLUMB_CORRECTION_NONE, beta, coupling);
    for (int64_t i = 0; i < p.count; i++) {
        double linear =
            (double)plain.states[0][i] / gradient - (double)plain.states[1][i] / curvature;
        p.values[i] = (float)((double)p.values[i] * curvature / gradient + linear);
    }
    bias b = summarise(&p, direction);
    curvature_problem_free(&p);
    curvature_problem_free(&plain);
    return b;
}

/*
 * With memory: V/h^2 = .3/1.7/16 = .0110 for the inverse. Gradients come in every step, curvature
 * in every other, so that the covariance has the weights .3^2/(1 - .7^3) of .5/8 at their sharing:
 * -coupling .00856 in the update. Folds never share, the jackknife takes all.
 */
START_TEST(averages_with_memory)
{
    double inversion = 0.3 / 1.7 / 16.0, shared = 0.09 / (1.0 - 0.343) / 16.0;
    for (double coupling = -1.0; coupling <= 1.0; coupling += 2.0) {
        assert_bias("plain", bias_with_memory(PLUMB_CORRECTION_NONE, coupling),
                    inversion - coupling * shared, 0.0008);
        assert_bias("moment", bias_with_memory(PLUMB_CORRECTION_MOMENT, coupling),
                    -coupling * shared, 0.0008);
        assert_bias("loo", bias_with_memory(PLUMB_CORRECTION_LOO, coupling), 0.0, 0.0008);
        assert_bias("jackknife", bias_with_memory(PLUMB_CORRECTION_JACKKNIFE, coupling), 0.0,
                    0.0008);
    }
}
END_TEST

/* ---- Gauss-Newton-Bartlett ---- */

enum { ELEMENTS = 1 << 18, ALL_DRAWS = 256 };

static const double hessian = 0.3;

/* Mean gradients of `draws` draws each: normal, of variance hessian / draws. */
static void sampled_gradient(double draws, uint64_t *state, float *gradient)
{
    double scale = sqrt(hessian / draws);
    for (int i = 0; i < ELEMENTS; i += 2) {
        double left, right;
        normals(state, &left, &right);
        gradient[i] = (float)(scale * left);
        gradient[i + 1] = (float)(scale * right);
    }
}

/* Draws of micro-batch k of `total`: all the same, or 1 : 3. */
static double draws_of(int64_t total, int64_t k, bool uneven)
{
    double even = (double)ALL_DRAWS / (double)total;
    return uneven ? even * (k % 2 == 0 ? 0.5 : 1.5) : even;
}

/* One step with gradient 1: values become -1 / curvature. */
static plumb_status curvature_step(plumb *p, int64_t total, bool uneven, float *buffer)
{
    uint64_t state = 99;
    plumb_status status = plumb_begin_step(p, total);
    for (int64_t k = 0; k < total && status == PLUMB_OK; k++) {
        double draws = draws_of(total, k, uneven);
        sampled_gradient(draws, &state, buffer);
        status = plumb_accumulate_curvature(p, 0, k, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT, draws,
                                            buffer);
        for (int i = 0; i < ELEMENTS; i++) {
            buffer[i] = 1.0f;
        }
        status = status == PLUMB_OK ? plumb_accumulate(p, 0, k, buffer) : status;
    }
    return status == PLUMB_OK ? plumb_end_step(p, 1.0, NULL) : status;
}

static void assert_curvature(int64_t total, bool uneven, double predicted)
{
    plumb_parameter_options options = options_of(PLUMB_CORRECTION_NONE, 0, 0.0);
    float *values = curvature_problem_array(ELEMENTS), *buffer = curvature_problem_array(ELEMENTS);
    plumb *p = NULL;
    int id;
    ck_assert_int_eq(plumb_create(MPI_COMM_WORLD, NULL, &p), PLUMB_OK);
    ck_assert_int_eq(plumb_add_parameter(p, "all", ELEMENTS, 1, values, &options, &id), PLUMB_OK);
    plumb_status status = curvature_step(p, total, uneven, buffer);
    ck_assert_msg(status == PLUMB_OK, "%s", plumb_error_message(p));
    double sum = 0.0, squares = 0.0, n = ELEMENTS;
    for (int i = 0; i < ELEMENTS; i++) {
        double h = -1.0 / (double)values[i];
        sum += h / n;
        squares += h * h / n;
    }
    double variance = squares - sum * sum;
    ck_assert_double_eq_tol(sum, hessian, 4.0 * sqrt(variance / n));
    ck_assert_msg(fabs(variance / (hessian * hessian) / predicted - 1.0) <= 0.03,
                  "%lld micro-batches: variance %.4f h^2, not %.4f", (long long)total,
                  variance / (hessian * hessian), predicted);
    plumb_destroy(&p);
    free(values);
    free(buffer);
}

/* Unbiased for every split of the same draws; the variance falls with the number of pieces. */
START_TEST(bartlett_variance)
{
    for (int64_t total = 1; total <= 64; total *= 4) {
        assert_curvature(total, false, 2.0 / (double)total);
    }
    assert_curvature(16, true, 2.0 / 16.0);
}
END_TEST

/* ---- Order ---- */

/* One element, two groups, one update that is clipped at 1. */
static double one_update(plumb_correction correction, int folds, const float *gradients,
                         const float *curvatures)
{
    curvature_problem p;
    plumb_parameter_options options = options_of(correction, folds, 0.0);
    options.clip = 1.0;
    curvature_problem_init(&p, &options, 2, 1);
    for (int k = 0; k < 2; k++) {
        p.gradients[k][0] = gradients[k];
        p.curvatures[k][0] = curvatures[k];
    }
    curvature_problem_means(&p);
    curvature_problem_step(&p, 1.0);
    double update = direction(&p, 0);
    curvature_problem_free(&p);
    return update;
}

/*
 * Curvatures 0 and 2 have mean 1 and variance 1: the inverse is halved. A plain update of 3 becomes
 * 1.5 and is clipped to 1; clipped before, it would end at 0.5. Folds whose updates are 4 and -1
 * have the mean 1.5; clipped one by one, 0.
 */
START_TEST(clipped_last)
{
    const float three[] = {3.0f, 3.0f}, above[] = {1.5f, 1.5f}, wide[] = {0.0f, 2.0f};
    const float ones[] = {1.0f, 1.0f}, apart[] = {4.0f, -1.0f}, wider[] = {1.0f, 3.0f};
    ck_assert_double_eq(one_update(PLUMB_CORRECTION_NONE, 0, three, wide), 1.0);
    ck_assert_double_eq(one_update(PLUMB_CORRECTION_MOMENT, 0, three, wide), 1.0);
    ck_assert_double_eq_tol(one_update(PLUMB_CORRECTION_MOMENT, 0, above, wide), 0.75, 1e-6);
    ck_assert_double_eq(one_update(PLUMB_CORRECTION_LOO, 2, apart, ones), 1.0);
    ck_assert_double_eq(one_update(PLUMB_CORRECTION_NONE, 0, apart, ones), 1.0);
    /* 2 u/2 - (u/1 + u/3) / 2 = u/3. */
    ck_assert_double_eq_tol(one_update(PLUMB_CORRECTION_JACKKNIFE, 2, above, wider), 0.5, 1e-6);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("sophia theory");
    test_add(suite, "inverse of eight groups", inverse_of_eight_groups);
    test_add(suite, "inverse of sixty-four groups", inverse_of_sixty_four_groups);
    test_add(suite, "coupled gradients", coupled_gradients);
    test_add(suite, "tracked variance", tracked_variance);
    test_add(suite, "averages with memory", averages_with_memory);
    test_add(suite, "Bartlett variance", bartlett_variance);
    test_add(suite, "clipped last", clipped_last);
    return test_run_mpi(suite, &argc, &argv);
}
