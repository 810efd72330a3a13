/*
 * The fast polar factor in parts (see polar_panels.h), W = G (G'G + d^2 I)^(-1/2).
 *
 * With t the estimate of the largest eigenvalue of G'G, d = delta sqrt(t), the eigenvalues of
 * A = G'G + d^2 I lie in [delta^2 t, (1 + delta^2) t], and a little above if t is too small. In
 * units of u = MARGIN (1 + delta^2) t they lie in [l^2, 1], where
 *
 *     A^(-1/2) = c/sqrt(u) I + sum a_j sqrt(u) (A + d_j u I)^-1                         
 *     (Zolotarev)
 *
 * within the error of the partial fractions. Only singular values of about d and less come to lie
 * at the lower end, where W is small itself: so the fractions begin FIRST_EIGENVALUE times higher
 * than the spectrum does, which costs less of the band than their error falls. From there down to
 * the spectrum's end the error grows, but s/sqrt(s^2 + d^2) times it stays below that of up to
 * five poles.
 */
#include "linalg/polar_panels.h"

#include <limits.h>
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/polar_blocks.h"
#include "linalg/polar_fast.h"
#include "linalg/polar_prescale.h"
#include "linalg/positive_inverse.h"

/* How far the estimate of the largest eigenvalue may lie below it. */
static const double MARGIN = 1.08;

/* Where the fractions begin, in units of d^2. */
static const double FIRST_EIGENVALUE = 1.2;

/* Elements of a panel that is worth the addition of its Gram matrix; its side over its rows. */
static const int64_t PANEL_ELEMENTS = INT64_C(1) << 19;
enum { SIDE_OF_PANEL_ROWS = 2 };

/* The error of the poles that are chosen if none are asked for, next to a band of 1.3 %. */
static const double DEFAULT_ERROR = 1.26e-2;

/* Shifts from here on leave a condition that Gauss-Jordan elimination takes. */
static const double LEAST_CONDITIONED_SHIFT = 1e-3;

/* The fewest rows whose elements are a multiple of `unit`; cols and unit are positive. */
static int64_t least_common_rows(int64_t cols, int64_t unit)
{
    int64_t rows = 1;
    while (rows < unit && rows * cols % unit != 0) {
        rows++;
    }
    return rows;
}

/* Rows of all panels but the last. */
static int64_t panel_rows(int64_t rows, int64_t cols, int64_t unit)
{
    int64_t most = POLAR_MOST_PANELS;
    int64_t by_elements = rows * cols / PANEL_ELEMENTS;
    int64_t by_rows = rows * SIDE_OF_PANEL_ROWS / cols;
    int64_t count = by_elements < by_rows ? by_elements : by_rows;
    count = count < most ? count : most;
    if (rows < cols || count <= 1) {
        return rows;
    }
    int64_t multiple = least_common_rows(cols, unit);
    int64_t each = (rows + count - 1) / count;
    return (each + multiple - 1) / multiple * multiple;
}

int polar_panel_count(int64_t rows, int64_t cols, int64_t unit)
{
    int64_t each = panel_rows(rows, cols, unit);
    return (int)((rows + each - 1) / each);
}

int64_t polar_panel_first(int64_t rows, int64_t cols, int64_t unit, int panel)
{
    int64_t first = panel_rows(rows, cols, unit) * panel;
    return first < rows ? first : rows;
}

plumb_status polar_fast_create(int side, double delta, int poles, polar_fast *fast)
{
    delta = delta == 0.0 ? POLAR_DEFAULT_DELTA : delta;
    REQUIRE(side >= 1, PLUMB_ERROR_ARGUMENT, "a side of %d", side);
    REQUIRE(delta >= POLAR_LEAST_DELTA && delta <= 1.0, PLUMB_ERROR_ARGUMENT,
            "delta is %g: it must be 0 or in [%g, 1]", delta, POLAR_LEAST_DELTA);
    *fast = (polar_fast){.side = side, .delta = delta};
    double lowest = delta * sqrt(FIRST_EIGENVALUE / MARGIN / (1.0 + delta * delta));
    if (poles == 0) {
        return partial_fractions_zolotarev_within(lowest, DEFAULT_ERROR, &fast->fractions);
    }
    return partial_fractions_zolotarev(lowest, poles, &fast->fractions);
}

/* u of the estimate t. */
static double unit_of(const polar_fast *fast, float scale)
{
    return MARGIN * (1.0 + fast->delta * fast->delta) * (double)scale;
}

plumb_status polar_panel_exponent(int64_t rows, int side, const float *panel, int *exponent)
{
    polar_prescale prescale;
    PROPAGATE(polar_prescale_find(rows * side, panel, &prescale));
    *exponent = prescale.zero ? INT_MIN : prescale.exponent;
    return PLUMB_OK;
}

static polar_blocks blocks_of_panel(int64_t rows, int side, int exponent)
{
    return (polar_blocks){.longer = (int)rows, .side = side, .exponent = exponent};
}

static plumb_status check_panel(int64_t rows, int side)
{
    REQUIRE(rows >= 1 && rows <= INT_MAX && side >= 1, PLUMB_ERROR_ARGUMENT, "a panel of %lld x %d",
            (long long)rows, side);
    return PLUMB_OK;
}

plumb_status polar_panel_gram(int64_t rows, int side, const float *panel, int exponent, float *gram)
{
    PROPAGATE(check_panel(rows, side));
    polar_blocks blocks = blocks_of_panel(rows, side, exponent == INT_MIN ? 0 : exponent);
    float *block;
    PROPAGATE(memory_allocate(polar_blocks_elements(&blocks), sizeof(float), &block));
    polar_blocks_gram(&blocks, panel, block, gram);
    positive_mirror_single(side, gram);
    memory_free(&block);
    return PLUMB_OK;
}

plumb_status polar_fast_scale(const polar_fast *fast, const float *gram, float *scale)
{
    float *scratch;
    PROPAGATE(memory_allocate(polar_fast_scale_scratch(fast->side), sizeof(float), &scratch));
    *scale = polar_fast_scale_in(fast->side, gram, scratch);
    memory_free(&scratch);
    return PLUMB_OK;
}

bool polar_fast_invert(const polar_fast *fast, const float *gram, float scale, int pole,
                       float *inverse, float *scratch)
{
    double unit = unit_of(fast, scale);
    double shift = fast->fractions.shifts[pole] * unit + fast->delta * fast->delta * (double)scale;
    if (shift >= LEAST_CONDITIONED_SHIFT * unit &&
        positive_inverse_conditioned(fast->side, gram, (float)shift, inverse, scratch)) {
        return true;
    }
    return positive_inverse_single(fast->side, gram, (float)shift, inverse, scratch);
}

float polar_fast_weight(const polar_fast *fast, float scale, int pole)
{
    return (float)(fast->fractions.weights[pole] * sqrt(unit_of(fast, scale)));
}

plumb_status polar_fast_not_positive(int pole)
{
    return error_raise(PLUMB_ERROR_NUMERICAL,
                       "the Gram matrix with the shift of pole %d is not positive definite", pole);
}

plumb_status polar_fast_pole(const polar_fast *fast, const float *gram, float scale, int pole,
                             float *inverse)
{
    float *scratch;
    int64_t side = fast->side;
    PROPAGATE(memory_allocate(positive_inverse_scratch(fast->side), sizeof(float), &scratch));
    bool inverted = polar_fast_invert(fast, gram, scale, pole, inverse, scratch);
    memory_free(&scratch);
    if (!inverted) {
        return polar_fast_not_positive(pole);
    }
    float weight = polar_fast_weight(fast, scale, pole);
    for (int64_t i = 0; i < side; i++) {
        vector_scale(i + 1, weight, inverse + i * side, inverse + i * side);
    }
    return PLUMB_OK;
}

void polar_fast_begin_factor(const polar_fast *fast, float scale, float *factor)
{
    double constant = fast->fractions.constant / sqrt(unit_of(fast, scale));
    positive_begin_single(fast->side, (float)constant, factor);
}

void polar_fast_add_pole(const polar_fast *fast, const float *inverse, float *factor)
{
    positive_add_single(fast->side, 1.0f, inverse, factor);
}

void polar_fast_end_factor(const polar_fast *fast, float *factor)
{
    positive_mirror_single(fast->side, factor);
}

plumb_status polar_panel_apply(int64_t rows, int side, const float *panel, int exponent,
                               const float *factor, float *result)
{
    PROPAGATE(check_panel(rows, side));
    polar_blocks blocks = blocks_of_panel(rows, side, exponent == INT_MIN ? 0 : exponent);
    float *block;
    PROPAGATE(memory_allocate(polar_blocks_elements(&blocks), sizeof(float), &block));
    polar_blocks_apply(&blocks, panel, factor, block, result);
    memory_free(&block);
    return PLUMB_OK;
}
