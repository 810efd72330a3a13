/*
 * Noise in training text, as in experiments with badly cleaned corpora: some sequences have blocks
 * that belong elsewhere. Which and from where is a function of (seed, step, micro-batch, sequence).
 */
#ifndef WORKLOAD_TEXT_NOISE_H
#define WORKLOAD_TEXT_NOISE_H

#include "workload/text.h"

enum { TEXT_NOISE_BLOCK = 64 };

typedef struct text_noise {
    double share; /* of sequences that are hit, 0 to 1 */
    uint64_t seed;
    int64_t step, micro_batch, sequence;
} text_noise;

/*
 * Blocks of 64 bytes that a sequence of `count` bytes has, the last of them perhaps shorter; and
 * least and most blocks that noise replaces: the whole numbers from 20 to 40 %, or one block.
 */
int64_t text_noise_blocks(int64_t count, int64_t *least, int64_t *most);

/*
 * `bytes` holds the training sequence of `count` bytes from `start` on. With probability `share`
 * some of its blocks, anywhere, as many as above with equal probabilities, become other places of
 * the training text, which do not overlap the block's own; a block keeps its bytes if the text is
 * too short for that.
 */
void text_noise_apply(const text_noise *noise, const text *source, int64_t start, int64_t count,
                      unsigned char *bytes);

#endif
