/*
 * A matrix parameter cut into a grid of blocks, so that factors of its sides stay small: every
 * dimension above block_size is cut into as few equal pieces as have at most that many elements
 * (their lengths differ by one at most). Each block has a left factor (its rows) and a right one
 * (its columns); the factors of all blocks lie one behind the other in one array a side.
 */
#ifndef PLUMB_OPTIM_BLOCKS_H
#define PLUMB_OPTIM_BLOCKS_H

#include <stdbool.h>

#include "linalg/product.h"
#include "plumb.h"

typedef struct block_grid {
    int64_t rows, cols;             /* of the whole matrix */
    int64_t row_pieces, col_pieces; /* blocks in each direction */
} block_grid;

typedef struct block {
    int64_t number; /* 0, 1, ... row of blocks by row of blocks */
    int64_t row_piece, col_piece;
    int64_t first_row, first_col;
    int64_t rows, cols;
    int64_t factor[2]; /* where its factor begins in the array of a product_side */
} block;

/* One row or column, or a single element: there is nothing to factor. */
bool blocks_is_vector(int64_t rows, int64_t cols);

/* ARGUMENT if blocks were too large for LAPACK. */
plumb_status blocks_check(int64_t block_size, int64_t rows, int64_t cols);

block_grid blocks_of(int64_t block_size, int64_t rows, int64_t cols);
int64_t blocks_count(const block_grid *grid);
block blocks_at(const block_grid *grid, int64_t number);

/* Elements of the array of one side's factors. */
int64_t blocks_factors(const block_grid *grid, product_side side);

/* A block's elements out of, or into, the whole matrix; times `scale` on the way. The block's own
 * memory is compact: rows x cols. */
void blocks_read(const block_grid *grid, const block *b, double scale, const float *matrix,
                 double *elements);
void blocks_read_doubles(const block_grid *grid, const block *b, double scale, const double *matrix,
                         double *elements);
void blocks_write(const block_grid *grid, const block *b, const double *elements, float *matrix);

#endif
