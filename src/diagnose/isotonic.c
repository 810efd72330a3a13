/*
 * Pool adjacent violators (Ayer et al. 1955), with a stack of pools. Unlike a running minimum it
 * does not drag everything down to one low value, and the sum of the values is kept.
 */
#include "diagnose/isotonic.h"

#include "base/memory.h"

typedef struct pool {
    double sum;
    int64_t count;
} pool;

static bool rises(const pool *left, const pool *right)
{
    return left->sum * (double)right->count < right->sum * (double)left->count;
}

plumb_status isotonic_decreasing(int64_t count, double *values)
{
    pool *pools = NULL;
    int64_t used = 0;
    plumb_status status = memory_allocate(count, sizeof *pools, &pools);
    if (status != PLUMB_OK) {
        return status;
    }
    for (int64_t i = 0; i < count; i++) {
        pools[used++] = (pool){.sum = values[i], .count = 1};
        while (used > 1 && rises(&pools[used - 2], &pools[used - 1])) {
            pools[used - 2].sum += pools[used - 1].sum;
            pools[used - 2].count += pools[used - 1].count;
            used--;
        }
    }
    for (int64_t k = 0, i = 0; k < used; k++) {
        for (int64_t last = i + pools[k].count; i < last; i++) {
            values[i] = pools[k].count > 1 ? pools[k].sum / (double)pools[k].count : values[i];
        }
    }
    memory_free(&pools);
    return PLUMB_OK;
}
