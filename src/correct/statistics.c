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
    double pairs;   /* 1 / (n (n-1)) */
    double blend;   /* b */
    double squares; /* b^2 / n: sum (d^2 - mean d^2)^2 = sum d^4 - (sum d^2)^2 / n */
    double normal;  /* of (sum d^2)^2: -w / ((n-1) (n+1)) */
} variance_weights;

/* Of a statistic from n groups, 2 or more. */
static variance_weights variance_weights_of(double n, double c, double b)
{
    double exact = 2.0 * (c * c / n + (1.0 - c) * (1.0 - c) / (n * (n - 1.0)));
    double estimated = (4.0 + 2.0 * b * b * (n - 2.0)) / (n * n);
    return (variance_weights){
        .pairs = 1.0 / (n * (n - 1.0)),
        .blend = b,
        .squares = b * b / n,
        .normal = (estimated - exact) / ((n - 1.0) * (n + 1.0)),
    };
}

static variance_weights variance_weights_of_all(statistics_family family)
{
    return variance_weights_of((double)family.groups, family.noise_floor, family.blend);
}

/* From a mean and sums of the second to fourth powers of deviations from it. */
static inline double variance_at(variance_weights w, double mean, double second, double third,
                                 double fourth)
{
    double twice = 2.0 * mean;
    double moved = twice * twice * second + 2.0 * twice * w.blend * third +
                   (w.blend * w.blend * fourth - w.squares * (second * second));
    return w.pairs * moved - w.normal * (second * second);
}

VECTOR_CLONES
static void variance_elements(int64_t count, variance_weights w, const float *restrict mean,
                              const double *restrict second, const double *restrict third,
                              const double *restrict fourth, double *restrict variance)
{
    for (int64_t i = 0; i < count; i++) {
        variance[i] = variance_at(w, (double)mean[i], second[i], third[i], fourth[i]);
    }
}

void statistics_variance(int64_t count, statistics_family family, const float *mean,
                         const statistics_sums *sums, double *variance)
{
    variance_elements(count, variance_weights_of_all(family), mean, sums->second, sums->third,
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
    double groups = (double)family.groups;
    covariance_elements(count, 1.0 / (groups * (groups - 1.0)), family.blend, mean, sums->second,
                        sums->third, covariance);
}

VECTOR_CLONES
static void add_deviations(int64_t count, const float *restrict gradient,
                           const float *restrict mean, double *restrict deviation)
{
    for (int64_t i = 0; i < count; i++) {
        deviation[i] += (double)gradient[i] - (double)mean[i];
    }
}

void statistics_fold_of(int64_t first, int64_t count, statistics_family family, int folds, int fold,
                        const float *const *gradients, const float *mean, statistics_fold *sums)
{
    int size = family.groups / folds;
    memset(sums, 0, sizeof *sums);
    for (int k = fold * size; k < (fold + 1) * size; k++) {
        const float *gradient = gradients[k] + first;
        add_deviations(count, gradient, mean + first, sums->first);
        if (family.blend == 0.0) {
            add_squares(count, gradient, mean + first, sums->second);
        } else {
            add_powers(count, gradient, mean + first, sums->second, sums->third, sums->fourth);
        }
    }
}

typedef struct others_weights {
    double groups, inverse; /* n and 1/n */
    double spread;          /* of the sum of squares: (c - 1/n) / (n-1) */
    variance_weights variance;
} others_weights;

static others_weights others_weights_of(statistics_family family, int folds)
{
    int size = family.groups / folds;
    double n = (double)(family.groups - size);
    double c = family.noise_floor;
    if (n < 2.0) {
        variance_weights all = variance_weights_of_all(family);
        double scale = (double)family.groups; /* of one group instead of G */
        return (others_weights){
            n, 1.0, 0.0, {scale * all.pairs, all.blend, all.squares, scale * all.normal}};
    }
    double b = (c * n - 1.0) / (n - 1.0);
    return (others_weights){n, 1.0 / n, (c - 1.0 / n) / (n - 1.0),
                            variance_weights_of(n, c, b > 0.0 ? b : 0.0)};
}

/*
 * With t = sum over the fold of d_k / n the others have the mean a - t and deviations d_k + t from
 * it, whose powers are summed by the binomial theorem.
 */
VECTOR_CLONES
static void others_elements(int64_t count, others_weights w, const float *restrict mean,
                            const statistics_sums *restrict sums,
                            const statistics_fold *restrict fold, double *restrict second,
                            double *restrict variance)
{
    for (int64_t i = 0; i < count; i++) {
        double t = fold->first[i] * w.inverse;
        double others = (double)mean[i] - t;
        double left = sums->second[i] - fold->second[i];
        double squares = left - w.groups * (t * t);
        double left_cubes = sums->third[i] - fold->third[i];
        double cubes = left_cubes + t * (3.0 * left - 2.0 * w.groups * (t * t));
        double fourths = sums->fourth[i] - fold->fourth[i] +
                         t * (4.0 * left_cubes + t * (6.0 * left - 3.0 * w.groups * (t * t)));
        second[i] = others * others + w.spread * squares;
        variance[i] = variance_at(w.variance, others, squares, cubes, fourths);
    }
}

/* The same where only squares matter. */
VECTOR_CLONES
static void others_elements_of_squares(int64_t count, others_weights w, const float *restrict mean,
                                       const double *restrict whole,
                                       const statistics_fold *restrict fold,
                                       double *restrict second, double *restrict variance)
{
    for (int64_t i = 0; i < count; i++) {
        double t = fold->first[i] * w.inverse;
        double others = (double)mean[i] - t;
        double squares = whole[i] - fold->second[i] - w.groups * (t * t);
        second[i] = others * others + w.spread * squares;
        variance[i] =
            squares * (4.0 * w.variance.pairs * (others * others) - w.variance.normal * squares);
    }
}

void statistics_of_others(int64_t count, statistics_family family, int folds, const float *mean,
                          const statistics_sums *sums, const statistics_fold *fold, double *second,
                          double *variance)
{
    others_weights weights = others_weights_of(family, folds);
    if (family.blend == 0.0) {
        others_elements_of_squares(count, weights, mean, sums->second, fold, second, variance);
        return;
    }
    others_elements(count, weights, mean, sums, fold, second, variance);
    if (weights.groups < 2.0) {
        variance_elements(count, weights.variance, mean, sums->second, sums->third, sums->fourth,
                          variance);
    }
}
