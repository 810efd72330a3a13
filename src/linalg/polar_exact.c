/*
 * The polar factor to single precision without a singular value decomposition, in two stages, each
 * a function of a Gram matrix:
 *
 *     X = G f1(G'G)   in double: singular values from 1e-7 of the largest up to it go to [0.47,
 *     1.53], W = X f2(X'X)   in single precision: these go to 1 within 1e-7.
 *
 * Both f are Zolotarev's approximations of x^(-1/2). The products of 32-bit floats are exact in
 * double, so that G'G keeps singular values down to 1e-8 of the largest; after the first stage the
 * condition number is 3, and single precision does.
 *
 * The same first stage by itself, with a shift, is the fast form for a delta so small that a Gram
 * matrix in single precision does not carry it.
 */
#include <cblas.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/polar_blocks.h"
#include "linalg/polar_fast.h"
#include "linalg/polar_methods.h"
#include "linalg/positive_inverse.h"

/* How far the estimate of the largest eigenvalue may lie below it. */
static const double MARGIN = 1.08;

/* Shifts from here on leave a condition that Gauss-Jordan elimination in double takes. */
static const double LEAST_CONDITIONED_SHIFT = 1e-4;

/* The first stage's interval, the margin taken off, and its poles where the condition asks for all
 * of them; what the second's interval leaves to rounding beyond the band of the first, and its
 * error. */
static const double FIRST_LOWEST = 0.9e-7;
static const double SLACK = 0.02, SECOND_ERROR = 1.6e-7;
enum { FIRST_POLES = 3 };

/* Purifications of a projection: each squares what is small and stretches what is undecided. */
enum { MOST_PURIFICATIONS = 24 };
static const float PURE = 1e-6f;

/* One piece of memory, as in polar_fast.c. */
typedef struct polar_exact_work {
    polar_blocks blocks;
    int64_t square;    /* side x side */
    double *gram;      /* side x side, and the whole piece */
    double *factor;    /* side x side; its lower triangle until all poles are added */
    double *inverse;   /* side x side, lower triangle */
    double *product;   /* of polar_blocks, in the place of `inverse` */
    double *scratch;   /* of positive_inverse */
    double *block;     /* of polar_blocks, in the place of `scratch` */
    float *projection; /* side x side, if there is a rank tolerance */
} polar_exact_work;

void polar_exact_work_free(polar_problem *problem)
{
    if (problem->exact_work != NULL) {
        memory_free(&problem->exact_work->gram);
        memory_free(&problem->exact_work->projection);
    }
    memory_free(&problem->exact_work);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Up to a cache line. */
static int64_t aligned(int64_t doubles)
{
    return (doubles + 7) / 8 * 8;
}

static plumb_status allocate_parts(bool with_projection, polar_exact_work *w)
{
    int64_t block = polar_blocks_elements(&w->blocks);
    int64_t square = aligned(w->square);
    int64_t inverse = aligned(larger(square, block));
    int64_t scratch = larger(positive_inverse_scratch(w->blocks.side), block);
    PROPAGATE(memory_allocate(2 * square + inverse + scratch, sizeof(double), &w->gram));
    w->factor = w->gram + square;
    w->inverse = w->product = w->factor + square;
    w->scratch = w->block = w->inverse + inverse;
    return memory_allocate(with_projection ? w->square : 0, sizeof(float), &w->projection);
}

plumb_status polar_exact_work_create(polar_problem *problem)
{
    PROPAGATE(memory_zeroed(1, sizeof *problem->exact_work, &problem->exact_work));
    polar_exact_work *w = problem->exact_work;
    w->blocks = polar_blocks_of(problem->rows, problem->cols, 0);
    w->square = (int64_t)w->blocks.side * w->blocks.side;
    plumb_status status = allocate_parts(problem->rank_tolerance > 0.0, w);
    if (status != PLUMB_OK) {
        polar_exact_work_free(problem);
    }
    return status;
}

/* Memory that holds no doubles any more, or not yet. */
static float *as_floats(double *memory)
{
    void *bytes = memory;
    return bytes;
}

VECTOR_CLONES
static void round_to_single(int64_t count, const double *from, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = (float)from[i];
    }
}

VECTOR_CLONES
static void subtract(int64_t count, const float *what, float *from)
{
    for (int64_t i = 0; i < count; i++) {
        from[i] -= what[i];
    }
}

/* gram = G'G; the estimate of its largest eigenvalue. */
static double form_gram(const polar_problem *problem, polar_exact_work *w)
{
    int side = w->blocks.side;
    polar_blocks_gram_double(&w->blocks, problem->matrix, w->block, w->gram);
    float *rounded = as_floats(w->inverse);
    round_to_single(w->square, w->gram, rounded);
    positive_mirror_single(side, rounded);
    return (double)polar_fast_scale_in(side, rounded, as_floats(w->scratch));
}

static plumb_status form_inverse(const partial_fractions *f, double unit, double shift, int pole,
                                 polar_exact_work *w)
{
    int side = w->blocks.side;
    double sum = f->shifts[pole] * unit + shift;
    if (sum >= LEAST_CONDITIONED_SHIFT * unit &&
        positive_inverse_conditioned_double(side, w->gram, sum, w->inverse, w->scratch)) {
        return PLUMB_OK;
    }
    if (!positive_inverse_double(side, w->gram, sum, w->inverse, w->scratch)) {
        return polar_fast_not_positive(pole);
    }
    return PLUMB_OK;
}

static void begin_factor(const partial_fractions *f, double unit, polar_exact_work *w)
{
    positive_begin_double(w->blocks.side, f->constant / sqrt(unit), w->factor);
}

static void add_inverse(const partial_fractions *f, double unit, int pole, polar_exact_work *w)
{
    positive_add_double(w->blocks.side, f->weights[pole] * sqrt(unit), w->inverse, w->factor);
}

/* The poles from `first` on of factor = f(gram + shift I), f(x) about x^(-1/2) for x in `unit` times
 * the interval of f: with them the factor is whole. */
static plumb_status add_poles(const partial_fractions *f, int first, double unit, double shift,
                              polar_exact_work *w)
{
    for (int pole = first; pole < f->poles; pole++) {
        PROPAGATE(form_inverse(f, unit, shift, pole, w));
        add_inverse(f, unit, pole, w);
    }
    positive_mirror_double(w->blocks.side, w->factor);
    return PLUMB_OK;
}

/* A lower bound of the smallest singular value over sqrt(unit): no eigenvalue of the inverse is
 * above its trace. */
static double lowest_value(double unit, const polar_exact_work *w)
{
    double trace = 0.0;
    for (int64_t i = 0; i < w->square; i += w->blocks.side + 1) {
        trace += w->inverse[i];
    }
    return 1.0 / sqrt(unit * trace);
}

/*
 * factor = f1(gram), *error its band. The inverse next to 0 is the first of Zolotarev's poles, and
 * for a gram that turns out to be conditioned well the only one, or one of two, of Newton's.
 */
static plumb_status form_first_factor(double unit, double *error, polar_exact_work *w)
{
    partial_fractions f, newton;
    PROPAGATE(partial_fractions_zolotarev(FIRST_LOWEST, FIRST_POLES, &f));
    PROPAGATE(form_inverse(&f, unit, 0.0, 0, w));
    double lowest = lowest_value(unit, w), most = f.error;
    for (int steps = 2; steps > 0 && lowest > 0.0 && lowest < 1.0; steps--) {
        PROPAGATE(partial_fractions_newton(lowest, steps, &newton));
        f = newton.error <= most ? newton : f;
    }
    *error = f.error;
    begin_factor(&f, unit, w);
    add_inverse(&f, unit, 0, w);
    return add_poles(&f, 1, unit, 0.0, w);
}

/* The same in single precision for a matrix within `error` of 1, where nothing can fail. */
static plumb_status form_second_factor(double error, const float *gram, float *factor,
                                       float *inverse, float *scratch, int side)
{
    partial_fractions f;
    double lowest = 1.0 - error - SLACK, highest = 1.0 + error + SLACK;
    double unit = highest * highest;
    PROPAGATE(partial_fractions_zolotarev_within(lowest / highest, SECOND_ERROR, &f));
    positive_begin_single(side, (float)(f.constant / sqrt(unit)), factor);
    for (int pole = 0; pole < f.poles; pole++) {
        REQUIRE(positive_inverse_conditioned(side, gram, (float)(f.shifts[pole] * unit), inverse,
                                             scratch),
                PLUMB_ERROR_INTERNAL, "a shifted matrix of condition 100 has no inverse");
        positive_add_single(side, (float)(f.weights[pole] * sqrt(unit)), inverse, factor);
    }
    positive_mirror_single(side, factor);
    return PLUMB_OK;
}

/* P = 3P^2 - 2P^3 takes eigenvalues below 1/2 to 0 and those above to 1 (McWeeny 1960). */
static void purify(int side, float *projection, float *square, float *result)
{
    int64_t count = (int64_t)side * side;
    for (int step = 0; step < MOST_PURIFICATIONS; step++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, 1.0f, projection,
                    side, projection, side, 0.0f, square, side);
        memcpy(result, square, (size_t)count * sizeof(float));
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, -2.0f, square,
                    side, projection, side, 3.0f, result, side);
        positive_mirror_single(side, result);
        memcpy(projection, result, (size_t)count * sizeof(float));
        subtract(count, square, result);
        if (vector_largest(count, result) < PURE) {
            break;
        }
    }
}

/* projection = that onto the singular values above `cut` times the largest, from
 * x / (x + cut^2) = 1 - cut^2 / (x + cut^2). */
static plumb_status form_projection(double largest, double tolerance, polar_exact_work *w)
{
    int side = w->blocks.side;
    double cut = tolerance * tolerance * largest;
    REQUIRE(positive_inverse_double(side, w->gram, cut, w->inverse, w->scratch),
            PLUMB_ERROR_NUMERICAL, "the Gram matrix with a shift is not positive definite");
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double identity = i == j ? 1.0 : 0.0;
            w->projection[i * side + j] = (float)(identity - cut * w->inverse[i * side + j]);
        }
    }
    positive_mirror_single(side, w->projection);
    purify(side, w->projection, as_floats(w->inverse), as_floats(w->scratch));
    return PLUMB_OK;
}

/* X in the place of the result, its singular values within *error of 1. */
static plumb_status first_stage(const polar_problem *problem, double *error, polar_exact_work *w)
{
    double largest = form_gram(problem, w);
    if (problem->rank_tolerance > 0.0) {
        PROPAGATE(form_projection(largest, problem->rank_tolerance, w));
    }
    PROPAGATE(form_first_factor(MARGIN * largest, error, w));
    polar_blocks_apply_double(&w->blocks, problem->matrix, w->factor, w->block, w->product,
                              problem->polar);
    return PLUMB_OK;
}

/* factor = P factor P; from one side alone, rounding leaves what the factor enlarges. */
static void project(int side, const float *projection, float *product, float *factor)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, 1.0f, factor, side,
                projection, side, 0.0f, product, side);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, 1.0f, projection, side,
                product, side, 0.0f, factor, side);
    positive_mirror_single(side, factor);
}

/* W from X, in place; from here on all memory serves for floats. */
static plumb_status second_stage(const polar_problem *problem, double error, polar_exact_work *w)
{
    int side = w->blocks.side;
    float *gram = as_floats(w->gram), *factor = as_floats(w->factor),
          *inverse = as_floats(w->inverse);
    polar_blocks blocks = w->blocks;
    blocks.exponent = 0;
    polar_blocks_gram(&blocks, problem->polar, as_floats(w->block), gram);
    PROPAGATE(form_second_factor(error, gram, factor, inverse, as_floats(w->scratch), side));
    if (problem->rank_tolerance > 0.0) {
        project(side, w->projection, inverse, factor);
    }
    polar_blocks_apply(&blocks, problem->polar, factor, as_floats(w->block), problem->polar);
    return PLUMB_OK;
}

static plumb_status both_stages(const polar_problem *problem)
{
    polar_exact_work *w = problem->exact_work;
    w->blocks.exponent = problem->prescale.exponent;
    double error;
    PROPAGATE(first_stage(problem, &error, w));
    return second_stage(problem, error, w);
}

plumb_status polar_by_exact(const polar_problem *problem)
{
    if (problem->exact_work != NULL) {
        return both_stages(problem);
    }
    polar_problem alone = *problem;
    PROPAGATE(polar_exact_work_create(&alone));
    plumb_status status = both_stages(&alone);
    polar_exact_work_free(&alone);
    return status;
}

static plumb_status by_fast_double(const polar_problem *problem, const polar_fast *fast)
{
    polar_exact_work *w = problem->exact_work;
    w->blocks.exponent = problem->prescale.exponent;
    double largest = form_gram(problem, w);
    double square = fast->delta * fast->delta;
    double unit = MARGIN * (1.0 + square) * largest;
    begin_factor(&fast->fractions, unit, w);
    PROPAGATE(add_poles(&fast->fractions, 0, unit, square * largest, w));
    float *factor = as_floats(w->inverse);
    round_to_single(w->square, w->factor, factor);
    polar_blocks_apply(&w->blocks, problem->matrix, factor, as_floats(w->block), problem->polar);
    return PLUMB_OK;
}

plumb_status polar_by_fast_double(const polar_problem *problem, const polar_fast *fast)
{
    polar_problem alone = *problem;
    alone.rank_tolerance = 0.0;
    PROPAGATE(polar_exact_work_create(&alone));
    plumb_status status = by_fast_double(&alone, fast);
    polar_exact_work_free(&alone);
    return status;
}
