/*
 * The expansion of polar factors (see polar_expansion.h): per displacement two products with the
 * long side for M and N, one each for N'N and N C, and three of the short side.
 */
#include "linalg/polar_expansion.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "linalg/polar.h"
#include "linalg/thin_svd.h"

/* Singular values of a float matrix that are this small are mostly its rounding. */
static const double smallest_value = 1e-6;

/* What one displacement needs, in `work`. */
typedef struct displacement {
    double *moved; /* longer x shorter: D, later N C */
    double *apart; /* longer x shorter: D V, later N */
    double *along; /* the rest shorter x shorter: M */
    double *angle; /* O */
    double *gram;  /* N'N */
    double *angle_squared;
    double *mixed;  /* M'O + OM */
    double *turned; /* C */
} displacement;

enum { SMALL_WORK = 6 }; /* shorter x shorter pieces of it */

static displacement displacement_of(const polar_expansion *e)
{
    int64_t large = (int64_t)e->longer * e->shorter;
    int64_t small = (int64_t)e->shorter * e->shorter;
    double *pieces = e->work + 2 * large;
    return (displacement){e->work,
                          e->work + large,
                          pieces,
                          pieces + small,
                          pieces + 2 * small,
                          pieces + 3 * small,
                          pieces + 4 * small,
                          pieces + 5 * small};
}

void polar_expansion_free(polar_expansion *expansion)
{
    memory_free(&expansion->frame);
    memory_free(&expansion->values);
    memory_free(&expansion->turn);
    memory_free(&expansion->inside);
    memory_free(&expansion->beside);
    memory_free(&expansion->work);
}

static plumb_status allocate(polar_expansion *e)
{
    int64_t large = (int64_t)e->longer * e->shorter;
    int64_t small = (int64_t)e->shorter * e->shorter;
    PROPAGATE(memory_allocate(large, sizeof(double), &e->frame));
    PROPAGATE(memory_allocate(e->shorter, sizeof(double), &e->values));
    PROPAGATE(memory_allocate(small, sizeof(double), &e->turn));
    PROPAGATE(memory_zeroed(small, sizeof(double), &e->inside));
    PROPAGATE(memory_zeroed(large, sizeof(double), &e->beside));
    return memory_allocate(2 * large + SMALL_WORK * small, sizeof(double), &e->work);
}

/* to (cols x rows) = from' */
static void transpose(int64_t rows, int64_t cols, const double *from, double *to)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            to[j * rows + i] = from[i * cols + j];
        }
    }
}

/* U S V' of the matrix, or V S U' of its transpose. */
static plumb_status decompose(polar_expansion *e, const float *matrix)
{
    thin_svd svd;
    size_t small = (size_t)e->shorter * (size_t)e->shorter * sizeof(double);
    PROPAGATE(thin_svd_compute(e->rows, e->cols, matrix, e->prescale, &svd));
    memcpy(e->values, svd.values, (size_t)e->shorter * sizeof(double));
    if (e->rows >= e->cols) {
        memcpy(e->frame, svd.left, (size_t)e->longer * (size_t)e->shorter * sizeof(double));
        memcpy(e->turn, svd.right, small);
    } else {
        transpose(e->shorter, e->longer, svd.right, e->frame);
        transpose(e->shorter, e->shorter, svd.left, e->turn);
    }
    thin_svd_free(&svd);
    return PLUMB_OK;
}

plumb_status polar_expansion_create(int64_t rows, int64_t cols, const float *matrix,
                                    polar_expansion *expansion)
{
    int64_t longer = rows > cols ? rows : cols;
    *expansion = (polar_expansion){.rows = (int)rows,
                                   .cols = (int)cols,
                                   .longer = (int)longer,
                                   .shorter = (int)(rows + cols - longer)};
    PROPAGATE(polar_prescale_find(rows * cols, matrix, &expansion->prescale));
    plumb_status status = allocate(expansion);
    if (status == PLUMB_OK) {
        status = decompose(expansion, matrix);
    }
    if (status != PLUMB_OK) {
        polar_expansion_free(expansion);
    }
    return status;
}

bool polar_expansion_regular(const polar_expansion *expansion)
{
    return expansion->values[expansion->shorter - 1] > smallest_value * expansion->values[0];
}

/* result (m x n) = scale result + left (m x k) right (k x n), with left or right transposed. */
static void product(int m, int n, int k, const double *left, CBLAS_TRANSPOSE turn_left,
                    const double *right, CBLAS_TRANSPOSE turn_right, double factor, double scale,
                    double *result)
{
    cblas_dgemm(CblasRowMajor, turn_left, turn_right, m, n, k, factor, left,
                turn_left == CblasTrans ? m : k, right, turn_right == CblasTrans ? k : n, scale,
                result, n);
}

/* D in the tall form and the units of the prescaled matrix. */
static void displace(const polar_expansion *e, const float *displaced, const float *origin,
                     double *moved)
{
    double factor = ldexp(1.0, -e->prescale.exponent);
    int64_t rows = e->rows, cols = e->cols;
    bool tall = rows >= cols;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            int64_t from = i * cols + j;
            moved[tall ? from : j * rows + i] =
                factor * ((double)displaced[from] - (double)origin[from]);
        }
    }
}

/* M, N and O. */
static void project(const polar_expansion *e, const float *displaced, const float *origin,
                    const displacement *d)
{
    int m = e->longer, n = e->shorter;
    displace(e, displaced, origin, d->moved);
    product(m, n, n, d->moved, CblasNoTrans, e->turn, CblasTrans, 1.0, 0.0, d->apart);
    product(n, n, m, e->frame, CblasTrans, d->apart, CblasNoTrans, 1.0, 0.0, d->along);
    product(m, n, n, e->frame, CblasNoTrans, d->along, CblasNoTrans, -1.0, 1.0, d->apart);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            d->angle[i * n + j] =
                (d->along[i * n + j] - d->along[j * n + i]) / (e->values[i] + e->values[j]);
        }
    }
}

void polar_expansion_add_first(polar_expansion *expansion, const float *displaced,
                               const float *origin)
{
    displacement d = displacement_of(expansion);
    int64_t m = expansion->longer, n = expansion->shorter;
    project(expansion, displaced, origin, &d);
    for (int64_t i = 0; i < n * n; i++) {
        expansion->inside[i] += d.angle[i];
    }
    for (int64_t i = 0; i < m * n; i++) {
        expansion->beside[i] += d.apart[i] / expansion->values[i % n];
    }
}

/* X is added to `inside`, and C formed. */
static void combine(polar_expansion *e, const displacement *d)
{
    const double *s = e->values;
    int64_t n = e->shorter;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            int64_t at = i * n + j;
            double sum = s[i] + s[j];
            double t = 0.5 * (d->angle_squared[at] - d->gram[at] / (s[i] * s[j]));
            double turned =
                d->mixed[at] + d->gram[at] * (1.0 / s[j] - 1.0 / s[i]) - t * (s[j] - s[i]);
            e->inside[at] += t - turned / sum;
            d->turned[at] =
                (s[i] * d->along[at] + s[j] * d->along[j * n + i]) / (s[i] * s[j] * sum);
        }
    }
}

void polar_expansion_add_second(polar_expansion *expansion, const float *displaced,
                                const float *origin)
{
    displacement d = displacement_of(expansion);
    int m = expansion->longer, n = expansion->shorter;
    project(expansion, displaced, origin, &d);
    product(n, n, m, d.apart, CblasTrans, d.apart, CblasNoTrans, 1.0, 0.0, d.gram);
    product(n, n, n, d.angle, CblasNoTrans, d.angle, CblasNoTrans, 1.0, 0.0, d.angle_squared);
    product(n, n, n, d.along, CblasTrans, d.angle, CblasNoTrans, 1.0, 0.0, d.mixed);
    product(n, n, n, d.angle, CblasNoTrans, d.along, CblasNoTrans, 1.0, 1.0, d.mixed);
    combine(expansion, &d);
    product(m, n, n, d.apart, CblasNoTrans, d.turned, CblasNoTrans, -1.0, 1.0, expansion->beside);
}

/* The two parts are orthogonal to each other, and V' changes no norm. */
double polar_expansion_norm(const polar_expansion *expansion)
{
    int64_t small = (int64_t)expansion->shorter * expansion->shorter;
    int64_t large = (int64_t)expansion->longer * expansion->shorter;
    double squares = 0.0;
    for (int64_t i = 0; i < small; i++) {
        squares += expansion->inside[i] * expansion->inside[i];
    }
    for (int64_t i = 0; i < large; i++) {
        squares += expansion->beside[i] * expansion->beside[i];
    }
    return sqrt(squares);
}

void polar_expansion_split(const polar_expansion *expansion, double *tangent, double *normal)
{
    int64_t n = expansion->shorter, large = (int64_t)expansion->longer * n;
    *tangent = 0.0;
    *normal = 0.0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            double one = expansion->inside[i * n + j], other = expansion->inside[j * n + i];
            *tangent += 0.25 * (one - other) * (one - other);
            *normal += 0.25 * (one + other) * (one + other);
        }
    }
    for (int64_t i = 0; i < large; i++) {
        *tangent += expansion->beside[i] * expansion->beside[i];
    }
}

void polar_expansion_result(polar_expansion *expansion, double factor, double weight,
                            double *result)
{
    int m = expansion->longer, n = expansion->shorter;
    displacement d = displacement_of(expansion);
    for (int64_t i = 0; i < (int64_t)n * n; i++) {
        d.along[i] = weight * expansion->inside[i] + (i % (n + 1) == 0 ? factor : 0.0);
    }
    memcpy(d.apart, expansion->beside, (size_t)m * (size_t)n * sizeof(double));
    product(m, n, n, expansion->frame, CblasNoTrans, d.along, CblasNoTrans, 1.0, weight, d.apart);
    bool tall = expansion->rows >= expansion->cols;
    product(m, n, n, d.apart, CblasNoTrans, expansion->turn, CblasNoTrans, 1.0, 0.0,
            tall ? result : d.moved);
    if (!tall) {
        transpose(m, n, d.moved, result);
    }
}

/* Double precision runs at half the speed of the model of polar_cost. */
double polar_expansion_cost(int64_t rows, int64_t cols, int count)
{
    static const double FLOPS_PER_SECOND = 25e9;
    double side = (double)(rows < cols ? rows : cols);
    double long_product = 2.0 * (double)rows * (double)cols * side;
    double each = 5.0 * long_product + 6.0 * side * side * side;
    return polar_cost(PLUMB_POLAR_SVD, 0, rows, cols) + (double)count * each / FLOPS_PER_SECOND;
}
