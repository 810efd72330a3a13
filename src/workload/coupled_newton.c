/*
 * Coupled Newton iteration; see coupled_newton.h.
 */
#include "workload/coupled_newton.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

enum { MOST_ITERATIONS = 100 };

static const float tolerance = 1e-6f, growth = 1.2f;

int64_t coupled_newton_scratch(int n)
{
    return 4 * (int64_t)n * n;
}

static void multiply(int n, const float *left, const float *right, float *product)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, left, n, right, n, 0.0f,
                product, n);
}

/* to = diagonal I + factor from */
static void shift_and_scale(int n, float diagonal, float factor, const float *from, float *to)
{
    for (int64_t i = 0; i < (int64_t)n * n; i++) {
        to[i] = factor * from[i];
    }
    for (int64_t i = 0; i < n; i++) {
        to[i * (n + 1)] += diagonal;
    }
}

/* max |M - I| */
static float distance(int n, const float *m)
{
    float largest = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            float difference = fabsf(m[i * n + j] - (i == j ? 1.0f : 0.0f));
            largest = difference > largest ? difference : largest;
        }
    }
    return largest;
}

int coupled_newton_inverse_fourth_root(int n, const float *matrix, float largest, float *root,
                                       float *scratch)
{
    size_t square = (size_t)n * (size_t)n;
    float *m = scratch, *t = m + square, *power = t + square, *spare = power + square;
    float z = 5.0f / (2.0f * largest);
    shift_and_scale(n, 0.0f, z, matrix, m);
    memset(root, 0, square * sizeof *root);
    shift_and_scale(n, powf(z, 0.25f), 0.0f, root, root);
    float error = distance(n, m);
    int iterations = 0;
    while (error > tolerance && iterations < MOST_ITERATIONS) {
        shift_and_scale(n, 1.25f, -0.25f, m, t);
        multiply(n, root, t, spare);
        multiply(n, t, t, power);
        multiply(n, power, power, t);
        multiply(n, t, m, power);
        float next = distance(n, power);
        iterations++;
        if (!(next < error * growth)) {
            break;
        }
        memcpy(root, spare, square * sizeof *root);
        memcpy(m, power, square * sizeof *m);
        error = next;
    }
    return iterations;
}
