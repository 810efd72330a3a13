/*
 * Tiles (see tiled_product.h). The sizes are measured: any tile of about 10^6 multiplications whose
 * sides are multiples of 16 does, and these do a little better than others.
 */
#include "linalg/tiled_product.h"

#include <stdint.h>

#include "linalg/blas_environment.h"

/* OpenBLAS takes its small kernels up to 100^3 multiplications. */
enum { TILE_ROWS = 48, TILE_COLS = 80, TILE_INNER = 256, MOST_SMALL = 1000000 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

bool tiled_product_takes(int side)
{
    return side <= TILED_MOST_SIDE && blas_has_small_kernels();
}

/* The right factor is read again for every row of tiles, the left one once. */
static bool worth_cutting(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int rows, int cols,
                          int inner)
{
    return cols <= TILED_MOST_SIDE && inner <= TILED_MOST_SIDE &&
           (int64_t)rows * cols * inner > MOST_SMALL &&
           (left_form != CblasNoTrans || right_form == CblasNoTrans) && blas_has_small_kernels();
}

int tiled_product_strip(int n)
{
    int rows = (n / 4 + 31) / 32 * 32;
    return tiled_product_takes(n) ? 32 : rows < 64 ? 64 : least(rows, 256);
}

int tiled_product_stride(int cols)
{
    int lines = (cols + 15) / 16;
    return cols < 64 ? cols : 16 * (lines + (lines % 4 == 0));
}

#define JOIN(name, kind) name##_##kind

#define REAL float
#define NAME(x) JOIN(x, single)
#define GEMM cblas_sgemm
#include "linalg/tiled_product_real.h"
#undef REAL
#undef NAME
#undef GEMM

#define REAL double
#define NAME(x) JOIN(x, double)
#define GEMM cblas_dgemm
#include "linalg/tiled_product_real.h"
