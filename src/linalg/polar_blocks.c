/*
 * See polar_blocks.h. The rows of a block are many enough for the square operand, which BLAS packs
 * anew for every block, not to matter, and few enough for a block to stay in the cache.
 */
#include "linalg/polar_blocks.h"

#include <cblas.h>
#include <math.h>
#include <stddef.h>

#include "base/vector.h"

/* Below this side a half product is slower than the whole one. */
enum { LEAST_HALF_PRODUCT = 128 };

/* Rows of a block, or columns of a wide one. */
enum { BLOCK_ROWS = 1024, DOUBLE_BLOCK_ROWS = 512 };

polar_blocks polar_blocks_of(int rows, int cols, int exponent)
{
    bool wide = rows < cols;
    return (polar_blocks){.longer = wide ? cols : rows,
                          .side = wide ? rows : cols,
                          .wide = wide,
                          .exponent = exponent};
}

static int block_rows(const polar_blocks *blocks)
{
    return blocks->longer < BLOCK_ROWS ? blocks->longer : BLOCK_ROWS;
}

int64_t polar_blocks_elements(const polar_blocks *blocks)
{
    return (int64_t)block_rows(blocks) * blocks->side;
}

/* 2^-exponent times `count` numbers. Where it is no float, the product is formed in double. */
VECTOR_CLONES
static void scale_to_floats(int64_t count, int exponent, const float *from, float *to)
{
    if (exponent >= -126 && exponent <= 126) {
        float factor = ldexpf(1.0f, -exponent);
        for (int64_t i = 0; i < count; i++) {
            to[i] = factor * from[i];
        }
        return;
    }
    double factor = ldexp(1.0, -exponent);
    for (int64_t i = 0; i < count; i++) {
        to[i] = (float)(factor * (double)from[i]);
    }
}

VECTOR_CLONES
static void scale_to_doubles(int64_t count, int exponent, const float *from, double *to)
{
    double factor = ldexp(1.0, -exponent);
    for (int64_t i = 0; i < count; i++) {
        to[i] = factor * (double)from[i];
    }
}

VECTOR_CLONES
static void round_to_floats(int64_t count, const double *from, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = (float)from[i];
    }
}

/* A block as memory: `lines` runs of `length` elements that lie `stride` apart in the matrix. */
typedef struct stretch {
    int rows; /* of the block, along the long side */
    int64_t offset;
    int lines, length, stride;
} stretch;

static stretch stretch_at(const polar_blocks *blocks, int first, int most)
{
    int rows = blocks->longer - first < most ? blocks->longer - first : most;
    if (blocks->wide) {
        return (stretch){rows, first, blocks->side, rows, blocks->longer};
    }
    return (stretch){rows, (int64_t)first * blocks->side, rows, blocks->side, blocks->side};
}

static void load_floats(const polar_blocks *blocks, stretch at, const float *matrix, float *block)
{
    const float *from = matrix + at.offset;
    if (at.length == at.stride) {
        scale_to_floats((int64_t)at.lines * at.length, blocks->exponent, from, block);
        return;
    }
    for (int i = 0; i < at.lines; i++) {
        scale_to_floats(at.length, blocks->exponent, from + (int64_t)i * at.stride,
                        block + (int64_t)i * at.length);
    }
}

static void load_doubles(const polar_blocks *blocks, stretch at, const float *matrix, double *block)
{
    const float *from = matrix + at.offset;
    for (int i = 0; i < at.lines; i++) {
        scale_to_doubles(at.length, blocks->exponent, from + (int64_t)i * at.stride,
                         block + (int64_t)i * at.length);
    }
}

static void store_doubles(stretch at, const double *product, float *result)
{
    float *to = result + at.offset;
    for (int i = 0; i < at.lines; i++) {
        round_to_floats(at.length, product + (int64_t)i * at.length, to + (int64_t)i * at.stride);
    }
}

void polar_blocks_gram(const polar_blocks *blocks, const float *matrix, float *block, float *gram)
{
    CBLAS_TRANSPOSE left = blocks->wide ? CblasNoTrans : CblasTrans;
    CBLAS_TRANSPOSE right = blocks->wide ? CblasTrans : CblasNoTrans;
    int side = blocks->side;
    for (int first = 0; first < blocks->longer; first += BLOCK_ROWS) {
        stretch at = stretch_at(blocks, first, BLOCK_ROWS);
        float keep = first == 0 ? 0.0f : 1.0f;
        load_floats(blocks, at, matrix, block);
        if (side < LEAST_HALF_PRODUCT) {
            cblas_sgemm(CblasRowMajor, left, right, side, side, at.rows, 1.0f, block, at.length,
                        block, at.length, keep, gram, side);
        } else {
            cblas_ssyrk(CblasRowMajor, CblasLower, left, side, at.rows, 1.0f, block, at.length,
                        keep, gram, side);
        }
    }
}

void polar_blocks_gram_double(const polar_blocks *blocks, const float *matrix, double *block,
                              double *gram)
{
    CBLAS_TRANSPOSE left = blocks->wide ? CblasNoTrans : CblasTrans;
    CBLAS_TRANSPOSE right = blocks->wide ? CblasTrans : CblasNoTrans;
    int side = blocks->side;
    for (int first = 0; first < blocks->longer; first += DOUBLE_BLOCK_ROWS) {
        stretch at = stretch_at(blocks, first, DOUBLE_BLOCK_ROWS);
        double keep = first == 0 ? 0.0 : 1.0;
        load_doubles(blocks, at, matrix, block);
        if (side < LEAST_HALF_PRODUCT) {
            cblas_dgemm(CblasRowMajor, left, right, side, side, at.rows, 1.0, block, at.length,
                        block, at.length, keep, gram, side);
        } else {
            cblas_dsyrk(CblasRowMajor, CblasLower, left, side, at.rows, 1.0, block, at.length, keep,
                        gram, side);
        }
    }
}

void polar_blocks_apply(const polar_blocks *blocks, const float *matrix, const float *factor,
                        float *block, float *result)
{
    int side = blocks->side;
    for (int first = 0; first < blocks->longer; first += BLOCK_ROWS) {
        stretch at = stretch_at(blocks, first, BLOCK_ROWS);
        load_floats(blocks, at, matrix, block);
        const float *left = blocks->wide ? factor : block;
        const float *right = blocks->wide ? block : factor;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, at.lines, at.length, side, 1.0f,
                    left, side, right, at.length, 0.0f, result + at.offset, at.stride);
    }
}

void polar_blocks_apply_double(const polar_blocks *blocks, const float *matrix,
                               const double *factor, double *block, double *product, float *result)
{
    int side = blocks->side;
    for (int first = 0; first < blocks->longer; first += DOUBLE_BLOCK_ROWS) {
        stretch at = stretch_at(blocks, first, DOUBLE_BLOCK_ROWS);
        load_doubles(blocks, at, matrix, block);
        const double *left = blocks->wide ? factor : block;
        const double *right = blocks->wide ? block : factor;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, at.lines, at.length, side, 1.0, left,
                    side, right, at.length, 0.0, product, at.length);
        store_doubles(at, product, result);
    }
}
