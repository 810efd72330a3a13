/*
 * Errors of polar factors; see polar_accuracy.h. Everything here is double and by columns: the
 * memory of a rows x cols matrix by rows is its transpose, cols x rows, whose factors are V and U.
 */
#include "workload/polar_accuracy.h"

#include "workload/polar_input.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const polar_input_names[POLAR_INPUTS] = {"random", "condition 1e4", "condition 1e6",
                                                     "condition 1e7"};

typedef struct accuracy_arena {
    int m, n, side;          /* by columns: m x n; side = min(m, n) */
    float *matrix, *polar;   /* m x n */
    double *work, *answer;   /* m x n */
    double *left, *right;    /* m x side, side x n: factors of the input */
    double *projected;       /* side x n */
    double *values, *wanted; /* [side]: singular values, and what they should become */
    double *square;          /* side x side */
} accuracy_arena;

/* work = left diag(scales) right, where right is side x n; `projected` is overwritten. */
static void assemble(accuracy_arena *a, const double *scales)
{
    for (int j = 0; j < a->n; j++) {
        for (int i = 0; i < a->side; i++) {
            size_t at = (size_t)j * (size_t)a->side + (size_t)i;
            a->projected[at] = scales[i] * a->right[at];
        }
    }
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, a->m, a->n, a->side, 1.0, a->left, a->m,
                a->projected, a->side, 0.0, a->work, a->m);
}

static int make_input(accuracy_arena *a, polar_input input)
{
    static const double conditions[POLAR_INPUTS] = {1.0, 1e4, 1e6, 1e7};
    if (input == POLAR_INPUT_RANDOM) {
        polar_benchmark_fill((int64_t)a->m * a->n, 5, a->matrix);
        return 0;
    }
    return polar_input_make(a->n, a->m, conditions[input], a->matrix);
}

/* The input's true factors. */
static int decompose(accuracy_arena *a)
{
    for (int64_t i = 0; i < (int64_t)a->m * a->n; i++) {
        a->work[i] = (double)a->matrix[i];
    }
    return LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', a->m, a->n, a->work, a->m, a->values, a->left,
                          a->m, a->right, a->side) != 0;
}

static double orthogonality(accuracy_arena *a)
{
    bool tall = a->m > a->n;
    cblas_dsyrk(CblasColMajor, CblasLower, tall ? CblasTrans : CblasNoTrans, a->side,
                a->m + a->n - a->side, 1.0, a->answer, a->m, 0.0, a->square, a->side);
    double largest = 0.0;
    for (int j = 0; j < a->side; j++) {
        for (int i = j; i < a->side; i++) {
            double value = a->square[(ptrdiff_t)j * a->side + i] - (i == j ? 1.0 : 0.0);
            largest = fmax(largest, fabs(value));
        }
    }
    return largest;
}

/* |W - left diag(wanted) right|_F / sqrt(side) */
static double distance(accuracy_arena *a, const double *wanted)
{
    assemble(a, wanted);
    double squares = 0.0;
    for (int64_t i = 0; i < (int64_t)a->m * a->n; i++) {
        double difference = a->answer[i] - a->work[i];
        squares += difference * difference;
    }
    return sqrt(squares / a->side);
}

static double fast_function(double s, double delta)
{
    return s / sqrt(s * s + delta * delta);
}

/* What the singular values became: the diagonal of left' W right'. */
static void look_at_values(accuracy_arena *a, double delta, polar_accuracy *result)
{
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, a->side, a->n, a->m, 1.0, a->left, a->m,
                a->answer, a->m, 0.0, a->projected, a->side);
    result->lowest = INFINITY;
    result->highest = -INFINITY;
    result->band = delta > 0.0 ? 0.0 : NAN;
    result->relative_band = result->band;
    for (int i = 0; i < a->side; i++) {
        double value = cblas_ddot(a->n, a->projected + i, a->side, a->right + i, a->side);
        result->lowest = fmin(result->lowest, value);
        result->highest = fmax(result->highest, value);
        if (delta > 0.0) {
            double f = fast_function(a->values[i] / a->values[0], delta);
            double scale = fmax(f, fast_function(0.1 * delta, delta));
            result->band = fmax(result->band, fabs(value - f));
            result->relative_band = fmax(result->relative_band, fabs(value - f) / scale);
        }
    }
}

static void judge(accuracy_arena *a, double delta, polar_accuracy *result)
{
    for (int64_t i = 0; i < (int64_t)a->m * a->n; i++) {
        a->answer[i] = (double)a->polar[i];
    }
    result->ran = true;
    result->orthogonality = orthogonality(a);
    look_at_values(a, delta, result);
    for (int i = 0; i < a->side; i++) {
        a->wanted[i] = 1.0;
    }
    result->forward = distance(a, a->wanted);
    result->forward_delta = NAN;
    if (delta > 0.0) {
        for (int i = 0; i < a->side; i++) {
            a->wanted[i] = fast_function(a->values[i] / a->values[0], delta);
        }
        result->forward_delta = distance(a, a->wanted);
    }
}

static bool allocate(accuracy_arena *a)
{
    size_t m = (size_t)a->m, n = (size_t)a->n, side = (size_t)a->side;
    a->matrix = malloc(2 * m * n * sizeof(float));
    a->work =
        malloc((2 * m * n + m * side + 2 * side * n + 2 * side + side * side) * sizeof(double));
    if (a->matrix == NULL || a->work == NULL) {
        return false;
    }
    a->polar = a->matrix + m * n;
    a->answer = a->work + m * n;
    a->left = a->answer + m * n;
    a->right = a->left + m * side;
    a->projected = a->right + side * n;
    a->values = a->projected + side * n;
    a->wanted = a->values + side;
    a->square = a->wanted + side;
    return true;
}

int polar_accuracy_measure(int64_t rows, int64_t cols, polar_input input, const bool *wanted,
                           polar_accuracy *accuracies, char *message, size_t message_size)
{
    accuracy_arena arena = {.m = (int)cols, .n = (int)rows};
    arena.side = arena.m < arena.n ? arena.m : arena.n;
    int failed = !allocate(&arena);
    if (failed) {
        snprintf(message, message_size, "not enough memory for the benchmark");
    } else if (make_input(&arena, input) != 0 || decompose(&arena) != 0) {
        snprintf(message, message_size, "LAPACK failed on a benchmark's input, or had no memory");
        failed = 1;
    }
    for (int i = 0; i < POLAR_CONTESTANTS; i++) {
        accuracies[i] = (polar_accuracy){.ran = false};
        if (!failed && wanted[i]) {
            failed = polar_contestant_run((polar_contestant)i, rows, cols, arena.matrix,
                                          arena.polar, message, message_size);
            judge(&arena, polar_contestant_delta((polar_contestant)i), &accuracies[i]);
        }
    }
    free(arena.matrix);
    free(arena.work);
    return failed;
}
