/*
 * Sums of products of vectors (see vector_sums.h), in double, from their Gram matrix.
 */
#include "diagnose/vector_sums.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"

void vector_sums_free(vector_sums *sums)
{
    memory_free(&sums->products);
    memory_free(&sums->along);
}

/* No vectors have no products. */
static plumb_status multiply(int64_t length, const float *vectors, vector_sums *sums)
{
    int64_t count = sums->count;
    const float **each = NULL;
    PROPAGATE(memory_zeroed(count * count, sizeof(double), &sums->products));
    PROPAGATE(memory_zeroed(count, sizeof(double), &sums->along));
    PROPAGATE(memory_allocate(count, sizeof *each, &each));
    for (int64_t k = 0; k < count; k++) {
        each[k] = vectors + k * length;
    }
    plumb_status status = count > 0 ? plumb_gram(count, length, each, sums->products) : PLUMB_OK;
    memory_free(&each);
    return status;
}

static double own(const vector_sums *sums, int64_t k)
{
    return sums->products[k * sums->count + k];
}

plumb_status vector_sums_create(int64_t count, int64_t length, const float *vectors,
                                vector_sums *sums)
{
    *sums = (vector_sums){.count = count};
    plumb_status status = multiply(length, vectors, sums);
    for (int64_t k = 0; k < count && status == PLUMB_OK; k++) {
        for (int64_t j = 0; j < count; j++) {
            sums->along[k] += sums->products[k * count + j];
        }
        sums->sum_of_own += own(sums, k);
        sums->squared_sum += sums->along[k];
    }
    if (status != PLUMB_OK) {
        vector_sums_free(sums);
    }
    return status;
}

static double variance_of(double count, double sum_of_own, double squared_sum)
{
    return count < 2.0 ? NAN : fmax(sum_of_own - squared_sum / count, 0.0) / (count - 1.0);
}

double vector_sums_variance(const vector_sums *sums)
{
    return variance_of((double)sums->count, sums->sum_of_own, sums->squared_sum);
}

double vector_sums_variance_without(const vector_sums *sums, int64_t a, int64_t b)
{
    double both = own(sums, a), along = sums->along[a], squared = both;
    double count = (double)sums->count - 1.0;
    if (a != b) {
        both += own(sums, b);
        along += sums->along[b];
        squared += own(sums, b) + 2.0 * sums->products[a * sums->count + b];
        count -= 1.0;
    }
    return variance_of(count, sums->sum_of_own - both, sums->squared_sum - 2.0 * along + squared);
}

static double squared_mean_of(double count, double sum_of_own, double squared_sum)
{
    return count < 2.0 ? NAN : (squared_sum - sum_of_own) / (count * (count - 1.0));
}

double vector_sums_squared_mean(const vector_sums *sums)
{
    return squared_mean_of((double)sums->count, sums->sum_of_own, sums->squared_sum);
}

double vector_sums_squared_mean_without(const vector_sums *sums, int64_t one)
{
    double square = own(sums, one);
    return squared_mean_of((double)sums->count - 1.0, sums->sum_of_own - square,
                           sums->squared_sum - 2.0 * sums->along[one] + square);
}

double vector_sums_jackknife_error(int64_t count, const double *without)
{
    double mean = 0.0, squares = 0.0, n = (double)count;
    if (count < 2) {
        return NAN;
    }
    for (int64_t k = 0; k < count; k++) {
        mean += without[k] / n;
    }
    for (int64_t k = 0; k < count; k++) {
        squares += (without[k] - mean) * (without[k] - mean);
    }
    return sqrt((n - 1.0) / n * squares);
}
