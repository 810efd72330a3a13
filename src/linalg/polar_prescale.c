/*
 * Exact powers of two (see polar_prescale.h). The factor itself is a double, since a matrix of
 * subnormal floats needs up to 2^148, which is no float.
 */
#include "linalg/polar_prescale.h"

#include <math.h>

#include "base/error.h"
#include "base/vector.h"

plumb_status polar_prescale_find(int64_t count, const float *matrix, polar_prescale *prescale)
{
    REQUIRE(vector_all_finite(count, matrix), PLUMB_ERROR_NONFINITE,
            "the matrix holds a NaN or an infinity");
    float largest = vector_largest(count, matrix);
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
