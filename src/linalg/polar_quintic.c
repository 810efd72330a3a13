/*
 * The quintic iteration (see polar_quintic.h), with A = X X' (or X' X if that is smaller):
 *
 *     B = cubic A + quintic A A        X = linear X + B X   (or X B)
 *
 * as K. Jordan's Muon (2024) writes it: full products, no use of symmetry. With half products one
 * triangle of A and of B is computed and mirrored. All operands of BLAS lie in memory of our own,
 * aligned the same way in every run and on every rank.
 */
#include "linalg/polar_quintic.h"

#include <cblas.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/vector.h"
#include "linalg/positive_inverse.h"

/* Below this side a half product is slower than the whole one. */
enum { LEAST_HALF_PRODUCT = 128 };

typedef struct iterate {
    int rows, cols, side; /* side = min(rows, cols) */
    bool halves;          /* half products */
    int64_t count;        /* rows * cols */
    float *current;       /* X, rows x cols */
    float *next;          /* rows x cols */
    float *gram;          /* A, side x side */
    float *polynomial;    /* B, side x side */
} iterate;

static void iterate_free(iterate *x)
{
    memory_free(&x->current);
    memory_free(&x->next);
    memory_free(&x->gram);
    memory_free(&x->polynomial);
}

static plumb_status iterate_allocate(const polar_problem *problem, iterate *x)
{
    *x = (iterate){.rows = problem->rows, .cols = problem->cols};
    x->side = x->rows < x->cols ? x->rows : x->cols;
    x->count = (int64_t)x->rows * x->cols;
    int64_t square = (int64_t)x->side * x->side;
    plumb_status status = memory_allocate(x->count, sizeof(float), &x->current);
    if (status == PLUMB_OK) {
        status = memory_allocate(x->count, sizeof(float), &x->next);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(square, sizeof(float), &x->gram);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(square, sizeof(float), &x->polynomial);
    }
    if (status != PLUMB_OK) {
        iterate_free(x);
    }
    return status;
}

/* X0 = G/|G|_F. After the prescale the norm lies in [1/2, sqrt(count)): no epsilon is needed. */
static void iterate_start(const polar_problem *problem, iterate *x)
{
    polar_prescale_single(x->count, problem->matrix, problem->prescale, x->current);
    float norm = (float)sqrt(vector_sum_squares(x->count, x->current));
    vector_divide(x->count, norm, x->current, x->current);
}

static void form_half_gram(const iterate *x)
{
    bool wide = x->rows <= x->cols;
    cblas_ssyrk(CblasRowMajor, CblasLower, wide ? CblasNoTrans : CblasTrans, x->side,
                wide ? x->cols : x->rows, 1.0f, x->current, x->cols, 0.0f, x->gram, x->side);
    positive_mirror_single(x->side, x->gram);
}

static void form_gram(const iterate *x)
{
    const float *X = x->current;
    if (x->halves) {
        form_half_gram(x);
    } else if (x->rows <= x->cols) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, x->side, x->side, x->cols, 1.0f, X,
                    x->cols, X, x->cols, 0.0f, x->gram, x->side);
    } else {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, x->side, x->side, x->rows, 1.0f, X,
                    x->cols, X, x->cols, 0.0f, x->gram, x->side);
    }
}

static void form_polynomial(const iterate *x, quintic p)
{
    memcpy(x->polynomial, x->gram, (size_t)x->side * (size_t)x->side * sizeof(float));
    if (x->halves) {
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, x->side, x->side, p.quintic, x->gram,
                    x->side, p.cubic, x->polynomial, x->side);
        positive_mirror_single(x->side, x->polynomial);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, x->side, x->side, x->side, p.quintic,
                x->gram, x->side, x->gram, x->side, p.cubic, x->polynomial, x->side);
}

static void form_next(const iterate *x, quintic p)
{
    bool wide = x->rows <= x->cols;
    const float *left = wide ? x->polynomial : x->current;
    const float *right = wide ? x->current : x->polynomial;
    memcpy(x->next, x->current, (size_t)x->count * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, x->rows, x->cols, x->side, 1.0f, left,
                x->side, right, x->cols, p.linear, x->next, x->cols);
}

static void iterate_step(iterate *x, quintic p)
{
    form_gram(x);
    form_polynomial(x, p);
    form_next(x, p);
    float *old = x->current;
    x->current = x->next;
    x->next = old;
}

plumb_status polar_by_quintics(const polar_problem *problem, quintic_schedule schedule,
                               quintic_products products)
{
    iterate x;
    plumb_status status = iterate_allocate(problem, &x);
    if (status != PLUMB_OK) {
        return status;
    }
    x.halves = products == QUINTIC_HALF_PRODUCTS && x.side >= LEAST_HALF_PRODUCT;
    iterate_start(problem, &x);
    for (int step = 0; step < problem->steps; step++) {
        iterate_step(&x, schedule(step));
    }
    memcpy(problem->polar, x.current, (size_t)x.count * sizeof(float));
    iterate_free(&x);
    return PLUMB_OK;
}
