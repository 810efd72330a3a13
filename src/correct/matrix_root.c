/*
 * Eigenvalues, damping and bias of one matrix root (see matrix_root.h). The products of matrices
 * are src/linalg's.
 */
#include "correct/matrix_root.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "linalg/inverse_root.h"
#include "linalg/spectrum.h"

static int64_t scratch_elements(int64_t n)
{
    int64_t lapack = spectrum_doubles(n);
    int64_t products = inverse_root_scratch(n);
    return lapack > products ? lapack : products;
}

static plumb_status allocate(matrix_root *m)
{
    int64_t n = m->n;
    PROPAGATE(memory_allocate(n, sizeof(double), &m->values));
    PROPAGATE(memory_allocate(n, sizeof(double), &m->undamped));
    PROPAGATE(memory_allocate(n, sizeof(double), &m->diagonal));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &m->vectors));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &m->bias));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &m->rotated));
    PROPAGATE(memory_allocate(scratch_elements(n), sizeof(double), &m->scratch));
    return memory_allocate(spectrum_integers(n), sizeof(int), &m->integers);
}

plumb_status matrix_root_create(int64_t n, int root, matrix_root *m)
{
    *m = (matrix_root){.n = n, .root = root};
    REQUIRE(n >= 1 && n <= SPECTRUM_MAX_SIDE, PLUMB_ERROR_ARGUMENT,
            "the root of a %lld x %lld matrix: the side must be in 1..%d", (long long)n,
            (long long)n, SPECTRUM_MAX_SIDE);
    REQUIRE(root >= 1, PLUMB_ERROR_ARGUMENT, "root is %d: it must be positive", root);
    plumb_status status = allocate(m);
    if (status != PLUMB_OK) {
        matrix_root_free(m);
    }
    return status;
}

void matrix_root_free(matrix_root *m)
{
    memory_free(&m->values);
    memory_free(&m->undamped);
    memory_free(&m->diagonal);
    memory_free(&m->vectors);
    memory_free(&m->bias);
    memory_free(&m->rotated);
    memory_free(&m->scratch);
    memory_free(&m->integers);
}

static plumb_status damp(matrix_root *m, double damping, double relative_damping)
{
    double smallest = m->values[0], largest = m->values[m->n - 1];
    double rounding = (double)m->n * DBL_EPSILON * fmax(fabs(smallest), fabs(largest));
    m->damping = damping + relative_damping * fmax(largest, 0.0);
    for (int64_t i = 0; i < m->n; i++) {
        double value = fabs(m->values[i]) <= rounding ? 0.0 : m->values[i];
        m->values[i] = value + m->damping;
        m->undamped[i] = value > 0.0 ? value : 0.0;
    }
    REQUIRE(m->values[0] > 0.0 && isfinite(m->values[m->n - 1]), PLUMB_ERROR_NUMERICAL,
            "no root of a %lld x %lld matrix: its eigenvalues are from %g to %g, plus damping %g",
            (long long)m->n, (long long)m->n, smallest, largest, m->damping);
    return PLUMB_OK;
}

plumb_status matrix_root_set(matrix_root *m, const double *statistic, double damping,
                             double relative_damping)
{
    matrix_root_clear_bias(m);
    PROPAGATE(spectrum_compute_in(m->n, statistic, m->values, m->vectors, m->scratch, m->integers));
    return damp(m, damping, relative_damping);
}

void matrix_root_clear_bias(matrix_root *m)
{
    m->bias_kind = MATRIX_ROOT_NO_BIAS;
}

void matrix_root_add_deviation(matrix_root *m, const double *deviation, double weight)
{
    if (m->bias_kind != MATRIX_ROOT_FULL_BIAS) {
        memset(m->bias, 0, (size_t)(m->n * m->n) * sizeof(double));
        m->bias_kind = MATRIX_ROOT_FULL_BIAS;
    }
    spectrum_rotate(m->n, m->vectors, deviation, m->scratch, m->rotated);
    inverse_root_add_second_order(m->n, m->root, m->values, m->rotated, weight, m->scratch,
                                  m->bias);
}

/* Ratios to the i-th base a_i keep it in range: f[i,k,i] scales as a_i^-1 lambda_i^-2. */
static double wishart_bias(const matrix_root *m, const double *bases, int64_t i)
{
    double sum = 0.0;
    double share = m->undamped[i] / m->values[i];
    for (int64_t k = 0; k < m->n; k++) {
        double difference = inverse_root_second(m->root, 1.0, bases[k] / bases[i], 1.0);
        sum += difference * share * (m->undamped[k] / m->values[i]);
    }
    return (sum + inverse_root_second(m->root, 1.0, 1.0, 1.0) * share * share) / bases[i];
}

void matrix_root_wishart(matrix_root *m, double samples)
{
    double *bases = m->scratch;
    for (int64_t i = 0; i < m->n; i++) {
        bases[i] = inverse_root_base(m->root, m->values[i]);
    }
    for (int64_t i = 0; i < m->n; i++) {
        m->diagonal[i] = wishart_bias(m, bases, i) / samples;
    }
    m->bias_kind = MATRIX_ROOT_DIAGONAL_BIAS;
}

void matrix_root_third_order(matrix_root *m, int64_t samples)
{
    m->third = inverse_root_third_order(m->root, samples);
}

void matrix_root_plain(matrix_root *m, double *root)
{
    inverse_root_from_spectrum(m->n, m->root, m->values, m->vectors, m->scratch, root);
}

/* The form of matrix_root_corrected for one eigenvalue: 1 / (a + a b a). */
static void correct_diagonal(matrix_root *m, double *root)
{
    double *corrected = m->rotated;
    for (int64_t i = 0; i < m->n; i++) {
        double base = inverse_root_base(m->root, m->values[i]);
        corrected[i] = 1.0 / (base * (1.0 + base * m->diagonal[i]));
    }
    spectrum_rebuild(m->n, m->vectors, corrected, m->scratch, root);
}

plumb_status matrix_root_corrected(matrix_root *m, double *root)
{
    switch (m->bias_kind) {
    case MATRIX_ROOT_NO_BIAS:
        matrix_root_plain(m, root);
        return PLUMB_OK;
    case MATRIX_ROOT_DIAGONAL_BIAS:
        correct_diagonal(m, root);
        return PLUMB_OK;
    case MATRIX_ROOT_FULL_BIAS:
        return inverse_root_without_bias(m->n, m->root, m->values, m->vectors, m->bias, m->third,
                                         m->scratch, root);
    }
    return error_raise(PLUMB_ERROR_INTERNAL, "no bias of kind %d", (int)m->bias_kind);
}

void matrix_root_paper_diagonal(matrix_root *m, const double *variance, double upper_clip,
                                double *root)
{
    double *corrected = m->rotated;
    double inverse = 1.0 / (double)m->root;
    double coefficient = 0.5 * inverse * (inverse + 1.0);
    for (int64_t k = 0; k < m->n; k++) {
        double plain = 1.0 / inverse_root_base(m->root, m->values[k]);
        double relative = variance[k] / m->values[k] / m->values[k];
        double value = fmax(plain - coefficient * plain * relative, 0.0);
        corrected[k] = upper_clip > 0.0 ? fmin(value, upper_clip) : value;
    }
    spectrum_rebuild(m->n, m->vectors, corrected, m->scratch, root);
}

void matrix_root_rayleigh(matrix_root *m, const double *sample, double *estimates)
{
    spectrum_rayleigh(m->n, m->vectors, sample, m->scratch, estimates);
}
