/*
 * The variance of one entry of a mean gradient, from the spread of the gradients behind it. A
 * decomposition is of the mean, so its noise is that of one gradient over their number.
 */
#include <math.h>

#include "base/error.h"
#include "base/vector.h"

/* The squared deviations of one element. */
static double deviations_from_mean(int64_t count, const float *const *vectors, int64_t element)
{
    double mean = 0.0, sum = 0.0;
    for (int64_t k = 0; k < count; k++) {
        mean += (double)vectors[k][element];
    }
    mean /= (double)count;
    for (int64_t k = 0; k < count; k++) {
        double deviation = (double)vectors[k][element] - mean;
        sum += deviation * deviation;
    }
    return sum;
}

/* Half the squared differences of neighbours: on average as much as the squared deviations. */
static double neighbour_differences(int64_t count, const float *const *vectors, int64_t element)
{
    double sum = 0.0;
    for (int64_t k = 1; k < count; k++) {
        double difference = (double)vectors[k][element] - (double)vectors[k - 1][element];
        sum += difference * difference;
    }
    return 0.5 * sum;
}

plumb_status plumb_noise_variance(plumb_variance_estimate kind, int64_t count, int64_t length,
                                  const float *const *vectors, double *variance)
{
    REQUIRE(kind == PLUMB_VARIANCE_MEAN || kind == PLUMB_VARIANCE_PAIRWISE, PLUMB_ERROR_ARGUMENT,
            "there is no estimate %d of a variance", (int)kind);
    REQUIRE(count >= 1 && length >= 1 && vectors != NULL && variance != NULL, PLUMB_ERROR_ARGUMENT,
            "the variance of the noise needs at least one vector of one element, and a place");
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(vectors[k] != NULL, PLUMB_ERROR_ARGUMENT, "vector %lld is NULL", (long long)k);
        REQUIRE(vector_all_finite(length, vectors[k]), PLUMB_ERROR_NONFINITE,
                "vector %lld holds a NaN or an infinity", (long long)k);
    }
    double sum = 0.0;
    for (int64_t i = 0; i < length; i++) {
        sum += kind == PLUMB_VARIANCE_MEAN ? deviations_from_mean(count, vectors, i)
                                           : neighbour_differences(count, vectors, i);
    }
    double divisor = (double)count * (double)(count - 1) * (double)length;
    *variance = count > 1 ? sum / divisor : NAN;
    return PLUMB_OK;
}
