/*
 * Sums of products of vectors (see vector_sums.h), in double and in the order of the vectors.
 */
#include "diagnose/vector_sums.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"

void vector_sums_free(vector_sums *sums)
{
    memory_free(&sums->own);
    memory_free(&sums->along);
}

static plumb_status allocate(int64_t length, vector_sums *sums, double **sum)
{
    PROPAGATE(memory_zeroed(sums->count, sizeof(double), &sums->own));
    PROPAGATE(memory_zeroed(sums->count, sizeof(double), &sums->along));
    return memory_zeroed(length, sizeof(double), sum);
}

static void add_up(int64_t length, const float *vectors, double *sum, vector_sums *sums)
{
    for (int64_t k = 0; k < sums->count; k++) {
        const float *vector = vectors + k * length;
        for (int64_t i = 0; i < length; i++) {
            double x = (double)vector[i];
            sum[i] += x;
            sums->own[k] += x * x;
        }
        sums->sum_of_own += sums->own[k];
    }
}

static void project(int64_t length, const float *vectors, const double *sum, vector_sums *sums)
{
    for (int64_t k = 0; k < sums->count; k++) {
        const float *vector = vectors + k * length;
        for (int64_t i = 0; i < length; i++) {
            sums->along[k] += (double)vector[i] * sum[i];
        }
        sums->squared_sum += sums->along[k];
    }
}

plumb_status vector_sums_create(int64_t count, int64_t length, const float *vectors,
                                vector_sums *sums)
{
    double *sum = NULL;
    *sums = (vector_sums){.count = count};
    plumb_status status = allocate(length, sums, &sum);
    if (status == PLUMB_OK) {
        add_up(length, vectors, sum, sums);
        project(length, vectors, sum, sums);
    } else {
        vector_sums_free(sums);
    }
    memory_free(&sum);
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

double vector_sums_variance_without(const vector_sums *sums, int64_t a, int64_t b, double cross)
{
    double own = sums->own[a], along = sums->along[a], squared = sums->own[a];
    double count = (double)sums->count - 1.0;
    if (a != b) {
        own += sums->own[b];
        along += sums->along[b];
        squared += sums->own[b] + 2.0 * cross;
        count -= 1.0;
    }
    return variance_of(count, sums->sum_of_own - own, sums->squared_sum - 2.0 * along + squared);
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
    double own = sums->own[one];
    return squared_mean_of((double)sums->count - 1.0, sums->sum_of_own - own,
                           sums->squared_sum - 2.0 * sums->along[one] + own);
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
