/*
 * What a batch is worth: steps, samples and learning rate by the noise scale (McCandlish et al.
 * 2018, equations 2.6 and 2.11), the temperature, and the norm test.
 *
 * Near a minimum SGD's values spread as rate / (2 B) times noise over curvature, to first order in
 * the rate: batches of equal rate / B are alike there (the linear rule). Momentum multiplies the
 * rate by 1 / (1 - beta1), a finite population the noise by 1 - B/N.
 */
#include <math.h>

#include "base/error.h"
#include "diagnose/noise.h"

static plumb_status check_positive(double value, const char *name)
{
    REQUIRE(value > 0.0 && isfinite(value), PLUMB_ERROR_ARGUMENT, "%s is %g: it must be positive",
            name, value);
    return PLUMB_OK;
}

plumb_status plumb_batch_effects(double samples, double noise_scale, double learning_rate,
                                 double beta1, double population, double other_samples,
                                 plumb_batch_effect *effect)
{
    double fraction = 1.0;
    REQUIRE(effect != NULL && effect->size == sizeof *effect, PLUMB_ERROR_ARGUMENT, "effect is %s",
            effect == NULL ? "NULL" : "of another size");
    PROPAGATE(check_positive(samples, "samples"));
    PROPAGATE(check_positive(other_samples, "other_samples"));
    PROPAGATE(check_positive(learning_rate, "learning_rate"));
    REQUIRE(isnan(noise_scale) || (noise_scale >= 0.0 && isfinite(noise_scale)),
            PLUMB_ERROR_ARGUMENT, "noise_scale is %g", noise_scale);
    REQUIRE(beta1 >= 0.0 && beta1 < 1.0, PLUMB_ERROR_ARGUMENT, "beta1 is %g: must be in [0, 1)",
            beta1);
    PROPAGATE(noise_fraction(samples, population, &fraction));
    *effect = (plumb_batch_effect){
        .size = sizeof *effect,
        .steps = 1.0 + noise_scale / samples,
        .examples = 1.0 + samples / noise_scale,
        .rate = 1.0 / (1.0 + noise_scale / samples),
        .temperature = learning_rate * fraction / (samples * (1.0 - beta1)),
        .linear_rate = learning_rate * (other_samples / samples),
        .square_root_rate = learning_rate * sqrt(other_samples / samples),
    };
    return PLUMB_OK;
}

plumb_status plumb_norm_test(const plumb_noise *noise, double theta, double *samples)
{
    REQUIRE(noise != NULL && noise->size == sizeof *noise, PLUMB_ERROR_ARGUMENT, "noise is %s",
            noise == NULL ? "NULL" : "of another size");
    REQUIRE(samples != NULL, PLUMB_ERROR_ARGUMENT, "samples is NULL");
    PROPAGATE(check_positive(theta, "theta"));
    *samples = noise->scale / (theta * theta);
    return PLUMB_OK;
}
