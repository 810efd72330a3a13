/*
 * The two products of a polar factor that have the long side in them, G'G and G S, for a G that is
 * read once each time, block by block: a block is scaled on its way into memory of our own, so that
 * BLAS sees the same alignment and the same magnitudes wherever the caller's matrix lies and
 * however large it is, and the result may take the place of the matrix.
 */
#ifndef PLUMB_LINALG_POLAR_BLOCKS_H
#define PLUMB_LINALG_POLAR_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

/* A matrix longer x side (tall), or side x longer (wide): then everything is of the transpose. */
typedef struct polar_blocks {
    int longer, side;
    bool wide;
    int exponent; /* the matrix counts 2^-exponent times */
} polar_blocks;

polar_blocks polar_blocks_of(int rows, int cols, int exponent);

/* Elements of the block that the functions below need; one is enough for both kinds of number. */
int64_t polar_blocks_elements(const polar_blocks *blocks);

/* Lower triangle of gram (side x side) = G'G. */
void polar_blocks_gram(const polar_blocks *blocks, const float *matrix, float *block, float *gram);
void polar_blocks_gram_double(const polar_blocks *blocks, const float *matrix, double *block,
                              double *gram);

/* result = G S, S symmetric with both triangles given; result may be `matrix`. */
void polar_blocks_apply(const polar_blocks *blocks, const float *matrix, const float *factor,
                        float *block, float *result);

/* The same in double, rounded once; `block` and `product` have as many elements each. */
void polar_blocks_apply_double(const polar_blocks *blocks, const float *matrix,
                               const double *factor, double *block, double *product, float *result);

#endif
