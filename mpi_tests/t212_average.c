/*
 * plumb_average and plumb_average_share: the same bits on sub-communicators of every size, the
 * mean of integers exactly, weights, and what is refused, on all ranks alike.
 * ranks: 1 2 4 8
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

#include "plumb.h"

enum { TOTAL = 13, LONGEST = 20001 };

typedef struct vectors {
    int64_t total, first, count, length;
    float *values; /* count x length */
    double *samples;
    float *mean;
} vectors;

static plumb_status vectors_make(MPI_Comm communicator, int64_t total, int64_t length, bool whole,
                                 vectors *v)
{
    *v = (vectors){.total = total, .length = length};
    plumb_status status = plumb_average_share(communicator, total, &v->first, &v->count);
    if (status != PLUMB_OK) {
        return status;
    }
    v->values = malloc((size_t)(v->count * length) * sizeof(float));
    v->samples = malloc((size_t)v->count * sizeof(double));
    v->mean = malloc((size_t)length * sizeof(float));
    for (int64_t i = 0; i < v->count; i++) {
        uint64_t k = (uint64_t)(v->first + i);
        v->samples[i] = 1.0 + (double)(k % 3);
        for (int64_t e = 0; e < length; e++) {
            v->values[i * length + e] = whole ? test_integer(8, k, (uint64_t)e, 10000)
                                              : test_value(8, k, (uint64_t)e) / 3.0f;
        }
    }
    for (int64_t e = 0; e < length; e++) {
        v->mean[e] = -7.0f;
    }
    return PLUMB_OK;
}

static void vectors_free(vectors *v)
{
    free(v->values);
    free(v->samples);
    free(v->mean);
}

static float exact_mean(int64_t total, int64_t e, bool weighted)
{
    double sum = 0.0;
    double divisor = 0.0;
    for (int64_t k = 0; k < total; k++) {
        double weight = weighted ? 1.0 + (double)(k % 3) : 1.0;
        sum += weight * (double)test_integer(8, (uint64_t)k, (uint64_t)e, 10000);
        divisor += weight;
    }
    return (float)sum / (float)divisor;
}

static bool mean_is_exact(MPI_Comm communicator, int64_t length, bool weighted)
{
    vectors v;
    bool good = vectors_make(communicator, TOTAL, length, true, &v) == PLUMB_OK &&
                plumb_average(communicator, TOTAL, length, v.values, weighted ? v.samples : NULL,
                              v.mean) == PLUMB_OK;
    for (int64_t e = 0; good && e < length; e++) {
        good = v.mean[e] == exact_mean(TOTAL, e, weighted);
    }
    vectors_free(&v);
    return good;
}

START_TEST(integers)
{
    static const int64_t lengths[] = {1, 2, 4095, 4096, 4097, LONGEST};
    for (int i = 0; i < 6; i++) {
        test_all(mean_is_exact(MPI_COMM_WORLD, lengths[i], false));
        test_all(mean_is_exact(MPI_COMM_WORLD, lengths[i], true));
    }
}
END_TEST

/* The mean on the first `ranks` ranks, on everybody; reversed: ranks in the opposite order. */
static bool mean_on(int ranks, bool reversed, bool weighted, float *mean)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm part;
    MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, reversed ? -rank : rank,
                   &part);
    bool good = true;
    if (part != MPI_COMM_NULL) {
        vectors v;
        good = vectors_make(part, TOTAL, LONGEST, false, &v) == PLUMB_OK &&
               plumb_average(part, TOTAL, LONGEST, v.values, weighted ? v.samples : NULL, v.mean) ==
                   PLUMB_OK;
        memcpy(mean, v.mean, LONGEST * sizeof *mean);
        vectors_free(&v);
        MPI_Comm_free(&part);
    }
    float *first = malloc(LONGEST * sizeof *first);
    memcpy(first, mean, LONGEST * sizeof *first);
    MPI_Bcast(first, LONGEST, MPI_FLOAT, 0, MPI_COMM_WORLD);
    good = good && (rank >= ranks || memcmp(first, mean, LONGEST * sizeof *mean) == 0);
    memcpy(mean, first, LONGEST * sizeof *mean);
    free(first);
    return good;
}

START_TEST(bits_of_all_rank_counts)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    static float one[LONGEST];
    static float other[LONGEST];
    for (int weighted = 0; weighted < 2; weighted++) {
        test_all(mean_on(1, false, weighted, one));
        for (int ranks = 2; ranks <= size; ranks++) {
            test_all(mean_on(ranks, ranks % 2 == 0, weighted, other));
            test_all(memcmp(one, other, sizeof one) == 0);
        }
    }
}
END_TEST

/* Everybody has `status` and the same message, and the mean is untouched. */
static bool refused(plumb_status status, plumb_status expected, const char *part, const vectors *v)
{
    char first[512] = "";
    strncpy(first, plumb_error_message(NULL), sizeof first - 1);
    MPI_Bcast(first, (int)sizeof first, MPI_CHAR, 0, MPI_COMM_WORLD);
    const char *mine = plumb_error_message(NULL);
    bool good = status == expected && strcmp(first, mine) == 0 && strstr(mine, part) != NULL;
    if (!good) {
        fprintf(stderr, "%s: %s\n", plumb_status_name(status), mine);
    }
    return good && (v->mean == NULL || v->mean[0] == -7.0f);
}

static bool is_last(void)
{
    int rank;
    int size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return rank == size - 1;
}

START_TEST(not_finite)
{
    vectors v;
    test_all(vectors_make(MPI_COMM_WORLD, TOTAL, 5000, false, &v) == PLUMB_OK);
    if (is_last()) {
        v.values[4999] = (float)NAN;
    }
    plumb_status status = plumb_average(MPI_COMM_WORLD, TOTAL, 5000, v.values, v.samples, v.mean);
    test_all(refused(status, PLUMB_ERROR_NONFINITE, "not finite", &v));
    for (int64_t i = 0; i < v.count; i++) {
        v.values[i * 5000 + 17] = 3e38f;
        v.values[i * 5000 + 4999] = 0.0f;
    }
    status = plumb_average(MPI_COMM_WORLD, TOTAL, 5000, v.values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_NONFINITE, "sum", &v));
    vectors_free(&v);
}
END_TEST

START_TEST(wrong_samples)
{
    static const double wrong[] = {0.0, -1.0, NAN, INFINITY, 1e30, 1e-30};
    vectors v;
    test_all(vectors_make(MPI_COMM_WORLD, TOTAL, 3, false, &v) == PLUMB_OK);
    for (int i = 0; i < 6; i++) {
        v.samples[v.count - 1] = is_last() ? wrong[i] : 1.0;
        plumb_status status = plumb_average(MPI_COMM_WORLD, TOTAL, 3, v.values, v.samples, v.mean);
        test_all(refused(status, PLUMB_ERROR_ARGUMENT, "samples[", &v));
    }
    vectors_free(&v);
}
END_TEST

START_TEST(wrong_arguments)
{
    vectors v;
    test_all(vectors_make(MPI_COMM_WORLD, TOTAL, 3, false, &v) == PLUMB_OK);
    const float *values = is_last() ? NULL : v.values;
    plumb_status status = plumb_average(MPI_COMM_WORLD, TOTAL, 3, values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "NULL", &v));
    float *mean = is_last() ? NULL : v.mean;
    status = plumb_average(MPI_COMM_WORLD, TOTAL, 3, v.values, NULL, mean);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "NULL", &v));
    status = plumb_average(MPI_COMM_WORLD, TOTAL, is_last() ? 0 : 3, v.values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "length", &v));
    status = plumb_average(MPI_COMM_WORLD, is_last() ? 0 : TOTAL, 3, v.values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "0 vectors", &v));
    status = plumb_average(MPI_COMM_NULL, TOTAL, 3, v.values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "MPI_COMM_NULL", &v));
    vectors_free(&v);
}
END_TEST

START_TEST(ranks_differ)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) {
        return;
    }
    vectors v;
    test_all(vectors_make(MPI_COMM_WORLD, TOTAL, 3, false, &v) == PLUMB_OK);
    int64_t total = is_last() ? TOTAL + 1 : TOTAL;
    plumb_status status = plumb_average(MPI_COMM_WORLD, total, 3, v.values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_MISMATCH, "number of vectors", &v));
    status = plumb_average(MPI_COMM_WORLD, TOTAL, is_last() ? 2 : 3, v.values, NULL, v.mean);
    test_all(refused(status, PLUMB_ERROR_MISMATCH, "length", &v));
    vectors_free(&v);
}
END_TEST

START_TEST(wrong_shares)
{
    int64_t first = -5;
    int64_t count = -5;
    vectors none = {0};
    plumb_status status = plumb_average_share(MPI_COMM_WORLD, 0, &first, &count);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "0 vectors", &none));
    status = plumb_average_share(MPI_COMM_WORLD, TOTAL, is_last() ? NULL : &first, &count);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "NULL", &none));
    status = plumb_average_share(MPI_COMM_NULL, TOTAL, &first, &count);
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "MPI_COMM_NULL", &none));
    test_all(first == -5 && count == -5);
}
END_TEST

START_TEST(compare_setup)
{
    vectors none = {0};
    test_all(plumb_compare_setup(MPI_COMM_WORLD, "a = 1\nb = 2\n") == PLUMB_OK);
    plumb_status status = plumb_compare_setup(MPI_COMM_WORLD, is_last() ? NULL : "a = 1\n");
    test_all(refused(status, PLUMB_ERROR_ARGUMENT, "NULL", &none));
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    const char *text = is_last() && size > 1 ? "a = 1\nb = 3\nc = 4\n" : "a = 1\nb = 2\nc = 5\n";
    status = plumb_compare_setup(MPI_COMM_WORLD, text);
    test_all(size == 1 ? status == PLUMB_OK
                       : refused(status, PLUMB_ERROR_MISMATCH,
                                 "\"b = 3\" where rank 0 has \"b = 2\"", &none));
    text = is_last() && size > 1 ? "a = 1\nb" : "a = 1\n";
    status = plumb_compare_setup(MPI_COMM_WORLD, text);
    test_all(size == 1 ? status == PLUMB_OK
                       : refused(status, PLUMB_ERROR_MISMATCH, "\"b\"", &none));
    test_all(plumb_compare_setup(MPI_COMM_NULL, "a") == PLUMB_ERROR_ARGUMENT);
}
END_TEST

START_TEST(nothing_is_left)
{
    int64_t allocations = -1;
    plumb_memory_in_use(&allocations, NULL);
    test_all(allocations == 0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("average");
    test_add(suite, "integers", integers);
    test_add(suite, "bits of all rank counts", bits_of_all_rank_counts);
    test_add(suite, "not finite", not_finite);
    test_add(suite, "wrong samples", wrong_samples);
    test_add(suite, "wrong arguments", wrong_arguments);
    test_add(suite, "ranks differ", ranks_differ);
    test_add(suite, "wrong shares", wrong_shares);
    test_add(suite, "compare setup", compare_setup);
    test_add(suite, "nothing is left", nothing_is_left);
    return test_run_mpi(suite, &argc, &argv);
}
