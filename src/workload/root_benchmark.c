/*
 * Inverse roots in turns with products; see root_benchmark.h.
 */
#include "workload/root_benchmark.h"

#include "plumb.h"
#include "workload/contest.h"
#include "workload/coupled_newton.h"
#include "workload/random.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const root_contestant_names[ROOT_CONTESTANTS] = {"rational", "eigen", "coupled-newton",
                                                             "ssyevd"};

/* Everything is n x n but `values`, n. */
typedef struct root_arena {
    int n, root;
    double condition;
    double *matrix, *expected, *answer, *basis, *values;
    float *single, *product, *single_root, *scratch, *single_values;
    int iterations;
    char *message;
    size_t message_size;
} root_arena;

/* to = basis diag(values^power) basis', exactly symmetric. basis: columns, by columns; `answer` is
 * overwritten. */
static void assemble(root_arena *a, double power, double *to)
{
    int n = a->n;
    for (int j = 0; j < n; j++) {
        double scale = pow(a->values[j], 0.5 * power);
        for (int i = 0; i < n; i++) {
            a->answer[(ptrdiff_t)j * n + i] = scale * a->basis[(ptrdiff_t)j * n + i];
        }
    }
    cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, n, n, 1.0, a->answer, n, 0.0, to, n);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < j; i++) {
            to[(ptrdiff_t)j * n + i] = to[(ptrdiff_t)i * n + j];
        }
    }
}

static int make_matrix(root_arena *a)
{
    int n = a->n;
    for (int64_t i = 0; i < (int64_t)n * n; i++) {
        a->basis[i] = random_normal(1, RANDOM_INITIAL_VALUES, 0, 0, (uint64_t)i);
    }
    if (LAPACKE_dgeqrf(LAPACK_COL_MAJOR, n, n, a->basis, n, a->values) != 0 ||
        LAPACKE_dorgqr(LAPACK_COL_MAJOR, n, n, n, a->basis, n, a->values) != 0) {
        snprintf(a->message, a->message_size, "LAPACK failed on the benchmark's input");
        return 1;
    }
    for (int i = 0; i < n; i++) {
        a->values[i] = pow(a->condition, n > 1 ? -(double)i / (n - 1) : 0.0);
    }
    assemble(a, 1.0, a->matrix);
    assemble(a, -1.0 / a->root, a->expected);
    for (int64_t i = 0; i < (int64_t)n * n; i++) {
        a->single[i] = (float)a->matrix[i];
    }
    return 0;
}

static int run_product(void *context)
{
    const root_arena *a = context;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, a->n, a->n, a->n, 1.0f, a->single, a->n,
                a->single, a->n, 0.0f, a->product, a->n);
    return 0;
}

static int run_library(root_arena *a, plumb_root_method method)
{
    plumb_inverse_root_options options = {
        .size = sizeof options, .method = method, .condition = a->condition};
    plumb_status status = plumb_inverse_root(a->root, a->n, 1, a->matrix, a->answer, &options);
    if (status != PLUMB_OK) {
        snprintf(a->message, a->message_size, "%s", plumb_error_message(NULL));
    }
    return status != PLUMB_OK;
}

static int run_rational(void *context)
{
    return run_library(context, PLUMB_ROOT_RATIONAL);
}

static int run_eigen(void *context)
{
    return run_library(context, PLUMB_ROOT_EIGEN);
}

static int run_coupled_newton(void *context)
{
    root_arena *a = context;
    a->iterations = coupled_newton_inverse_fourth_root(a->n, a->single, (float)a->values[0],
                                                       a->single_root, a->scratch);
    return 0;
}

static int run_ssyevd(void *context)
{
    root_arena *a = context;
    memcpy(a->scratch, a->single, (size_t)a->n * (size_t)a->n * sizeof(float));
    if (LAPACKE_ssyevd(LAPACK_COL_MAJOR, 'V', 'L', a->n, a->scratch, a->n, a->single_values) != 0) {
        snprintf(a->message, a->message_size, "ssyevd failed");
        return 1;
    }
    return 0;
}

static int (*const runs[ROOT_CONTESTANTS])(void *) = {run_rational, run_eigen, run_coupled_newton,
                                                      run_ssyevd};

/* Of what the last run left behind: `answer` or `single_root`. */
static double error_of(const root_arena *a, int which)
{
    if (which == ROOT_SSYEVD) {
        return NAN;
    }
    double squares = 0.0, difference = 0.0;
    for (int64_t i = 0; i < (int64_t)a->n * a->n; i++) {
        double found = which == ROOT_COUPLED_NEWTON ? (double)a->single_root[i] : a->answer[i];
        squares += a->expected[i] * a->expected[i];
        difference += (found - a->expected[i]) * (found - a->expected[i]);
    }
    return sqrt(difference / squares);
}

static bool allocate(root_arena *a)
{
    size_t n = (size_t)a->n, square = n * n;
    a->matrix = malloc((4 * square + n) * sizeof(double));
    a->single = malloc((3 * square + n) * sizeof(float));
    a->scratch = malloc((size_t)coupled_newton_scratch(a->n) * sizeof(float));
    if (a->matrix == NULL || a->single == NULL || a->scratch == NULL) {
        snprintf(a->message, a->message_size, "not enough memory for the benchmark");
        return false;
    }
    a->expected = a->matrix + square;
    a->answer = a->expected + square;
    a->basis = a->answer + square;
    a->values = a->basis + square;
    a->product = a->single + square;
    a->single_root = a->product + square;
    a->single_values = a->single_root + square;
    return true;
}

/* numbers[contestant]: its place in the contest, 0 if it has none. */
static int run_all(root_arena *a, double seconds, root_results *results)
{
    int numbers[ROOT_CONTESTANTS] = {0};
    contest *c = calloc(1, sizeof *c);
    if (c == NULL) {
        snprintf(a->message, a->message_size, "not enough memory for the benchmark");
        return 1;
    }
    contest_add(c, run_product, a);
    for (int i = 0; i < ROOT_CONTESTANTS; i++) {
        numbers[i] = i != ROOT_COUPLED_NEWTON || a->root == 4 ? contest_add(c, runs[i], a) : 0;
    }
    int failed = contest_run(c, seconds);
    results->product_seconds = contest_seconds(c, 0).median;
    for (int i = 0; i < ROOT_CONTESTANTS && !failed; i++) {
        root_result *one = &results->of[i];
        *one = (root_result){.ran = numbers[i] != 0};
        if (one->ran) {
            failed = runs[i](a);
            one->seconds = contest_seconds(c, numbers[i]);
            one->units = contest_units(c, numbers[i]);
            one->error = error_of(a, i);
            one->iterations = i == ROOT_COUPLED_NEWTON ? a->iterations : 0;
            if (numbers[ROOT_COUPLED_NEWTON] != 0) {
                one->coupled_newton = contest_ratio(c, numbers[ROOT_COUPLED_NEWTON], numbers[i]);
            }
        }
    }
    free(c);
    return failed;
}

int root_benchmark(int64_t side, double condition, int root, double seconds, root_results *results,
                   char *message, size_t message_size)
{
    root_arena arena = {.n = (int)side,
                        .root = root,
                        .condition = condition,
                        .message = message,
                        .message_size = message_size};
    int failed =
        !allocate(&arena) || make_matrix(&arena) != 0 || run_all(&arena, seconds, results) != 0;
    free(arena.matrix);
    free(arena.single);
    free(arena.scratch);
    return failed;
}
