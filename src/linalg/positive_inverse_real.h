/*
 * positive_inverse for one kind of number: included by positive_inverse.c once with REAL = float
 * and once with REAL = double, so that the two cannot drift apart. NAME(x) is the name of x for
 * this kind, MULTIPLY and HALF those of tiled_product.h. It has no include guard for that reason.
 *
 * Leaves of the recursion have at most LEAF rows; all above them is products of matrices. Symmetric
 * results are formed as their lower triangle in strips of rows, which wastes half of the blocks on
 * the diagonal. What is square lies in memory with a stride of its own, so that its rows do not
 * meet in the same few places of the cache.
 */

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

/* result = left X. */
static void NAME(times_lower)(int rows, int cols, const REAL *left, int left_stride,
                              const REAL *triangle, int triangle_stride, REAL *result, int stride)
{
    int strip = tiled_product_strip(cols);
    for (int j = 0; j < cols; j += strip) {
        int width = cols - j < strip ? cols - j : strip;
        MULTIPLY(CblasNoTrans, CblasNoTrans, rows, width, cols - j, 1, left + j, left_stride,
                 triangle + (int64_t)j * triangle_stride + j, triangle_stride, 0, result + j,
                 stride);
    }
}

/* result = -X right, X lower triangular (rows x rows); right is rows x cols. */
static void NAME(minus_lower_times)(int rows, int cols, const REAL *triangle, int triangle_stride,
                                    const REAL *right, int right_stride, REAL *result, int stride)
{
    int strip = tiled_product_strip(rows);
    for (int i = 0; i < rows; i += strip) {
        int height = rows - i < strip ? rows - i : strip;
        MULTIPLY(CblasNoTrans, CblasNoTrans, height, cols, i + height, -1,
                 triangle + (int64_t)i * triangle_stride, triangle_stride, right, right_stride, 0,
                 result + (int64_t)i * stride, stride);
    }
}

/*
 * right = right L^-T, rows x n, for an L with the inverses of its leaves in their place, and above
 * them the transpose of what is below: two untransposed factors are multiplied faster.
 */
static void NAME(solve)(int n, int rows, const REAL *factor, REAL *right, int stride, REAL *scratch)
{
    if (n > LEAF) {
        int first = leading_part(n), rest = n - first;
        NAME(solve)(first, rows, factor, right, stride, scratch);
        MULTIPLY(CblasNoTrans, CblasNoTrans, rows, rest, first, -1, right, stride, factor + first,
                 stride, 1, right + first, stride);
        NAME(solve)
        (rest, rows, factor + (int64_t)first * stride + first, right + first, stride, scratch);
        return;
    }
    REAL *leaf = scratch + (int64_t)rows * n;
    NAME(transpose)(n, n, factor, stride, leaf, n);
    for (int i = 0; i < rows; i++) {
        memcpy(scratch + (int64_t)i * n, right + (int64_t)i * stride, (size_t)n * sizeof(REAL));
    }
    MULTIPLY(CblasNoTrans, CblasNoTrans, rows, n, n, 1, scratch, n, leaf, n, 0, right, stride);
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
    REAL *lower = matrix + (int64_t)first * stride, *last = lower + first, *upper = matrix + first;
    if (!NAME(factor)(first, matrix, stride, scratch)) {
        return false;
    }
    NAME(solve)(first, rest, matrix, lower, stride, scratch);
    NAME(transpose)(rest, first, lower, stride, upper, stride);
    HALF(CblasNoTrans, CblasNoTrans, rest, first, -1, lower, stride, upper, stride, 1, last,
         stride);
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

/* result = X' right, X lower triangular (rows x rows); right is rows x cols; of a square result the
 * lower triangle is enough. */
static void NAME(transposed_times)(int rows, int cols, const REAL *triangle, const REAL *right,
                                   int stride, bool half, REAL *result, int result_stride)
{
    int strip = tiled_product_strip(rows);
    for (int i = 0; i < rows; i += strip) {
        int height = rows - i < strip ? rows - i : strip;
        const REAL *from = triangle + (int64_t)i * stride;
        MULTIPLY(CblasTrans, CblasNoTrans, height, half ? i + height : cols, rows - i, 1, from + i,
                 stride, right + (int64_t)i * stride, stride, 0,
                 result + (int64_t)i * result_stride, result_stride);
    }
}

/* The lower triangle of result = X'X. */
static void NAME(square_factor)(int n, const REAL *factor, int stride, REAL *result,
                                int result_stride)
{
    if (n <= TILED_MOST_SIDE) {
        NAME(transposed_times)(n, n, factor, factor, stride, true, result, result_stride);
        return;
    }
    int first = leading_part(n), rest = n - first;
    const REAL *lower = factor + (int64_t)first * stride, *last = lower + first;
    REAL *below = result + (int64_t)first * result_stride;
    NAME(square_factor)(first, factor, stride, result, result_stride);
    HALF(CblasTrans, CblasNoTrans, first, rest, 1, lower, stride, lower, stride, 1, result,
         result_stride);
    NAME(transposed_times)(rest, first, last, lower, stride, false, below, result_stride);
    NAME(square_factor)(rest, last, stride, below + first, result_stride);
}

static bool NAME(inverse)(int n, const REAL *matrix, REAL shift, REAL *inverse, REAL *scratch)
{
    int stride = tiled_product_stride(n);
    REAL *factor = scratch;
    scratch += (int64_t)n * stride;
    NAME(copy_shifted)(n, matrix, shift, factor, stride);
    if (!NAME(factor)(n, factor, stride, scratch)) {
        return false;
    }
    NAME(clear_above)(n, factor, stride);
    NAME(invert_factor)(n, factor, stride, scratch);
    NAME(square_factor)(n, factor, stride, inverse, n);
    return true;
}

/* ---- Gauss-Jordan elimination ---------------------------------------------------------------- */

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

static bool NAME(invert_whole)(int n, REAL *matrix, int stride, REAL *scratch);

/*
 * The inverse in place by blocks, with B = A11^-1, W = A21 B, C = (A22 - W A12)^-1:
 *
 *     A^-1 = [ B + W'C W   -W'C ]
 *            [ -C W           C ]
 *
 * The lower triangle is read and written; above it remain pieces on the way.
 */
static bool NAME(invert)(int n, REAL *matrix, int stride, REAL *scratch)
{
    if (n <= LEAF) {
        return NAME(invert_leaf)(n, matrix, stride);
    }
    int first = leading_part(n), rest = n - first;
    REAL *lower = matrix + (int64_t)first * stride, *last = lower + first; /* A21, A22 */
    REAL *upper = matrix + first, *product = scratch;                      /* W: rest x first */
    int product_stride = tiled_product_stride(first);
    scratch += (int64_t)rest * product_stride;
    if (!NAME(invert_whole)(first, matrix, stride, scratch)) {
        return false;
    }
    MULTIPLY(CblasNoTrans, CblasNoTrans, rest, first, first, 1, lower, stride, matrix, stride, 0,
             product, product_stride);
    NAME(transpose)(rest, first, lower, stride, upper, stride);
    HALF(CblasNoTrans, CblasNoTrans, rest, first, -1, product, product_stride, upper, stride, 1,
         last, stride);
    if (!NAME(invert_whole)(rest, last, stride, scratch)) {
        return false;
    }
    MULTIPLY(CblasNoTrans, CblasNoTrans, rest, first, rest, -1, last, stride, product,
             product_stride, 0, lower, stride);
    HALF(CblasTrans, CblasNoTrans, first, rest, -1, product, product_stride, lower, stride, 1,
         matrix, stride);
    return true;
}

/* The same with both triangles of the result. */
static bool NAME(invert_whole)(int n, REAL *matrix, int stride, REAL *scratch)
{
    if (!NAME(invert)(n, matrix, stride, scratch)) {
        return false;
    }
    if (n > LEAF) {
        NAME(mirror)(n, matrix, stride);
    }
    return true;
}

static bool NAME(inverse_conditioned)(int n, const REAL *matrix, REAL shift, REAL *inverse,
                                      REAL *scratch)
{
    int stride = tiled_product_stride(n);
    REAL *square = scratch;
    scratch += (int64_t)n * stride;
    NAME(copy_shifted)(n, matrix, shift, square, stride);
    if (!NAME(invert)(n, square, stride, scratch)) {
        return false;
    }
    NAME(copy_lower)(n, square, stride, inverse, n);
    return true;
}
