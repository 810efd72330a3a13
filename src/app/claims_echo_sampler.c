/*
 * Noisy matrices; see claims_echo_sampler.h.
 */
#include "app/claims_echo_sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* vectors[count][length]: orthonormal, discrete cosines from the second on. */
static void fill_directions(int length, int count, double *vectors)
{
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < length; i++) {
            vectors[k * length + i] = sqrt(2.0 / length) * cos(pi * (i + 0.5) * (k + 1) / length);
        }
    }
}

static bool allocate(echo_sampler *s)
{
    size_t rows = (size_t)s->rows, cols = (size_t)s->cols, spikes = (size_t)s->spikes;
    s->gradients = calloc((size_t)s->groups * rows * cols, sizeof *s->gradients);
    s->normals = calloc(rows * cols, sizeof *s->normals);
    s->left = calloc(spikes * rows, sizeof *s->left);
    s->right = calloc(spikes * cols, sizeof *s->right);
    s->found_left = calloc(spikes * rows, sizeof *s->found_left);
    s->found_right = calloc(spikes * cols, sizeof *s->found_right);
    return s->gradients != NULL && s->normals != NULL && s->left != NULL && s->right != NULL &&
           s->found_left != NULL && s->found_right != NULL;
}

int echo_sampler_create(echo_sampler *s, int rows, int cols, int groups, int spikes, failure *f)
{
    plumb_parameter_options options;
    *s = (echo_sampler){.rows = rows,
                        .cols = cols,
                        .count = rows * cols,
                        .groups = groups,
                        .spikes = spikes,
                        .deviation = 1.0};
    if (!allocate(s)) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    fill_directions(rows, spikes, s->left);
    fill_directions(cols, spikes, s->right);
    claims_handle_options(PLUMB_OPTIMIZER_SGD, &options);
    options.beta1 = 0.0;
    return claims_handle_create(&s->handle, "matrix", groups, rows, cols, &options, f);
}

static double signal_at(const echo_sampler *s, const double *signals, int i, int j)
{
    double sum = 0.0;
    for (int k = 0; k < s->spikes; k++) {
        sum += signals[k] * s->left[k * s->rows + i] * s->right[k * s->cols + j];
    }
    return sum;
}

int echo_sampler_draw(echo_sampler *s, claims_key key, const double *signals, failure *f)
{
    double level = s->deviation * sqrt((double)s->groups);
    for (int k = 0; k < s->groups; k++) {
        key.micro_batch = (uint16_t)k;
        claims_normals(key, s->count, s->normals);
        for (int i = 0; i < s->rows; i++) {
            for (int j = 0; j < s->cols; j++) {
                double scale = s->row_scale == NULL ? 1.0 : s->row_scale[i] * s->col_scale[j];
                s->gradients[k * s->count + i * s->cols + j] =
                    (float)(signal_at(s, signals, i, j) +
                            level * scale * s->normals[i * s->cols + j]);
            }
        }
    }
    return claims_handle_step(&s->handle, s->gradients, NULL, f);
}

/* y = A x, the mean being minus the handle's values. */
static void multiply(const echo_sampler *s, const double *x, double *y)
{
    for (int i = 0; i < s->rows; i++) {
        const float *row = s->handle.values + (int64_t)i * s->cols;
        double sum = 0.0;
        for (int j = 0; j < s->cols; j++) {
            sum -= (double)row[j] * x[j];
        }
        y[i] = sum;
    }
}

/* y = A' x */
static void multiply_transposed(const echo_sampler *s, const double *x, double *y)
{
    memset(y, 0, (size_t)s->cols * sizeof *y);
    for (int i = 0; i < s->rows; i++) {
        const float *row = s->handle.values + (int64_t)i * s->cols;
        for (int j = 0; j < s->cols; j++) {
            y[j] -= (double)row[j] * x[i];
        }
    }
}

typedef struct product {
    const echo_sampler *sampler;
    double *between; /* cols */
} product;

/* y = A A' x */
static plumb_status apply(void *context, int64_t length, const double *x, double *y)
{
    product *p = context;
    (void)length;
    multiply_transposed(p->sampler, x, p->between);
    multiply(p->sampler, p->between, y);
    return PLUMB_OK;
}

int echo_sampler_decompose(echo_sampler *s, failure *f)
{
    double squares[ECHO_MOST_SPIKES], residuals[ECHO_MOST_SPIKES];
    product p = {s, malloc((size_t)s->cols * sizeof *p.between)};
    if (p.between == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    plumb_status status = plumb_lanczos(s->rows, apply, &p, s->spikes, 0, s->rows, 1e-8, squares,
                                        residuals, s->found_left);
    free(p.between);
    if (failure_from_library(f, status, NULL) != EXIT_OK) {
        return f->code;
    }
    for (int k = 0; k < s->spikes; k++) {
        double *right = s->found_right + k * s->cols;
        s->found[k] = sqrt(squares[k]);
        multiply_transposed(s, s->found_left + k * s->rows, right);
        for (int j = 0; j < s->cols; j++) {
            right[j] /= s->found[k];
        }
    }
    return f->code;
}

void echo_sampler_destroy(echo_sampler *s)
{
    claims_handle_destroy(&s->handle);
    free(s->gradients);
    free(s->normals);
    free(s->left);
    free(s->right);
    free(s->found_left);
    free(s->found_right);
    *s = (echo_sampler){0};
}
