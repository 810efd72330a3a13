/*
 * Triangles and transposes of square matrices of one kind of number: included by
 * positive_inverse.c once with REAL = float and once with REAL = double, before
 * positive_inverse_real.h. NAME(x) is the name of x for this kind. It has no include guard for that
 * reason.
 */

/* The upper half of the elements between those of the lower half. */
static inline void NAME(shuffle)(const REAL *restrict from, REAL *restrict to)
{
    for (int i = 0; i < TILE * TILE / 2; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[i + TILE * TILE / 2];
    }
}

/* to (TILE x TILE) = the transpose of from. A shuffle rotates the bits of an element's number; as
 * many as a row's number has bits bring rows to the place of columns. Compilers vectorise them. */
VECTOR_CLONES
static void NAME(transpose_tile)(const REAL *from, int from_stride, REAL *to, int to_stride)
{
    REAL a[TILE * TILE] __attribute__((aligned(64))), b[TILE * TILE] __attribute__((aligned(64)));
    for (int i = 0; i < TILE; i++) {
        memcpy(a + i * TILE, from + (int64_t)i * from_stride, TILE * sizeof(REAL));
    }
    NAME(shuffle)(a, b);
    NAME(shuffle)(b, a);
    NAME(shuffle)(a, b);
    NAME(shuffle)(b, a);
    for (int i = 0; i < TILE; i++) {
        memcpy(to + (int64_t)i * to_stride, a + i * TILE, TILE * sizeof(REAL));
    }
}

/* to = the transpose of from (rows x cols). */
VECTOR_CLONES
static void NAME(transpose)(int rows, int cols, const REAL *from, int from_stride, REAL *to,
                            int to_stride)
{
    for (int i0 = 0; i0 < rows; i0 += TILE) {
        for (int j0 = 0; j0 < cols; j0 += TILE) {
            const REAL *corner = from + (int64_t)i0 * from_stride + j0;
            REAL *turned = to + (int64_t)j0 * to_stride + i0;
            if (rows - i0 >= TILE && cols - j0 >= TILE) {
                NAME(transpose_tile)(corner, from_stride, turned, to_stride);
                continue;
            }
            for (int i = 0; i < rows - i0 && i < TILE; i++) {
                for (int j = 0; j < cols - j0 && j < TILE; j++) {
                    turned[(int64_t)j * to_stride + i] = corner[(int64_t)i * from_stride + j];
                }
            }
        }
    }
}

/* Copies the lower triangle to the upper one: the tiles below the diagonal, and those on it. */
VECTOR_CLONES
static void NAME(mirror)(int n, REAL *matrix, int stride)
{
    for (int i0 = 0; i0 < n; i0 += TILE) {
        int rows = n - i0 < TILE ? n - i0 : TILE;
        REAL *left = matrix + (int64_t)i0 * stride, *diagonal = left + i0;
        NAME(transpose)(rows, i0, left, stride, matrix + i0, stride);
        for (int i = 1; i < rows; i++) {
            for (int j = 0; j < i; j++) {
                diagonal[(int64_t)j * stride + i] = diagonal[(int64_t)i * stride + j];
            }
        }
    }
}

/* The lower triangle of value I. */
static void NAME(begin)(int n, REAL value, REAL *sum)
{
    for (int64_t i = 0; i < n; i++) {
        memset(sum + i * n, 0, (size_t)i * sizeof(REAL));
        sum[i * n + i] = value;
    }
}

/* The lower triangle of sum + weight `matrix`. */
VECTOR_CLONES
static void NAME(add)(int n, REAL weight, const REAL *restrict matrix, REAL *restrict sum)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            sum[i * n + j] += weight * matrix[i * n + j];
        }
    }
}

/* The lower triangle of `matrix` with the shift. */
VECTOR_CLONES
static void NAME(copy_shifted)(int n, const REAL *matrix, REAL shift, REAL *copy, int stride)
{
    for (int i = 0; i < n; i++) {
        memcpy(copy + (int64_t)i * stride, matrix + (int64_t)i * n, (size_t)(i + 1) * sizeof(REAL));
        copy[(int64_t)i * stride + i] += shift;
    }
}

/* The lower triangle of `from`. */
VECTOR_CLONES
static void NAME(copy_lower)(int n, const REAL *from, int from_stride, REAL *to, int to_stride)
{
    for (int i = 0; i < n; i++) {
        memcpy(to + (int64_t)i * to_stride, from + (int64_t)i * from_stride,
               (size_t)(i + 1) * sizeof(REAL));
    }
}

/* Products leave something above the diagonal of their blocks. */
static void NAME(clear_above)(int n, REAL *matrix, int stride)
{
    for (int i = 0; i + 1 < n; i++) {
        memset(matrix + (int64_t)i * stride + i + 1, 0, (size_t)(n - 1 - i) * sizeof(REAL));
    }
}
