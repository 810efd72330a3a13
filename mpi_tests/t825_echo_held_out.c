/*
 * The measured echo: against a plain reference with full decompositions, against the law where that
 * is right, and where it is not; scaling of rows and columns; wrong input.
 *
 * ranks: serial
 */
#include <string.h>

#include "support/echo_answer.h"

typedef struct held_out {
    double variance, signals[MOST_SIDE], echoes[MOST_SIDE], errors[MOST_SIDE];
} held_out;

static plumb_status ask_held_out(const spiked *s, const plumb_echo_options *options, held_out *h)
{
    const float *const *groups = (const float *const *)s->groups;
    return plumb_echo_held_out(s->rows, s->cols, s->count, groups, options, &h->variance,
                               h->signals, h->echoes, h->errors);
}

/* Directions of the mean of groups but `without`, or of this one. */
static void frames_of(const spiked *s, int group, int without, double *u, double *values, double *v)
{
    double *matrix = spiked_doubles(s->rows * s->cols);
    for (int e = 0; e < s->rows * s->cols; e++) {
        for (int k = 0; k < s->count; k++) {
            double share = without ? (k != group) / (s->count - 1.0) : (k == group);
            matrix[e] += share * (double)s->groups[k][e];
        }
    }
    decompose(s->rows, s->cols, matrix, u, values, v);
    free(matrix);
}

/* echoes[side] of one group, and adds the others' singular values. */
static void plain_group(const spiked *s, int group, double *observed, double *echoes)
{
    int side = side_of(s);
    double values[MOST_SIDE];
    double *u = spiked_doubles(side * s->rows), *own_u = spiked_doubles(side * s->rows);
    double *v = spiked_doubles(side * s->cols), *own_v = spiked_doubles(side * s->cols);
    frames_of(s, group, 0, own_u, values, own_v);
    frames_of(s, group, 1, u, values, v);
    for (int j = 0; j < side; j++) {
        observed[j] += values[j] / s->count;
        echoes[j] = 0.0;
        for (int i = 0; i < side; i++) {
            double left = spiked_dot(s->rows, u + j * s->rows, own_u + i * s->rows);
            double right = spiked_dot(s->cols, v + j * s->cols, own_v + i * s->cols);
            echoes[j] = fmax(echoes[j], left * right);
        }
    }
    free(u);
    free(own_u);
    free(v);
    free(own_v);
}

static void plain(const spiked *s, held_out *h)
{
    double observed[MOST_SIDE] = {0.0}, echoes[GROUPS][MOST_SIDE];
    const float *const *groups = (const float *const *)s->groups;
    plumb_noise_variance(PLUMB_VARIANCE_MEAN, s->count, (int64_t)s->rows * s->cols, groups,
                         &h->variance);
    h->variance *= s->count; /* of one group */
    for (int k = 0; k < s->count; k++) {
        plain_group(s, k, observed, echoes[k]);
    }
    for (int j = 0; j < side_of(s); j++) {
        double sum = 0.0, squares = 0.0;
        for (int k = 0; k < s->count; k++) {
            sum += echoes[k][j] / s->count;
        }
        for (int k = 0; k < s->count; k++) {
            squares += pow(echoes[k][j] - sum, 2.0);
        }
        h->echoes[j] = sum;
        h->errors[j] = sqrt(squares / (s->count * (s->count - 1.0)));
        plumb_echo_signal(s->rows, s->cols, h->variance / (s->count - 1.0), observed[j],
                          &h->signals[j]);
    }
}

static void check_reference(int rows, int cols, double scale)
{
    uint64_t state = 41;
    spiked s = spiked_create(rows, cols, SPIKES, strengths, GROUPS, 0.5, &state);
    held_out expected, actual;
    spiked_draw(&s, scale, &state);
    plain(&s, &expected);
    ck_assert_int_eq(ask_held_out(&s, NULL, &actual), PLUMB_OK);
    check_no_memory_held();
    ck_assert_double_eq_tol(actual.variance / expected.variance, 1.0, 1e-10);
    for (int j = 0; j < side_of(&s); j++) {
        ck_assert_double_eq_tol(actual.signals[j], expected.signals[j], 1e-8 * expected.signals[0]);
        ck_assert_double_eq_tol(actual.echoes[j], expected.echoes[j], 1e-7);
        ck_assert_double_eq_tol(actual.errors[j], expected.errors[j], 1e-7);
    }
    spiked_free(&s);
}

START_TEST(test_reference)
{
    check_reference(20, 30, 1.0);
    check_reference(30, 20, 1.0);
    check_reference(24, 24, 1e-12);
}
END_TEST

/* Strong directions far apart in 16 groups. In equal noise echoes are the law's; where rows and
 * columns differ they are not, and scaling them brings the law back. */
static double largest_misfit(double spread, int whiten, uint64_t *state)
{
    static const double values[4] = {80.0, 40.0, 20.0, 10.0}; /* of the mean; a group's: 1/4 */
    spiked s = spiked_create(60, 90, 4, values, SPIKED_MOST_GROUPS, spread, state);
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    held_out h;
    double largest = 0.0;
    options.whiten = whiten;
    options.most = 4;
    spiked_draw(&s, 1.0, state);
    ck_assert_int_eq(ask_held_out(&s, &options, &h), PLUMB_OK);
    for (int j = 0; j < 4; j++) {
        plumb_echo law = {.size = sizeof law};
        plumb_echo_law(60, 90, h.variance, h.signals[j], &law);
        largest = fmax(largest, fabs(h.echoes[j] - law.echo));
        ck_assert(whiten || fabs(h.signals[j] / (values[j] * pow(5400.0, 0.25)) - 1.0) < 0.05);
        ck_assert(h.errors[j] > 0.0 && h.errors[j] < 0.1);
    }
    spiked_free(&s);
    return largest;
}

START_TEST(test_law)
{
    uint64_t state = 43;
    ck_assert_double_lt(largest_misfit(0.0, 0, &state), 0.03);
    ck_assert_double_lt(largest_misfit(2.0, 1, &state), 0.06);
    ck_assert_double_gt(largest_misfit(2.0, 0, &state), 0.1);
}
END_TEST

/* group = (I + stretch a a') group (I + stretch b b'), with unit vectors a and b. */
static void correlate(const spiked *s, double stretch, uint64_t *state)
{
    double *a = spiked_doubles(s->rows), *b = spiked_doubles(s->cols);
    spiked_frame(1, s->rows, state, a);
    spiked_frame(1, s->cols, state, b);
    for (int k = 0; k < s->count; k++) {
        for (int row = 0; row < s->rows; row++) {
            float *own = s->groups[k] + row * s->cols;
            double along = 0.0;
            for (int col = 0; col < s->cols; col++) {
                along += (double)own[col] * b[col];
            }
            for (int col = 0; col < s->cols; col++) {
                own[col] += (float)(stretch * along * b[col]);
            }
        }
        for (int col = 0; col < s->cols; col++) {
            double along = 0.0;
            for (int row = 0; row < s->rows; row++) {
                along += (double)s->groups[k][row * s->cols + col] * a[row];
            }
            for (int row = 0; row < s->rows; row++) {
                s->groups[k][row * s->cols + col] += (float)(stretch * along * a[row]);
            }
        }
    }
    free(a);
    free(b);
}

static double correlated_misfit(int whiten)
{
    static const double values[4] = {80.0, 40.0, 20.0, 10.0};
    uint64_t state = 61;
    spiked s = spiked_create(60, 90, 4, values, SPIKED_MOST_GROUPS, 0.0, &state);
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    held_out h;
    double largest = 0.0;
    options.whiten = whiten;
    spiked_draw(&s, 1.0, &state);
    correlate(&s, 6.0, &state);
    ck_assert_int_eq(ask_held_out(&s, &options, &h), PLUMB_OK);
    check_no_memory_held();
    for (int j = 0; j < 4; j++) {
        plumb_echo law = {.size = sizeof law};
        plumb_echo_law(60, 90, h.variance, h.signals[j], &law);
        largest = fmax(largest, fabs(h.echoes[j] - law.echo));
    }
    spiked_free(&s);
    return largest;
}

/* Scales do not undo correlations; covariances do. */
START_TEST(test_covariance)
{
    double scaled = correlated_misfit(1), whitened = correlated_misfit(2);
    ck_assert_msg(scaled > 0.1, "%g", scaled);
    ck_assert_msg(whitened < 0.06, "%g", whitened);
}
END_TEST

/* Four groups in two folds are the two means. */
START_TEST(test_folds)
{
    uint64_t state = 47;
    spiked s = spiked_create(12, 16, 2, strengths, 4, 0.0, &state);
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    held_out folded, merged;
    spiked_draw(&s, 1.0, &state);
    options.folds = 2;
    ck_assert_int_eq(ask_held_out(&s, &options, &folded), PLUMB_OK);
    for (int e = 0; e < 12 * 16; e++) {
        s.groups[0][e] = 0.5f * (s.groups[0][e] + s.groups[1][e]);
        s.groups[1][e] = 0.5f * (s.groups[2][e] + s.groups[3][e]);
    }
    plumb_echo_held_out(12, 16, 2, (const float *const *)s.groups, NULL, &merged.variance,
                        merged.signals, merged.echoes, merged.errors);
    ck_assert_double_eq_tol(folded.variance / merged.variance, 1.0, 1e-6);
    for (int j = 0; j < 12; j++) {
        ck_assert_double_eq_tol(folded.echoes[j], merged.echoes[j], 1e-5);
    }
    spiked_free(&s);
}
END_TEST

START_TEST(test_wrong_input)
{
    uint64_t state = 53;
    spiked s = spiked_create(6, 8, 2, strengths, 4, 0.0, &state);
    const float *const *groups = (const float *const *)s.groups;
    held_out h;
    spiked_draw(&s, 1.0, &state);
    ck_assert_int_eq(plumb_echo_held_out(6, 8, 1, groups, NULL, NULL, NULL, h.echoes, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_held_out(0, 8, 4, groups, NULL, NULL, NULL, h.echoes, NULL),
                     PLUMB_ERROR_ARGUMENT);
    for (int wrong = 0; wrong < 4; wrong++) {
        plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
        options.size -= wrong == 0;
        options.folds = wrong == 1 ? 3 : 0;
        options.most = wrong == 2 ? 7 : 0;
        options.whiten = wrong == 3 ? 3 : 0;
        ck_assert_int_eq(ask_held_out(&s, &options, &h), PLUMB_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(plumb_echo_held_out(6, 8, 4, groups, NULL, NULL, NULL, NULL, NULL), PLUMB_OK);
    s.groups[2][5] = NAN;
    ck_assert_int_eq(ask_held_out(&s, NULL, &h), PLUMB_ERROR_NONFINITE);
    check_no_memory_held();
    spiked_free(&s);
}
END_TEST

/* Without noise everything is left; zeros have nothing to leave. */
START_TEST(test_extremes)
{
    uint64_t state = 59;
    spiked s = spiked_create(6, 8, 2, strengths, 4, 0.0, &state);
    held_out h;
    for (int k = 0; k < 4; k++) {
        for (int e = 0; e < 48; e++) {
            s.groups[k][e] = (float)s.signal[e];
        }
    }
    for (int whiten = 0; whiten < 3; whiten++) {
        plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
        options.whiten = whiten;
        ck_assert_int_eq(ask_held_out(&s, &options, &h), PLUMB_OK);
        ck_assert_double_eq_tol(h.echoes[0], 1.0, 1e-6);
        ck_assert_double_eq_tol(h.echoes[1], 1.0, 1e-6);
        ck_assert(h.variance < 1e-12);
    }
    for (int k = 0; k < 4; k++) {
        memset(s.groups[k], 0, 48 * sizeof(float));
    }
    ck_assert_int_eq(ask_held_out(&s, NULL, &h), PLUMB_OK);
    ck_assert(isnan(h.echoes[0]) && isnan(h.signals[0]) && isnan(h.errors[0]));
    ck_assert(h.variance == 0.0);
    spiked_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("echo, held out");
    test_add(suite, "reference", test_reference);
    test_add(suite, "law", test_law);
    test_add(suite, "covariance", test_covariance);
    test_add(suite, "folds", test_folds);
    test_add(suite, "wrong input", test_wrong_input);
    test_add(suite, "extremes", test_extremes);
    return test_run(suite);
}
