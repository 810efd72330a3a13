/*
 * What noise of independent entries leaves of a singular direction, in the limit of large matrices
 * (Benaych-Georges and Nadakuditi 2012, arXiv 1103.2221). Of true singular values that are well
 * apart, each has its own law, as if it were alone.
 *
 * Every expression is formed from ratios near 1, so that neither 1e-30 nor 1e30 loses digits and
 * a variance of 0 needs no case of its own.
 */
#include "diagnose/echo_law.h"

#include <math.h>

#include "base/error.h"

/* Bisections of an interval until its ends are neighbours, with room to spare. */
enum { HALVINGS = 200 };

plumb_status echo_law_check(int64_t rows, int64_t cols, double variance, double value)
{
    REQUIRE(rows >= 1 && cols >= 1, PLUMB_ERROR_ARGUMENT,
            "an echo of a %lld x %lld matrix: both sides must be positive", (long long)rows,
            (long long)cols);
    REQUIRE(isfinite(variance) && variance >= 0.0, PLUMB_ERROR_ARGUMENT,
            "the variance of the noise is %g: it must be finite and not negative", variance);
    REQUIRE(isfinite(value) && value >= 0.0, PLUMB_ERROR_ARGUMENT,
            "a singular value is %g: it must be finite and not negative", value);
    return PLUMB_OK;
}

double echo_law_ratio(int64_t rows, int64_t cols, double variance, double signal)
{
    if (signal == 0.0) {
        return 0.0;
    }
    double relative = signal / (sqrt(variance) * pow((double)rows * (double)cols, 0.25));
    return relative * relative;
}

/* (x^2 - 1) / (x (x + side)): a squared cosine, `side` being sqrt(own length / other length). */
static double squared_cosine(double ratio, double side)
{
    if (!(ratio > 1.0)) {
        return 0.0;
    }
    return isinf(ratio) ? 1.0 : (1.0 - 1.0 / ratio) * ((ratio + 1.0) / (ratio + side));
}

static double side_ratio(int64_t rows, int64_t cols)
{
    return sqrt((double)rows / (double)cols);
}

double echo_law_at(int64_t rows, int64_t cols, double ratio)
{
    double side = side_ratio(rows, cols);
    return sqrt(squared_cosine(ratio, side) * squared_cosine(ratio, 1.0 / side));
}

double echo_law_inverse(int64_t rows, int64_t cols, double echo)
{
    double side = side_ratio(rows, cols), low = 1.0;
    if (echo >= 1.0) {
        return INFINITY;
    }
    /* 1 - echo is nowhere more than (side + 1/side) / x. */
    double high = 2.0 + 2.0 * (side + 1.0 / side) / (1.0 - echo);
    for (int i = 0; i < HALVINGS; i++) {
        double middle = low + 0.5 * (high - low);
        if (echo_law_at(rows, cols, middle) < echo) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

static double edge_of(int64_t rows, int64_t cols, double deviation)
{
    return deviation * (sqrt((double)rows) + sqrt((double)cols));
}

double echo_law_kept(int64_t rows, int64_t cols, double variance, double observed)
{
    double deviation = sqrt(variance), edge = edge_of(rows, cols, deviation);
    if (!(observed > edge)) {
        return 0.0;
    }
    double upper = edge / observed;
    double lower = deviation * (sqrt((double)rows) - sqrt((double)cols)) / observed;
    return sqrt((1.0 - upper) * (1.0 + upper) * (1.0 - lower) * (1.0 + lower));
}

double echo_law_signal(int64_t rows, int64_t cols, double variance, double observed)
{
    double relative = sqrt(variance) / observed;
    if (!(observed > edge_of(rows, cols, sqrt(variance)))) {
        return 0.0;
    }
    double rest = 1.0 - ((double)rows + (double)cols) * relative * relative;
    return observed * sqrt(0.5 * (rest + echo_law_kept(rows, cols, variance, observed)));
}

plumb_status plumb_echo_law(int64_t rows, int64_t cols, double variance, double signal,
                            plumb_echo *echo)
{
    REQUIRE(echo != NULL && echo->size == sizeof *echo, PLUMB_ERROR_ARGUMENT,
            "plumb_echo is NULL, or its size is not this library's");
    PROPAGATE(echo_law_check(rows, cols, variance, signal));
    double deviation = sqrt(variance), side = side_ratio(rows, cols);
    double ratio = echo_law_ratio(rows, cols, variance, signal);
    echo->threshold = deviation * pow((double)rows * (double)cols, 0.25);
    echo->edge = edge_of(rows, cols, deviation);
    echo->observed = ratio > 1.0
                         ? signal * sqrt((1.0 + side / ratio) * (1.0 + 1.0 / (side * ratio)))
                         : echo->edge;
    echo->left = squared_cosine(ratio, side);
    echo->right = squared_cosine(ratio, 1.0 / side);
    echo->echo = sqrt(echo->left * echo->right);
    return PLUMB_OK;
}

plumb_status plumb_echo_signal(int64_t rows, int64_t cols, double variance, double observed,
                               double *signal)
{
    REQUIRE(signal != NULL, PLUMB_ERROR_ARGUMENT, "there is no place for the signal");
    PROPAGATE(echo_law_check(rows, cols, variance, observed));
    *signal = echo_law_signal(rows, cols, variance, observed);
    return PLUMB_OK;
}
