/*
 * LayerNorm (Ba, Kiros, Hinton 2016) with gain and bias, forward and backward, row by row over
 * 32-bit floats. Sums run over fixed lanes as in activation.h.
 */
#ifndef WORKLOAD_ACTIVATION_NORM_H
#define WORKLOAD_ACTIVATION_NORM_H

#include <stdint.h>

/* What a row was shifted and scaled by: normalised = (input - mean) * scale. */
typedef struct activation_moments {
    float mean, scale;
} activation_moments;

/* output = normalised input * gain + bias; input and output rows x width, moments[rows]. */
void activation_norm(int64_t rows, int64_t width, const float *input, const float *gain,
                     const float *bias, activation_moments *moments, float *output);

/*
 * Backward: adds the gradient with respect to the input to `input_gradient`, and overwrites
 * gain_gradient and bias_gradient (width each). `gradient` is that of the output, rows x width.
 */
void activation_norm_backward(int64_t rows, int64_t width, const float *input, const float *gain,
                              const activation_moments *moments, const float *gradient,
                              float *input_gradient, float *gain_gradient, float *bias_gradient);

#endif
