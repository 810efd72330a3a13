/*
 * Echoes estimated from groups: cross-validation against a plain reference with full decompositions
 * and against truths that are known, weights against the best ones, reverberation with exact
 * overlaps, and variances.
 *
 * ranks: serial
 */
#include "diagnose/echo_reverb.h"
#include "diagnose/echo_spectrum.h"
#include "diagnose/isotonic.h"
#include "support/echo_answer.h"

/* The nearest non-increasing sequence by the min-max formula. */
static void plain_isotonic(int count, const double *values, double *fit)
{
    for (int i = 0; i < count; i++) {
        fit[i] = INFINITY;
        for (int first = 0; first <= i; first++) {
            double largest = -INFINITY, sum = 0.0;
            for (int last = first; last < count; last++) {
                sum += values[last];
                largest = last >= i ? fmax(largest, sum / (last - first + 1)) : largest;
            }
            fit[i] = fmin(fit[i], largest);
        }
    }
}

static void plain_fold(const spiked *s, int fold, int folds, double *strength, double *observed,
                       double *squares)
{
    int side = side_of(s), elements = s->rows * s->cols, size = s->count / folds;
    double *own = spiked_doubles(elements), *rest = spiked_doubles(elements);
    double *mean = spiked_doubles(elements), *values = spiked_doubles(side);
    double *u = spiked_doubles(side * s->rows), *v = spiked_doubles(side * s->cols);
    mean_of_groups(s, 0, s->count, mean);
    mean_of_groups(s, fold * size, (fold + 1) * size, own);
    for (int e = 0; e < elements; e++) {
        rest[e] = (mean[e] * folds - own[e]) / (folds - 1);
        *squares += pow(own[e] - mean[e], 2.0);
    }
    decompose(s->rows, s->cols, rest, u, values, v);
    for (int i = 0; i < side; i++) {
        strength[i] += form(s->rows, s->cols, u + i * s->rows, own, v + i * s->cols) / folds;
        observed[i] += values[i] / folds;
    }
    free(own);
    free(rest);
    free(mean);
    free(values);
    free(u);
    free(v);
}

/* Cross-validation by the formulas of docs/diagnostics.md, one after the other. */
static void plain_cross(const spiked *s, int folds, answer *a)
{
    int side = side_of(s);
    double strength[MOST_SIDE] = {0.0}, observed[MOST_SIDE] = {0.0}, fit[MOST_SIDE];
    double squares = 0.0, echoes[MOST_SIDE], elements = (double)s->rows * s->cols;
    for (int fold = 0; fold < folds; fold++) {
        plain_fold(s, fold, folds, strength, observed, &squares);
    }
    double variance = squares / (elements * (folds - 1) * (folds - 1));
    plain_isotonic(side, strength, fit);
    for (int i = 0; i < side; i++) {
        double product = fit[i] * observed[i];
        double root = sqrt(product * product + 4.0 * elements * variance * variance);
        a->signals[i] = fit[i] > 0.0 ? sqrt(0.5 * (product + root)) : 0.0;
        echoes[i] = fit[i] > 0.0 ? fmin(fit[i] / a->signals[i], 1.0) : 0.0;
    }
    plain_isotonic(side, echoes, a->echoes);
}

/* <G_k, Ortho(mean of the others)>, which the nuclear noise scale takes from here. */
static void check_gains(const spiked *s, int folds, double scale)
{
    const float *const *groups = (const float *const *)s->groups;
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    echo_spectrum found;
    options.folds = folds;
    ck_assert_int_eq(echo_spectrum_create(s->rows, s->cols, s->count, groups, &options, &found),
                     PLUMB_OK);
    int each = folds == 0 ? GROUPS : folds;
    for (int fold = 0; fold < each; fold++) {
        double strength[MOST_SIDE] = {0.0}, observed[MOST_SIDE] = {0.0}, squares = 0.0, gain = 0.0;
        plain_fold(s, fold, each, strength, observed, &squares);
        for (int i = 0; i < side_of(s); i++) {
            gain += strength[i] * each / scale;
        }
        ck_assert_double_eq_tol(found.gains[fold] / scale, gain, 1e-8 * fabs(gain));
    }
    echo_spectrum_free(&found);
    check_no_memory_held();
}

static void check_reference(int rows, int cols, int folds, double scale, double spread)
{
    uint64_t state = 11;
    spiked s = spiked_create(rows, cols, SPIKES, strengths, GROUPS, spread, &state);
    spiked_draw(&s, scale, &state);
    answer expected, actual;
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    options.folds = folds;
    plain_cross(&s, folds == 0 ? GROUPS : folds, &expected);
    ck_assert_int_eq(ask(&s, &options, &actual), PLUMB_OK);
    double *mean = spiked_doubles(rows * cols), *u = spiked_doubles(MOST_SIDE * rows);
    double *v = spiked_doubles(MOST_SIDE * cols);
    mean_of_groups(&s, 0, GROUPS, mean);
    decompose(rows, cols, mean, u, expected.observed, v);
    for (int i = 0; i < side_of(&s); i++) {
        double size = expected.observed[0];
        ck_assert_double_eq_tol(actual.observed[i] / size, expected.observed[i] / size, 1e-10);
        ck_assert_double_eq_tol(actual.signals[i] / size, expected.signals[i] / size, 1e-8);
        ck_assert_double_eq_tol(actual.echoes[i], expected.echoes[i], 1e-8);
    }
    check_gains(&s, folds, scale);
    free(mean);
    free(u);
    free(v);
    spiked_free(&s);
}

START_TEST(test_reference)
{
    check_reference(24, 40, 0, 1.0, 0.0);
    check_reference(40, 24, 0, 1.0, 0.0);
    check_reference(30, 30, 4, 1.0, 0.8);
    check_reference(45, 33, 2, 1.0, 0.8);
    check_reference(8, 60, 0, 1e-30, 0.8);
    check_reference(60, 8, 0, 1e30, 0.0);
}
END_TEST

START_TEST(test_isotonic)
{
    double values[MOST_SIDE], fit[MOST_SIDE];
    uint64_t state = 3;
    for (int count = 1; count <= MOST_SIDE; count++) {
        for (int i = 0; i < count; i++) {
            values[i] = spiked_normal(&state) - 0.03 * i;
        }
        plain_isotonic(count, values, fit);
        ck_assert_int_eq(isotonic_decreasing(count, values), PLUMB_OK);
        for (int i = 0; i < count; i++) {
            ck_assert_double_eq_tol(values[i], fit[i], 1e-12);
        }
    }
}
END_TEST

/* Sums over repeats of |W - U V'|^2 / rank for several weightings of the mean's directions. */
typedef struct losses {
    double oracle, cross, plug_in, hard;
} losses;

static double loss_of(const spiked *s, const float *weighted)
{
    double sum = 0.0;
    for (int i = 0; i < s->rows; i++) {
        for (int j = 0; j < s->cols; j++) {
            double truth = 0.0;
            for (int r = 0; r < s->rank; r++) {
                truth += s->left[r * s->rows + i] * s->right[r * s->cols + j];
            }
            sum += pow((double)weighted[i * s->cols + j] - truth, 2.0);
        }
    }
    return sum / s->rank;
}

/* What u_i' U V' v_i as weights leave, and the hard threshold with the groups' variance. */
static void add_bounds(const spiked *s, losses *l)
{
    int side = side_of(s);
    double *mean = spiked_doubles(s->rows * s->cols), *u = spiked_doubles(side * s->rows);
    double *v = spiked_doubles(side * s->cols), values[MOST_SIDE], variance, kept;
    const float *const *groups = (const float *const *)s->groups;
    mean_of_groups(s, 0, s->count, mean);
    decompose(s->rows, s->cols, mean, u, values, v);
    ck_assert_int_eq(
        plumb_noise_variance(PLUMB_VARIANCE_MEAN, s->count, s->rows * s->cols, groups, &variance),
        PLUMB_OK);
    l->oracle += 1.0;
    l->hard += 1.0;
    for (int i = 0; i < side; i++) {
        double best = 0.0;
        for (int r = 0; r < s->rank; r++) {
            best += spiked_dot(s->rows, u + i * s->rows, s->left + r * s->rows) *
                    spiked_dot(s->cols, v + i * s->cols, s->right + r * s->cols);
        }
        plumb_shrink(PLUMB_SHRINK_HARD, s->rows, s->cols, variance, values[i], &kept);
        l->oracle -= best * best / s->rank;
        l->hard += kept > 0.0 ? (1.0 - 2.0 * best) / s->rank : 0.0;
    }
    free(mean);
    free(u);
    free(v);
}

static double polar_loss(const spiked *s, plumb_echo_method method)
{
    plumb_echo_options options = options_of(method);
    float *weighted = calloc((size_t)(s->rows * s->cols), sizeof *weighted);
    ck_assert_ptr_nonnull(weighted);
    ck_assert_int_eq(plumb_echo_polar(s->rows, s->cols, s->count, (const float *const *)s->groups,
                                      &options, weighted),
                     PLUMB_OK);
    double loss = loss_of(s, weighted);
    free(weighted);
    return loss;
}

static losses losses_of(int rows, int cols, double spread, int repeats)
{
    uint64_t state = 17;
    losses l = {0.0, 0.0, 0.0, 0.0};
    for (int i = 0; i < repeats; i++) {
        spiked s = spiked_create(rows, cols, SPIKES, strengths, GROUPS, spread, &state);
        spiked_draw(&s, 1.0, &state);
        l.cross += polar_loss(&s, PLUMB_ECHO_CROSS_VALIDATED);
        l.plug_in += polar_loss(&s, PLUMB_ECHO_PLUG_IN);
        add_bounds(&s, &l);
        spiked_free(&s);
    }
    return l;
}

/* Over 30 matrices, the ratios have standard errors of 0.006 with equal variances and 0.012. */
START_TEST(test_weights)
{
    losses equal = losses_of(60, 100, 0.0, 30), unequal = losses_of(60, 100, 0.8, 30);
    losses tall = losses_of(100, 60, 0.0, 10);
    ck_assert_double_lt(equal.cross, 1.1 * equal.oracle);
    ck_assert_double_lt(equal.cross, 0.95 * equal.hard);
    ck_assert_double_lt(tall.cross, 1.1 * tall.oracle);
    ck_assert_double_lt(unequal.cross, 1.3 * unequal.oracle);
    ck_assert_double_lt(unequal.cross, 0.95 * unequal.plug_in);
    ck_assert_double_lt(unequal.cross, 0.85 * unequal.hard);
    ck_assert_double_ge(equal.cross, equal.oracle);
    ck_assert_double_ge(unequal.cross, unequal.oracle);
}
END_TEST

/* Noise alone has next to no echo, whatever its covariance: what is left is the noise of the
 * strengths, made monotone. Means over 40 draws; single ones may tell the first direction more. */
START_TEST(test_noise_alone)
{
    for (int uneven = 0; uneven < 2; uneven++) {
        uint64_t state = 71;
        double sum = 0.0, squares = 0.0, first = 0.0;
        for (int draw = 0; draw < 40; draw++) {
            spiked s = spiked_create(24, 40, 0, NULL, GROUPS, 0.8 * uneven, &state);
            spiked_draw(&s, 1.0, &state);
            answer a = answer_of(&s, PLUMB_ECHO_CROSS_VALIDATED, 0);
            first += a.echoes[0] / 40.0;
            for (int i = 0; i < 24; i++) {
                sum += a.echoes[i] / (40.0 * 24.0);
                squares += a.echoes[i] * a.echoes[i] / 40.0;
                ck_assert(a.echoes[i] >= 0.0 && a.echoes[i] <= 1.0);
            }
            spiked_free(&s);
        }
        ck_assert_double_lt(first, 0.3);
        ck_assert_double_lt(sum, 0.06);
        ck_assert_double_lt(squares, 0.3);
    }
}
END_TEST

/* Mean estimates of well separated strong directions over 30 draws, against the exact law. */
static void check_law(plumb_echo_method method, double variance, double tolerance)
{
    static const double strong[3] = {12.0, 8.0, 5.5};
    uint64_t state = 23;
    double echoes[3] = {0.0}, signals[3] = {0.0}, threshold = pow(60.0 * 100.0, 0.25);
    spiked s = spiked_create(60, 100, 3, strong, GROUPS, 0.0, &state);
    for (int draw = 0; draw < 30; draw++) {
        spiked_draw(&s, 1.0, &state);
        answer a = answer_of(&s, method, 0);
        for (int i = 0; i < 3; i++) {
            echoes[i] += a.echoes[i] / 30.0;
            signals[i] += a.signals[i] / 30.0;
        }
    }
    for (int i = 0; i < 3; i++) {
        plumb_echo law = {.size = sizeof law};
        ck_assert_int_eq(plumb_echo_law(60, 100, variance, strong[i] * threshold, &law), PLUMB_OK);
        ck_assert_double_eq_tol(echoes[i], law.echo, tolerance);
        ck_assert_double_eq_tol(signals[i] / (strong[i] * threshold), 1.0, 0.01);
    }
    spiked_free(&s);
}

/* Cross-validation is at the noise of seven groups, the others at that of the mean of eight. */
START_TEST(test_law)
{
    check_law(PLUMB_ECHO_CROSS_VALIDATED, 8.0 / 7.0, 0.005);
    check_law(PLUMB_ECHO_PLUG_IN, 1.0, 0.005);
    check_law(PLUMB_ECHO_REVERB, 1.0, 0.005);
}
END_TEST

/* The published denominator, for comparison: |Z|^2 instead of |Z|^2 - 2 sum_b Z_ab^2. */
static double published_square(int count, const double *z, int a)
{
    double above = 0.0, below = 0.0;
    for (int b = 0; b < count; b++) {
        for (int c = 0; c < count; c++) {
            bool walk = b != a && c != a && b != c;
            above += walk ? z[a * count + b] * z[b * count + c] * z[c * count + a] : 0.0;
            below += b != c ? z[b * count + c] * z[b * count + c] : 0.0;
        }
    }
    return above / below;
}

static void check_reverb(int count, double first, double step)
{
    double z[SPIKED_MOST_GROUPS * SPIKED_MOST_GROUPS] = {0.0}, echoes[SPIKED_MOST_GROUPS];
    for (int a = 0; a < count; a++) {
        for (int b = 0; b < count; b++) {
            z[a * count + b] = a == b ? NAN : (first - a * step) * (first - b * step);
        }
    }
    echo_reverb_replicas(count, z, echoes);
    for (int a = 0; a < count; a++) {
        ck_assert_double_eq_tol(echoes[a], first - a * step, 1e-14);
        if (step == 0.0 && count > 2) {
            double share = published_square(count, z, a) / (echoes[a] * echoes[a]);
            ck_assert_double_eq_tol(share, (count - 2.0) / count, 1e-14);
        }
    }
}

START_TEST(test_reverb)
{
    double nothing[9] = {NAN, -0.1, 0.1, -0.1, NAN, 0.1, 0.1, 0.1, NAN}, echoes[3];
    check_reverb(3, 0.9, 0.2);
    check_reverb(8, 0.95, 0.1);
    check_reverb(2, 0.7, 0.0);
    check_reverb(3, 0.8, 0.0);
    check_reverb(8, 0.861, 0.0);
    check_reverb(16, 0.3, 0.0);
    echo_reverb_replicas(3, nothing, echoes);
    ck_assert(echoes[0] == 0.0 && echoes[1] == 0.0 && echoes[2] == 0.0);
    nothing[1] = -0.5;
    echo_reverb_replicas(2, nothing, echoes);
    ck_assert(echoes[0] == 0.0 && echoes[1] == 0.0);
}
END_TEST

/* Weak directions: nothing is told, and from there on nothing more. Two groups are enough. */
START_TEST(test_reverb_weak)
{
    static const double values[4] = {20.0, 12.0, 1.2, 1.1};
    uint64_t state = 29;
    for (int count = 2; count <= 8; count *= 2) {
        spiked s = spiked_create(40, 60, 4, values, count, 0.0, &state);
        spiked_draw(&s, 1.0, &state);
        answer a = answer_of(&s, PLUMB_ECHO_REVERB, 0);
        ck_assert(a.echoes[0] > 0.98 && a.echoes[1] > 0.95 && a.echoes[1] <= a.echoes[0]);
        for (int i = 2; i < 40; i++) {
            ck_assert(isnan(a.echoes[i]) && isnan(a.signals[i]) && a.observed[i] > 0.0);
        }
        spiked_free(&s);
    }
}
END_TEST

/* The exact law at the variance that plumb_noise_variance has. */
START_TEST(test_plug_in)
{
    uint64_t state = 29;
    spiked s = spiked_create(45, 30, SPIKES, strengths, GROUPS, 0.5, &state);
    double variance, signal;
    spiked_draw(&s, 1.0, &state);
    answer a = answer_of(&s, PLUMB_ECHO_PLUG_IN, 0);
    plumb_noise_variance(PLUMB_VARIANCE_MEAN, GROUPS, 45 * 30, (const float *const *)s.groups,
                         &variance);
    for (int i = 0; i < 30; i++) {
        plumb_echo law = {.size = sizeof law};
        ck_assert_int_eq(plumb_echo_signal(45, 30, variance, a.observed[i], &signal), PLUMB_OK);
        ck_assert_int_eq(plumb_echo_law(45, 30, variance, signal, &law), PLUMB_OK);
        ck_assert_double_eq_tol(a.signals[i], signal, 1e-9);
        ck_assert_double_eq_tol(a.echoes[i], law.echo, 1e-9);
    }
    ck_assert(a.echoes[0] > 0.5 && a.echoes[29] == 0.0);
    spiked_free(&s);
}
END_TEST

/* Both estimates have the right mean, with standard errors of sqrt(2/(7 6000)) and 1.3 times it. */
START_TEST(test_variance)
{
    uint64_t state = 31;
    spiked s = spiked_create(60, 100, SPIKES, strengths, GROUPS, 0.0, &state);
    const float *const *groups = (const float *const *)s.groups;
    double mean, pairwise, drifting_mean, drifting_pairwise;
    spiked_draw(&s, 1.0, &state);
    plumb_noise_variance(PLUMB_VARIANCE_MEAN, GROUPS, 6000, groups, &mean);
    plumb_noise_variance(PLUMB_VARIANCE_PAIRWISE, GROUPS, 6000, groups, &pairwise);
    ck_assert_double_eq_tol(mean, 1.0, 4.0 * 0.0069);
    ck_assert_double_eq_tol(pairwise, 1.0, 4.0 * 0.009);
    ck_assert_double_ne(mean, pairwise);
    /* A drift of 0.7 a group is variance to the first and hardly to the second. */
    for (int k = 0; k < GROUPS; k++) {
        for (int e = 0; e < 6000; e++) {
            s.groups[k][e] += 0.7f * (float)k;
        }
    }
    plumb_noise_variance(PLUMB_VARIANCE_MEAN, GROUPS, 6000, groups, &drifting_mean);
    plumb_noise_variance(PLUMB_VARIANCE_PAIRWISE, GROUPS, 6000, groups, &drifting_pairwise);
    ck_assert_double_eq_tol(drifting_mean - mean, 0.49 * 6.0 / 8.0, 0.05);
    ck_assert_double_eq_tol(drifting_pairwise - pairwise, 0.49 / 16.0, 0.02);
    spiked_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("echo spectrum");
    test_add(suite, "reference", test_reference);
    test_add(suite, "isotonic", test_isotonic);
    test_add(suite, "weights", test_weights);
    test_add(suite, "noise alone", test_noise_alone);
    test_add(suite, "law", test_law);
    test_add(suite, "plug-in", test_plug_in);
    test_add(suite, "reverb", test_reverb);
    test_add(suite, "reverb, weak", test_reverb_weak);
    test_add(suite, "variance", test_variance);
    return test_run(suite);
}
