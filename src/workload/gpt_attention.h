/*
 * Causal attention of the GPT, forward and backward. Each (sequence, head) is a few matrix
 * products; scores above the diagonal are skipped in blocks of rows.
 */
#ifndef WORKLOAD_GPT_ATTENTION_H
#define WORKLOAD_GPT_ATTENTION_H

#include "workload/gpt_model.h"

/* From layer->query_key_value to layer->probabilities and layer->mixed. */
void gpt_attention(const gpt_shape *shape, int64_t sequences, const gpt_layer_state *layer);

/*
 * From `gradient` (rows x width, of layer->mixed) to `input_gradient` (rows x 3 width, of
 * layer->query_key_value). `scores` is scratch, context x context.
 */
void gpt_attention_backward(const gpt_shape *shape, int64_t sequences, const gpt_layer_state *layer,
                            const float *gradient, float *input_gradient, float *scores);

#endif
