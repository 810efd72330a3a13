/*
 * See polar_blocks.h. The rows of a block are many enough for the square operand, which BLAS packs
 * anew for every block, not to matter, and few enough for a block to stay in the cache.
 */
#include "linalg/polar_blocks.h"

#include <cblas.h>
#include <math.h>
#include <stddef.h>

#include "base/vector.h"
#include "linalg/tiled_product.h"

/* Below this side a half product is slower than the whole one. */
enum { LEAST_HALF_PRODUCT = 128 };

/* Rows of a block, or columns of a wide one; of one whose products are cut into tiles. */
enum { BLOCK_ROWS = 1024, DOUBLE_BLOCK_ROWS = 512, TILED_BLOCK_ROWS = 256 };

polar_blocks polar_blocks_of(int rows, int cols, int exponent)
{
    bool wide = rows < cols;
    return (polar_blocks){.longer = wide ? cols : rows,
                          .side = wide ? rows : cols,
                          .wide = wide,
                          .exponent = exponent};
}

static int block_rows(const polar_blocks *blocks, int untiled)
{
    int most = tiled_product_takes(blocks->side) ? TILED_BLOCK_ROWS : untiled;
    return blocks->longer < most ? blocks->longer : most;
}

int64_t polar_blocks_elements(const polar_blocks *blocks)
{
    int64_t rows = block_rows(blocks, BLOCK_ROWS);
    return blocks->wide ? blocks->side * (int64_t)tiled_product_stride((int)rows)
                        : rows * tiled_product_stride(blocks->side);
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

/* A block as memory: `lines` runs of `length` elements that lie `stride` apart in the matrix and
 * `block_stride` in the block. */
typedef struct stretch {
    int rows; /* of the block, along the long side */
    int64_t offset;
    int lines, length, stride, block_stride;
} stretch;

static stretch stretch_at(const polar_blocks *blocks, int first, int most)
{
    int rows = blocks->longer - first < most ? blocks->longer - first : most;
    int side = blocks->side;
    if (blocks->wide) {
        return (stretch){rows, first, side, rows, blocks->longer, tiled_product_stride(rows)};
    }
    return (stretch){rows, (int64_t)first * side, rows, side, side, tiled_product_stride(side)};
}

static void load_floats(const polar_blocks *blocks, stretch at, const float *matrix, float *block)
{
    const float *from = matrix + at.offset;
    for (int i = 0; i < at.lines; i++) {
        scale_to_floats(at.length, blocks->exponent, from + (int64_t)i * at.stride,
                        block + (int64_t)i * at.block_stride);
    }
}

static void load_doubles(const polar_blocks *blocks, stretch at, const float *matrix, double *block)
{
    const float *from = matrix + at.offset;
    for (int i = 0; i < at.lines; i++) {
        scale_to_doubles(at.length, blocks->exponent, from + (int64_t)i * at.stride,
                         block + (int64_t)i * at.block_stride);
    }
}

static void store_doubles(stretch at, const double *product, float *result)
{
    float *to = result + at.offset;
    for (int i = 0; i < at.lines; i++) {
        round_to_floats(at.length, product + (int64_t)i * at.block_stride,
                        to + (int64_t)i * at.stride);
    }
}

void polar_blocks_gram(const polar_blocks *blocks, const float *matrix, float *block, float *gram)
{
    CBLAS_TRANSPOSE left = blocks->wide ? CblasNoTrans : CblasTrans;
    CBLAS_TRANSPOSE right = blocks->wide ? CblasTrans : CblasNoTrans;
    int side = blocks->side, most = block_rows(blocks, BLOCK_ROWS);
    for (int first = 0; first < blocks->longer; first += most) {
        stretch at = stretch_at(blocks, first, most);
        float keep = first == 0 ? 0.0f : 1.0f;
        load_floats(blocks, at, matrix, block);
        if (tiled_product_takes(side) && !blocks->wide) {
            tiled_half_product_single(left, right, side, at.rows, 1.0f, block, at.block_stride,
                                      block, at.block_stride, keep, gram, side);
        } else if (side < LEAST_HALF_PRODUCT) {
            cblas_sgemm(CblasRowMajor, left, right, side, side, at.rows, 1.0f, block,
                        at.block_stride, block, at.block_stride, keep, gram, side);
        } else {
            cblas_ssyrk(CblasRowMajor, CblasLower, left, side, at.rows, 1.0f, block,
                        at.block_stride, keep, gram, side);
        }
    }
}

void polar_blocks_gram_double(const polar_blocks *blocks, const float *matrix, double *block,
                              double *gram)
{
    CBLAS_TRANSPOSE left = blocks->wide ? CblasNoTrans : CblasTrans;
    CBLAS_TRANSPOSE right = blocks->wide ? CblasTrans : CblasNoTrans;
    int side = blocks->side, most = block_rows(blocks, DOUBLE_BLOCK_ROWS);
    for (int first = 0; first < blocks->longer; first += most) {
        stretch at = stretch_at(blocks, first, most);
        double keep = first == 0 ? 0.0 : 1.0;
        load_doubles(blocks, at, matrix, block);
        if (tiled_product_takes(side) && !blocks->wide) {
            tiled_half_product_double(left, right, side, at.rows, 1.0, block, at.block_stride,
                                      block, at.block_stride, keep, gram, side);
        } else if (side < LEAST_HALF_PRODUCT) {
            cblas_dgemm(CblasRowMajor, left, right, side, side, at.rows, 1.0, block,
                        at.block_stride, block, at.block_stride, keep, gram, side);
        } else {
            cblas_dsyrk(CblasRowMajor, CblasLower, left, side, at.rows, 1.0, block, at.block_stride,
                        keep, gram, side);
        }
    }
}

void polar_blocks_apply(const polar_blocks *blocks, const float *matrix, const float *factor,
                        float *block, float *result)
{
    int side = blocks->side, most = block_rows(blocks, BLOCK_ROWS);
    for (int first = 0; first < blocks->longer; first += most) {
        stretch at = stretch_at(blocks, first, most);
        load_floats(blocks, at, matrix, block);
        const float *left = blocks->wide ? factor : block;
        const float *right = blocks->wide ? block : factor;
        int left_stride = blocks->wide ? side : at.block_stride;
        int right_stride = blocks->wide ? at.block_stride : side;
        tiled_product_single(CblasNoTrans, CblasNoTrans, at.lines, at.length, side, 1.0f, left,
                             left_stride, right, right_stride, 0.0f, result + at.offset, at.stride);
    }
}

void polar_blocks_apply_double(const polar_blocks *blocks, const float *matrix,
                               const double *factor, double *block, double *product, float *result)
{
    int side = blocks->side, most = block_rows(blocks, DOUBLE_BLOCK_ROWS);
    for (int first = 0; first < blocks->longer; first += most) {
        stretch at = stretch_at(blocks, first, most);
        load_doubles(blocks, at, matrix, block);
        const double *left = blocks->wide ? factor : block;
        const double *right = blocks->wide ? block : factor;
        int left_stride = blocks->wide ? side : at.block_stride;
        int right_stride = blocks->wide ? at.block_stride : side;
        tiled_product_double(CblasNoTrans, CblasNoTrans, at.lines, at.length, side, 1.0, left,
                             left_stride, right, right_stride, 0.0, product, at.block_stride);
        store_doubles(at, product, result);
    }
}
