/*
 * Sums of groups, transposed if they are tall (see echo_groups.h).
 */
#include "diagnose/echo_groups.h"

#include "base/error.h"
#include "base/vector.h"
#include "linalg/spectrum.h"

/* Elements on a side of the tiles in which a matrix is transposed. */
enum { TILE = 32 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

plumb_status echo_groups_init(int64_t rows, int64_t cols, int64_t count,
                              const float *const *gradients, echo_groups *groups)
{
    REQUIRE(rows >= 1 && cols >= 1 && rows <= INT32_MAX && cols <= INT32_MAX, PLUMB_ERROR_ARGUMENT,
            "an echo of a %lld x %lld matrix: both sides must be in 1..%d", (long long)rows,
            (long long)cols, INT32_MAX);
    REQUIRE(count >= 1 && gradients != NULL, PLUMB_ERROR_ARGUMENT,
            "an echo of %lld groups: there must be one at least", (long long)count);
    for (int64_t k = 0; k < count; k++) {
        REQUIRE(gradients[k] != NULL, PLUMB_ERROR_ARGUMENT, "group %lld is NULL", (long long)k);
        REQUIRE(vector_all_finite(rows * cols, gradients[k]), PLUMB_ERROR_NONFINITE,
                "the gradient of group %lld holds a NaN or an infinity", (long long)k);
    }
    *groups = (echo_groups){.rows = rows,
                            .cols = cols,
                            .count = count,
                            .gradients = gradients,
                            .folds = count,
                            .side = least(rows, cols),
                            .length = rows < cols ? cols : rows};
    REQUIRE(groups->side <= SPECTRUM_MAX_SIDE, PLUMB_ERROR_ARGUMENT,
            "an echo of a %lld x %lld matrix: its short side may be %d", (long long)rows,
            (long long)cols, SPECTRUM_MAX_SIDE);
    return PLUMB_OK;
}

static void add_plain(int64_t elements, const float *gradient, double *sum)
{
    for (int64_t i = 0; i < elements; i++) {
        sum[i] += (double)gradient[i];
    }
}

static void add_tile(const echo_groups *groups, const float *gradient, int64_t first_row,
                     int64_t first_col, double *sum)
{
    int64_t last_row = least(first_row + TILE, groups->rows);
    int64_t last_col = least(first_col + TILE, groups->cols);
    for (int64_t col = first_col; col < last_col; col++) {
        for (int64_t row = first_row; row < last_row; row++) {
            sum[col * groups->rows + row] += (double)gradient[row * groups->cols + col];
        }
    }
}

static void add_transposed(const echo_groups *groups, const float *gradient, double *sum)
{
    for (int64_t row = 0; row < groups->rows; row += TILE) {
        for (int64_t col = 0; col < groups->cols; col += TILE) {
            add_tile(groups, gradient, row, col, sum);
        }
    }
}

static void whiten(const echo_groups *groups, double *matrix)
{
    const echo_whitening *w = &groups->whitening;
    for (int64_t i = 0; i < groups->side && w->left != NULL; i++) {
        for (int64_t j = 0; j < groups->length; j++) {
            matrix[i * groups->length + j] *= w->left[i] * w->right[j];
        }
    }
}

/* The mean of groups first .. first + count - 1. */
static void mean_of(const echo_groups *groups, int64_t first, int64_t count, double *matrix)
{
    int64_t elements = groups->side * groups->length;
    for (int64_t i = 0; i < elements; i++) {
        matrix[i] = 0.0;
    }
    for (int64_t k = first; k < first + count; k++) {
        if (groups->rows > groups->cols) {
            add_transposed(groups, groups->gradients[k], matrix);
        } else {
            add_plain(elements, groups->gradients[k], matrix);
        }
    }
    for (int64_t i = 0; i < elements; i++) {
        matrix[i] /= (double)count;
    }
    whiten(groups, matrix);
}

void echo_groups_fold(const echo_groups *groups, int64_t fold, double *matrix)
{
    int64_t count = groups->count / groups->folds;
    mean_of(groups, fold * count, count, matrix);
}

void echo_groups_mean(const echo_groups *groups, double *matrix)
{
    mean_of(groups, 0, groups->count, matrix);
}

double echo_groups_distance(const echo_groups *groups, const double *a, const double *b)
{
    int64_t elements = groups->side * groups->length;
    double sum = 0.0;
    for (int64_t i = 0; i < elements; i++) {
        double difference = a[i] - b[i];
        sum += difference * difference;
    }
    return sum;
}
