/*
 * positive_inverse for one kind of number: included by positive_inverse.c once with REAL = float
 * and once with REAL = double, so that the two cannot drift apart. NAME(x) is the name of x for
 * this kind, GEMM CBLAS's product. It has no include guard for that reason.
 *
 * Leaves of the recursion have at most LEAF rows; all above them is products of matrices. Symmetric
 * results are formed as their lower triangle in blocks of rows, which wastes half of the blocks on
 * the diagonal.
 */

/* Rows of one product of a result of n rows of which only a triangle is wanted. */
static int NAME(block_rows)(int n)
{
    int rows = (n / 4 + 31) / 32 * 32;
    return rows < 64 ? 64 : rows > 256 ? 256 : rows;
}

static void NAME(multiply)(CBLAS_TRANSPOSE left_form, CBLAS_TRANSPOSE right_form, int rows,
                           int cols, int inner, REAL alpha, const REAL *left, int left_stride,
                           const REAL *right, int right_stride, REAL beta, REAL *result, int stride)
{
    GEMM(CblasRowMajor, left_form, right_form, rows, cols, inner, alpha, left, left_stride, right,
         right_stride, beta, result, stride);
}

/* Lower triangle of result (n x n) += alpha left right', both n x inner. */
static void NAME(add_half)(int n, int inner, REAL alpha, const REAL *left, int left_stride,
                           const REAL *right, int right_stride, REAL *result, int stride)
{
    int block = NAME(block_rows)(n);
    for (int i = 0; i < n; i += block) {
        int rows = n - i < block ? n - i : block;
        NAME(multiply)
        (CblasNoTrans, CblasTrans, rows, i + rows, inner, alpha, left + (int64_t)i * left_stride,
         left_stride, right, right_stride, 1, result + (int64_t)i * stride, stride);
    }
}

/* Copies the lower triangle to the upper one, tile by tile for the cache. */
VECTOR_CLONES
static void NAME(mirror)(int n, REAL *matrix, int stride)
{
    enum { TILE = 16 };
    for (int i0 = 0; i0 < n; i0 += TILE) {
        int i1 = i0 + TILE < n ? i0 + TILE : n;
        for (int j0 = 0; j0 <= i0; j0 += TILE) {
            for (int i = i0; i < i1; i++) {
                int j1 = j0 + TILE < i ? j0 + TILE : i;
                for (int j = j0; j < j1; j++) {
                    matrix[(int64_t)j * stride + i] = matrix[(int64_t)i * stride + j];
                }
            }
        }
    }
}

/* The leaf as a full square with a compile-time stride; ones on the diagonal beyond n. */
static inline void NAME(load_leaf)(int n, int width, const REAL *matrix, int stride, REAL *leaf)
{
    for (int i = 0; i < width; i++) {
        for (int j = 0; j < width; j++) {
            leaf[i * width + j] = i == j ? 1 : 0;
        }
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            leaf[i * width + j] = matrix[(int64_t)i * stride + j];
            leaf[j * width + i] = matrix[(int64_t)i * stride + j];
        }
    }
}

/*
 * The leaf L of A = L L' becomes L^-1, with zeros above: forward elimination of [A I], the part of
 * I in the place of what is eliminated.
 */
static inline bool NAME(factorise)(int n, int width, REAL *restrict leaf)
{
    REAL row[LEAF], column[LEAF];
    for (int k = 0; k < n; k++) {
        REAL pivot = leaf[k * width + k];
        if (!(pivot > 0)) {
            return false;
        }
        REAL inverse = 1 / pivot;
        REAL root = REAL_SQRT(inverse);
        for (int j = 0; j < width; j++) {
            row[j] = leaf[k * width + j] * inverse;
            column[j] = leaf[j * width + k];
            leaf[k * width + j] = j < k ? root * leaf[k * width + j] : 0;
        }
        leaf[k * width + k] = root;
        for (int i = k + 1; i < width; i++) {
            for (int j = 0; j < width; j++) {
                leaf[i * width + j] -= column[i] * row[j];
            }
        }
        for (int i = k + 1; i < width; i++) {
            leaf[i * width + k] = -column[i] * inverse;
        }
    }
    return true;
}

VECTOR_CLONES
static bool NAME(factorise_leaf)(int n, REAL *matrix, int stride)
{
    REAL leaf[LEAF * LEAF] __attribute__((aligned(64)));
    bool narrow = n <= LEAF / 2;
    int width = narrow ? LEAF / 2 : LEAF;
    NAME(load_leaf)(n, width, matrix, stride, leaf);
    bool positive = narrow ? NAME(factorise)(n, LEAF / 2, leaf) : NAME(factorise)(n, LEAF, leaf);
    for (int i = 0; i < n; i++) {
        memcpy(matrix + (int64_t)i * stride, leaf + i * width, (size_t)n * sizeof(REAL));
    }
    return positive;
}

/* The lower triangle of `matrix` with the shift; zeros above. `copy` may be `matrix`. */
VECTOR_CLONES
static void NAME(copy_shifted)(int n, const REAL *matrix, REAL shift, REAL *copy)
{
    for (int i = 0; i < n; i++) {
        const REAL *from = matrix + (int64_t)i * n;
        REAL *to = copy + (int64_t)i * n;
        for (int j = 0; j <= i; j++) {
            to[j] = from[j];
        }
        for (int j = i + 1; j < n; j++) {
            to[j] = 0;
        }
        to[i] += shift;
    }
}

/* result = left X. */
static void NAME(times_lower)(int rows, int cols, const REAL *left, int left_stride,
                              const REAL *triangle, int triangle_stride, REAL *result, int stride)
{
    int block = NAME(block_rows)(cols);
    for (int j = 0; j < cols; j += block) {
        int width = cols - j < block ? cols - j : block;
        NAME(multiply)
        (CblasNoTrans, CblasNoTrans, rows, width, cols - j, 1, left + j, left_stride,
         triangle + (int64_t)j * triangle_stride + j, triangle_stride, 0, result + j, stride);
    }
}

/* result = -X right, X lower triangular (rows x rows); right is rows x cols. */
static void NAME(minus_lower_times)(int rows, int cols, const REAL *triangle, int triangle_stride,
                                    const REAL *right, int right_stride, REAL *result, int stride)
{
    int block = NAME(block_rows)(rows);
    for (int i = 0; i < rows; i += block) {
        int height = rows - i < block ? rows - i : block;
        NAME(multiply)
        (CblasNoTrans, CblasNoTrans, height, cols, i + height, -1,
         triangle + (int64_t)i * triangle_stride, triangle_stride, right, right_stride, 0,
         result + (int64_t)i * stride, stride);
    }
}

/* Products leave something above the diagonal of their blocks. */
static void NAME(clear_above)(int n, REAL *matrix, int stride)
{
    for (int i = 0; i + 1 < n; i++) {
        memset(matrix + (int64_t)i * stride + i + 1, 0, (size_t)(n - 1 - i) * sizeof(REAL));
    }
}

/* right = right L^-T, rows x n, for an L with the inverses of its leaves in their place. */
static void NAME(solve)(int n, int rows, const REAL *factor, REAL *right, int stride, REAL *scratch)
{
    if (n > LEAF) {
        int first = leading_part(n), rest = n - first;
        const REAL *lower = factor + (int64_t)first * stride;
        NAME(solve)(first, rows, factor, right, stride, scratch);
        NAME(multiply)
        (CblasNoTrans, CblasTrans, rows, rest, first, -1, right, stride, lower, stride, 1,
         right + first, stride);
        NAME(solve)(rest, rows, lower + first, right + first, stride, scratch);
        return;
    }
    for (int i = 0; i < rows; i++) {
        memcpy(scratch + (int64_t)i * n, right + (int64_t)i * stride, (size_t)n * sizeof(REAL));
    }
    NAME(multiply)
    (CblasNoTrans, CblasTrans, rows, n, n, 1, scratch, n, factor, stride, 0, right, stride);
}

/*
 * The factor L of A = L L' in place, below its leaves, the inverses of which take their place. L is
 * found by substitution: multiplying with inverses of larger blocks loses digits.
 */
static bool NAME(factor)(int n, REAL *matrix, int stride, REAL *scratch)
{
    if (n <= LEAF) {
        return NAME(factorise_leaf)(n, matrix, stride);
    }
    int first = leading_part(n), rest = n - first;
    REAL *lower = matrix + (int64_t)first * stride, *last = lower + first;
    if (!NAME(factor)(first, matrix, stride, scratch)) {
        return false;
    }
    NAME(solve)(first, rest, matrix, lower, stride, scratch);
    NAME(add_half)(rest, first, -1, lower, stride, lower, stride, last, stride);
    return NAME(factor)(rest, last, stride, scratch);
}

/* X = L^-1 in place: X21 = -X22 (L21 X11). Zeros above the diagonal. */
static void NAME(invert_factor)(int n, REAL *factor, int stride, REAL *scratch)
{
    if (n <= LEAF) {
        return;
    }
    int first = leading_part(n), rest = n - first;
    REAL *lower = factor + (int64_t)first * stride, *last = lower + first;
    NAME(invert_factor)(first, factor, stride, scratch);
    NAME(invert_factor)(rest, last, stride, scratch);
    NAME(times_lower)(rest, first, lower, stride, factor, stride, scratch, first);
    NAME(minus_lower_times)(rest, first, last, stride, scratch, first, lower, stride);
}

/* result = X'X, both triangles. */
static void NAME(square_factor)(int n, const REAL *factor, REAL *result)
{
    int block = NAME(block_rows)(n);
    for (int i = 0; i < n; i += block) {
        int rows = n - i < block ? n - i : block;
        const REAL *from = factor + (int64_t)i * n;
        NAME(multiply)
        (CblasTrans, CblasNoTrans, rows, i + rows, n - i, 1, from + i, n, from, n, 0,
         result + (int64_t)i * n, n);
    }
    NAME(mirror)(n, result, n);
}

static bool NAME(inverse)(int n, const REAL *matrix, REAL shift, REAL *inverse, REAL *scratch)
{
    REAL *factor = scratch;
    scratch += (int64_t)n * n;
    NAME(copy_shifted)(n, matrix, shift, factor);
    if (!NAME(factor)(n, factor, n, scratch)) {
        return false;
    }
    NAME(clear_above)(n, factor, n);
    NAME(invert_factor)(n, factor, n, scratch);
    NAME(square_factor)(n, factor, inverse);
    return true;
}

/* ---- Gauss-Jordan elimination ---------------------------------------------------------------- */

/* Lower triangle of result (n x n) += alpha left' right, both inner x n. */
static void NAME(add_half_transposed)(int n, int inner, REAL alpha, const REAL *left,
                                      int left_stride, const REAL *right, int right_stride,
                                      REAL *result, int stride)
{
    int block = NAME(block_rows)(n);
    for (int i = 0; i < n; i += block) {
        int rows = n - i < block ? n - i : block;
        NAME(multiply)
        (CblasTrans, CblasNoTrans, rows, i + rows, inner, alpha, left + i, left_stride, right,
         right_stride, 1, result + (int64_t)i * stride, stride);
    }
}

/* to = the transpose of from (rows x cols). */
static void NAME(transpose)(int rows, int cols, const REAL *from, int from_stride, REAL *to,
                            int to_stride)
{
    enum { TILE = 16 };
    for (int i0 = 0; i0 < rows; i0 += TILE) {
        int i1 = i0 + TILE < rows ? i0 + TILE : rows;
        for (int j0 = 0; j0 < cols; j0 += TILE) {
            int j1 = j0 + TILE < cols ? j0 + TILE : cols;
            for (int i = i0; i < i1; i++) {
                for (int j = j0; j < j1; j++) {
                    to[(int64_t)j * to_stride + i] = from[(int64_t)i * from_stride + j];
                }
            }
        }
    }
}

/* Gauss-Jordan elimination in place of the first n of `width` rows and columns. */
static inline bool NAME(eliminate)(int n, int width, REAL *restrict leaf)
{
    REAL row[LEAF], column[LEAF];
    for (int k = 0; k < n; k++) {
        REAL pivot = leaf[k * width + k];
        if (!(pivot > 0)) {
            return false;
        }
        REAL inverse = 1 / pivot;
        for (int i = 0; i < width; i++) {
            row[i] = leaf[k * width + i] * inverse;
            column[i] = leaf[i * width + k];
        }
        for (int i = 0; i < width; i++) {
            for (int j = 0; j < width; j++) {
                leaf[i * width + j] -= column[i] * row[j];
            }
        }
        for (int i = 0; i < width; i++) {
            leaf[i * width + k] = -column[i] * inverse;
        }
        for (int j = 0; j < width; j++) {
            leaf[k * width + j] = row[j];
        }
        leaf[k * width + k] = inverse;
    }
    return true;
}

VECTOR_CLONES
static bool NAME(invert_leaf)(int n, REAL *matrix, int stride)
{
    REAL leaf[LEAF * LEAF] __attribute__((aligned(64)));
    bool narrow = n <= LEAF / 2;
    int width = narrow ? LEAF / 2 : LEAF;
    NAME(load_leaf)(n, width, matrix, stride, leaf);
    bool positive = narrow ? NAME(eliminate)(n, LEAF / 2, leaf) : NAME(eliminate)(n, LEAF, leaf);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            matrix[(int64_t)i * stride + j] = leaf[i * width + j];
            matrix[(int64_t)j * stride + i] = leaf[i * width + j];
        }
    }
    return positive;
}

/*
 * The inverse in place by blocks, with B = A11^-1, W = A21 B, C = (A22 - W A21')^-1:
 *
 *     A^-1 = [ B + W'C W   -W'C ]
 *            [ -C W           C ]
 */
static bool NAME(invert)(int n, REAL *matrix, int stride, REAL *scratch)
{
    if (n <= LEAF) {
        return NAME(invert_leaf)(n, matrix, stride);
    }
    int first = leading_part(n), rest = n - first;
    REAL *lower = matrix + (int64_t)first * stride, *last = lower + first; /* A21, A22 */
    REAL *product = scratch;                                               /* W: rest x first */
    scratch += (int64_t)rest * first;
    if (!NAME(invert)(first, matrix, stride, scratch)) {
        return false;
    }
    NAME(multiply)
    (CblasNoTrans, CblasNoTrans, rest, first, first, 1, lower, stride, matrix, stride, 0, product,
     first);
    NAME(add_half)(rest, first, -1, product, first, lower, stride, last, stride);
    if (!NAME(invert)(rest, last, stride, scratch)) {
        return false;
    }
    NAME(multiply)
    (CblasNoTrans, CblasNoTrans, rest, first, rest, -1, last, stride, product, first, 0, lower,
     stride);
    NAME(add_half_transposed)(first, rest, -1, product, first, lower, stride, matrix, stride);
    NAME(mirror)(first, matrix, stride);
    NAME(transpose)(rest, first, lower, stride, matrix + first, stride);
    return true;
}
