/*
 * The leading eigenvalues of the covariance from K gradients: the K x K matrix of the inner
 * products of x_k = sqrt(b_k) (g_k - mean) / sqrt(K-1) has the eigenvalues of sum x_k x_k'.
 *
 * K vectors in many more dimensions inflate each of them by the noise that they share. Yata and
 * Aoshima (2012, "Effective PCA for high-dimension, low-sample-size data with noise reduction via
 * geometric representations") take it away: with eigenvalues l_j in descending order,
 *
 *     reduced_j = l_j - (trace - l_1 - ... - l_j) / (K - 1 - j).
 *
 * Centred inner products come from squared distances, so that equal gradients give exactly zero.
 */
#include <math.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/memory.h"
#include "diagnose/gram.h"
#include "linalg/spectrum.h"

typedef struct centred {
    int64_t count;
    const double *samples;
    double weight;    /* B */
    double *products; /* count x count */
    double *vectors;  /* count x count, eigenvectors in columns */
    double *values;   /* count, ascending */
    double *means;    /* count: mean squared distance of g_k from the others */
} centred;

static void centred_free(centred *c)
{
    memory_free(&c->products);
    memory_free(&c->vectors);
    memory_free(&c->values);
    memory_free(&c->means);
}

static plumb_status centred_allocate(centred *c)
{
    PROPAGATE(memory_allocate(c->count * c->count, sizeof(double), &c->products));
    PROPAGATE(memory_allocate(c->count * c->count, sizeof(double), &c->vectors));
    PROPAGATE(memory_allocate(c->count, sizeof(double), &c->values));
    return memory_allocate(c->count, sizeof(double), &c->means);
}

/* <x_i, x_j> = sqrt(b_i b_j) (means_i + means_j - mean of means - |g_i - g_j|^2) / (2 (K-1)). */
static void form_products(centred *c, const double *gram)
{
    int64_t n = c->count;
    double mean = 0.0;
    c->weight = 0.0;
    for (int64_t k = 0; k < n; k++) {
        c->weight += gram_samples(c->samples, k);
    }
    for (int64_t k = 0; k < n; k++) {
        c->means[k] = 0.0;
        for (int64_t j = 0; j < n; j++) {
            c->means[k] += gram_samples(c->samples, j) / c->weight * gram_distance(n, gram, k, j);
        }
        mean += gram_samples(c->samples, k) / c->weight * c->means[k];
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double scale = sqrt(gram_samples(c->samples, i)) * sqrt(gram_samples(c->samples, j)) /
                           (2.0 * (double)(n - 1));
            double product = c->means[i] + c->means[j] - mean - gram_distance(n, gram, i, j);
            c->products[i * n + j] = scale * product;
        }
    }
}

/* Eigenvalue j in descending order. Rounding below zero is zero. */
static double value_at(const centred *c, int64_t j)
{
    return fmax(c->values[c->count - 1 - j], 0.0);
}

static void write_values(const centred *c, int64_t most, double *eigenvalues, double *reduced)
{
    double rest = 0.0;
    for (int64_t j = 0; j < c->count - 1; j++) {
        rest += value_at(c, c->count - 2 - j);
    }
    for (int64_t j = 0; j < most; j++) {
        bool has_value = j < c->count - 1;
        int64_t others = c->count - 2 - j; /* eigenvalues after this one */
        rest -= has_value ? value_at(c, j) : 0.0;
        if (eigenvalues != NULL) {
            eigenvalues[j] = has_value ? value_at(c, j) : NAN;
        }
        if (reduced != NULL) {
            reduced[j] =
                others > 0 ? fmax(value_at(c, j) - fmax(rest, 0.0) / (double)others, 0.0) : NAN;
        }
    }
}

/*
 * The vector sum_k u_k x_k over its norm sqrt(eigenvalue), as coefficients of the g_k; the one of
 * largest magnitude is positive.
 */
static void write_vector(const centred *c, int64_t j, double *coefficients)
{
    int64_t n = c->count;
    double norm = sqrt(value_at(c, j) * (double)(n - 1));
    double sum = 0.0;
    double largest = 0.0;
    for (int64_t k = 0; k < n; k++) {
        coefficients[k] = c->vectors[k * n + n - 1 - j] * sqrt(gram_samples(c->samples, k)) / norm;
        sum += coefficients[k];
    }
    for (int64_t k = 0; k < n; k++) {
        coefficients[k] -= gram_samples(c->samples, k) / c->weight * sum;
        largest = fabs(coefficients[k]) > fabs(largest) ? coefficients[k] : largest;
    }
    for (int64_t k = 0; k < n && largest < 0.0; k++) {
        coefficients[k] = -coefficients[k];
    }
}

static void write_vectors(const centred *c, int64_t most, double *coefficients)
{
    /* Below it, an eigenvalue is the rounding of larger ones, and its vector is anything. */
    double least = c->count > 1 ? 1e-13 * (double)c->count * value_at(c, 0) : 0.0;
    for (int64_t e = 0; e < most * c->count; e++) {
        coefficients[e] = 0.0;
    }
    for (int64_t j = 0; j < most && j < c->count - 1; j++) {
        if (value_at(c, j) > least) {
            write_vector(c, j, coefficients + j * c->count);
        }
    }
}

static plumb_status run(centred *c, const double *gram, int64_t most, double *eigenvalues,
                        double *reduced, double *coefficients)
{
    PROPAGATE(centred_allocate(c));
    for (int64_t k = 0; k < c->count; k++) {
        c->values[k] = NAN;
    }
    if (c->count > 1) {
        form_products(c, gram);
        PROPAGATE(spectrum_compute(c->count, c->products, c->values, c->vectors));
    }
    write_values(c, most, eigenvalues, reduced);
    if (coefficients != NULL) {
        write_vectors(c, most, coefficients);
    }
    return PLUMB_OK;
}

plumb_status plumb_covariance_spectrum(int64_t count, const double *samples, const double *gram,
                                       int64_t most, double *eigenvalues, double *reduced,
                                       double *coefficients)
{
    centred c = {.count = count, .samples = samples};
    PROPAGATE(gram_check(count, samples, gram));
    REQUIRE(most >= 1, PLUMB_ERROR_ARGUMENT, "%lld eigenvalues are wanted", (long long)most);
    plumb_status status = run(&c, gram, most, eigenvalues, reduced, coefficients);
    centred_free(&c);
    return status;
}
