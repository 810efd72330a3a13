/*
 * Element-wise mathematics (see activation.h). Everything here is written so that one source line
 * has one rounding, whatever the vector unit: no contraction, no reassociation, own exponential.
 */
#include "workload/activation.h"

#include "workload/activation_lanes.h"

#include <math.h>
#include <string.h>

/*
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2: n by adding 1.5 * 2^23, which leaves
 * it in the low bits; ln 2 in two parts (Cody and Waite 1980); exp(r) = 1 + r + r^2 P(r) with the
 * polynomial of Cephes' expf (Moshier 1992).
 */
WORKLOAD_INLINE float exponential(float x)
{
    const float shift = 12582912.0f;
    x = x < -87.3f ? -87.3f : x;
    x = x > 88.3f ? 88.3f : x;
    float shifted = x * 1.44269504f + shift;
    float n = shifted - shift;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + UINT32_C(0x3f800000);
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

WORKLOAD_INLINE float row_largest(int64_t count, const float *row)
{
    float lanes[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        lanes[lane] = row[0];
    }
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            lanes[lane] = lanes[lane] < row[i + lane] ? row[i + lane] : lanes[lane];
        }
    }
    for (int lane = 0; i < count; i++, lane++) {
        lanes[lane] = lanes[lane] < row[i] ? row[i] : lanes[lane];
    }
    float largest = lanes[0];
    for (int lane = 1; lane < LANES; lane++) {
        largest = largest < lanes[lane] ? lanes[lane] : largest;
    }
    return largest;
}

/* row = exp(scale * row - shift); returns the sum. */
WORKLOAD_INLINE float row_exponentials(int64_t count, float scale, float shift, float *row)
{
    for (int64_t i = 0; i < count; i++) {
        row[i] = exponential(scale * row[i] - shift);
    }
    return row_sum(count, row);
}

WORKLOAD_CLONES
void activation_exp(int64_t count, const float *from, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = exponential(from[i]);
    }
}

/*
 * (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)) = s, u = sqrt(2 / pi) (x + 0.044715 x^3): GELU = x s, and
 * its derivative s + x s (1 - s) 2u', where s (1 - s) = exp(-2u) s^2 loses no digits.
 */
WORKLOAD_CLONES
void activation_gelu(int64_t count, float *restrict slope, float *restrict output)
{
    const float linear = 1.59576912f;  /* 2 sqrt(2 / pi) */
    const float cubic = 0.0713548163f; /* 2 sqrt(2 / pi) 0.044715 */
    for (int64_t i = 0; i < count; i++) {
        float x = slope[i];
        float square = x * x;
        float e = exponential(-(x * (linear + cubic * square)));
        float s = 1.0f / (1.0f + e);
        output[i] = x * s;
        slope[i] = s + x * (e * s * s) * (linear + 3.0f * cubic * square);
    }
}

WORKLOAD_CLONES
void activation_multiply(int64_t count, const float *restrict slope, float *restrict gradient)
{
    for (int64_t i = 0; i < count; i++) {
        gradient[i] *= slope[i];
    }
}

WORKLOAD_CLONES
void activation_causal_softmax(int64_t rows, int64_t columns, int64_t first, float scale,
                               int64_t stride, float *scores)
{
    for (int64_t r = 0; r < rows; r++) {
        float *row = scores + r * stride;
        int64_t visible = first + r + 1;
        float shift = scale * row_largest(visible, row);
        float factor = 1.0f / row_exponentials(visible, scale, shift, row);
        for (int64_t i = 0; i < visible; i++) {
            row[i] *= factor;
        }
        for (int64_t i = visible; i < columns; i++) {
            row[i] = 0.0f;
        }
    }
}

WORKLOAD_CLONES
void activation_softmax_gradient(int64_t rows, int64_t columns, float scale, int64_t stride,
                                 const float *restrict probabilities, const float *restrict sums,
                                 float *restrict gradient)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *probability = probabilities + r * stride;
        float *row = gradient + r * stride;
        float sum = sums[r];
        for (int64_t i = 0; i < columns; i++) {
            row[i] = scale * probability[i] * (row[i] - sum);
        }
    }
}

WORKLOAD_CLONES
void activation_row_products(int64_t rows, int64_t columns, int64_t stride, const float *left,
                             const float *right, float *sums)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *a = left + r * stride;
        const float *b = right + r * stride;
        float lanes[LANES] = {0};
        int64_t i = 0;
        for (; i + LANES <= columns; i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                lanes[lane] += a[i + lane] * b[i + lane];
            }
        }
        for (int lane = 0; i < columns; i++, lane++) {
            lanes[lane] += a[i] * b[i];
        }
        sums[r] = lanes_sum(lanes);
    }
}

WORKLOAD_CLONES
void activation_cross_entropy(int64_t rows, int64_t classes, const int32_t *targets, float scale,
                              float *logits, double *losses)
{
    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * classes;
        float target = row[targets[r]];
        float largest = row_largest(classes, row);
        float sum = row_exponentials(classes, 1.0f, largest, row);
        losses[r] = log((double)sum) + ((double)largest - (double)target);
        float factor = scale / sum;
        for (int64_t i = 0; i < classes; i++) {
            row[i] *= factor;
        }
        row[targets[r]] -= scale;
    }
}

int64_t activation_arg_max(int64_t count, const float *values)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++) {
        best = values[i] > values[best] ? i : best;
    }
    return best;
}

WORKLOAD_CLONES
double activation_sum_squares(int64_t count, const float *values)
{
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            double value = (double)values[i + lane];
            lanes[lane] += value * value;
        }
    }
    for (int lane = 0; i < count; i++, lane++) {
        lanes[lane] += (double)values[i] * (double)values[i];
    }
    double sum = 0.0;
    for (int lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}
