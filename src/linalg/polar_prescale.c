/*
 * Exact powers of two (see polar_prescale.h). The factor itself is a double, since a matrix of
 * subnormal floats needs up to 2^148, which is no float.
 */
#include "linalg/polar_prescale.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/vector.h"

/* The bits of the largest magnitude: they are in the order of the floats, infinity and NaN last. */
VECTOR_CLONES
static uint32_t largest_bits(int64_t count, const float *matrix)
{
    int32_t largest = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, &matrix[i], sizeof bits);
        bits &= INT32_C(0x7fffffff);
        largest = bits > largest ? bits : largest;
    }
    return (uint32_t)largest;
}

plumb_status polar_prescale_find(int64_t count, const float *matrix, polar_prescale *prescale)
{
    uint32_t bits = largest_bits(count, matrix);
    REQUIRE(bits < UINT32_C(0x7f800000), PLUMB_ERROR_NONFINITE,
            "the matrix holds a NaN or an infinity");
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    prescale->zero = largest == 0.0f;
    prescale->exponent = 0;
    frexp((double)largest, &prescale->exponent);
    return PLUMB_OK;
}

VECTOR_CLONES
void polar_prescale_single(int64_t count, const float *matrix, polar_prescale prescale,
                           float *scaled)
{
    double factor = ldexp(1.0, -prescale.exponent);
    for (int64_t i = 0; i < count; i++) {
        scaled[i] = (float)(factor * (double)matrix[i]);
    }
}

VECTOR_CLONES
void polar_prescale_double(int64_t count, const float *matrix, polar_prescale prescale,
                           double *scaled)
{
    double factor = ldexp(1.0, -prescale.exponent);
    for (int64_t i = 0; i < count; i++) {
        scaled[i] = factor * (double)matrix[i];
    }
}
