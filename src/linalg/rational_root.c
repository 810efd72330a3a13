/*
 * Inverse roots by rational functions (see rational_root.h). With the matrix scaled to eigenvalues
 * s [1/condition, 1], and x^(-1/r) = c + sum a_j / (x + d_j) on that interval without the s,
 *
 *     A^(-1/r) = s^(-1/r) (c I + sum a_j s (A + d_j s I)^-1),
 *
 * one inverse a pole, added from the last pole to the first. In single precision an inverse is as
 * wrong as its matrix is ill-conditioned, which the smallest shifts leave it. How wrong, norms of
 * matrix and inverse tell afterwards: a pole that may have lost more than half of the tolerance is
 * done again by the next better of three ways, and those of smaller shifts start with that one.
 */
#include "linalg/rational_root.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/partial_fractions.h"
#include "linalg/polar_fast.h"
#include "linalg/positive_inverse.h"
#include "linalg/spectrum.h"

/*
 * Errors of the three ways to invert, measured for sides to 1024, conditions to 1e8, and spectra
 * that are even in the logarithm, in two heaps, or flat but for one eigenvalue: with an inverse B
 * of A and Frobenius norms, a Cholesky factor in single precision leaves an error in B of
 *
 *     SINGLE_ERROR n^(1/4) |A| |B|^2 / n
 *
 * within a factor of two, as errors in A that know nothing of B would. Gauss-Jordan elimination
 * leaves up to eight times as much, the more the worse the condition is.
 */
static const double SINGLE_ERROR = 4.5e-8;
static const double ELIMINATION_LOSS = 1.0 / 20.0, MOST_LOSS = 8.0;

/* Conditions beyond which elimination, and single precision, are not even tried. */
static const double MOST_ELIMINATED = 350.0, MOST_SINGLE = 1e6;

/* Of the tolerance: what a pole may add to the error by rounding. */
static const double SHARE_OF_TOLERANCE = 0.5;

/* The estimate of the largest eigenvalue may be too low or too high by about this much. */
static const double MARGIN = 1.01;

/* Its power of two has an inverse among the doubles; a multiple of 4. */
enum { LEAST_EXPONENT = -1020 };

typedef enum precision { ELIMINATED_SINGLE, CHOLESKY_SINGLE, CHOLESKY_DOUBLE } precision;

typedef struct work {
    const rational_root_form *form;
    const double *matrix;
    int n;
    int exponent;                /* what follows is of 2^-exponent of the matrix; a multiple of 4 */
    double damping, scale, norm; /* norm: of the matrix, Frobenius */
    double lowest;               /* end of the interval */
    partial_fractions f;
    precision way;  /* of the pole at hand; smaller shifts are not inverted by less */
    float *single;  /* n x n: the matrix, damping not included */
    float *inverse; /* n x n, lower triangle */
    float *sum;     /* n x n, lower triangle: poles from the last to the one at hand */
    float *scratch;
    double *double_inverse, *double_scratch; /* NULL until a pole is done in double */
} work;

VECTOR_CLONES
static void convert(int count, double factor, const double *from, float *to)
{
    for (int i = 0; i < count; i++) {
        to[i] = (float)(factor * from[i]);
    }
}

VECTOR_CLONES
static void multiply(int count, double factor, const double *from, double *to)
{
    for (int i = 0; i < count; i++) {
        to[i] = factor * from[i];
    }
}

VECTOR_CLONES
static void deliver_row(int count, double factor, const float *from, double *to)
{
    for (int i = 0; i < count; i++) {
        to[i] = factor * (double)from[i];
    }
}

VECTOR_CLONES
static void add_double_row(int count, double weight, const double *restrict inverse,
                           float *restrict sum)
{
    for (int i = 0; i < count; i++) {
        sum[i] = (float)((double)sum[i] + weight * inverse[i]);
    }
}

/* Magnitudes about 1, by a power of two whose roots are powers of two. */
static void scale_matrix(work *w)
{
    int exponent;
    frexp(fmax(spectrum_largest(w->n, w->matrix), w->form->damping), &exponent);
    exponent = exponent > LEAST_EXPONENT ? exponent : LEAST_EXPONENT;
    w->exponent = exponent - (exponent % 4 + 4) % 4;
    double factor = ldexp(1.0, -w->exponent);
    for (int64_t i = 0; i < w->n; i++) {
        convert((int)i + 1, factor, w->matrix + i * w->n, w->single + i * w->n);
    }
    positive_mirror_single(w->n, w->single);
}

/* Damping and the upper end of the spectrum. */
static plumb_status find_scale(work *w)
{
    double largest = (double)polar_fast_scale_in(w->n, w->single, w->scratch);
    w->damping =
        ldexp(w->form->damping, -w->exponent) + w->form->relative_damping * fmax(largest, 0.0);
    w->scale = MARGIN * (largest + w->damping);
    w->norm = sqrt(vector_sum_squares((int64_t)w->n * w->n, w->single));
    REQUIRE(
        w->scale > 0.0 && w->scale < 1e30, PLUMB_ERROR_NUMERICAL,
        "the largest eigenvalue is about %g and damping %g of a matrix's largest element: there "
        "is no inverse root to single precision",
        largest, w->damping);
    return PLUMB_OK;
}

static plumb_status choose_poles(work *w)
{
    const rational_root_form *form = w->form;
    w->lowest = fmax(1.0 / (MARGIN * MARGIN * fmax(form->condition, 1.0)), 1e-10);
    PROPAGATE(partial_fractions_root_within(form->root, w->lowest, form->tolerance, &w->f));
    REQUIRE(w->f.error <= form->tolerance, PLUMB_ERROR_ARGUMENT,
            "a tolerance of %g at condition %g is more than a sum of %d inverses can do",
            form->tolerance, form->condition, PARTIAL_FRACTIONS_MOST);
    return PLUMB_OK;
}

static double weight_of(const work *w, int pole)
{
    return w->f.weights[pole] * w->scale;
}

static double shift_of(const work *w, int pole)
{
    return w->damping + w->f.shifts[pole] * w->scale;
}

static double condition_of(const work *w, int pole)
{
    return (1.0 + w->f.shifts[pole]) / (w->lowest + w->f.shifts[pole]);
}

/* A lower bound of the norm of a sum of positive definite matrices: tr S / sqrt(n) for what is
 * summed up, and no less than orthogonal to the term that comes. */
static double least_norm(const work *w, double term)
{
    double trace = 0.0;
    for (int64_t i = 0; i < w->n; i++) {
        trace += (double)w->sum[i * w->n + i];
    }
    return hypot(trace / sqrt((double)w->n), term);
}

/* Squared Frobenius norm of the symmetric matrix whose lower triangle the inverse is. */
static double inverse_squares(const work *w)
{
    double diagonal = 0.0, lower = 0.0;
    for (int64_t i = 0; i < w->n; i++) {
        double element = (double)w->inverse[i * w->n + i];
        diagonal += element * element;
        lower += vector_sum_squares(i + 1, w->inverse + i * w->n);
    }
    return 2.0 * lower - diagonal;
}

/* Whether the inverse of this pole may be wrong by more than its share. */
static bool is_spoilt(const work *w, int pole)
{
    double n = (double)w->n, weight = weight_of(w, pole), condition = condition_of(w, pole);
    double loss = SINGLE_ERROR * sqrt(sqrt(n));
    if (w->way == ELIMINATED_SINGLE) {
        loss *= fmin(fmax(1.0, ELIMINATION_LOSS * condition), MOST_LOSS);
    }
    double most = SHARE_OF_TOLERANCE * w->form->tolerance;
    if (loss * condition <= most) {
        return false;
    }
    double squares = inverse_squares(w);
    double error = loss * weight * w->norm * squares / n;
    return !(error <= most * least_norm(w, weight * sqrt(squares)));
}

/* False if there is no inverse, or none that is good enough. */
static bool add_single(work *w, int pole)
{
    int n = w->n;
    float shift = (float)shift_of(w, pole), weight = (float)weight_of(w, pole);
    bool positive = w->way == ELIMINATED_SINGLE
                        ? positive_inverse_conditioned(n, w->single, shift, w->inverse, w->scratch)
                        : positive_inverse_single(n, w->single, shift, w->inverse, w->scratch);
    if (!positive || is_spoilt(w, pole)) {
        return false;
    }
    positive_add_single(n, weight, w->inverse, w->sum);
    return true;
}

static plumb_status add_double(work *w, int pole)
{
    int64_t n = w->n;
    double weight = weight_of(w, pole), factor = ldexp(1.0, -w->exponent);
    if (w->double_inverse == NULL) {
        PROPAGATE(memory_allocate(n * n, sizeof(double), &w->double_inverse));
        PROPAGATE(
            memory_allocate(positive_inverse_scratch(w->n), sizeof(double), &w->double_scratch));
    }
    for (int64_t i = 0; i < n; i++) {
        multiply((int)i + 1, factor, w->matrix + i * n, w->double_inverse + i * n);
    }
    REQUIRE(positive_inverse_double(w->n, w->double_inverse, shift_of(w, pole), w->double_inverse,
                                    w->double_scratch),
            PLUMB_ERROR_NUMERICAL,
            "a matrix is not positive definite with %g of its largest eigenvalue added (damping "
            "%g): it has no inverse root",
            shift_of(w, pole) / w->scale, w->damping / w->scale);
    for (int64_t i = 0; i < n; i++) {
        add_double_row((int)i + 1, weight, w->double_inverse + i * n, w->sum + i * n);
    }
    return PLUMB_OK;
}

/* From the largest shift down. What one pole needs, the next one needs at least. */
static plumb_status add_poles(work *w)
{
    positive_begin_single(w->n, (float)w->f.constant, w->sum);
    w->way = ELIMINATED_SINGLE;
    for (int pole = w->f.poles - 1; pole >= 0; pole--) {
        if (w->way == ELIMINATED_SINGLE && condition_of(w, pole) > MOST_ELIMINATED) {
            w->way = CHOLESKY_SINGLE;
        }
        if (condition_of(w, pole) > MOST_SINGLE) {
            w->way = CHOLESKY_DOUBLE;
        }
        while (w->way != CHOLESKY_DOUBLE && !add_single(w, pole)) {
            w->way++;
        }
        if (w->way == CHOLESKY_DOUBLE) {
            PROPAGATE(add_double(w, pole));
        }
    }
    return PLUMB_OK;
}

/* All that remains is a factor. */
static plumb_status deliver(const work *w, double *result)
{
    double root = (double)w->form->root;
    double factor = ldexp(pow(w->scale, -1.0 / root), -w->exponent / w->form->root);
    float largest = 0.0f;
    for (int64_t i = 0; i < w->n; i++) {
        float diagonal = w->sum[i * w->n + i];
        largest = diagonal <= largest ? largest : diagonal;
    }
    REQUIRE(isfinite(factor * (double)largest), PLUMB_ERROR_NUMERICAL,
            "an inverse root is beyond the range of doubles");
    for (int64_t i = 0; i < w->n; i++) {
        deliver_row((int)i + 1, factor, w->sum + i * w->n, result + i * w->n);
    }
    positive_mirror_double(w->n, result);
    return PLUMB_OK;
}

static plumb_status allocate(work *w)
{
    int64_t count = (int64_t)w->n * w->n, scratch = positive_inverse_scratch(w->n);
    int64_t vectors = polar_fast_scale_scratch(w->n);
    PROPAGATE(memory_allocate(count, sizeof(float), &w->single));
    PROPAGATE(memory_allocate(count, sizeof(float), &w->inverse));
    PROPAGATE(memory_allocate(count, sizeof(float), &w->sum));
    return memory_allocate(scratch > vectors ? scratch : vectors, sizeof(float), &w->scratch);
}

static plumb_status run(work *w, double *result)
{
    PROPAGATE(choose_poles(w));
    PROPAGATE(allocate(w));
    scale_matrix(w);
    PROPAGATE(find_scale(w));
    PROPAGATE(add_poles(w));
    return deliver(w, result);
}

plumb_status rational_root_check_side(int64_t n)
{
    REQUIRE(n >= 1 && n <= SPECTRUM_MAX_SIDE, PLUMB_ERROR_ARGUMENT,
            "the root of a %lld x %lld matrix: the side must be in 1..%d", (long long)n,
            (long long)n, SPECTRUM_MAX_SIDE);
    return PLUMB_OK;
}

plumb_status rational_root(const rational_root_form *form, int64_t n, const double *matrix,
                           double *result)
{
    PROPAGATE(rational_root_check_side(n));
    work w = {.form = form, .matrix = matrix, .n = (int)n};
    plumb_status status = run(&w, result);
    memory_free(&w.single);
    memory_free(&w.inverse);
    memory_free(&w.sum);
    memory_free(&w.scratch);
    memory_free(&w.double_inverse);
    memory_free(&w.double_scratch);
    return status;
}
