/*
 * The arithmetic of the grid (see blocks.h).
 */
#include "optim/blocks.h"

#include "base/error.h"
#include "linalg/spectrum.h"

bool blocks_is_vector(int64_t rows, int64_t cols)
{
    return rows == 1 || cols == 1;
}

static int64_t pieces_of(int64_t length, int64_t block_size)
{
    return (length + block_size - 1) / block_size;
}

/* Piece `piece` of `pieces` begins here. */
static int64_t cut(int64_t length, int64_t pieces, int64_t piece)
{
    int64_t shorter = length / pieces, longer = length % pieces;
    return piece * shorter + (piece < longer ? piece : longer);
}

static int64_t piece_length(int64_t length, int64_t pieces, int64_t piece)
{
    return length / pieces + (piece < length % pieces);
}

/* Sum of the squared lengths of the first `piece` pieces. */
static int64_t squares_before(int64_t length, int64_t pieces, int64_t piece)
{
    int64_t shorter = length / pieces, longer = length % pieces;
    int64_t long_ones = piece < longer ? piece : longer;
    return long_ones * (shorter + 1) * (shorter + 1) + (piece - long_ones) * shorter * shorter;
}

block_grid blocks_of(int64_t block_size, int64_t rows, int64_t cols)
{
    return (block_grid){rows, cols, pieces_of(rows, block_size), pieces_of(cols, block_size)};
}

plumb_status blocks_check(int64_t block_size, int64_t rows, int64_t cols)
{
    block_grid grid = blocks_of(block_size, rows, cols);
    block largest = blocks_at(&grid, 0);
    REQUIRE(largest.rows <= SPECTRUM_MAX_SIDE && largest.cols <= SPECTRUM_MAX_SIDE,
            PLUMB_ERROR_ARGUMENT,
            "block_size %lld makes a block of %lld x %lld: its sides must be at most %d",
            (long long)block_size, (long long)largest.rows, (long long)largest.cols,
            SPECTRUM_MAX_SIDE);
    return PLUMB_OK;
}

int64_t blocks_count(const block_grid *grid)
{
    return grid->row_pieces * grid->col_pieces;
}

int64_t blocks_factors(const block_grid *grid, product_side side)
{
    return side == PRODUCT_LEFT
               ? grid->col_pieces * squares_before(grid->rows, grid->row_pieces, grid->row_pieces)
               : grid->row_pieces * squares_before(grid->cols, grid->col_pieces, grid->col_pieces);
}

block blocks_at(const block_grid *grid, int64_t number)
{
    int64_t i = number / grid->col_pieces, j = number % grid->col_pieces;
    block b = {.number = number,
               .row_piece = i,
               .col_piece = j,
               .first_row = cut(grid->rows, grid->row_pieces, i),
               .first_col = cut(grid->cols, grid->col_pieces, j),
               .rows = piece_length(grid->rows, grid->row_pieces, i),
               .cols = piece_length(grid->cols, grid->col_pieces, j)};
    b.factor[PRODUCT_LEFT] =
        grid->col_pieces * squares_before(grid->rows, grid->row_pieces, i) + j * b.rows * b.rows;
    b.factor[PRODUCT_RIGHT] = i * squares_before(grid->cols, grid->col_pieces, grid->col_pieces) +
                              squares_before(grid->cols, grid->col_pieces, j);
    return b;
}

void blocks_read(const block_grid *grid, const block *b, double scale, const float *matrix,
                 double *elements)
{
    for (int64_t i = 0; i < b->rows; i++) {
        const float *from = matrix + (b->first_row + i) * grid->cols + b->first_col;
        for (int64_t j = 0; j < b->cols; j++) {
            elements[i * b->cols + j] = scale * (double)from[j];
        }
    }
}

void blocks_read_doubles(const block_grid *grid, const block *b, double scale, const double *matrix,
                         double *elements)
{
    for (int64_t i = 0; i < b->rows; i++) {
        const double *from = matrix + (b->first_row + i) * grid->cols + b->first_col;
        for (int64_t j = 0; j < b->cols; j++) {
            elements[i * b->cols + j] = scale * from[j];
        }
    }
}

void blocks_write(const block_grid *grid, const block *b, const double *elements, float *matrix)
{
    for (int64_t i = 0; i < b->rows; i++) {
        float *to = matrix + (b->first_row + i) * grid->cols + b->first_col;
        for (int64_t j = 0; j < b->cols; j++) {
            to[j] = (float)elements[i * b->cols + j];
        }
    }
}
