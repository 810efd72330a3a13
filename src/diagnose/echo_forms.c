/*
 * Closed forms that have been proposed for the echo of a true singular value, beside the exact law,
 * so that a claim about one of them can be checked. A Hill form is 1 / (1 + tau^2 / s^2); the
 * forms differ in tau^2. All are written in x = s^2 / (sigma^2 sqrt(rows cols)).
 */
#include <math.h>

#include "base/error.h"
#include "diagnose/echo_law.h"

/* x / (x + knee), for x up to infinity. */
static double hill(double ratio, double knee)
{
    return ratio > 0.0 ? 1.0 / (1.0 + knee / ratio) : 0.0;
}

/* (sqrt m + sqrt n)^2 over sqrt(m n) is side + 1/side + 2, where side + 1/side is this. */
static double side_sum(int64_t rows, int64_t cols)
{
    double side = sqrt((double)rows / (double)cols);
    return side + 1.0 / side;
}

static double simple(double ratio, double sum)
{
    return ratio > 1.0 ? (1.0 - 1.0 / ratio) * (1.0 + 1.0 / ratio) * hill(ratio, 0.5 * sum) : 0.0;
}

plumb_status plumb_echo_value(plumb_echo_form form, int64_t rows, int64_t cols, double variance,
                              double signal, double *echo)
{
    REQUIRE(echo != NULL, PLUMB_ERROR_ARGUMENT, "there is no place for the echo");
    PROPAGATE(echo_law_check(rows, cols, variance, signal));
    double ratio = echo_law_ratio(rows, cols, variance, signal), sum = side_sum(rows, cols);
    switch (form) {
    case PLUMB_ECHO_EXACT:
        *echo = echo_law_at(rows, cols, ratio);
        return PLUMB_OK;
    case PLUMB_ECHO_HILL_TAIL:
        *echo = hill(ratio, 0.5 * sum);
        return PLUMB_OK;
    case PLUMB_ECHO_HILL_HALF:
        *echo = hill(ratio, echo_law_inverse(rows, cols, 0.5));
        return PLUMB_OK;
    case PLUMB_ECHO_HILL_EDGE:
        *echo = hill(ratio, sum + 2.0);
        return PLUMB_OK;
    case PLUMB_ECHO_SIMPLE:
        *echo = simple(ratio, sum);
        return PLUMB_OK;
    }
    return error_raise(PLUMB_ERROR_ARGUMENT, "there is no form %d of the echo", (int)form);
}
