/*
 * Retrying decompositions (see shampoo_decompose.h).
 */
#include "optim/shampoo_decompose.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "linalg/rational_root.h"
#include "linalg/spectrum.h"

/* Of the largest eigenvalue: the least damping that a second attempt starts from. */
static const double least_relative_damping = 1e-6;

/* As far as the relative damping of the first attempt lets eigenvalues be apart. */
static double largest_condition(const shampoo_factor *factor)
{
    double least = 1.0 / RATIONAL_ROOT_MOST_CONDITION;
    return 1.0 + 1.0 / fmax(factor->relative_damping, 1.01 * least);
}

static plumb_status set(const shampoo_factor *factor, matrix_root *m, const double *statistic,
                        double damping, double relative_damping)
{
    if (factor->rational == NULL) {
        return matrix_root_set(m, statistic, damping, relative_damping);
    }
    REQUIRE(isfinite(spectrum_largest(m->n, statistic)), PLUMB_ERROR_NONFINITE,
            "the matrix holds a NaN or an infinity");
    rational_root_form form = {.root = m->root,
                               .damping = damping,
                               .relative_damping = relative_damping,
                               .condition = largest_condition(factor),
                               .tolerance = RATIONAL_ROOT_DEFAULT_TOLERANCE};
    return rational_root(&form, m->n, statistic, factor->rational);
}

/*
 * The first attempt is the plain one. The others have their damping on the diagonal before the
 * decomposition, because it helps that to converge too.
 */
static plumb_status attempt(const shampoo_factor *factor, matrix_root *m, double *statistic,
                            int attempts, double largest, double *added)
{
    if (attempts == 0) {
        return set(factor, m, statistic, factor->damping, factor->relative_damping);
    }
    double usual = factor->damping + factor->relative_damping * largest;
    double damping = fmax(usual, least_relative_damping * largest) * pow(10.0, attempts);
    for (int64_t i = 0; i < m->n; i++) {
        statistic[i * m->n + i] += damping - *added;
    }
    *added = damping;
    return set(factor, m, statistic, 0.0, 0.0);
}

static const char *side_name(product_side side)
{
    return side == PRODUCT_LEFT ? "left" : "right";
}

static plumb_status raise_failure(const shampoo_factor *factor, plumb_status status, int in_a_row)
{
    char reason[ERROR_MESSAGE_SIZE];
    memcpy(reason, error_text(), sizeof reason);
    const block *b = factor->block;
    return error_raise(
        status,
        "the %s factor of block (%lld, %lld) could not be decomposed, %d time%s in a row%s: %.200s",
        side_name(factor->side), (long long)b->row_piece, (long long)b->col_piece, in_a_row,
        in_a_row == 1 ? "" : "s", factor->standing == shampoo_none_yet ? " and never before" : "",
        reason);
}

static plumb_status keep(const shampoo_factor *factor, double *standing)
{
    double failures = factor->standing == shampoo_none_yet ? 1.0 : factor->standing;
    if (factor->standing == shampoo_none_yet || failures > (double)factor->most_failures) {
        return raise_failure(factor, PLUMB_ERROR_NUMERICAL, (int)failures);
    }
    *standing = factor->standing + 1.0;
    return PLUMB_OK;
}

plumb_status shampoo_decompose(const shampoo_factor *factor, matrix_root *m, double *statistic,
                               double *standing, shampoo_outcome *outcome, int64_t *failed)
{
    double largest = spectrum_largest(m->n, statistic);
    if (largest == 0.0) {
        *standing = shampoo_none_yet;
        *outcome = SHAMPOO_ZERO;
        return PLUMB_OK;
    }
    double added = 0.0;
    plumb_status status = PLUMB_ERROR_NUMERICAL;
    for (int i = 0; i <= SHAMPOO_RETRIES && status == PLUMB_ERROR_NUMERICAL; i++) {
        *failed += i == 1;
        status = attempt(factor, m, statistic, i, largest, &added);
    }
    if (status == PLUMB_ERROR_NUMERICAL) {
        *outcome = SHAMPOO_FAILED;
        return keep(factor, standing);
    }
    if (status != PLUMB_OK) {
        return raise_failure(factor, status, 1);
    }
    *standing = shampoo_good;
    *outcome = SHAMPOO_DECOMPOSED;
    return PLUMB_OK;
}
