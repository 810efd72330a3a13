/*
 * plumb_update_bias: bias and variance of an orthogonalised update, from the gradients of groups
 * alone.
 *
 * Let Z_k = Ortho(G_k), and P_j = Ortho((G_a + G_b)/2) of the pair j of groups a and b. The bias of
 * an update is c/m + O(m^-2) at m samples, so
 *
 *     D_j = (Z_a + Z_b)/2 - P_j
 *
 * has the expectation c/m - c/(2m): half of a group's bias. Its noise of first order, which is most
 * of the noise of each term, cancels, because Ortho is linear to that order. The bias, squared, is
 * thus four times |E D|^2, and the mean of D_i . D_j over all i != j is that without bias.
 * The plain difference of the two means, in contrast, is half of the bias plus the noise's norm.
 *
 * All is formed of deviations from Q = Ortho(mean of all groups), so that nothing is lost where the
 * updates hardly differ. The part of D normal to the orthogonal frames at Q is Q sym(Q'D) for tall
 * matrices, sym(D Q') Q for wide ones: a shrinkage of the singular values. The rest is a turn.
 *
 * It costs n + n/2 + 1 polar factors. A polar factor has the rounding of a float: a bias below
 * about 1e-7 of the update's norm is not seen, and where the updates vary by no more than 1e-6 of
 * it, the ratio of both would be one of rounding.
 */
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "diagnose/vector_sums.h"
#include "linalg/product.h"

/* Squares over the update's own, below which a bias and a variance are rounding. */
static const double LEAST_BIAS = 1e-14, LEAST_VARIANCE = 1e-12;

typedef struct update_bias {
    plumb_polar_method method;
    const plumb_polar_options *options;
    int64_t rows, cols, side; /* side: the shorter one */
    int64_t count, pairs;
    const float *const *groups;
    float *center;     /* rows x cols: Q */
    float *polar;      /* rows x cols: a mean, then its polar factor */
    float *deviations; /* [count][rows][cols]: Z_k - Q */
    float *changes;    /* [pairs][rows][cols]: D_j */
    float *shrinkages; /* [pairs][side][side]: sym(Q'D_j), lower triangle; the rest is 0 */
    double *frame;     /* rows x cols: Q in double */
    double *change;    /* rows x cols: one D_j in double */
    double *symmetric; /* side x side */
    double square;     /* |Q|^2 */
    double *without;   /* [count]: estimates that leave one out */
    vector_sums of_groups, of_changes, of_shrinkages;
} update_bias;

static void release(update_bias *u)
{
    memory_free(&u->center);
    memory_free(&u->polar);
    memory_free(&u->deviations);
    memory_free(&u->changes);
    memory_free(&u->shrinkages);
    memory_free(&u->frame);
    memory_free(&u->change);
    memory_free(&u->symmetric);
    memory_free(&u->without);
    vector_sums_free(&u->of_groups);
    vector_sums_free(&u->of_changes);
    vector_sums_free(&u->of_shrinkages);
}

static plumb_status allocate(update_bias *u)
{
    int64_t length = u->rows * u->cols, small = u->side * u->side;
    PROPAGATE(memory_allocate(length, sizeof(float), &u->center));
    PROPAGATE(memory_allocate(length, sizeof(float), &u->polar));
    PROPAGATE(memory_allocate(u->count * length, sizeof(float), &u->deviations));
    PROPAGATE(memory_allocate(u->pairs * length, sizeof(float), &u->changes));
    PROPAGATE(memory_zeroed(u->pairs * small, sizeof(float), &u->shrinkages));
    PROPAGATE(memory_allocate(length, sizeof(double), &u->frame));
    PROPAGATE(memory_allocate(length, sizeof(double), &u->change));
    PROPAGATE(memory_zeroed(small, sizeof(double), &u->symmetric));
    return memory_allocate(u->count, sizeof(double), &u->without);
}

static plumb_status polar_of(const update_bias *u, const float *matrix, float *polar)
{
    return plumb_polar(u->method, u->rows, u->cols, matrix, polar, u->options);
}

/* polar = the polar factor of the mean of `count` groups from `first` on */
static plumb_status polar_of_mean(update_bias *u, int64_t first, int64_t count, float *polar)
{
    for (int64_t i = 0; i < u->rows * u->cols; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < count; k++) {
            sum += (double)u->groups[first + k][i];
        }
        polar[i] = (float)(sum / (double)count);
    }
    return polar_of(u, polar, polar);
}

static plumb_status find_deviations(update_bias *u)
{
    int64_t length = u->rows * u->cols;
    PROPAGATE(polar_of_mean(u, 0, u->count, u->center));
    for (int64_t k = 0; k < u->count; k++) {
        float *deviation = u->deviations + k * length;
        PROPAGATE(polar_of(u, u->groups[k], deviation));
        for (int64_t i = 0; i < length; i++) {
            deviation[i] -= u->center[i];
        }
    }
    for (int64_t i = 0; i < length; i++) {
        u->frame[i] = (double)u->center[i];
        u->square += u->frame[i] * u->frame[i];
    }
    return PLUMB_OK;
}

/* The shrinkage of pair j, each off-diagonal element with the weight that stands for both, so that
 * products of these vectors are those of the symmetric matrices. */
static void find_shrinkage(update_bias *u, int64_t pair)
{
    product_side side = u->rows >= u->cols ? PRODUCT_RIGHT : PRODUCT_LEFT;
    int64_t n = u->side;
    float *shrinkage = u->shrinkages + pair * n * n;
    product_gram_pair(side, u->rows, u->cols, 0.5, u->frame, u->change, 0.0, u->symmetric);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double weight = i == j ? 1.0 : sqrt(2.0);
            shrinkage[i * n + j] = (float)(weight * u->symmetric[i * n + j]);
        }
    }
}

static plumb_status find_change(update_bias *u, int64_t pair)
{
    int64_t length = u->rows * u->cols;
    const float *a = u->deviations + 2 * pair * length;
    const float *b = a + length;
    float *change = u->changes + pair * length;
    PROPAGATE(polar_of_mean(u, 2 * pair, 2, u->polar));
    for (int64_t i = 0; i < length; i++) {
        double deviation = (double)u->polar[i] - u->frame[i];
        u->change[i] = 0.5 * ((double)a[i] + (double)b[i]) - deviation;
        change[i] = (float)u->change[i];
    }
    find_shrinkage(u, pair);
    return PLUMB_OK;
}

static plumb_status measure(update_bias *u)
{
    int64_t length = u->rows * u->cols;
    PROPAGATE(find_deviations(u));
    for (int64_t pair = 0; pair < u->pairs; pair++) {
        PROPAGATE(find_change(u, pair));
    }
    PROPAGATE(vector_sums_create(u->count, length, u->deviations, &u->of_groups));
    PROPAGATE(vector_sums_create(u->pairs, length, u->changes, &u->of_changes));
    return vector_sums_create(u->pairs, u->side * u->side, u->shrinkages, &u->of_shrinkages);
}

/* NAN instead of a division by what is not above `least`. */
static double quotient(double above, double below, double least)
{
    return below > least ? above / below : NAN;
}

static void find_variance(const update_bias *u, plumb_update_noise *noise)
{
    for (int64_t k = 0; k < u->count; k++) {
        u->without[k] = vector_sums_variance_without(&u->of_groups, k, k);
    }
    noise->variance = vector_sums_variance(&u->of_groups);
    noise->variance_error = vector_sums_jackknife_error(u->count, u->without);
    noise->step_variance = noise->variance / (double)u->count;
}

static void find_bias(const update_bias *u, plumb_update_noise *noise)
{
    double n = (double)u->count;
    for (int64_t j = 0; j < u->pairs; j++) {
        u->without[j] = 4.0 * vector_sums_squared_mean_without(&u->of_changes, j);
    }
    noise->bias = 4.0 * vector_sums_squared_mean(&u->of_changes);
    noise->bias_error = vector_sums_jackknife_error(u->pairs, u->without);
    noise->step_bias = noise->bias / (n * n);
    noise->normal_share = quotient(4.0 * vector_sums_squared_mean(&u->of_shrinkages), noise->bias,
                                   LEAST_BIAS * u->square);
}

static void find_ratio(const update_bias *u, plumb_update_noise *noise)
{
    double n = (double)u->count, least = LEAST_VARIANCE * u->square;
    for (int64_t j = 0; j < u->pairs; j++) {
        double variance = vector_sums_variance_without(&u->of_groups, 2 * j, 2 * j + 1);
        double bias = 4.0 * vector_sums_squared_mean_without(&u->of_changes, j);
        u->without[j] = quotient(bias, n * variance, n * least);
    }
    noise->ratio = quotient(noise->step_bias, noise->step_variance, least / n);
    noise->ratio_error = vector_sums_jackknife_error(u->pairs, u->without);
    noise->streamed_ratio = quotient(n * noise->bias, noise->variance, least);
}

static plumb_status check_groups(int64_t rows, int64_t cols, int64_t count,
                                 const float *const *groups)
{
    REQUIRE(rows >= 1 && cols >= 1, PLUMB_ERROR_ARGUMENT, "%lld x %lld is no matrix",
            (long long)rows, (long long)cols);
    REQUIRE(rows <= INT64_MAX / 16 / cols, PLUMB_ERROR_ARGUMENT, "%lld x %lld is too large",
            (long long)rows, (long long)cols);
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

plumb_status plumb_update_bias(plumb_polar_method method, int64_t rows, int64_t cols, int64_t count,
                               const float *const *groups, const plumb_polar_options *options,
                               plumb_update_noise *noise)
{
    REQUIRE(noise != NULL && noise->size == sizeof *noise, PLUMB_ERROR_ARGUMENT,
            "noise is NULL or its size is not sizeof(plumb_update_noise)");
    PROPAGATE(check_groups(rows, cols, count, groups));
    update_bias u = {.method = method,
                     .options = options,
                     .rows = rows,
                     .cols = cols,
                     .side = rows < cols ? rows : cols,
                     .count = count,
                     .pairs = count / 2,
                     .groups = groups};
    plumb_update_noise found = {.size = sizeof found, .count = count};
    plumb_status status = allocate(&u);
    if (status == PLUMB_OK) {
        status = measure(&u);
    }
    if (status == PLUMB_OK) {
        find_variance(&u, &found);
        find_bias(&u, &found);
        find_ratio(&u, &found);
        *noise = found;
    }
    release(&u);
    return status;
}
