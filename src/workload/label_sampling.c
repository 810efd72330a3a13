/*
 * Drawing labels (see label_sampling.h) by the inverse of the distribution function, summed in
 * double over exponentials that are the same bits on every vector unit.
 */
#include "workload/label_sampling.h"

#include "workload/activation.h"
#include "workload/random.h"

enum { CHUNK = LABEL_SAMPLING_MOST_CLASSES };

/* weights[CHUNK] of classes from `first` on; how many. */
static int64_t weigh(int64_t classes, const float *logits, float largest, int64_t first,
                     float *weights)
{
    int64_t count = classes - first < CHUNK ? classes - first : CHUNK;
    for (int64_t i = 0; i < count; i++) {
        weights[i] = logits[first + i] - largest;
    }
    activation_exp(count, weights, weights);
    return count;
}

/* `level` is uniform in (0, 1). */
static int32_t draw(int64_t classes, const float *logits, double level)
{
    float weights[CHUNK] = {0};
    float largest = logits[activation_arg_max(classes, logits)];
    double sum = 0.0;
    for (int64_t first = 0; first < classes; first += CHUNK) {
        int64_t count = weigh(classes, logits, largest, first, weights);
        for (int64_t i = 0; i < count; i++) {
            sum += (double)weights[i];
        }
    }
    level *= sum;
    double below = 0.0;
    for (int64_t first = 0; first < classes; first += CHUNK) {
        int64_t count = classes;
        if (classes > CHUNK) { /* else they are still there */
            count = weigh(classes, logits, largest, first, weights);
        }
        for (int64_t i = 0; i < count; i++) {
            below += (double)weights[i];
            if (below > level) {
                return (int32_t)(first + i);
            }
        }
    }
    return (int32_t)(classes - 1);
}

static double draw_level(uint64_t seed, int64_t step, int64_t micro_batch, int64_t row)
{
    return random_uniform(seed, RANDOM_LABELS, (uint64_t)step, (uint64_t)micro_batch,
                          (uint64_t)row);
}

void label_sampling_draw(uint64_t seed, int64_t step, int64_t micro_batch, int64_t rows,
                         int64_t classes, const float *logits, unsigned char *labels)
{
    for (int64_t row = 0; row < rows; row++) {
        double level = draw_level(seed, step, micro_batch, row);
        labels[row] = (unsigned char)draw(classes, logits + row * classes, level);
    }
}

void label_sampling_draw_tokens(uint64_t seed, int64_t step, int64_t micro_batch, int64_t first_row,
                                int64_t rows, int64_t classes, const float *logits, int32_t *labels)
{
    for (int64_t row = 0; row < rows; row++) {
        double level = draw_level(seed, step, micro_batch, first_row + row);
        labels[row] = draw(classes, logits + row * classes, level);
    }
}
