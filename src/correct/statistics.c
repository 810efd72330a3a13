/*
 * The loops of the statistics over groups; the formulas stand in the header.
 */
#include "correct/statistics.h"

#include <string.h>

#include "base/vector.h"

statistics_family statistics_family_of(int groups, double noise_floor)
{
    double n = (double)groups;
    if (noise_floor == 0.0) {
        return (statistics_family){groups, 1.0 / n, 0.0};
    }
    return (statistics_family){groups, noise_floor, (noise_floor * n - 1.0) / (n - 1.0)};
}

VECTOR_CLONES
static void add_squares(int64_t count, const float *restrict gradient, const float *restrict mean,
                        double *restrict second)
{
    for (int64_t i = 0; i < count; i++) {
        double d = (double)gradient[i] - (double)mean[i];
        second[i] += d * d;
    }
}

VECTOR_CLONES
static void add_powers(int64_t count, const float *restrict gradient, const float *restrict mean,
                       double *restrict second, double *restrict third, double *restrict fourth)
{
    for (int64_t i = 0; i < count; i++) {
        double d = (double)gradient[i] - (double)mean[i];
        double square = d * d;
        second[i] += square;
        third[i] += square * d;
        fourth[i] += square * square;
    }
}

void statistics_sums_of(int64_t first, int64_t count, statistics_family family,
                        const float *const *gradients, const float *mean, statistics_sums *sums)
{
    memset(sums, 0, sizeof *sums);
    for (int k = 0; k < family.groups; k++) {
        if (family.blend == 0.0) {
            add_squares(count, gradients[k] + first, mean + first, sums->second);
        } else {
            add_powers(count, gradients[k] + first, mean + first, sums->second, sums->third,
                       sums->fourth);
        }
    }
}

VECTOR_CLONES
static void second_elements(int64_t count, double weight, const float *restrict mean,
                            const double *restrict squares, double *restrict second)
{
    for (int64_t i = 0; i < count; i++) {
        double a = (double)mean[i];
        second[i] = a * a + weight * squares[i];
    }
}

void statistics_second(int64_t count, statistics_family family, const float *mean,
                       const statistics_sums *sums, double *second)
{
    second_elements(count, family.blend / (double)family.groups, mean, sums->second, second);
}

typedef struct variance_weights {
    double pairs;   /* 1 / (G (G-1)) */
    double blend;   /* b */
    double squares; /* b^2 / G: sum (d^2 - mean d^2)^2 = sum d^4 - (sum d^2)^2 / G */
    double normal;  /* of (sum d^2)^2: (1 - b^2) 2/G^2 (G-1)/(G+1) / (G-1)^2 */
} variance_weights;

static variance_weights variance_weights_of(statistics_family family)
{
    double n = (double)family.groups;
    double b = family.blend;
    return (variance_weights){
        .pairs = 1.0 / (n * (n - 1.0)),
        .blend = b,
        .squares = b * b / n,
        .normal = (1.0 - b * b) * 2.0 / (n * n * (n - 1.0) * (n + 1.0)),
    };
}

VECTOR_CLONES
static void variance_elements(int64_t count, variance_weights w, const float *restrict mean,
                              const double *restrict second, const double *restrict third,
                              const double *restrict fourth, double *restrict variance)
{
    for (int64_t i = 0; i < count; i++) {
        double twice = 2.0 * (double)mean[i];
        double moved = twice * twice * second[i] + 2.0 * twice * w.blend * third[i] +
                       (w.blend * w.blend * fourth[i] - w.squares * (second[i] * second[i]));
        variance[i] = w.pairs * moved - w.normal * (second[i] * second[i]);
    }
}

void statistics_variance(int64_t count, statistics_family family, const float *mean,
                         const statistics_sums *sums, double *variance)
{
    variance_elements(count, variance_weights_of(family), mean, sums->second, sums->third,
                      sums->fourth, variance);
}

VECTOR_CLONES
static void covariance_elements(int64_t count, double pairs, double blend,
                                const float *restrict mean, const double *restrict second,
                                const double *restrict third, double *restrict covariance)
{
    for (int64_t i = 0; i < count; i++) {
        covariance[i] = pairs * (2.0 * (double)mean[i] * second[i] + blend * third[i]);
    }
}

void statistics_covariance(int64_t count, statistics_family family, const float *mean,
                           const statistics_sums *sums, double *covariance)
{
    covariance_elements(count, variance_weights_of(family).pairs, family.blend, mean, sums->second,
                        sums->third, covariance);
}

/* The mean without g_k is a - d_k / (G-1), the sum of squares S - d_k^2 G/(G-1). */
typedef struct without_weights {
    double mean, squares, spread;
} without_weights;

VECTOR_CLONES
static void without_elements(int64_t count, without_weights w, const float *restrict gradient,
                             const float *restrict mean, const double *restrict squares,
                             double *restrict second)
{
    for (int64_t i = 0; i < count; i++) {
        double d = (double)gradient[i] - (double)mean[i];
        double others = (double)mean[i] - w.mean * d;
        second[i] = others * others + w.spread * (squares[i] - w.squares * (d * d));
    }
}

void statistics_second_without(int64_t count, statistics_family family, const float *gradient,
                               const float *mean, const statistics_sums *sums, double *second)
{
    double others = (double)family.groups - 1.0;
    without_weights weights = {
        .mean = 1.0 / others,
        .squares = (double)family.groups / others,
        .spread = (family.noise_floor - 1.0 / others) / (others - 1.0),
    };
    without_elements(count, weights, gradient, mean, sums->second, second);
}
