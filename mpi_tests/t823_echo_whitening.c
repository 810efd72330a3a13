/*
 * Echoes of gradients whose noise differs between rows and columns: what whitening makes of noise
 * alone and of signals in it, that it balances rows and columns, and what it leaves alone. And the
 * same answers for tall and wide matrices.
 *
 * ranks: serial
 */
#include "diagnose/whitening.h"
#include "support/echo_answer.h"

static int count_told(const spiked *s, const answer *a, double least)
{
    int told = 0;
    for (int i = 0; i < side_of(s); i++) {
        told += a->echoes[i] > least ? 1 : 0;
    }
    return told;
}

/* Noise alone, of very different rows and columns, is taken for signals by the law with one
 * variance; in scaled rows and columns it ends at the edge, and as a whole it keeps its size. */
START_TEST(test_whitened_noise)
{
    uint64_t state = 37;
    for (int repeat = 0; repeat < 10; repeat++) {
        int rows = repeat % 2 == 0 ? 40 : 60;
        spiked s = spiked_create(rows, 100 - rows, 0, NULL, GROUPS, 2.0, &state);
        spiked_draw(&s, 1.0, &state);
        answer plain = answer_of(&s, PLUMB_ECHO_PLUG_IN, 0);
        answer white = answer_of(&s, PLUMB_ECHO_PLUG_IN, 1);
        double noise = 0.0, edge = 0.0;
        for (int i = 0; i < 40; i++) {
            noise += pow(white.observed[i], 2.0) / 2400.0;
        }
        edge = sqrt(noise) * (sqrt(40.0) + sqrt(60.0));
        ck_assert_int_ge(count_told(&s, &plain, 0.5), 2);
        ck_assert_int_le(count_told(&s, &white, 0.5), 1);
        ck_assert_double_eq_tol(white.observed[0] / edge, 1.0, 0.12);
        ck_assert(noise > 0.5 && noise < 2.0);
        spiked_free(&s);
    }
}
END_TEST

/* Signals that are large beside the noise of most entries, and small beside that of a few rows. */
START_TEST(test_whitened_signal)
{
    static const double values[2] = {3.0, 2.5};
    uint64_t state = 41;
    double plain = 0.0, white = 0.0, cross = 0.0;
    for (int repeat = 0; repeat < 10; repeat++) {
        spiked s = spiked_create(40, 60, 2, values, GROUPS, 1.2, &state);
        spiked_draw(&s, 1.0, &state);
        answer a = answer_of(&s, PLUMB_ECHO_CROSS_VALIDATED, 0);
        answer b = answer_of(&s, PLUMB_ECHO_PLUG_IN, 1);
        answer c = answer_of(&s, PLUMB_ECHO_CROSS_VALIDATED, 1);
        plain += (a.echoes[0] + a.echoes[1]) / 20.0;
        white += (b.echoes[0] + b.echoes[1]) / 20.0;
        cross += (c.echoes[0] + c.echoes[1]) / 20.0;
        ck_assert_int_le(count_told(&s, &b, 0.5), 3);
        spiked_free(&s);
    }
    ck_assert_double_gt(white, plain + 0.1);
    ck_assert_double_eq_tol(cross, white, 0.03);
}
END_TEST

/* The sums of squared deviations in all rows, and in all columns, become equal. */
static void check_balance(const spiked *s)
{
    echo_groups groups;
    echo_whitening whitening;
    double rows[MOST_SIDE] = {0.0}, cols[MOST_SIDE] = {0.0};
    double *mean = spiked_doubles(s->rows * s->cols);
    ck_assert_int_eq(
        echo_groups_init(s->rows, s->cols, s->count, (const float *const *)s->groups, &groups),
        PLUMB_OK);
    ck_assert_int_eq(whitening_create(&groups, &whitening), PLUMB_OK);
    mean_of_groups(s, 0, s->count, mean);
    for (int e = 0; e < s->rows * s->cols * s->count; e++) {
        int entry = e / s->count, row = entry / s->cols, col = entry % s->cols;
        double scale = whitening.left[row] * whitening.right[col];
        double deviation = scale * ((double)s->groups[e % s->count][entry] - mean[entry]);
        rows[row] += deviation * deviation / s->cols;
        cols[col] += deviation * deviation / s->rows;
    }
    for (int i = 0; i < s->cols; i++) {
        ck_assert_double_eq_tol(rows[i % s->rows] / cols[0], 1.0, 1e-10);
        ck_assert_double_eq_tol(cols[i] / cols[0], 1.0, 1e-10);
    }
    whitening_free(&whitening);
    free(mean);
}

START_TEST(test_whitening)
{
    uint64_t state = 67;
    spiked s = spiked_create(20, 50, 3, strengths, 4, 2.0, &state);
    spiked_draw(&s, 1.0, &state);
    check_balance(&s);
    spiked_free(&s);
}
END_TEST

/* A row and a column without noise, and one without anything, stay as they are. */
START_TEST(test_whitening_of_nothing)
{
    float a[6] = {2.0f, 2.0f, 0.0f, 5.0f, 0.0f, 0.0f}, b[6] = {2.0f, 0.0f, 0.0f, 5.0f, 0.0f, 0.0f};
    const float *groups[2] = {a, b};
    plumb_echo_options options = options_of(PLUMB_ECHO_CROSS_VALIDATED);
    answer plain, white;
    options.whiten = 1;
    ck_assert_int_eq(plumb_echo_spectrum(2, 3, 2, groups, NULL, plain.observed, NULL, NULL),
                     PLUMB_OK);
    ck_assert_int_eq(
        plumb_echo_spectrum(2, 3, 2, groups, &options, white.observed, white.signals, white.echoes),
        PLUMB_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq_tol(white.observed[i], plain.observed[i], 1e-12);
        ck_assert(white.echoes[i] >= 0.0 && white.echoes[i] <= 1.0 && white.signals[i] >= 0.0);
    }
}
END_TEST

static void transpose(const spiked *from, spiked *to)
{
    for (int k = 0; k < from->count; k++) {
        for (int e = 0; e < from->rows * from->cols; e++) {
            int at = e % from->cols * from->rows + e / from->cols;
            to->groups[k][at] = from->groups[k][e];
        }
    }
}

/* Another order of additions, so other rounding; tiles are 32 elements wide. */
START_TEST(test_transposed)
{
    uint64_t state = 71;
    spiked tall = spiked_create(59, 37, 3, strengths, 4, 0.8, &state);
    spiked wide = spiked_create(37, 59, 3, strengths, 4, 0.8, &state);
    spiked_draw(&tall, 1.0, &state);
    transpose(&tall, &wide);
    for (int kind = 0; kind < 6; kind++) {
        answer a = answer_of(&tall, (plumb_echo_method)(kind / 2), kind % 2);
        answer b = answer_of(&wide, (plumb_echo_method)(kind / 2), kind % 2);
        for (int i = 0; i < 37; i++) {
            ck_assert_double_eq_tol(a.observed[i], b.observed[i], 1e-9);
            ck_assert_int_eq(isnan(a.echoes[i]), isnan(b.echoes[i]));
            ck_assert(isnan(a.echoes[i]) || fabs(a.signals[i] - b.signals[i]) < 1e-7);
            ck_assert(isnan(a.echoes[i]) || fabs(a.echoes[i] - b.echoes[i]) < 1e-8);
        }
    }
    spiked_free(&tall);
    spiked_free(&wide);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("whitened echoes");
    test_add(suite, "whitened noise", test_whitened_noise);
    test_add(suite, "whitened signal", test_whitened_signal);
    test_add(suite, "whitening", test_whitening);
    test_add(suite, "whitening of nothing", test_whitening_of_nothing);
    test_add(suite, "transposed", test_transposed);
    return test_run(suite);
}
