/*
 * plumb_polar: checks the arguments, deals with the matrices that no method wants to see (NaN,
 * infinities, zero), and chooses the method. Also the rough cost by which owners are balanced.
 */
#include "linalg/polar.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "linalg/polar_methods.h"

static const double DEFAULT_RANK_TOLERANCE = 3e-8;

static bool is_method(plumb_polar_method method)
{
    return method == PLUMB_POLAR_SVD || method == PLUMB_POLAR_NEWTON_SCHULZ ||
           method == PLUMB_POLAR_POLAR_EXPRESS;
}

static int default_steps(plumb_polar_method method)
{
    return method == PLUMB_POLAR_NEWTON_SCHULZ ? NEWTON_SCHULZ_STEPS : POLAR_EXPRESS_STEPS;
}

static plumb_status check_matrices(int64_t rows, int64_t cols, const float *matrix,
                                   const float *polar)
{
    REQUIRE(rows >= 1 && cols >= 1 && rows <= INT_MAX && cols <= INT_MAX, PLUMB_ERROR_ARGUMENT,
            "a matrix of %lld x %lld: both must be in 1..%d", (long long)rows, (long long)cols,
            INT_MAX);
    REQUIRE(matrix != NULL && polar != NULL, PLUMB_ERROR_ARGUMENT, "%s is NULL",
            matrix == NULL ? "matrix" : "polar");
    uintptr_t bytes = (uintptr_t)rows * (uintptr_t)cols * sizeof(float);
    uintptr_t from = (uintptr_t)matrix;
    uintptr_t to = (uintptr_t)polar;
    uintptr_t apart = from < to ? to - from : from - to;
    REQUIRE(apart == 0 || apart >= bytes, PLUMB_ERROR_ARGUMENT,
            "polar overlaps the matrix without being the same memory");
    return PLUMB_OK;
}

/* Replaces what the options leave at 0 by its default. */
static plumb_status read_options(plumb_polar_method method, const plumb_polar_options *options,
                                 polar_problem *problem)
{
    problem->steps = default_steps(method);
    problem->rank_tolerance = DEFAULT_RANK_TOLERANCE;
    if (options == NULL) {
        return PLUMB_OK;
    }
    REQUIRE(options->size == sizeof *options, PLUMB_ERROR_ARGUMENT,
            "plumb_polar_options.size is %zu, this library's is %zu", options->size,
            sizeof *options);
    REQUIRE(options->steps >= 0 && options->steps <= POLAR_MAX_STEPS, PLUMB_ERROR_ARGUMENT,
            "steps is %d: it must be in 0..%d", options->steps, POLAR_MAX_STEPS);
    REQUIRE(options->rank_tolerance >= 0.0 && options->rank_tolerance < 1.0, PLUMB_ERROR_ARGUMENT,
            "rank_tolerance is %g: it must be in [0, 1)", options->rank_tolerance);
    problem->steps = options->steps > 0 ? options->steps : problem->steps;
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
    case PLUMB_POLAR_EXACT:
    case PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC:
        break;
    }
    return error_raise(PLUMB_ERROR_INTERNAL, "no polar method %d", (int)method);
}

plumb_status plumb_polar(plumb_polar_method method, int64_t rows, int64_t cols, const float *matrix,
                         float *polar, const plumb_polar_options *options)
{
    REQUIRE(is_method(method), PLUMB_ERROR_ARGUMENT, "there is no polar method %d", (int)method);
    PROPAGATE(check_matrices(rows, cols, matrix, polar));
    polar_problem problem = {
        .rows = (int)rows, .cols = (int)cols, .matrix = matrix, .polar = polar};
    PROPAGATE(read_options(method, options, &problem));
    PROPAGATE(polar_prescale_find(rows * cols, matrix, &problem.prescale));
    return solve(method, &problem);
}

/*
 * Flops: a quintic step has two products with the long side and one without; an SVD in double
 * takes the time of about twenty single-precision products of the Gram matrix's size, twice.
 */
double polar_cost(plumb_polar_method method, int steps, int64_t rows, int64_t cols)
{
    static const double FLOPS_PER_SECOND = 50e9;
    double side = (double)(rows < cols ? rows : cols);
    double product = 2.0 * (double)rows * (double)cols * side;
    if (method == PLUMB_POLAR_SVD) {
        return 40.0 * product / FLOPS_PER_SECOND;
    }
    double count = (double)(steps > 0 ? steps : default_steps(method));
    return count * (2.0 * product + 2.0 * side * side * side) / FLOPS_PER_SECOND;
}
