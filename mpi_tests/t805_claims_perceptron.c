/*
 * The perceptron that `plumb claims hessian` compares noise with curvature on: its Hessian against
 * differences of gradients, symmetric; squared norms against gradients; and the Fisher matrix's
 * trace, which is the Hessian's for such a network.
 *
 * ranks: serial
 */
#include <math.h>

#include "app/claims_perceptron.h"
#include "support/noisy.h"
#include "support/test.h"

enum { LENGTH = PERCEPTRON_LENGTH };

static claims_perceptron model;

static void make_model(void)
{
    claims_key key = {.seed = 3, .subject = 35, .unit = 1};
    ck_assert_int_eq(claims_perceptron_create(&model, key), 0);
}

static void direction(uint64_t key, double *x)
{
    for (uint64_t i = 0; i < LENGTH; i++) {
        x[i] = noisy_normal(key, i);
    }
}

static double dot(const double *x, const double *y)
{
    double sum = 0.0;
    for (int i = 0; i < LENGTH; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

/* The gradient of all samples at the weights + step x. */
static void moved_gradient(const double *x, double step, double *result)
{
    float change[LENGTH], gradient[LENGTH];
    int samples[PERCEPTRON_SAMPLES];
    for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
        samples[s] = s;
    }
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int i = 0; i < LENGTH; i++) {
            change[i] = (float)(sign * step * x[i]);
        }
        claims_perceptron_move(&model, change);
        if (sign == 1) {
            claims_perceptron_gradient(&model, PERCEPTRON_SAMPLES, samples, gradient);
        }
    }
    for (int i = 0; i < LENGTH; i++) {
        result[i] = (double)gradient[i];
    }
}

START_TEST(hessian_is_the_gradients_derivative)
{
    double x[LENGTH], y[LENGTH], hx[LENGTH], hy[LENGTH], plus[LENGTH], minus[LENGTH];
    make_model();
    direction(1, x);
    direction(2, y);
    claims_perceptron_hessian(&model, x, hx);
    claims_perceptron_hessian(&model, y, hy);
    ck_assert(fabs(dot(x, hy) - dot(y, hx)) < 1e-5 * sqrt(dot(hx, hx) * dot(y, y)));
    moved_gradient(x, 1e-5, plus);
    moved_gradient(x, -1e-5, minus);
    double error = 0.0;
    for (int i = 0; i < LENGTH; i++) {
        double difference = (plus[i] - minus[i]) / 2e-5 - hx[i];
        error += difference * difference;
    }
    /* The step is so short that no sample crosses a kink: kinks are not in the Hessian. */
    ck_assert_msg(sqrt(error / dot(hx, hx)) < 0.03, "%g", sqrt(error / dot(hx, hx)));
    claims_perceptron_destroy(&model);
}
END_TEST

START_TEST(squares_and_traces)
{
    double squares = 0.0, trace = 0.0, x[LENGTH] = {0}, y[LENGTH];
    make_model();
    for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
        float gradient[LENGTH];
        claims_perceptron_gradient(&model, 1, &s, gradient);
        for (int i = 0; i < LENGTH; i++) {
            squares += (double)gradient[i] * (double)gradient[i] / PERCEPTRON_SAMPLES;
        }
    }
    ck_assert(fabs(claims_perceptron_squares(&model) - squares) < 1e-5 * squares);
    for (int i = 0; i < LENGTH; i++) {
        x[i] = 1.0;
        claims_perceptron_hessian(&model, x, y);
        trace += y[i];
        x[i] = 0.0;
    }
    ck_assert(fabs(claims_perceptron_fisher(&model) - trace) < 1e-5 * trace);
    ck_assert(fabs(squares - trace) > 0.05 * trace);
    claims_perceptron_destroy(&model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("perceptron of claims");
    test_add(suite, "Hessian is the gradient's derivative", hessian_is_the_gradients_derivative);
    test_add(suite, "squares and traces", squares_and_traces);
    return test_run(suite);
}
