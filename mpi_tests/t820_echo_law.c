/*
 * The exact echo law against itself (round trips, identities) and against singular vectors of
 * random matrices; the closed forms against their known errors; shrinkers against a scan of their
 * losses; and what all of them refuse.
 *
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "linalg/gram_svd.h"
#include "plumb.h"
#include "support/spiked.h"
#include "support/test.h"

enum { SHAPES = 5 };

static const int64_t shapes[SHAPES][2] = {{200, 200}, {100, 400}, {400, 100}, {7, 3000}, {1, 1}};

static plumb_echo law_of(int64_t rows, int64_t cols, double variance, double signal)
{
    plumb_echo echo = {.size = sizeof echo};
    ck_assert_int_eq(plumb_echo_law(rows, cols, variance, signal, &echo), PLUMB_OK);
    return echo;
}

static double value_of(plumb_echo_form form, int64_t rows, int64_t cols, double variance,
                       double signal)
{
    double echo = -1.0;
    ck_assert_int_eq(plumb_echo_value(form, rows, cols, variance, signal, &echo), PLUMB_OK);
    return echo;
}

static double shrunk(plumb_shrinker shrinker, int64_t rows, int64_t cols, double variance,
                     double observed)
{
    double value = -1.0;
    ck_assert_int_eq(plumb_shrink(shrinker, rows, cols, variance, observed, &value), PLUMB_OK);
    return value;
}

static double threshold_of(int64_t rows, int64_t cols)
{
    return pow((double)rows * (double)cols, 0.25);
}

/* The formulas of Benaych-Georges and Nadakuditi as they stand, at deviation 1. */
static void check_against_formulas(int64_t rows, int64_t cols, double times)
{
    double s = times * threshold_of(rows, cols), square = s * s;
    double m = (double)rows, n = (double)cols, above = square * square - m * n;
    plumb_echo echo = law_of(rows, cols, 1.0, s);
    double observed = sqrt((square + m) * (square + n)) / s;
    ck_assert_double_eq_tol(echo.observed / observed, 1.0, 1e-13);
    ck_assert_double_eq_tol(echo.left, above / (square * (square + m)), 1e-12);
    ck_assert_double_eq_tol(echo.right, above / (square * (square + n)), 1e-12);
    ck_assert_double_eq_tol(echo.echo, above / (s * s * s * observed), 1e-12);
    double keep = sqrt(pow(observed * observed - m - n, 2.0) - 4.0 * m * n) / observed;
    double own = shrunk(PLUMB_SHRINK_FROBENIUS, rows, cols, 1.0, observed);
    ck_assert_double_eq_tol(own / s, keep / s, 1e-10);
    ck_assert_double_eq_tol(own / s, echo.echo, 1e-12);
}

START_TEST(test_formulas)
{
    static const double times[] = {1.05, 1.2, 1.5, 2.0, 3.0, 10.0, 100.0};
    for (int k = 0; k < SHAPES; k++) {
        for (int i = 0; i < 7; i++) {
            check_against_formulas(shapes[k][0], shapes[k][1], times[i]);
        }
    }
}
END_TEST

/* Near the threshold the observed value hardly moves with s: errors grow by s/(s - threshold). */
static void check_round_trip(int64_t rows, int64_t cols, double deviation, double times)
{
    double s = times * deviation * threshold_of(rows, cols), back = -1.0;
    double variance = deviation * deviation, error = 1e-14 * times / (times - 1.0);
    plumb_echo echo = law_of(rows, cols, variance, s);
    ck_assert_int_eq(plumb_echo_signal(rows, cols, variance, echo.observed, &back), PLUMB_OK);
    ck_assert_double_eq_tol(back / s, 1.0, error);
    if (rows == cols) {
        double operator= shrunk(PLUMB_SHRINK_OPERATOR, rows, cols, variance, echo.observed);
        ck_assert_double_eq_tol(operator/ s, 1.0, error);
    }
    ck_assert_double_eq_tol(echo.echo * echo.echo, echo.left * echo.right, 1e-14);
    ck_assert_double_eq_tol(echo.echo, law_of(rows, cols, 1.0, s / deviation).echo, 1e-13);
    ck_assert_double_eq_tol(echo.left, law_of(cols, rows, variance, s).right, 1e-14);
    if (rows == cols) {
        ck_assert_double_eq_tol(echo.echo, 1.0 - (double)cols * (variance / s / s), 1e-13);
    }
}

START_TEST(test_round_trips)
{
    static const double deviations[] = {1e-60, 1e-30, 1.0, 3e7, 1e30, 1e60};
    static const double times[] = {1.01, 1.5, 4.0, 1e3, 1e9};
    for (int k = 0; k < SHAPES; k++) {
        for (int d = 0; d < 6; d++) {
            for (int i = 0; i < 5; i++) {
                check_round_trip(shapes[k][0], shapes[k][1], deviations[d], times[i]);
            }
        }
    }
}
END_TEST

START_TEST(test_nothing_left)
{
    for (int k = 0; k < SHAPES; k++) {
        int64_t rows = shapes[k][0], cols = shapes[k][1];
        double edge = 3.0 * (sqrt((double)rows) + sqrt((double)cols)), signal = -1.0;
        for (double times = 0.0; times <= 1.0; times += 0.25) {
            plumb_echo echo = law_of(rows, cols, 9.0, times * 2.9999 * threshold_of(rows, cols));
            ck_assert_double_eq_tol(echo.threshold, 3.0 * threshold_of(rows, cols), 1e-10);
            ck_assert_double_eq_tol(echo.edge, edge, 1e-10);
            ck_assert_double_eq(echo.observed, echo.edge);
            ck_assert(echo.left == 0.0 && echo.right == 0.0 && echo.echo == 0.0);
        }
        ck_assert_int_eq(plumb_echo_signal(rows, cols, 9.0, 0.9999 * edge, &signal), PLUMB_OK);
        ck_assert_double_eq(signal, 0.0);
        for (int shrinker = 0; shrinker <= PLUMB_SHRINK_HARD; shrinker++) {
            ck_assert_double_eq(shrunk((plumb_shrinker)shrinker, rows, cols, 9.0, 0.9999 * edge),
                                0.0);
        }
    }
}
END_TEST

START_TEST(test_no_noise)
{
    plumb_echo echo = law_of(20, 30, 0.0, 5.0);
    ck_assert(echo.echo == 1.0 && echo.left == 1.0 && echo.right == 1.0 && echo.observed == 5.0);
    ck_assert(echo.threshold == 0.0 && echo.edge == 0.0);
    ck_assert_double_eq(law_of(20, 30, 0.0, 0.0).echo, 0.0);
    for (int i = 0; i <= PLUMB_SHRINK_HARD; i++) {
        ck_assert_double_eq(shrunk((plumb_shrinker)i, 20, 30, 0.0, 5.0), 5.0);
        ck_assert_double_eq(shrunk((plumb_shrinker)i, 20, 30, 0.0, 0.0), 0.0);
    }
    for (int i = 0; i <= PLUMB_ECHO_SIMPLE; i++) {
        ck_assert_double_eq(value_of((plumb_echo_form)i, 20, 30, 0.0, 5.0), 1.0);
        ck_assert_double_eq(value_of((plumb_echo_form)i, 20, 30, 0.0, 0.0), 0.0);
        ck_assert_double_eq(value_of((plumb_echo_form)i, 20, 30, 2.0, 0.0), 0.0);
    }
}
END_TEST

/* The largest distance from the exact law at and above the threshold, over x from 1 to 1e4. */
static double worst_of(plumb_echo_form form, int64_t rows, int64_t cols)
{
    double worst = 0.0;
    for (int i = 0; i <= 2000; i++) {
        double s = 2.0 * threshold_of(rows, cols) * exp(0.5 * log(1e4) * i / 2000.0);
        double error = value_of(form, rows, cols, 4.0, s) - law_of(rows, cols, 4.0, s).echo;
        worst = fmax(worst, fabs(error));
    }
    return worst;
}

START_TEST(test_forms)
{
    ck_assert_double_eq(worst_of(PLUMB_ECHO_EXACT, 100, 400), 0.0);
    ck_assert_double_le(worst_of(PLUMB_ECHO_SIMPLE, 200, 200), 1e-13);
    ck_assert_double_eq_tol(worst_of(PLUMB_ECHO_SIMPLE, 100, 400), 0.013, 0.0005);
    ck_assert_double_eq_tol(worst_of(PLUMB_ECHO_SIMPLE, 400, 100), 0.013, 0.0005);
    ck_assert_double_eq_tol(worst_of(PLUMB_ECHO_SIMPLE, 100, 1600), 0.045, 0.001);
    ck_assert_double_eq_tol(worst_of(PLUMB_ECHO_HILL_TAIL, 200, 200), 0.5, 1e-6);
    ck_assert_double_eq_tol(worst_of(PLUMB_ECHO_HILL_HALF, 200, 200), 1.0 / 3.0, 1e-6);
    ck_assert_double_eq_tol(worst_of(PLUMB_ECHO_HILL_EDGE, 200, 200), 0.25, 1e-3);
}
END_TEST

/* A Hill form is 1/2 where s is its tau. */
START_TEST(test_knees)
{
    for (int k = 0; k < SHAPES; k++) {
        double m = (double)shapes[k][0], n = (double)shapes[k][1];
        double tail = 3.0 * sqrt(0.5 * (m + n)), edge = 3.0 * (sqrt(m) + sqrt(n));
        ck_assert_double_eq_tol(
            value_of(PLUMB_ECHO_HILL_TAIL, shapes[k][0], shapes[k][1], 9.0, tail), 0.5, 1e-14);
        ck_assert_double_eq_tol(
            value_of(PLUMB_ECHO_HILL_EDGE, shapes[k][0], shapes[k][1], 9.0, edge), 0.5, 1e-14);
    }
}
END_TEST

/* tau^2 of the form that is right at one half: 2 sigma^2 n for square matrices, 2.11 at 1:4. */
START_TEST(test_half)
{
    ck_assert_double_eq_tol(value_of(PLUMB_ECHO_HILL_HALF, 50, 50, 1.0, 10.0), 0.5, 1e-12);
    for (int k = 0; k < SHAPES - 1; k++) {
        int64_t rows = shapes[k][0], cols = shapes[k][1];
        double low = 1.0, high = 1e3; /* in thresholds: where the exact echo is one half */
        for (int i = 0; i < 100; i++) {
            double middle = 0.5 * (low + high);
            double echo = law_of(rows, cols, 1.0, middle * threshold_of(rows, cols)).echo;
            *(echo < 0.5 ? &low : &high) = middle;
        }
        double s = low * threshold_of(rows, cols);
        ck_assert_double_eq_tol(value_of(PLUMB_ECHO_HILL_HALF, rows, cols, 1.0, s), 0.5, 1e-10);
        double root = low * low, shape = sqrt((double)rows / (double)cols);
        ck_assert_double_eq_tol(pow(root * root - 1.0, 2.0),
                                root * root / 4.0 * (root + shape) * (root + 1.0 / shape),
                                1e-9 * pow(root, 4.0));
        if (rows == 100) {
            ck_assert_double_eq_tol(root, 2.11, 0.005);
        }
    }
}
END_TEST

/* The norm of s u v' - eta u^ v^': a 2 x 2 matrix in the span of both directions. */
static double loss_of(plumb_shrinker shrinker, const plumb_echo *echo, double s, double eta)
{
    double cos_u = sqrt(echo->left), cos_v = sqrt(echo->right);
    double sin_u = sqrt(1.0 - echo->left), sin_v = sqrt(1.0 - echo->right);
    double a = s - eta * cos_u * cos_v, b = -eta * cos_u * sin_v;
    double c = -eta * sin_u * cos_v, d = -eta * sin_u * sin_v;
    double squares = a * a + b * b + c * c + d * d, product = fabs(a * d - b * c);
    if (shrinker == PLUMB_SHRINK_FROBENIUS) {
        return sqrt(squares);
    }
    double root = sqrt(fmax(squares * squares - 4.0 * product * product, 0.0));
    return shrinker == PLUMB_SHRINK_OPERATOR ? sqrt(0.5 * (squares + root))
                                             : sqrt(squares + 2.0 * product);
}

static void check_least_loss(plumb_shrinker shrinker, int64_t rows, int64_t cols, double times)
{
    double s = times * threshold_of(rows, cols);
    plumb_echo echo = law_of(rows, cols, 1.0, s);
    double eta = shrunk(shrinker, rows, cols, 1.0, echo.observed), own, least = INFINITY, at = 0.0;
    own = loss_of(shrinker, &echo, s, eta);
    for (int i = 0; i <= 4000; i++) {
        double here = loss_of(shrinker, &echo, s, i * s / 2000.0);
        at = here < least ? i * s / 2000.0 : at;
        least = fmin(least, here);
    }
    ck_assert_double_le(own, least * (1.0 + 1e-12));
    ck_assert_double_eq_tol(at, eta, s / 1000.0);
}

START_TEST(test_shrinkers)
{
    static const double times[] = {1.1, 1.3, 1.6, 2.0, 3.0, 6.0};
    for (int k = 0; k < SHAPES - 1; k++) {
        for (int i = 0; i < 6; i++) {
            check_least_loss(PLUMB_SHRINK_FROBENIUS, shapes[k][0], shapes[k][1], times[i]);
            check_least_loss(PLUMB_SHRINK_OPERATOR, shapes[k][0], shapes[k][1], times[i]);
            check_least_loss(PLUMB_SHRINK_NUCLEAR, shapes[k][0], shapes[k][1], times[i]);
        }
    }
}
END_TEST

/* The observed value at which the hard shrinker begins to keep, deviation 1. */
static double hard_threshold(int64_t rows, int64_t cols)
{
    double low = 0.0, high = 1e4;
    for (int i = 0; i < 100; i++) {
        double middle = 0.5 * (low + high);
        *(shrunk(PLUMB_SHRINK_HARD, rows, cols, 1.0, middle) > 0.0 ? &high : &low) = middle;
    }
    ck_assert_double_eq(shrunk(PLUMB_SHRINK_HARD, rows, cols, 1.0, 2.0 * high), 2.0 * high);
    return high;
}

/* Keeping costs what dropping costs where the observed value is 2 s echo. */
START_TEST(test_hard_threshold)
{
    ck_assert_double_eq_tol(hard_threshold(300, 300), 4.0 / sqrt(3.0) * sqrt(300.0), 1e-9);
    for (int k = 0; k < SHAPES; k++) {
        int64_t rows = shapes[k][0], cols = shapes[k][1];
        double observed = hard_threshold(rows, cols);
        double kept = shrunk(PLUMB_SHRINK_FROBENIUS, rows, cols, 1.0, observed);
        ck_assert_double_eq_tol(2.0 * kept / observed, 1.0, 1e-9);
    }
}
END_TEST

/* cos^2 of both sides of the leading direction, at `times` the threshold; frame as in spiked.h. */
static void measure(spiked *s, gram_svd *svd, double *matrix, uint64_t *state, double *left,
                    double *right)
{
    int side = s->rows < s->cols ? s->rows : s->cols, length = s->rows + s->cols - side;
    double *u = spiked_doubles(side * side), *v = spiked_doubles(side * length);
    spiked_draw(s, 1.0, state);
    for (int e = 0; e < side * length; e++) {
        int tall = e % length * side + e / length;
        matrix[e] = (double)s->groups[0][s->rows > s->cols ? tall : e];
    }
    ck_assert_int_eq(gram_svd_compute(svd, matrix), PLUMB_OK);
    gram_svd_frames(svd, matrix, u, v);
    const double *of_rows = s->rows > s->cols ? v : u, *of_cols = s->rows > s->cols ? u : v;
    *left += pow(spiked_dot(s->rows, of_rows, s->left), 2.0);
    *right += pow(spiked_dot(s->cols, of_cols, s->right), 2.0);
    free(u);
    free(v);
}

/*
 * Means of `repeats` matrices against the law. One matrix of 200 x 200 has a standard deviation of
 * about 0.04 at twice the threshold, less above, and the law itself errs by about 1/200.
 */
static void check_random(int rows, int cols, int repeats, double times)
{
    uint64_t state = (uint64_t)(rows * 1000 + cols) + (uint64_t)(10.0 * times);
    int64_t side = rows < cols ? rows : cols;
    spiked s = spiked_create(rows, cols, 1, &times, 1, 0.0, &state);
    double *matrix = spiked_doubles(rows * cols), left = 0.0, right = 0.0;
    gram_svd svd;
    ck_assert_int_eq(gram_svd_create(side, rows + cols - side, &svd), PLUMB_OK);
    for (int i = 0; i < repeats; i++) {
        measure(&s, &svd, matrix, &state, &left, &right);
    }
    plumb_echo echo = law_of(rows, cols, 1.0, times * threshold_of(rows, cols));
    ck_assert_double_eq_tol(left / repeats, echo.left, 0.02);
    ck_assert_double_eq_tol(right / repeats, echo.right, 0.02);
    gram_svd_free(&svd);
    free(matrix);
    spiked_free(&s);
}

START_TEST(test_random_matrices)
{
    static const double times[] = {2.0, 3.0, 5.0};
    for (int i = 0; i < 3; i++) {
        check_random(200, 200, 12, times[i]);
        check_random(60, 240, 24, times[i]);
        check_random(240, 60, 24, times[i]);
    }
}
END_TEST

static void check_refused(int64_t rows, int64_t cols, double variance, double value)
{
    plumb_echo echo = {.size = sizeof echo};
    double result;
    ck_assert_int_eq(plumb_echo_law(rows, cols, variance, value, &echo), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_signal(rows, cols, variance, value, &result), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_value(PLUMB_ECHO_EXACT, rows, cols, variance, value, &result),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_shrink(PLUMB_SHRINK_NUCLEAR, rows, cols, variance, value, &result),
                     PLUMB_ERROR_ARGUMENT);
}

START_TEST(test_refusals)
{
    plumb_echo echo = {.size = sizeof echo - 8};
    double result, values[2] = {1.0, NAN}, good[2] = {1.0, 1.0}, negative[2] = {-1.0, 1.0};
    check_refused(0, 4, 1.0, 1.0);
    check_refused(4, -1, 1.0, 1.0);
    check_refused(4, 4, -1.0, 1.0);
    check_refused(4, 4, NAN, 1.0);
    check_refused(4, 4, INFINITY, 1.0);
    check_refused(4, 4, 1.0, -1.0);
    check_refused(4, 4, 1.0, NAN);
    check_refused(4, 4, 1.0, INFINITY);
    ck_assert_int_eq(plumb_echo_law(4, 4, 1.0, 1.0, &echo), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_law(4, 4, 1.0, 1.0, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_signal(4, 4, 1.0, 1.0, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_value(PLUMB_ECHO_EXACT, 4, 4, 1.0, 1.0, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_value((plumb_echo_form)5, 4, 4, 1.0, 1.0, &result),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_shrink((plumb_shrinker)-1, 4, 4, 1.0, 1.0, &result),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_shrink(PLUMB_SHRINK_HARD, 4, 4, 1.0, 1.0, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(4, 4, 0, good, good, &result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(0, 4, 2, good, good, &result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(4, 4, 2, values, good, &result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(4, 4, 2, good, values, &result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(4, 4, 2, negative, good, &result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(4, 4, 2, NULL, good, &result, NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_echo_fit(4, 4, 2, good, good, NULL, NULL), PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("echo law");
    test_add(suite, "formulas", test_formulas);
    test_add(suite, "round trips", test_round_trips);
    test_add(suite, "nothing left", test_nothing_left);
    test_add(suite, "no noise", test_no_noise);
    test_add(suite, "forms", test_forms);
    test_add(suite, "knees", test_knees);
    test_add(suite, "half", test_half);
    test_add(suite, "shrinkers", test_shrinkers);
    test_add(suite, "hard threshold", test_hard_threshold);
    test_add(suite, "random matrices", test_random_matrices);
    test_add(suite, "refusals", test_refusals);
    return test_run(suite);
}
