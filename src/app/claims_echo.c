/*
 * The list of `plumb claims echo`.
 */
#include "app/claims_echo_sampler.h"

#include <stddef.h>

const claims_subject *const claims_echo_subjects[] = {&claims_echo_law, &claims_echo_noise,
                                                      &claims_echo_spectrum, NULL};
