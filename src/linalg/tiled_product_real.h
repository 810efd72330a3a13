/*
 * tiled_product for one kind of number: included by tiled_product.c once with REAL = float and once
 * with REAL = double. NAME(x) is the name of x for this kind, GEMM CBLAS's product. It has no
 * include guard for that reason.
 */

/* A product one of whose factors is larger than a tile, and which lies in the cache. */
void NAME(tiled_product)(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int rows, int cols,
                         int inner, REAL alpha, const REAL *left, int left_stride,
                         const REAL *right, int right_stride, REAL beta, REAL *result, int stride)
{
    if (!worth_cutting(left_form, right_form, rows, cols, inner)) {
        GEMM(CblasRowMajor, left_form, right_form, rows, cols, inner, alpha, left, left_stride,
             right, right_stride, beta, result, stride);
        return;
    }
    int64_t left_row = left_form == CblasNoTrans ? left_stride : 1;
    int64_t left_inner = left_form == CblasNoTrans ? 1 : left_stride;
    int64_t right_inner = right_form == CblasNoTrans ? right_stride : 1;
    int64_t right_col = right_form == CblasNoTrans ? 1 : right_stride;
    for (int i = 0; i < rows; i += TILE_ROWS) {
        int height = least(rows - i, TILE_ROWS);
        for (int j = 0; j < cols; j += TILE_COLS) {
            int width = least(cols - j, TILE_COLS);
            for (int k = 0; k < inner; k += TILE_INNER) {
                GEMM(CblasRowMajor, left_form, right_form, height, width,
                     least(inner - k, TILE_INNER), alpha, left + i * left_row + k * left_inner,
                     left_stride, right + k * right_inner + j * right_col, right_stride,
                     k == 0 ? beta : 1, result + (int64_t)i * stride + j, stride);
            }
        }
    }
}

void NAME(tiled_half_product)(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int n,
                              int inner, REAL alpha, const REAL *left, int left_stride,
                              const REAL *right, int right_stride, REAL beta, REAL *result,
                              int stride)
{
    int strip = tiled_product_strip(n);
    int64_t left_row = left_form == CblasNoTrans ? left_stride : 1;
    for (int i = 0; i < n; i += strip) {
        int rows = least(n - i, strip);
        NAME(tiled_product)
        (left_form, right_form, rows, i + rows, inner, alpha, left + i * left_row, left_stride,
         right, right_stride, beta, result + (int64_t)i * stride, stride);
    }
}
