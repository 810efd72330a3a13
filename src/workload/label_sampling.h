/*
 * Labels drawn from a model's own predictive distribution. Their gradient has mean zero and, as
 * covariance, the Gauss-Newton matrix (Bartlett's identities); the data's labels have neither.
 */
#ifndef WORKLOAD_LABEL_SAMPLING_H
#define WORKLOAD_LABEL_SAMPLING_H

#include <stdint.h>

enum { LABEL_SAMPLING_MOST_CLASSES = 256 };

/*
 * labels[row] from softmax(logits[row]), logits rows x classes, 1 <= classes <= 256: a function of
 * the logits and (seed, step, micro_batch, row). Where a row's logits are not finite, its label is
 * any class.
 */
void label_sampling_draw(uint64_t seed, int64_t step, int64_t micro_batch, int64_t rows,
                         int64_t classes, const float *logits, unsigned char *labels);

/* The same for rows first_row, first_row + 1 ... and any number of classes. */
void label_sampling_draw_tokens(uint64_t seed, int64_t step, int64_t micro_batch, int64_t first_row,
                                int64_t rows, int64_t classes, const float *logits,
                                int32_t *labels);

#endif
