/*
 * plumb_richardson: if the mean update at batch m is Z + c/m + O(m^-2), that at 2m has half the
 * bias, and twice it minus the first has none of that order (Richardson 1911).
 */
#include <math.h>

#include "base/error.h"
#include "base/vector.h"

plumb_status plumb_richardson(int64_t length, double batch, const float *coarse, const float *fine,
                              double *result, double *coefficient)
{
    REQUIRE(length >= 0, PLUMB_ERROR_ARGUMENT, "length is %lld", (long long)length);
    REQUIRE(batch > 0.0 && isfinite(batch), PLUMB_ERROR_ARGUMENT,
            "batch is %g: it must be finite and positive", batch);
    REQUIRE(length == 0 || (coarse != NULL && fine != NULL), PLUMB_ERROR_ARGUMENT,
            "coarse or fine is NULL");
    REQUIRE(vector_all_finite(length, coarse), PLUMB_ERROR_NONFINITE, "coarse has a NaN or Inf");
    REQUIRE(vector_all_finite(length, fine), PLUMB_ERROR_NONFINITE, "fine has a NaN or Inf");
    for (int64_t i = 0; i < length; i++) {
        double at_once = (double)coarse[i], at_twice = (double)fine[i];
        if (result != NULL) {
            result[i] = 2.0 * at_twice - at_once;
        }
        if (coefficient != NULL) {
            coefficient[i] = 2.0 * batch * (at_once - at_twice);
        }
    }
    return PLUMB_OK;
}
