/*
 * The list of `plumb claims orthogonal`.
 */
#include "app/claims_orthogonal.h"

const claims_subject *const claims_orthogonal_subjects[] = {
    &claims_claim1, &claims_claim2, &claims_claim3,
    &claims_claim4, &claims_claim5, &claims_claim6,
    &claims_claim7, &claims_claim8, NULL};
