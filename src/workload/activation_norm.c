/*
 * LayerNorm (see activation_norm.h). Each row is read from memory once and stays in the cache for
 * its three passes.
 */
#include "workload/activation_norm.h"

#include "workload/activation_lanes.h"

#include <math.h>
#include <string.h>

/* Added to the variance, as everyone does. */
static const float variance_floor = 1e-5f;

WORKLOAD_INLINE float row_square_deviations(int64_t count, float mean, const float *row)
{
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            float deviation = row[i + lane] - mean;
            lanes[lane] += deviation * deviation;
        }
    }
    for (int lane = 0; i < count; i++, lane++) {
        float deviation = row[i] - mean;
        lanes[lane] += deviation * deviation;
    }
    return lanes_sum(lanes);
}

WORKLOAD_CLONES
void activation_norm(int64_t rows, int64_t width, const float *input, const float *gain,
                     const float *bias, activation_moments *moments, float *output)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = input + r * width;
        float *result = output + r * width;
        float mean = row_sum(width, row) / (float)width;
        float variance = row_square_deviations(width, mean, row) / (float)width;
        float scale = 1.0f / sqrtf(variance + variance_floor);
        for (int64_t i = 0; i < width; i++) {
            result[i] = (row[i] - mean) * scale * gain[i] + bias[i];
        }
        moments[r] = (activation_moments){mean, scale};
    }
}

/* Means over the row of gradient * gain, and of that times the normalised input. */
WORKLOAD_INLINE void projections(int64_t width, const float *row, const float *gain,
                                 activation_moments moments, const float *gradient, float *constant,
                                 float *along)
{
    float plain[LANES] = {0};
    float product[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            float scaled = gradient[i + lane] * gain[i + lane];
            plain[lane] += scaled;
            product[lane] += scaled * ((row[i + lane] - moments.mean) * moments.scale);
        }
    }
    for (int lane = 0; i < width; i++, lane++) {
        float scaled = gradient[i] * gain[i];
        plain[lane] += scaled;
        product[lane] += scaled * ((row[i] - moments.mean) * moments.scale);
    }
    *constant = lanes_sum(plain) / (float)width;
    *along = lanes_sum(product) / (float)width;
}

WORKLOAD_CLONES
void activation_norm_backward(int64_t rows, int64_t width, const float *input, const float *gain,
                              const activation_moments *moments, const float *gradient,
                              float *restrict input_gradient, float *restrict gain_gradient,
                              float *restrict bias_gradient)
{
    memset(gain_gradient, 0, (size_t)width * sizeof *gain_gradient);
    memset(bias_gradient, 0, (size_t)width * sizeof *bias_gradient);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = input + r * width;
        const float *upper = gradient + r * width;
        float *lower = input_gradient + r * width;
        float mean = moments[r].mean;
        float scale = moments[r].scale;
        float constant;
        float along;
        projections(width, row, gain, moments[r], upper, &constant, &along);
        for (int64_t i = 0; i < width; i++) {
            float normalised = (row[i] - mean) * scale;
            gain_gradient[i] += upper[i] * normalised;
            bias_gradient[i] += upper[i];
            lower[i] += scale * (upper[i] * gain[i] - constant - normalised * along);
        }
    }
}
