/*
 * The corrections of polar factors (see polar_correction.h).
 */
#include "correct/polar_correction.h"

#include <math.h>

#include "base/memory.h"
#include "base/error.h"
#include "base/vector.h"
#include "correct/folds.h"
#include "correct/inverse.h"
#include "linalg/polar_expansion.h"

static plumb_status polar_of(const polar_correction *c, float *matrix)
{
    plumb_polar_options options = {.size = sizeof options, .steps = c->steps, .delta = c->delta};
    return plumb_polar(c->method, c->rows, c->cols, matrix, matrix, &options);
}

/* The part of a change of that norm that is within the bound; counts the elements if not all. */
static double share_within(const polar_correction *c, double change, double plain)
{
    double bound = inverse_largest_change * plain;
    if (change <= bound) {
        return 1.0;
    }
    *c->clipped += c->rows * c->cols;
    return bound / change;
}

static plumb_status expand(const polar_correction *c, int groups, const float *const *gradients,
                           const float *mean, double weight, polar_expansion *e, double *result)
{
    int64_t shorter = c->rows < c->cols ? c->rows : c->cols;
    for (int k = 0; k < groups; k++) {
        polar_expansion_add_second(e, gradients[k], mean);
    }
    double share = share_within(c, weight * polar_expansion_norm(e), sqrt((double)shorter));
    polar_expansion_result(e, 1.0, -weight * share, result);
    REQUIRE(vector_all_finite_doubles(c->rows * c->cols, result), PLUMB_ERROR_NUMERICAL,
            "the second-order correction of a polar factor is not finite");
    return PLUMB_OK;
}

plumb_status polar_correction_second_order(const polar_correction *correction, int groups,
                                           const float *const *gradients, const float *mean,
                                           double squared_weights, float *direction)
{
    int64_t count = correction->rows * correction->cols;
    double weight = squared_weights / ((double)groups * ((double)groups - 1.0));
    polar_expansion expansion;
    double *result = NULL;
    PROPAGATE(polar_expansion_create(correction->rows, correction->cols, direction, &expansion));
    if (!polar_expansion_regular(&expansion)) {
        polar_expansion_free(&expansion);
        *correction->clipped += count;
        return polar_of(correction, direction);
    }
    plumb_status status = memory_allocate(count, sizeof(double), &result);
    if (status == PLUMB_OK) {
        status = expand(correction, groups, gradients, mean, weight, &expansion, result);
    }
    for (int64_t i = 0; i < count && status == PLUMB_OK; i++) {
        direction[i] = (float)result[i];
    }
    memory_free(&result);
    polar_expansion_free(&expansion);
    return status;
}

/* Memory of a jackknife, [count] each. */
typedef struct jackknife_memory {
    double *mean, *sum; /* of the directions; of the polar factors that leave one out */
    float *others;      /* a mean that leaves one out, then its polar factor */
} jackknife_memory;

static plumb_status jackknife_allocate(int64_t count, jackknife_memory *memory)
{
    PROPAGATE(memory_zeroed(count, sizeof(double), &memory->mean));
    PROPAGATE(memory_zeroed(count, sizeof(double), &memory->sum));
    return memory_allocate(count, sizeof(float), &memory->others);
}

static void jackknife_free(jackknife_memory *memory)
{
    memory_free(&memory->mean);
    memory_free(&memory->sum);
    memory_free(&memory->others);
}

VECTOR_CLONES
static void leave_out(int64_t count, double folds, const double *restrict mean,
                      const float *restrict direction, float *restrict others)
{
    for (int64_t i = 0; i < count; i++) {
        others[i] = (float)((folds * mean[i] - (double)direction[i]) / (folds - 1.0));
    }
}

/* sum = the jackknife's change of `plain`. Returns its norm and that of `plain`. */
static void change_of(int64_t count, double folds, const float *plain, double *sum, double *norm,
                      double *plain_norm)
{
    double changes = 0.0, squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double whole = (double)plain[i];
        sum[i] = folds_jackknife(folds, whole, sum[i]) - whole;
        changes += sum[i] * sum[i];
        squares += whole * whole;
    }
    *norm = sqrt(changes);
    *plain_norm = sqrt(squares);
}

static plumb_status jackknife(const polar_correction *c, int folds, const float *const *directions,
                              jackknife_memory *memory, float *result)
{
    int64_t count = c->rows * c->cols;
    double n = (double)folds, norm, plain_norm;
    for (int f = 0; f < folds; f++) {
        folds_add(count, 1.0 / n, directions[f], memory->mean);
    }
    for (int64_t i = 0; i < count; i++) {
        result[i] = (float)memory->mean[i];
    }
    PROPAGATE(polar_of(c, result));
    for (int f = 0; f < folds; f++) {
        leave_out(count, n, memory->mean, directions[f], memory->others);
        PROPAGATE(polar_of(c, memory->others));
        folds_add(count, 1.0, memory->others, memory->sum);
    }
    change_of(count, n, result, memory->sum, &norm, &plain_norm);
    double share = share_within(c, norm, plain_norm);
    for (int64_t i = 0; i < count; i++) {
        result[i] = (float)((double)result[i] + share * memory->sum[i]);
    }
    return PLUMB_OK;
}

plumb_status polar_correction_jackknife(const polar_correction *correction, int folds,
                                        const float *const *directions, float *result)
{
    jackknife_memory memory = {NULL, NULL, NULL};
    plumb_status status = jackknife_allocate(correction->rows * correction->cols, &memory);
    if (status == PLUMB_OK) {
        status = jackknife(correction, folds, directions, &memory, result);
    }
    jackknife_free(&memory);
    return status;
}
