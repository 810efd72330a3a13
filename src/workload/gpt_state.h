/*
 * Memory of the GPT's passes: one block, cut into the matrices of gpt_model.h.
 */
#ifndef WORKLOAD_GPT_STATE_H
#define WORKLOAD_GPT_STATE_H

#include "workload/gpt_model.h"

/* Returns 0, or 1 if there is not enough memory. */
int gpt_state_create(const gpt_shape *shape, int64_t sequences, gpt_state *state);
void gpt_state_free(gpt_state *state);

#endif
