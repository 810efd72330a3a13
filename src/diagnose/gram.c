/*
 * The Gram matrix of a few long vectors (see gram.h). Tiles of 4 x 2 inner products run over a
 * block at once, so that a loaded element serves six of them; each has eight running sums of its
 * own, so that the order of additions does not depend on the vector unit.
 */
#include "diagnose/gram.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"

enum { LANES = 8, TALL = 4, WIDE = 2 };

static double add_lanes(const double *sums)
{
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/* products[TALL][WIDE] of left[TALL] with right[WIDE]. */
VECTOR_CLONES
static void multiply_tile(int64_t length, const float *const *left, const float *const *right,
                          double products[TALL][WIDE])
{
    double sums[TALL][WIDE][LANES] = {{{0}}};
    const float *a0 = left[0], *a1 = left[1], *a2 = left[2], *a3 = left[3];
    const float *b0 = right[0], *b1 = right[1];
    int64_t i = 0;
    for (; i + LANES <= length; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            double x0 = (double)b0[i + lane], x1 = (double)b1[i + lane];
            double y0 = (double)a0[i + lane], y1 = (double)a1[i + lane];
            double y2 = (double)a2[i + lane], y3 = (double)a3[i + lane];
            sums[0][0][lane] += y0 * x0;
            sums[0][1][lane] += y0 * x1;
            sums[1][0][lane] += y1 * x0;
            sums[1][1][lane] += y1 * x1;
            sums[2][0][lane] += y2 * x0;
            sums[2][1][lane] += y2 * x1;
            sums[3][0][lane] += y3 * x0;
            sums[3][1][lane] += y3 * x1;
        }
    }
    for (int row = 0; row < TALL; row++) {
        for (int col = 0; col < WIDE; col++) {
            double rest = 0.0;
            for (int64_t e = i; e < length; e++) {
                rest += (double)left[row][e] * (double)right[col][e];
            }
            products[row][col] = add_lanes(sums[row][col]) + rest;
        }
    }
}

/* Vectors beyond the last one are the last one again. */
static void point(int64_t count, const float *const *vectors, int64_t first, int64_t from,
                  int pointers, const float **to)
{
    for (int i = 0; i < pointers; i++) {
        int64_t k = from + i < count ? from + i : count - 1;
        to[i] = vectors[k] + first;
    }
}

void gram_block(int64_t count, int64_t length, const float *const *vectors, int64_t first,
                double *products)
{
    for (int64_t row = 0; row < count; row += TALL) {
        const float *left[TALL];
        point(count, vectors, first, row, TALL, left);
        for (int64_t col = 0; col < row + TALL && col < count; col += WIDE) {
            const float *right[WIDE];
            double tile[TALL][WIDE];
            point(count, vectors, first, col, WIDE, right);
            multiply_tile(length, left, right, tile);
            for (int64_t i = row; i < row + TALL && i < count; i++) {
                for (int64_t j = col; j < col + WIDE && j <= i; j++) {
                    products[i * count + j] = tile[i - row][j - col];
                    products[j * count + i] = tile[i - row][j - col];
                }
            }
        }
    }
}

static plumb_status add_blocks(int64_t count, int64_t length, const float *const *vectors,
                               double *sum, double *block)
{
    for (int64_t first = 0; first < length; first += VECTOR_BLOCK) {
        int64_t size = length - first < VECTOR_BLOCK ? length - first : VECTOR_BLOCK;
        gram_block(count, size, vectors, first, block);
        for (int64_t e = 0; e < count * count; e++) {
            sum[e] += block[e];
        }
    }
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(isfinite(sum[k * count + k]), PLUMB_ERROR_NONFINITE,
                "vector %lld of a Gram matrix is not finite", (long long)k);
    }
    return PLUMB_OK;
}

plumb_status plumb_gram(int64_t count, int64_t length, const float *const *vectors, double *gram)
{
    REQUIRE(count >= 1 && count <= INT32_MAX && length >= 0, PLUMB_ERROR_ARGUMENT,
            "a Gram matrix of %lld vectors of %lld elements", (long long)count, (long long)length);
    REQUIRE(vectors != NULL && gram != NULL, PLUMB_ERROR_ARGUMENT, "%s is NULL",
            vectors == NULL ? "vectors" : "gram");
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(vectors[k] != NULL || length == 0, PLUMB_ERROR_ARGUMENT, "vectors[%lld] is NULL",
                (long long)k);
    }
    double *sum = NULL; /* and one block's products */
    PROPAGATE(memory_allocate(2 * count * count, sizeof *sum, &sum));
    memcpy(sum, gram, (size_t)(count * count) * sizeof *sum);
    plumb_status status = add_blocks(count, length, vectors, sum, sum + count * count);
    if (status == PLUMB_OK) {
        memcpy(gram, sum, (size_t)(count * count) * sizeof *gram);
    }
    memory_free(&sum);
    return status;
}

plumb_status gram_check_samples(int64_t count, const double *samples)
{
    for (int64_t k = 0; samples != NULL && k < count; k++) {
        REQUIRE(samples[k] > 0.0 && isfinite(samples[k]), PLUMB_ERROR_ARGUMENT,
                "samples[%lld] is %g: it must be positive", (long long)k, samples[k]);
    }
    return PLUMB_OK;
}

plumb_status gram_check(int64_t count, const double *samples, const double *gram)
{
    REQUIRE(count >= 1 && count <= INT32_MAX && gram != NULL, PLUMB_ERROR_ARGUMENT,
            "a Gram matrix of %lld gradients%s", (long long)count, gram == NULL ? " is NULL" : "");
    PROPAGATE(gram_check_samples(count, samples));
    for (int64_t e = 0; e < count * count; e++) {
        REQUIRE(isfinite(gram[e]), PLUMB_ERROR_NONFINITE,
                "inner product (%lld, %lld) of a Gram matrix is not finite", (long long)(e / count),
                (long long)(e % count));
    }
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(gram[k * count + k] >= 0.0, PLUMB_ERROR_ARGUMENT,
                "the squared norm of gradient %lld is %g", (long long)k, gram[k * count + k]);
    }
    return PLUMB_OK;
}
