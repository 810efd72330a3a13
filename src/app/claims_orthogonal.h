/*
 * The subjects of `plumb claims orthogonal`, one for each claim of the cheat-sheet on
 * orthogonalised gradients, and what they share. Symbols: G the true gradient, Q = Ortho(G), W an
 * update, n groups, m micro-batches in each.
 */
#ifndef APP_CLAIMS_ORTHOGONAL_H
#define APP_CLAIMS_ORTHOGONAL_H

#include "app/claims_scene.h"

extern const claims_subject claims_claim1, claims_claim2, claims_claim3, claims_claim4,
    claims_claim5, claims_claim6, claims_claim7, claims_claim8;

/* A gradient of six rows and four columns; of ten rows and one. */
#define MATRIX_TRUTH(noise_level, noise_kind)                                                      \
    {                                                                                              \
        .rows = 6, .cols = 4, .level = (noise_level), .noise = (noise_kind), .singular = {         \
            3.0,                                                                                   \
            2.0,                                                                                   \
            1.4,                                                                                   \
            1.0                                                                                    \
        }                                                                                          \
    }
#define VECTOR_TRUTH(noise_level, noise_kind)                                                      \
    {                                                                                              \
        .rows = 10, .cols = 1, .level = (noise_level), .noise = (noise_kind), .singular = { 3.0 }  \
    }

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const claims_noise claims_noises[2] = {CLAIMS_ISOTROPIC, CLAIMS_ANISOTROPIC};

#endif
