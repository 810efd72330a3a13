/*
 * The element-wise mathematics of a neural network: exponential, GELU, softmax and cross entropy
 * over 32-bit floats, as plain loops that the compiler vectorises. Sums run over sixteen lanes of
 * their own, so that no bit depends on the vector unit. NaN goes through to the result.
 */
#ifndef WORKLOAD_ACTIVATION_H
#define WORKLOAD_ACTIVATION_H

#include <stdint.h>

/* to[i] = exp(from[i]), relative error below 2e-7; arguments are clamped to [-87.3, 88.3]. `to`
 * may be `from`. */
void activation_exp(int64_t count, const float *from, float *to);

/* GELU in its tanh form (Hendrycks and Gimpel 2016): output[i] = GELU(x), and in place of
 * x = slope[i] its derivative. */
void activation_gelu(int64_t count, float *slope, float *output);

/* gradient[i] *= slope[i]. */
void activation_multiply(int64_t count, const float *slope, float *gradient);

/*
 * Softmax of scale * scores in place, causal: row r of `rows` sees columns 0 .. first + r, the
 * others of `columns` become zero. Scores are rows x columns, `stride` floats from row to row.
 */
void activation_causal_softmax(int64_t rows, int64_t columns, int64_t first, float scale,
                               int64_t stride, float *scores);

/*
 * Its derivative in place: gradient = scale * probabilities * (gradient - sums[row]), where
 * sums[row] is the row's sum of probabilities * gradient. Both rows x columns, `stride` apart.
 */
void activation_softmax_gradient(int64_t rows, int64_t columns, float scale, int64_t stride,
                                 const float *probabilities, const float *sums, float *gradient);

/* sums[row] = inner product of the rows of left and right, rows x columns, `stride` apart. */
void activation_row_products(int64_t rows, int64_t columns, int64_t stride, const float *left,
                             const float *right, float *sums);

/*
 * Cross entropy in nats of `rows` predictions over `classes` logits. losses[row] receives each
 * row's loss; logits become the gradient of `scale` times the sum of losses.
 */
void activation_cross_entropy(int64_t rows, int64_t classes, const int32_t *targets, float scale,
                              float *logits, double *losses);

/* Index of the largest of `count` >= 1 values, the first of equals. */
int64_t activation_arg_max(int64_t count, const float *values);

/* Sum of squares in double. */
double activation_sum_squares(int64_t count, const float *values);

#endif
