/*
 * Drawing labels (see label_sampling.h) by the inverse of the distribution function, summed in
 * double over exponentials that are the same bits on every vector unit.
 */
#include "workload/label_sampling.h"

#include "workload/activation.h"
#include "workload/random.h"

/* `level` is uniform in (0, 1). */
static unsigned char draw(int64_t classes, const float *logits, double level)
{
    float weights[LABEL_SAMPLING_MOST_CLASSES] = {0};
    float largest = logits[activation_arg_max(classes, logits)];
    for (int64_t i = 0; i < classes; i++) {
        weights[i] = logits[i] - largest;
    }
    activation_exp(classes, weights, weights);
    double sum = 0.0;
    for (int64_t i = 0; i < classes; i++) {
        sum += (double)weights[i];
    }
    level *= sum;
    double below = 0.0;
    for (int64_t label = 0; label < classes - 1; label++) {
        below += (double)weights[label];
        if (below > level) {
            return (unsigned char)label;
        }
    }
    return (unsigned char)(classes - 1);
}

void label_sampling_draw(uint64_t seed, int64_t step, int64_t micro_batch, int64_t rows,
                         int64_t classes, const float *logits, unsigned char *labels)
{
    for (int64_t row = 0; row < rows; row++) {
        double level = random_uniform(seed, RANDOM_LABELS, (uint64_t)step, (uint64_t)micro_batch,
                                      (uint64_t)row);
        labels[row] = draw(classes, logits + row * classes, level);
    }
}
