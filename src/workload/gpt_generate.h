/*
 * Text from a GPT, byte by byte.
 */
#ifndef WORKLOAD_GPT_GENERATE_H
#define WORKLOAD_GPT_GENERATE_H

#include "workload/gpt_model.h"

/*
 * Continues `prompt` (its last `context` bytes; a line feed if it is empty) by `count` bytes into
 * text[count + 1], which ends with a zero byte. Bytes are drawn from softmax(logits / temperature),
 * keyed by `seed`; temperature 0 takes the likeliest. When the context is full, its second half is
 * kept. Returns 0, or 1 with a message in model->base.
 */
int gpt_generate(gpt *model, const char *prompt, int64_t count, double temperature, uint64_t seed,
                 char *generated);

#endif
