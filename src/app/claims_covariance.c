/*
 * The list of `plumb claims covariance`.
 */
#include "app/claims_covariance.h"

#include <stddef.h>

const claims_subject *const claims_covariance_subjects[] = {&claims_moments,  &claims_population,
                                                            &claims_spectral, &claims_stationary,
                                                            &claims_hessian,  NULL};
