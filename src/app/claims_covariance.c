/*
 * The list of `plumb claims covariance`, and what its subjects do alike.
 */
#include "app/claims_covariance.h"

#include <stddef.h>

const claims_subject *const claims_covariance_subjects[] = {&claims_moments,  &claims_population,
                                                            &claims_spectral, &claims_stationary,
                                                            &claims_hessian,  NULL};

void covariance_means(const double *sums, int width, int count, double *values)
{
    for (int noise = 0; noise < 2; noise++) {
        for (int i = 0; i < width; i++) {
            values[noise * width + i] = sums[noise * width + i] / sums[noise * width + count];
        }
    }
}
