/*
 * Polar factors in turns with products; see polar_benchmark.h.
 */
#include "workload/polar_benchmark.h"

#include "plumb.h"
#include "workload/contest.h"
#include "workload/polar_input.h"
#include "workload/random.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const polar_contestant_names[] = {
    "fast", "fast-3e-3", "exact", "newton-schulz", "newton-schulz-symmetric", "polar-express",
    "svd",  "sgesdd",    NULL};

void polar_benchmark_fill(int64_t count, uint64_t key, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)random_normal(key, RANDOM_INITIAL_VALUES, 0, 0, (uint64_t)i);
    }
}

double polar_contestant_delta(polar_contestant which)
{
    return which == POLAR_FAST ? 1e-2 : which == POLAR_FAST_FINE ? 3e-3 : 0.0;
}

static plumb_polar_method method_of(polar_contestant which)
{
    switch (which) {
    case POLAR_FAST:
    case POLAR_FAST_FINE:
        return PLUMB_POLAR_FAST;
    case POLAR_EXACT:
        return PLUMB_POLAR_EXACT;
    case POLAR_NEWTON_SCHULZ:
        return PLUMB_POLAR_NEWTON_SCHULZ;
    case POLAR_NEWTON_SCHULZ_SYMMETRIC:
        return PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC;
    case POLAR_POLAR_EXPRESS:
        return PLUMB_POLAR_POLAR_EXPRESS;
    default:
        return PLUMB_POLAR_SVD;
    }
}

/*
 * sgesdd with thin factors, in the order of memory that LAPACK wants: the matrix's memory by
 * columns is the transpose, cols x rows. `matrix` is overwritten.
 */
static int run_sgesdd(int64_t rows, int64_t cols, float *matrix, float *values, float *left,
                      float *right)
{
    int m = (int)cols, n = (int)rows, side = m < n ? m : n;
    return LAPACKE_sgesdd(LAPACK_COL_MAJOR, 'S', m, n, matrix, m, values, left, m, right, side) !=
           0;
}

/* polar = U V' of sgesdd's factors. */
static void multiply_factors(int64_t rows, int64_t cols, const float *left, const float *right,
                             float *polar)
{
    int m = (int)cols, n = (int)rows, side = m < n ? m : n;
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, m, n, side, 1.0f, left, m, right, side,
                0.0f, polar, m);
}

static int polar_by_sgesdd(int64_t rows, int64_t cols, const float *matrix, float *polar)
{
    int64_t side = rows < cols ? rows : cols;
    float *memory = malloc((size_t)(rows * cols + (rows + cols + 1) * side) * sizeof *memory);
    if (memory == NULL) {
        return 1;
    }
    float *left = memory + rows * cols, *right = left + cols * side, *values = right + rows * side;
    memcpy(memory, matrix, (size_t)(rows * cols) * sizeof *memory);
    int failed = run_sgesdd(rows, cols, memory, values, left, right);
    if (!failed) {
        multiply_factors(rows, cols, left, right, polar);
    }
    free(memory);
    return failed;
}

static plumb_polar_options options_of(polar_contestant which)
{
    return (plumb_polar_options){.size = sizeof(plumb_polar_options),
                                 .delta = polar_contestant_delta(which)};
}

int polar_contestant_run(polar_contestant which, int64_t rows, int64_t cols, const float *matrix,
                         float *polar, char *message, size_t message_size)
{
    if (which == POLAR_SGESDD) {
        if (polar_by_sgesdd(rows, cols, matrix, polar) != 0) {
            snprintf(message, message_size, "sgesdd failed or had no memory");
            return 1;
        }
        return 0;
    }
    plumb_polar_options options = options_of(which);
    plumb_status status = plumb_polar(method_of(which), rows, cols, matrix, polar, &options);
    if (status != PLUMB_OK) {
        snprintf(message, message_size, "%s: %s", polar_contestant_names[which],
                 plumb_error_message(NULL));
    }
    return status != PLUMB_OK;
}

/* The memory of all contestants, and what went wrong. */
typedef struct polar_arena {
    int64_t rows, cols, side, length; /* side <= length: rows and cols, sorted */
    float *matrix, *polar;            /* rows x cols */
    float *square;                    /* side x side */
    float *overwritten;               /* rows x cols: sgesdd's input */
    float *left, *right, *values;     /* sgesdd's factors */
    char *message;
    size_t message_size;
} polar_arena;

typedef struct polar_entry {
    polar_arena *arena;
    polar_contestant which;
} polar_entry;

/* The unit: length x side times side x side. */
static int run_product(void *context)
{
    polar_arena *a = context;
    int length = (int)a->length, side = (int)a->side;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, length, side, side, 1.0f, a->matrix,
                side, a->square, side, 0.0f, a->polar, side);
    return 0;
}

/* The input is overwritten, so it is copied first; memory is there already. */
static int run_lapack(polar_arena *a)
{
    memcpy(a->overwritten, a->matrix, (size_t)(a->rows * a->cols) * sizeof(float));
    if (run_sgesdd(a->rows, a->cols, a->overwritten, a->values, a->left, a->right) != 0) {
        snprintf(a->message, a->message_size, "sgesdd failed");
        return 1;
    }
    multiply_factors(a->rows, a->cols, a->left, a->right, a->polar);
    return 0;
}

static int run_entry(void *context)
{
    const polar_entry *e = context;
    polar_arena *a = e->arena;
    if (e->which == POLAR_SGESDD) {
        return run_lapack(a);
    }
    return polar_contestant_run(e->which, a->rows, a->cols, a->matrix, a->polar, a->message,
                                a->message_size);
}

static float *floats(int64_t count)
{
    return malloc((size_t)count * sizeof(float));
}

static bool allocate(polar_arena *a, bool with_lapack)
{
    int64_t elements = a->rows * a->cols;
    a->matrix = floats(elements);
    a->polar = floats(elements);
    a->square = floats(a->side * a->side);
    bool enough = a->matrix != NULL && a->polar != NULL && a->square != NULL;
    if (with_lapack) {
        a->overwritten = floats(elements);
        a->left = floats(a->cols * a->side);
        a->right = floats(a->rows * a->side);
        a->values = floats(a->side);
        enough = enough && a->overwritten != NULL && a->left != NULL && a->right != NULL &&
                 a->values != NULL;
    }
    if (!enough) {
        snprintf(a->message, a->message_size, "not enough memory for the benchmark");
        return false;
    }
    polar_benchmark_fill(a->side * a->side, 2, a->square);
    return true;
}

static bool fill(polar_arena *a, double condition)
{
    if (condition == 0.0) {
        polar_benchmark_fill(a->rows * a->cols, 1, a->matrix);
        return true;
    }
    if (polar_input_make(a->rows, a->cols, condition, a->matrix) != 0) {
        snprintf(a->message, a->message_size, "LAPACK failed on the input, or had no memory");
        return false;
    }
    return true;
}

static void release(polar_arena *a)
{
    free(a->matrix);
    free(a->polar);
    free(a->square);
    free(a->overwritten);
    free(a->left);
    free(a->right);
    free(a->values);
}

/* numbers[contestant]: its place in the contest, 0 if it has none. */
static void summarise(const contest *c, const int *numbers, polar_speeds *speeds)
{
    speeds->product_seconds = contest_seconds(c, 0).median;
    for (int i = 0; i < POLAR_CONTESTANTS; i++) {
        polar_speed *one = &speeds->of[i];
        *one = (polar_speed){.ran = numbers[i] != 0};
        if (!one->ran) {
            continue;
        }
        one->seconds = contest_seconds(c, numbers[i]);
        one->units = contest_units(c, numbers[i]);
        if (numbers[POLAR_NEWTON_SCHULZ] != 0) {
            one->newton_schulz = contest_ratio(c, numbers[POLAR_NEWTON_SCHULZ], numbers[i]);
        }
        if (numbers[POLAR_SGESDD] != 0) {
            one->sgesdd = contest_ratio(c, numbers[POLAR_SGESDD], numbers[i]);
        }
    }
}

int polar_benchmark(int64_t rows, int64_t cols, double condition, const bool *wanted,
                    double seconds, polar_speeds *speeds, char *message, size_t message_size)
{
    int64_t side = rows < cols ? rows : cols;
    polar_arena arena = {.rows = rows,
                         .cols = cols,
                         .side = side,
                         .length = rows + cols - side,
                         .message = message,
                         .message_size = message_size};
    polar_entry entries[POLAR_CONTESTANTS];
    int numbers[POLAR_CONTESTANTS] = {0};
    contest *c = calloc(1, sizeof *c);
    int failed = c == NULL || !allocate(&arena, wanted[POLAR_SGESDD]) || !fill(&arena, condition);
    if (!failed) {
        contest_add(c, run_product, &arena);
        for (int i = 0; i < POLAR_CONTESTANTS; i++) {
            entries[i] = (polar_entry){&arena, (polar_contestant)i};
            numbers[i] = wanted[i] ? contest_add(c, run_entry, &entries[i]) : 0;
        }
        failed = contest_run(c, seconds);
        summarise(c, numbers, speeds);
    }
    release(&arena);
    free(c);
    return failed;
}
