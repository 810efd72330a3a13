/*
 * Noisy gradients for the tests of diagnostics (see gradient_noise.h).
 */
#include "support/gradient_noise.h"

#include <math.h>
#include <string.h>

#include "support/test.h"

/* Four uniform numbers: their sum has the variance 4/3. */
double gradient_noise(uint64_t draw, uint64_t element)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < 4; i++) {
        sum += (double)test_value(draw, element, i);
    }
    return sum * sqrt(0.75);
}

/* Weight of row j in row i of the mixed noise: rows grow and share a part. */
static double mixing(int side, int i, int j)
{
    double size = 0.4 + 1.2 * (double)i / (double)side;
    return i == j ? size : 0.35 * (i > j ? 1.0 : 0.0);
}

static double mixing_squares(int side)
{
    double squares = 0.0;
    for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
            squares += mixing(side, i, j) * mixing(side, i, j);
        }
    }
    return squares;
}

static void mix(int rows, int cols, double *noise)
{
    double mixed[GRADIENT_NOISE_MOST];
    double scale = sqrt((double)(rows * cols) / mixing_squares(rows) / mixing_squares(cols));
    for (int i = 0; i < rows; i++) {
        for (int c = 0; c < cols; c++) {
            mixed[i * cols + c] = 0.0;
            for (int j = 0; j < rows; j++) {
                mixed[i * cols + c] += mixing(rows, i, j) * noise[j * cols + c];
            }
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int c = 0; c < cols; c++) {
            noise[i * cols + c] = 0.0;
            for (int k = 0; k < cols; k++) {
                noise[i * cols + c] += scale * mixed[i * cols + k] * mixing(cols, c, k);
            }
        }
    }
}

void gradient_noise_matrix(int rows, int cols, bool anisotropic, uint64_t draw, double *noise)
{
    for (int i = 0; i < rows * cols; i++) {
        noise[i] = gradient_noise(draw, (uint64_t)i);
    }
    if (anisotropic) {
        mix(rows, cols, noise);
    }
}

void gradient_noise_add(int count, const float *matrix, double scale, const double *noise,
                        float *noisy)
{
    for (int i = 0; i < count; i++) {
        noisy[i] = (float)((double)matrix[i] + scale * noise[i]);
    }
}

/* next = 1.5 x - 0.5 x x' x */
static void newton_schulz(int rows, int cols, const double *x, double *next)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            next[i * cols + j] = 1.5 * x[i * cols + j];
        }
        for (int k = 0; k < rows; k++) {
            double overlap = 0.0;
            for (int l = 0; l < cols; l++) {
                overlap += x[i * cols + l] * x[k * cols + l];
            }
            for (int j = 0; j < cols; j++) {
                next[i * cols + j] -= 0.5 * overlap * x[k * cols + j];
            }
        }
    }
}

void gradient_noise_polar(int rows, int cols, double *x)
{
    double next[GRADIENT_NOISE_MOST], squares = 0.0;
    for (int i = 0; i < rows * cols; i++) {
        squares += x[i] * x[i];
    }
    for (int i = 0; i < rows * cols; i++) {
        x[i] /= sqrt(squares);
    }
    for (int step = 0; step < 60; step++) {
        newton_schulz(rows, cols, x, next);
        memcpy(x, next, (size_t)(rows * cols) * sizeof *x);
    }
}

gradient_noise_mean gradient_noise_mean_of(int count, const double *values)
{
    gradient_noise_mean result = {0.0, 0.0};
    double squares = 0.0;
    for (int i = 0; i < count; i++) {
        result.mean += values[i] / (double)count;
    }
    for (int i = 0; i < count; i++) {
        squares += (values[i] - result.mean) * (values[i] - result.mean);
    }
    result.error = sqrt(squares / ((double)count - 1.0) / (double)count);
    return result;
}
