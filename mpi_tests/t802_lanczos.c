/*
 * Lanczos iteration against matrices of known spectrum: leading eigenvalues by value and by
 * magnitude, vectors and residuals, invariant subspaces, operators of every size, and what is
 * refused.
 *
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "plumb.h"
#include "support/symmetric.h"
#include "support/test.h"

enum { SIDE = 60 };

static double matrix[SIDE * SIDE];

typedef struct operator_state {
    int64_t calls, fail_at; /* 0: never */
    double spoil;
} operator_state;

static plumb_status multiply(void *context, int64_t length, const double *x, double *y)
{
    operator_state *state = context;
    state->calls++;
    for (int64_t i = 0; i < length; i++) {
        y[i] = 0.0;
        for (int64_t j = 0; j < length; j++) {
            y[i] += matrix[i * length + j] * x[j];
        }
    }
    if (state->calls == state->fail_at) {
        y[0] = state->spoil;
        return state->spoil == 0.0 ? PLUMB_ERROR_ORDER : PLUMB_OK;
    }
    return PLUMB_OK;
}

static void build(const double *values)
{
    symmetric_with_values(SIDE, values, 21, matrix);
}

/* The largest of |A v - lambda v| over the vectors, formed here. */
static double worst_residual(int64_t most, const double *values, const double *vectors)
{
    double worst = 0.0;
    for (int64_t j = 0; j < most; j++) {
        operator_state state = {0};
        double y[SIDE];
        double sum = 0.0;
        multiply(&state, SIDE, vectors + j * SIDE, y);
        for (int i = 0; i < SIDE; i++) {
            double difference = y[i] - values[j] * vectors[j * SIDE + i];
            sum += difference * difference;
        }
        worst = fmax(worst, sqrt(sum));
    }
    return worst;
}

START_TEST(finds_the_largest)
{
    double truth[SIDE], values[4], residuals[4], vectors[4 * SIDE];
    for (int i = 0; i < SIDE; i++) {
        truth[i] = i == 0 ? -30.0 : 20.0 / (1.0 + i * i);
    }
    build(truth);
    for (int magnitude = 0; magnitude < 2; magnitude++) {
        operator_state state = {0};
        ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 4, magnitude, 0, 1e-10, values,
                                       residuals, vectors),
                         PLUMB_OK);
        for (int j = 0; j < 4; j++) {
            double expected = truth[magnitude == 0 ? j + 1 : j];
            ck_assert_msg(fabs(values[j] - expected) < 1e-9, "%d: %g", j, values[j]);
            ck_assert(residuals[j] < 1e-8);
        }
        double worst = worst_residual(4, values, vectors);
        ck_assert(worst < 1e-8);
        ck_assert(state.calls < SIDE);
    }
}
END_TEST

START_TEST(same_bits_and_any_size)
{
    double truth[SIDE], first[2], again[2], scaled[2];
    operator_state state = {0};
    for (int i = 0; i < SIDE; i++) {
        truth[i] = 1.0 / (1.0 + i);
    }
    build(truth);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 0, 1e-9, first, NULL, NULL),
                     PLUMB_OK);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 0, 1e-9, again, NULL, NULL),
                     PLUMB_OK);
    ck_assert(memcmp(first, again, sizeof first) == 0);
    for (int s = -1; s <= 1; s += 2) {
        for (int e = 0; e < SIDE * SIDE; e++) {
            matrix[e] = ldexp(matrix[e], s == -1 ? -200 : 400);
        }
        ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 0, 1e-9, scaled, NULL, NULL),
                         PLUMB_OK);
        ck_assert(ldexp(scaled[0], -200 * s) == first[0]);
    }
}
END_TEST

START_TEST(invariant_subspaces)
{
    double truth[SIDE] = {0}, values[SIDE], residuals[SIDE];
    operator_state state = {0};
    build(truth); /* zero */
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 3, 0, 0, 1e-9, values, residuals, NULL),
                     PLUMB_OK);
    ck_assert(values[0] == 0.0 && values[2] == 0.0 && residuals[0] == 0.0);
    for (int i = 0; i < SIDE; i++) {
        truth[i] = 3.0; /* a multiple of the identity */
    }
    build(truth);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 3, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_OK);
    ck_assert(fabs(values[0] - 3.0) < 1e-12 && fabs(values[2] - 3.0) < 1e-12);
    memset(truth, 0, sizeof truth);
    truth[0] = 5.0;
    truth[1] = 2.0; /* rank 2, three wanted */
    build(truth);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 3, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_OK);
    ck_assert(fabs(values[0] - 5.0) < 1e-10 && fabs(values[1] - 2.0) < 1e-10);
    ck_assert(fabs(values[2]) < 1e-10);
    truth[1] = 5.0;
    truth[2] = 4.0; /* twice the largest, found after the space has ended */
    build(truth);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 3, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_OK);
    ck_assert(fabs(values[0] - 5.0) < 1e-10 && fabs(values[1] - 5.0) < 1e-10);
    ck_assert(fabs(values[2] - 4.0) < 1e-10);
    for (int i = 0; i < SIDE; i++) {
        truth[i] = (double)(i % 7) - 3.0; /* all of them */
    }
    build(truth);
    ck_assert_int_eq(
        plumb_lanczos(SIDE, multiply, &state, SIDE, 0, 0, 1e-9, values, residuals, NULL), PLUMB_OK);
    for (int j = 1; j < SIDE; j++) {
        ck_assert(values[j] <= values[j - 1] && residuals[j] < 1e-9);
    }
    ck_assert(fabs(values[0] - 3.0) < 1e-10 && fabs(values[SIDE - 1] + 3.0) < 1e-10);
}
END_TEST

START_TEST(lanczos_refuses)
{
    double truth[SIDE], values[2];
    operator_state state = {0};
    for (int i = 0; i < SIDE; i++) {
        truth[i] = i;
    }
    build(truth);
    ck_assert_int_eq(plumb_lanczos(SIDE, NULL, &state, 2, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 0, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(
        plumb_lanczos(SIDE, multiply, &state, SIDE + 1, 0, 0, 1e-9, values, NULL, NULL),
        PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 1, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 0, 0.0, values, NULL, NULL),
                     PLUMB_ERROR_ARGUMENT);
    /* Too few steps: what there is so far is not far off. */
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 12, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_NUMERICAL);
    ck_assert(fabs(values[0] - 59.0) < 2.0);
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 2, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_NUMERICAL);
    state = (operator_state){.fail_at = 5};
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_ORDER);
    state = (operator_state){.fail_at = 5, .spoil = NAN};
    ck_assert_int_eq(plumb_lanczos(SIDE, multiply, &state, 2, 0, 0, 1e-9, values, NULL, NULL),
                     PLUMB_ERROR_NONFINITE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lanczos");
    test_add(suite, "finds the largest", finds_the_largest);
    test_add(suite, "same bits and any size", same_bits_and_any_size);
    test_add(suite, "invariant subspaces", invariant_subspaces);
    test_add(suite, "lanczos refuses", lanczos_refuses);
    return test_run(suite);
}
