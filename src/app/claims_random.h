/*
 * Random numbers of `plumb claims`, as a function of what they are for (Philox4x32-10, Salmon et
 * al. 2011, by Random123): no state, so neither the order of work nor the rank that does it
 * changes a number.
 */
#ifndef APP_CLAIMS_RANDOM_H
#define APP_CLAIMS_RANDOM_H

#include <stdint.h>

/* What numbers are for: different keys never share one. */
typedef struct claims_key {
    uint64_t seed;
    uint16_t subject;
    uint16_t micro_batch;
    uint32_t unit;
    uint32_t step;
} claims_key;

/* normals[count]: independent, mean 0, variance 1. */
void claims_normals(claims_key key, int64_t count, double *normals);

/* squares[count]: a chi-square of four degrees over 4: mean 1, variance 1/2. */
void claims_squares(claims_key key, int64_t count, double *squares);

#endif
