/*
 * plumb_polar_bias and plumb_isotropic_polar_bias: the bias of the polar factor of a mean to second
 * order, from the spread of the groups and in closed form.
 *
 * With T(D) the second-order term of Ortho(mean + D) (linalg/polar_expansion.h), the error of the
 * mean of K groups has the covariance of one group over K, which D_k = G_k - mean estimate:
 *
 *     bias = sum_k T(D_k) / (K (K-1)).
 *
 * For independent entries of equal variance the expectation of T is in closed form.
 */
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/polar_expansion.h"

static plumb_status check_groups(int64_t rows, int64_t cols, int64_t count,
                                 const float *const *groups)
{
    REQUIRE(rows >= 1 && cols >= 1, PLUMB_ERROR_ARGUMENT, "%lld x %lld is no matrix",
            (long long)rows, (long long)cols);
    REQUIRE(rows <= INT32_MAX && cols <= INT32_MAX, PLUMB_ERROR_ARGUMENT,
            "%lld x %lld is too large", (long long)rows, (long long)cols);
    REQUIRE(count >= 1, PLUMB_ERROR_ARGUMENT, "count is %lld: it must be at least 1",
            (long long)count);
    REQUIRE(groups != NULL, PLUMB_ERROR_ARGUMENT, "groups is NULL");
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(groups[k] != NULL, PLUMB_ERROR_ARGUMENT, "groups[%lld] is NULL", (long long)k);
        REQUIRE(vector_all_finite(rows * cols, groups[k]), PLUMB_ERROR_NONFINITE,
                "group %lld has a NaN or Inf", (long long)k);
    }
    return PLUMB_OK;
}

static void mean_of(int64_t length, int64_t count, const float *const *groups, float *mean)
{
    for (int64_t i = 0; i < length; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < count; k++) {
            sum += (double)groups[k][i];
        }
        mean[i] = (float)(sum / (double)count);
    }
}

static void unknown(int64_t length, double *bias, double *squared_norm, double *tangent)
{
    for (int64_t i = 0; i < length && bias != NULL; i++) {
        bias[i] = NAN;
    }
    *squared_norm = NAN;
    *tangent = NAN;
}

static void expand(polar_expansion *e, int64_t count, const float *const *groups, const float *mean,
                   double *bias, double *squared_norm, double *tangent)
{
    double n = (double)count, weight = 1.0 / (n * (n - 1.0)), of_turn, of_shrinkage;
    for (int64_t k = 0; k < count; k++) {
        polar_expansion_add_second(e, groups[k], mean);
    }
    polar_expansion_split(e, &of_turn, &of_shrinkage);
    *tangent = weight * weight * of_turn;
    *squared_norm = weight * weight * (of_turn + of_shrinkage);
    if (bias != NULL) {
        polar_expansion_result(e, 0.0, weight, bias);
    }
}

plumb_status plumb_polar_bias(int64_t rows, int64_t cols, int64_t count, const float *const *groups,
                              double *bias, double *squared_norm, double *tangent)
{
    PROPAGATE(check_groups(rows, cols, count, groups));
    REQUIRE(squared_norm != NULL && tangent != NULL, PLUMB_ERROR_ARGUMENT,
            "squared_norm or tangent is NULL");
    if (count == 1) {
        unknown(rows * cols, bias, squared_norm, tangent);
        return PLUMB_OK;
    }
    float *mean = NULL;
    polar_expansion expansion;
    PROPAGATE(memory_allocate(rows * cols, sizeof *mean, &mean));
    mean_of(rows * cols, count, groups, mean);
    plumb_status status = polar_expansion_create(rows, cols, mean, &expansion);
    if (status == PLUMB_OK) {
        if (polar_expansion_regular(&expansion)) {
            expand(&expansion, count, groups, mean, bias, squared_norm, tangent);
        } else {
            unknown(rows * cols, bias, squared_norm, tangent);
        }
        polar_expansion_free(&expansion);
    }
    memory_free(&mean);
    return status;
}

/* sum over k != i of 1 / (s_i + s_k)^2 */
static double repulsion(int64_t side, const double *values, int64_t i)
{
    double sum = 0.0;
    for (int64_t k = 0; k < side; k++) {
        double both = values[i] + values[k];
        sum += k == i ? 0.0 : 1.0 / (both * both);
    }
    return sum;
}

plumb_status plumb_isotropic_polar_bias(int64_t rows, int64_t cols, const double *singular_values,
                                        double variance, double *bias, double *error)
{
    REQUIRE(rows >= 1 && cols >= 1, PLUMB_ERROR_ARGUMENT, "%lld x %lld is no matrix",
            (long long)rows, (long long)cols);
    REQUIRE(singular_values != NULL && bias != NULL && error != NULL, PLUMB_ERROR_ARGUMENT,
            "singular_values, bias or error is NULL");
    REQUIRE(variance >= 0.0 && isfinite(variance), PLUMB_ERROR_ARGUMENT,
            "variance is %g: it must be finite and not negative", variance);
    int64_t side = rows < cols ? rows : cols;
    for (int64_t i = 0; i < side; i++) {
        REQUIRE(singular_values[i] > 0.0 && isfinite(singular_values[i]), PLUMB_ERROR_ARGUMENT,
                "singular value %lld is %g: it must be finite and positive", (long long)i,
                singular_values[i]);
    }
    double excess = (double)(rows + cols - 2 * side), sum = 0.0;
    for (int64_t i = 0; i < side; i++) {
        double s = singular_values[i];
        bias[i] = variance * (0.5 * excess / (s * s) + repulsion(side, singular_values, i));
        sum += bias[i];
    }
    /* |Ortho|^2 does not vary, so the squared distance is -2 <bias, Ortho>. */
    *error = 2.0 * sum;
    return PLUMB_OK;
}
