/*
 * LAPACK's divide and conquer, and QR iteration where that fails (see spectrum.h).
 *
 * LAPACK sees row-major memory as column-major: our lower triangle is its upper one, and its
 * eigenvectors, which stand in columns, come back as our rows and are transposed.
 */
#include "linalg/spectrum.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>

#include "base/error.h"
#include "base/memory.h"

_Static_assert(sizeof(lapack_int) == sizeof(int), "LAPACK counts in 32-bit integers");

int spectrum_faults;

double spectrum_largest(int64_t n, const double *matrix)
{
    double largest = 0.0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double magnitude = fabs(matrix[i * n + j]);
            if (!isfinite(magnitude)) {
                return INFINITY;
            }
            largest = magnitude > largest ? magnitude : largest;
        }
    }
    return largest;
}

void spectrum_mirror(int64_t n, double *matrix)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            matrix[j * n + i] = matrix[i * n + j];
        }
    }
}

static void transpose(int64_t n, double *matrix)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            double below = matrix[i * n + j];
            matrix[i * n + j] = matrix[j * n + i];
            matrix[j * n + i] = below;
        }
    }
}

/* The lower triangle of 2^-exponent matrix. */
static void scale_lower(int64_t n, const double *matrix, int exponent, double *scaled)
{
    double factor = ldexp(1.0, -exponent);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            scaled[i * n + j] = factor * matrix[i * n + j];
        }
    }
}

/* Brings the largest magnitude into [1/2, 1), or near it if the factor would overflow. */
static int find_exponent(double largest)
{
    int exponent = 0;
    frexp(largest, &exponent);
    return exponent < -1000 ? -1000 : exponent;
}

/* The eigenpairs of the lower triangle of `vectors`, vectors as rows; LAPACK's info. */
static lapack_int decompose(int64_t n, double *values, double *vectors, double *doubles,
                            int *integers)
{
    lapack_int side = (lapack_int)n;
    return LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'U', side, vectors, side, values, doubles,
                               (lapack_int)spectrum_doubles(n), integers,
                               (lapack_int)spectrum_integers(n));
}

static lapack_int decompose_slowly(int64_t n, double *values, double *vectors, double *doubles)
{
    lapack_int side = (lapack_int)n;
    return LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'U', side, vectors, side, values, doubles,
                              (lapack_int)spectrum_doubles(n));
}

static plumb_status check(int64_t n, double largest)
{
    REQUIRE(isfinite(largest), PLUMB_ERROR_NONFINITE,
            "a symmetric matrix holds a NaN or an infinity");
    if (spectrum_faults > 0) {
        spectrum_faults--;
        return error_raise(PLUMB_ERROR_NUMERICAL,
                           "the eigenvalues of a %lld x %lld matrix did not converge (injected)",
                           (long long)n, (long long)n);
    }
    return PLUMB_OK;
}

static plumb_status check_side(int64_t n)
{
    REQUIRE(n >= 1 && n <= SPECTRUM_MAX_SIDE, PLUMB_ERROR_ARGUMENT,
            "eigenvalues of a %lld x %lld matrix: the side must be in 1..%d", (long long)n,
            (long long)n, SPECTRUM_MAX_SIDE);
    return PLUMB_OK;
}

plumb_status spectrum_compute_in(int64_t n, const double *matrix, double *values, double *vectors,
                                 double *doubles, int *integers)
{
    PROPAGATE(check_side(n));
    double largest = spectrum_largest(n, matrix);
    PROPAGATE(check(n, largest));
    int exponent = find_exponent(largest);
    scale_lower(n, matrix, exponent, vectors);
    lapack_int info = decompose(n, values, vectors, doubles, integers);
    if (info > 0) {
        scale_lower(n, matrix, exponent, vectors);
        info = decompose_slowly(n, values, vectors, doubles);
    }
    REQUIRE(info <= 0, PLUMB_ERROR_NUMERICAL,
            "the eigenvalues of a %lld x %lld matrix did not converge", (long long)n, (long long)n);
    REQUIRE(info == 0, PLUMB_ERROR_INTERNAL, "LAPACK refused argument %d of an eigenproblem",
            (int)-info);
    transpose(n, vectors);
    for (int64_t i = 0; i < n; i++) {
        values[i] = ldexp(values[i], exponent);
    }
    return PLUMB_OK;
}

plumb_status spectrum_compute(int64_t n, const double *matrix, double *values, double *vectors)
{
    double *doubles = NULL;
    int *integers = NULL;
    PROPAGATE(check_side(n));
    plumb_status status = memory_allocate(spectrum_doubles(n), sizeof *doubles, &doubles);
    if (status == PLUMB_OK) {
        status = memory_allocate(spectrum_integers(n), sizeof *integers, &integers);
    }
    if (status == PLUMB_OK) {
        status = spectrum_compute_in(n, matrix, values, vectors, doubles, integers);
    }
    memory_free(&doubles);
    memory_free(&integers);
    return status;
}

void spectrum_rotate(int64_t n, const double *vectors, const double *matrix, double *scratch,
                     double *rotated)
{
    int side = (int)n;
    cblas_dsymm(CblasRowMajor, CblasLeft, CblasLower, side, side, 1.0, matrix, side, vectors, side,
                0.0, scratch, side);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, side, side, side, 1.0, vectors, side,
                scratch, side, 0.0, rotated, side);
    spectrum_mirror(n, rotated);
}

void spectrum_rotate_back(int64_t n, const double *vectors, const double *rotated, double *scratch,
                          double *matrix)
{
    int side = (int)n;
    cblas_dsymm(CblasRowMajor, CblasRight, CblasLower, side, side, 1.0, rotated, side, vectors,
                side, 0.0, scratch, side);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, side, side, side, 1.0, scratch, side,
                vectors, side, 0.0, matrix, side);
    spectrum_mirror(n, matrix);
}

void spectrum_rayleigh(int64_t n, const double *vectors, const double *matrix, double *scratch,
                       double *diagonal)
{
    int side = (int)n;
    cblas_dsymm(CblasRowMajor, CblasLeft, CblasLower, side, side, 1.0, matrix, side, vectors, side,
                0.0, scratch, side);
    for (int64_t k = 0; k < n; k++) {
        diagonal[k] = 0.0;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < n; k++) {
            diagonal[k] += vectors[i * n + k] * scratch[i * n + k];
        }
    }
}

/* As Y Y' with Y = Q diag(diagonal)^(1/2): half a product, and exactly symmetric. */
void spectrum_rebuild(int64_t n, const double *vectors, const double *diagonal, double *scratch,
                      double *matrix)
{
    int side = (int)n;
    double *weights = matrix; /* free until the product */
    for (int64_t j = 0; j < n; j++) {
        weights[j] = sqrt(diagonal[j]);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            scratch[i * n + j] = vectors[i * n + j] * weights[j];
        }
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, side, side, 1.0, scratch, side, 0.0,
                matrix, side);
    spectrum_mirror(n, matrix);
}

bool spectrum_cholesky(int64_t n, double *matrix)
{
    lapack_int side = (lapack_int)n;
    return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', side, matrix, side) == 0;
}
