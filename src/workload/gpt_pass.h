/*
 * The GPT's forward and backward passes over a few sequences. Products run over all positions of
 * all sequences at once; their shapes depend on the options alone.
 */
#ifndef WORKLOAD_GPT_PASS_H
#define WORKLOAD_GPT_PASS_H

#include "workload/gpt_model.h"

/* state.inputs of `sequences` sequences to state.normalised, what the head sees. `sink` may be
 * NULL. */
void gpt_forward(gpt *model, int64_t sequences, const workload_sink *sink);

/* state.logits of positions [first, first + rows), rows at most state.logit_rows. */
void gpt_logits(gpt *model, int64_t first, int64_t rows);

/* Labels in place of the data's targets: those that the model itself draws in this micro-batch. */
typedef struct gpt_draw {
    int64_t step, micro_batch;
} gpt_draw;

/*
 * From state.normalised and state.targets, or drawn labels, to state.losses and the gradients of
 * all parameters, handed to `sink` as they become complete: head, last norm, layers from last to
 * first, embeddings. `draw` may be NULL. *square_norm receives the gradient's squared norm, unless
 * it is NULL. Returns 0, or 1 with a message if the sink refused.
 */
int gpt_backward(gpt *model, int64_t sequences, const gpt_draw *draw, const workload_sink *sink,
                 double *square_norm);

/* y = x W' (+ y if accumulate): x rows x inputs, W outputs x inputs, y rows x outputs. */
void gpt_linear(int64_t rows, int64_t outputs, int64_t inputs, const float *x, const float *weight,
                bool accumulate, float *y);

#endif
