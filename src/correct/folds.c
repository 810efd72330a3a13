/*
 * Sums over tracks and their bound; see the header.
 */
#include "correct/folds.h"

#include <string.h>

#include "base/vector.h"
#include "correct/inverse.h"

VECTOR_CLONES
void folds_add(int64_t count, double scale, const float *restrict track, double *restrict sum)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] += scale * (double)track[i];
    }
}

void folds_mean(int64_t first, int64_t count, int size, int fold, const float *const *groups,
                double *mean)
{
    memset(mean, 0, (size_t)count * sizeof *mean);
    for (int k = fold * size; k < (fold + 1) * size; k++) {
        folds_add(count, 1.0 / (double)size, groups[k] + first, mean);
    }
}

VECTOR_CLONES
static int64_t bound_elements(int64_t count, double epsilon, const double *restrict first,
                              const double *restrict second, const double *restrict corrected,
                              float *restrict direction)
{
    int64_t clipped = 0;
    for (int64_t i = 0; i < count; i++) {
        double plain = first[i] / (sqrt(second[i] > 0.0 ? second[i] : 0.0) + epsilon);
        double change = corrected[i] - plain;
        double bound = inverse_largest_change * fabs(plain);
        clipped += fabs(change) > bound;
        direction[i] = (float)(plain + inverse_bounded(change, bound));
    }
    return clipped;
}

int64_t folds_bound(int64_t count, double epsilon, const folds_block *block, float *direction)
{
    return bound_elements(count, epsilon, block->first, block->second, block->direction, direction);
}
