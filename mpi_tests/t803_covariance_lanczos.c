/*
 * The covariance of gradients that are spread over ranks: the same bits on communicators of every
 * size, the eigenvalues that one Gram matrix of all of them has, unequal samples, gradients without
 * noise, and what is refused, on all ranks alike.
 *
 * ranks: 1 2 4
 */
#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "plumb.h"
#include "support/test.h"

enum { TOTAL = 23, LENGTH = 1500, MOST = 3 };

typedef struct spectrum {
    double values[MOST], residuals[MOST];
    double vectors[MOST * LENGTH];
} spectrum;

static float element(int64_t k, int64_t i)
{
    float direction = i % 2 == 0 ? 0.4f : -0.1f;
    return 0.7f + test_value(31, (uint64_t)k, (uint64_t)i) / 3.0f +
           direction * test_value(32, (uint64_t)k, 0);
}

static double weight_of(int64_t k)
{
    return (double)(1 + k % 4);
}

static plumb_status find(MPI_Comm communicator, bool weighted, bool constant, spectrum *s)
{
    int64_t first, count;
    plumb_status status = plumb_average_share(communicator, TOTAL, &first, &count);
    if (status != PLUMB_OK) {
        return status;
    }
    float *vectors = malloc((size_t)(count * LENGTH) * sizeof *vectors);
    double *samples = malloc((size_t)count * sizeof *samples);
    for (int64_t k = 0; k < count; k++) {
        samples[k] = weight_of(first + k);
        for (int64_t i = 0; i < LENGTH; i++) {
            vectors[k * LENGTH + i] = element(constant ? 0 : first + k, i);
        }
    }
    status =
        plumb_covariance_lanczos(communicator, TOTAL, LENGTH, vectors, weighted ? samples : NULL,
                                 MOST, 1e-11, s->values, s->residuals, s->vectors);
    free(vectors);
    free(samples);
    return status;
}

/* From the Gram matrix of all. */
static bool agrees_with_gram(const spectrum *s, bool weighted)
{
    static float store[TOTAL][LENGTH];
    const float *vectors[TOTAL];
    double gram[TOTAL * TOTAL] = {0}, samples[TOTAL], values[MOST], coefficients[MOST * TOTAL];
    for (int64_t k = 0; k < TOTAL; k++) {
        samples[k] = weighted ? weight_of(k) : 1.0;
        vectors[k] = store[k];
        for (int64_t i = 0; i < LENGTH; i++) {
            store[k][i] = element(k, i);
        }
    }
    bool good = plumb_gram(TOTAL, LENGTH, vectors, gram) == PLUMB_OK &&
                plumb_covariance_spectrum(TOTAL, samples, gram, MOST, values, NULL, coefficients) ==
                    PLUMB_OK;
    for (int j = 0; j < MOST && good; j++) {
        double overlap = 0.0;
        for (int64_t i = 0; i < LENGTH; i++) {
            for (int64_t k = 0; k < TOTAL; k++) {
                overlap +=
                    coefficients[j * TOTAL + k] * (double)store[k][i] * s->vectors[j * LENGTH + i];
            }
        }
        good = fabs(s->values[j] - values[j]) < 1e-10 * values[0] &&
               fabs(fabs(overlap) - 1.0) < 1e-9 && s->residuals[j] < 1e-9 * values[0];
    }
    return good;
}

static bool same(const double *a, const double *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) == 0;
}

START_TEST(same_bits_for_every_rank_count)
{
    static spectrum alone, together;
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int weighted = 0; weighted < 2; weighted++) {
        bool good = find(MPI_COMM_SELF, weighted, false, &alone) == PLUMB_OK &&
                    agrees_with_gram(&alone, weighted);
        for (int ranks = 1; ranks <= size; ranks++) {
            MPI_Comm part;
            MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &part);
            if (part != MPI_COMM_NULL) {
                good = find(part, weighted, false, &together) == PLUMB_OK && good;
                good = good && same(alone.values, together.values, MOST) &&
                       same(alone.residuals, together.residuals, MOST) &&
                       same(alone.vectors, together.vectors, (size_t)MOST * LENGTH);
                MPI_Comm_free(&part);
            }
        }
        test_all(good);
    }
}
END_TEST

START_TEST(gradients_without_noise)
{
    static spectrum s;
    bool good = find(MPI_COMM_WORLD, true, true, &s) == PLUMB_OK;
    test_all(good && s.values[0] == 0.0 && s.values[MOST - 1] == 0.0);
    float vector[2] = {1.0f, 2.0f};
    good = plumb_covariance_lanczos(MPI_COMM_SELF, 1, 2, vector, NULL, 1, 1e-9, s.values,
                                    s.residuals, s.vectors) == PLUMB_OK;
    test_all(good && isnan(s.values[0]) && isnan(s.residuals[0]) && s.vectors[1] == 0.0);
}
END_TEST

START_TEST(lanczos_refuses)
{
    static float vectors[8 * LENGTH];
    int rank, size;
    double values[2];
    MPI_Comm world = MPI_COMM_WORLD;
    MPI_Comm_rank(world, &rank);
    MPI_Comm_size(world, &size);
    test_all(plumb_covariance_lanczos(world, size - 1, 5, vectors, NULL, 1, 1e-9, values, NULL,
                                      NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_covariance_lanczos(world, 2 * size, 5, vectors, NULL, 6, 1e-9, values, NULL,
                                      NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_covariance_lanczos(world, 2 * size, 5, rank == 0 ? NULL : vectors, NULL, 1, 1e-9,
                                      values, NULL, NULL) == PLUMB_ERROR_ARGUMENT);
    double samples[2] = {1.0, rank == size - 1 ? -1.0 : 1.0};
    test_all(plumb_covariance_lanczos(world, 2 * size, 5, vectors, samples, 1, 1e-9, values, NULL,
                                      NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_covariance_lanczos(world, 2 * size, 5, vectors, NULL, 1, -1.0, values, NULL,
                                      NULL) == PLUMB_ERROR_ARGUMENT);
    double tolerance = rank == size - 1 ? NAN : 1e-9;
    test_all(plumb_covariance_lanczos(world, 2 * size, 5, vectors, NULL, 1, tolerance, values, NULL,
                                      NULL) == PLUMB_ERROR_ARGUMENT);
    vectors[3] = rank == size - 1 ? NAN : 0.0f;
    test_all(plumb_covariance_lanczos(world, 2 * size, 5, vectors, NULL, 1, 1e-9, values, NULL,
                                      NULL) == PLUMB_ERROR_NONFINITE);
    vectors[3] = 0.0f;
    if (size > 1) {
        int64_t length = rank == 0 ? 4 : 5;
        test_all(plumb_covariance_lanczos(world, 2 * size, length, vectors, NULL, 1, 1e-9, values,
                                          NULL, NULL) == PLUMB_ERROR_MISMATCH);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("covariance by Lanczos");
    test_add(suite, "same bits for every rank count", same_bits_for_every_rank_count);
    test_add(suite, "gradients without noise", gradients_without_noise);
    test_add(suite, "lanczos refuses", lanczos_refuses);
    return test_run_mpi(suite, &argc, &argv);
}
