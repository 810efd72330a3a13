/*
 * Element-wise loops (see vector.h). Plain C that the compiler vectorises; the sum of squares keeps
 * sixteen running sums of its own, so that its order does not depend on the vector unit.
 */
#include "base/vector.h"

#include <math.h>
#include <string.h>

/* The exponent bits of a float: all ones mean NaN or Inf. */
static inline uint32_t exponent_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & UINT32_C(0x7f800000);
}

static inline uint32_t is_not_finite(float value)
{
    return exponent_bits(value) == UINT32_C(0x7f800000);
}

VECTOR_CLONES
bool vector_scale_checked(int64_t count, float scale, const float *from, float *to)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        bad |= is_not_finite(from[i]);
        to[i] = scale * from[i];
    }
    return bad == 0;
}

VECTOR_CLONES
bool vector_add_checked(int64_t count, const float *left, float scale, const float *right,
                        float *to)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        bad |= is_not_finite(right[i]);
        to[i] = left[i] + scale * right[i];
    }
    return bad == 0;
}

VECTOR_CLONES
void vector_add(int64_t count, const float *left, const float *right, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = left[i] + right[i];
    }
}

VECTOR_CLONES
void vector_scale(int64_t count, float scale, const float *from, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = scale * from[i];
    }
}

VECTOR_CLONES
static void divide(int64_t count, float divisor, const float *from, float *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = from[i] / divisor;
    }
}

/* Powers of two have exact reciprocals: the product is the quotient, and several times cheaper. */
void vector_divide(int64_t count, float divisor, const float *from, float *to)
{
    int exponent;
    float reciprocal = 1.0f / divisor;
    if (fabsf(frexpf(divisor, &exponent)) == 0.5f && isnormal(reciprocal)) {
        vector_scale(count, reciprocal, from, to);
    } else {
        divide(count, divisor, from, to);
    }
}

VECTOR_CLONES
double vector_sum_squares(int64_t count, const float *values)
{
    enum { LANES = 16 };
    double sums[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            double value = (double)values[i + lane];
            sums[lane] += value * value;
        }
    }
    for (int lane = 0; i < count; i++, lane++) {
        sums[lane] += (double)values[i] * (double)values[i];
    }
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int lane = 0; lane < width; lane++) {
            sums[lane] += sums[lane + width];
        }
    }
    return sums[0];
}

VECTOR_CLONES
bool vector_all_finite(int64_t count, const float *values)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        bad |= is_not_finite(values[i]);
    }
    return bad == 0;
}

bool vector_all_finite_doubles(int64_t count, const double *values)
{
    bool finite = true;
    for (int64_t i = 0; i < count; i++) {
        finite = finite && isfinite(values[i]);
    }
    return finite;
}

VECTOR_CLONES
float vector_largest(int64_t count, const float *values)
{
    float largest = 0.0f;
    for (int64_t i = 0; i < count; i++) {
        float magnitude = fabsf(values[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}
