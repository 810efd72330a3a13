/*
 * plumb_polar: checks the arguments, deals with the matrices that no method wants to see (NaN,
 * infinities, zero), and chooses the method. Also the rough cost by which owners are balanced.
 */
#include "linalg/polar.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "linalg/polar_fast.h"
#include "linalg/polar_methods.h"

/* Of the singular value decomposition; and what the exact form can tell from rounding. */
static const double DEFAULT_RANK_TOLERANCE = 3e-8, LEAST_RANK_TOLERANCE = 1e-6;

static bool is_method(plumb_polar_method method)
{
    return method >= PLUMB_POLAR_SVD && method <= PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC;
}

static int default_steps(plumb_polar_method method)
{
    switch (method) {
    case PLUMB_POLAR_NEWTON_SCHULZ:
    case PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC:
        return NEWTON_SCHULZ_STEPS;
    case PLUMB_POLAR_POLAR_EXPRESS:
        return POLAR_EXPRESS_STEPS;
    default:
        return 0;
    }
}

static plumb_status check_matrices(int64_t count, int64_t rows, int64_t cols, const float *matrix,
                                   const float *polar)
{
    REQUIRE(count >= 1, PLUMB_ERROR_ARGUMENT, "a batch of %lld matrices", (long long)count);
    REQUIRE(rows >= 1 && cols >= 1 && rows <= INT_MAX && cols <= INT_MAX, PLUMB_ERROR_ARGUMENT,
            "a matrix of %lld x %lld: both must be in 1..%d", (long long)rows, (long long)cols,
            INT_MAX);
    REQUIRE(matrix != NULL && polar != NULL, PLUMB_ERROR_ARGUMENT, "%s is NULL",
            matrix == NULL ? "matrix" : "polar");
    REQUIRE(count <= INT64_MAX / (int64_t)sizeof(float) / rows / cols, PLUMB_ERROR_ARGUMENT,
            "%lld matrices of %lld x %lld are more than memory can hold", (long long)count,
            (long long)rows, (long long)cols);
    uintptr_t bytes = (uintptr_t)count * (uintptr_t)rows * (uintptr_t)cols * sizeof(float);
    uintptr_t from = (uintptr_t)matrix;
    uintptr_t to = (uintptr_t)polar;
    uintptr_t apart = from < to ? to - from : from - to;
    REQUIRE(apart == 0 || apart >= bytes, PLUMB_ERROR_ARGUMENT,
            "polar overlaps the matrix without being the same memory");
    return PLUMB_OK;
}

plumb_status polar_check(plumb_polar_method method, int steps, double delta)
{
    REQUIRE(steps >= 0 && steps <= POLAR_MAX_STEPS, PLUMB_ERROR_ARGUMENT,
            "steps is %d: it must be in 0..%d", steps, POLAR_MAX_STEPS);
    REQUIRE(delta == 0.0 || (delta >= POLAR_LEAST_DELTA && delta <= 1.0), PLUMB_ERROR_ARGUMENT,
            "delta is %g: it must be 0 or in [%g, 1]", delta, POLAR_LEAST_DELTA);
    REQUIRE(method != PLUMB_POLAR_FAST || steps <= PARTIAL_FRACTIONS_MOST, PLUMB_ERROR_ARGUMENT,
            "steps is %d: there may be up to %d poles", steps, PARTIAL_FRACTIONS_MOST);
    return PLUMB_OK;
}

/* Replaces what the options leave at 0 by its default. */
static plumb_status read_options(plumb_polar_method method, const plumb_polar_options *options,
                                 polar_problem *problem)
{
    problem->steps = default_steps(method);
    problem->rank_tolerance = method == PLUMB_POLAR_SVD ? DEFAULT_RANK_TOLERANCE : 0.0;
    problem->delta = 0.0;
    if (options == NULL) {
        return PLUMB_OK;
    }
    REQUIRE(options->size == sizeof *options, PLUMB_ERROR_ARGUMENT,
            "plumb_polar_options.size is %zu, this library's is %zu", options->size,
            sizeof *options);
    REQUIRE(options->rank_tolerance >= 0.0 && options->rank_tolerance < 1.0, PLUMB_ERROR_ARGUMENT,
            "rank_tolerance is %g: it must be in [0, 1)", options->rank_tolerance);
    PROPAGATE(polar_check(method, options->steps, options->delta));
    REQUIRE(method != PLUMB_POLAR_EXACT || options->rank_tolerance == 0.0 ||
                options->rank_tolerance >= LEAST_RANK_TOLERANCE,
            PLUMB_ERROR_ARGUMENT, "rank_tolerance is %g: it must be 0 or at least %g",
            options->rank_tolerance, LEAST_RANK_TOLERANCE);
    problem->steps = options->steps > 0 ? options->steps : problem->steps;
    problem->delta = options->delta;
    if (options->rank_tolerance > 0.0) {
        problem->rank_tolerance = options->rank_tolerance;
    }
    return PLUMB_OK;
}

static plumb_status solve(plumb_polar_method method, const polar_problem *problem)
{
    if (problem->prescale.zero) {
        size_t count = (size_t)problem->rows * (size_t)problem->cols;
        memset(problem->polar, 0, count * sizeof(float));
        return PLUMB_OK;
    }
    switch (method) {
    case PLUMB_POLAR_SVD:
        return polar_by_svd(problem);
    case PLUMB_POLAR_NEWTON_SCHULZ:
        return polar_by_newton_schulz(problem);
    case PLUMB_POLAR_POLAR_EXPRESS:
        return polar_by_polar_express(problem);
    case PLUMB_POLAR_FAST:
        return polar_by_fast(problem);
    case PLUMB_POLAR_EXACT:
        return polar_by_exact(problem);
    case PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC:
        return polar_by_newton_schulz_symmetric(problem);
    }
    return error_raise(PLUMB_ERROR_INTERNAL, "no polar method %d", (int)method);
}

static plumb_status prepare(plumb_polar_method method, int64_t count, int64_t rows, int64_t cols,
                            const float *matrix, float *polar, const plumb_polar_options *options,
                            polar_problem *problem)
{
    REQUIRE(is_method(method), PLUMB_ERROR_ARGUMENT, "there is no polar method %d", (int)method);
    PROPAGATE(check_matrices(count, rows, cols, matrix, polar));
    *problem =
        (polar_problem){.rows = (int)rows, .cols = (int)cols, .matrix = matrix, .polar = polar};
    return read_options(method, options, problem);
}

static plumb_status scale_and_solve(plumb_polar_method method, polar_problem *problem)
{
    int64_t elements = (int64_t)problem->rows * problem->cols;
    PROPAGATE(polar_prescale_find(elements, problem->matrix, &problem->prescale));
    return solve(method, problem);
}

plumb_status plumb_polar(plumb_polar_method method, int64_t rows, int64_t cols, const float *matrix,
                         float *polar, const plumb_polar_options *options)
{
    polar_problem problem;
    PROPAGATE(prepare(method, 1, rows, cols, matrix, polar, options, &problem));
    return scale_and_solve(method, &problem);
}

/* The methods whose own work is small against taking memory for it, if the matrices are small. */
static plumb_status create_work(plumb_polar_method method, polar_problem *problem)
{
    if (method == PLUMB_POLAR_FAST) {
        return polar_fast_work_create(problem);
    }
    return method == PLUMB_POLAR_EXACT ? polar_exact_work_create(problem) : PLUMB_OK;
}

static plumb_status solve_all(plumb_polar_method method, int64_t count, polar_problem *problem)
{
    int64_t elements = (int64_t)problem->rows * problem->cols;
    for (int64_t i = 0; i < count; i++) {
        plumb_status status = scale_and_solve(method, problem);
        if (status != PLUMB_OK) {
            char cause[ERROR_MESSAGE_SIZE / 2];
            snprintf(cause, sizeof cause, "%s", error_text());
            return error_raise(status, "matrix %lld of the batch: %s", (long long)i, cause);
        }
        problem->matrix += elements;
        problem->polar += elements;
    }
    return PLUMB_OK;
}

plumb_status plumb_polar_batch(plumb_polar_method method, int64_t count, int64_t rows, int64_t cols,
                               const float *matrices, float *polars,
                               const plumb_polar_options *options)
{
    polar_problem problem;
    PROPAGATE(prepare(method, count, rows, cols, matrices, polars, options, &problem));
    PROPAGATE(create_work(method, &problem));
    plumb_status status = solve_all(method, count, &problem);
    polar_fast_work_free(&problem);
    polar_exact_work_free(&problem);
    return status;
}

/*
 * In products of the long side, 2 rows cols side flops, and of the short one, 2 side^3:
 *
 *     a quintic step     2 with the long side (1.55 by halves), 1 (0.55) without
 *     fast               1.6, and 0.8 a pole
 *     exact              5 (three of them the work of double precision), and 7.5
 *     the SVD            40: about twenty in double
 */
double polar_cost(plumb_polar_method method, int steps, int64_t rows, int64_t cols)
{
    static const double FLOPS_PER_SECOND = 50e9;
    static const int FAST_POLES = 3;
    double side = (double)(rows < cols ? rows : cols);
    double longer = 2.0 * (double)rows * (double)cols * side / FLOPS_PER_SECOND;
    double square = 2.0 * side * side * side / FLOPS_PER_SECOND;
    double count = (double)(steps > 0 ? steps : default_steps(method));
    switch (method) {
    case PLUMB_POLAR_SVD:
        return 40.0 * longer;
    case PLUMB_POLAR_FAST:
        return 1.6 * longer + 0.8 * (steps > 0 ? steps : FAST_POLES) * square;
    case PLUMB_POLAR_EXACT:
        return 5.0 * longer + 7.5 * square;
    case PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC:
        return count * (1.55 * longer + 0.55 * square);
    case PLUMB_POLAR_NEWTON_SCHULZ:
    case PLUMB_POLAR_POLAR_EXPRESS:
        break;
    }
    return count * (2.0 * longer + square);
}
