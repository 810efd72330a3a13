/*
 * Replacing blocks of training sequences (see text_noise.h).
 */
#include "workload/text_noise.h"

#include "workload/random.h"

#include <string.h>

/* Random numbers of one sequence: whether, how many, and for each block whether and from where. */
enum { DRAW_HIT, DRAW_COUNT, DRAW_FIRST_BLOCK, DRAW_BITS = 20 };

static uint64_t draw_number(const text_noise *noise, int64_t draw)
{
    return (uint64_t)noise->sequence << DRAW_BITS | (uint64_t)draw;
}

static int64_t below(const text_noise *noise, int64_t draw, int64_t bound)
{
    return (int64_t)random_below(noise->seed, RANDOM_NOISE, (uint64_t)noise->step,
                                 (uint64_t)noise->micro_batch, draw_number(noise, draw),
                                 (uint64_t)bound);
}

static int is_hit(const text_noise *noise)
{
    double uniform = random_uniform(noise->seed, RANDOM_NOISE, (uint64_t)noise->step,
                                    (uint64_t)noise->micro_batch, draw_number(noise, DRAW_HIT));
    return uniform < noise->share;
}

int64_t text_noise_blocks(int64_t count, int64_t *least, int64_t *most)
{
    int64_t blocks = (count + TEXT_NOISE_BLOCK - 1) / TEXT_NOISE_BLOCK;
    *least = (blocks + 4) / 5;
    *most = 2 * blocks / 5 > *least ? 2 * blocks / 5 : *least;
    return blocks;
}

/* `size` bytes from elsewhere in place of those that lie at `own` in the training text. */
static void replace(const text_noise *noise, int64_t draw, const text *source, int64_t own,
                    int64_t size, unsigned char *bytes)
{
    int64_t before = own - size + 1; /* places that end before it */
    int64_t after = source->training - size - (own + size) + 1;
    before = before > 0 ? before : 0;
    after = after > 0 ? after : 0;
    if (before + after == 0) {
        return;
    }
    int64_t place = below(noise, draw, before + after);
    place = place < before ? place : own + size + (place - before);
    memcpy(bytes, source->bytes + place, (size_t)size);
}

/* Every set of `wanted` blocks is equally likely (Knuth, volume 2, 3.4.2, algorithm S). */
void text_noise_apply(const text_noise *noise, const text *source, int64_t start, int64_t count,
                      unsigned char *bytes)
{
    if (!is_hit(noise)) {
        return;
    }
    int64_t least, most;
    int64_t blocks = text_noise_blocks(count, &least, &most);
    int64_t wanted = least + below(noise, DRAW_COUNT, most - least + 1);
    for (int64_t block = 0; block < blocks && wanted > 0; block++) {
        int64_t draw = DRAW_FIRST_BLOCK + 2 * block;
        if (below(noise, draw, blocks - block) < wanted) {
            int64_t at = block * TEXT_NOISE_BLOCK;
            int64_t size = count - at < TEXT_NOISE_BLOCK ? count - at : TEXT_NOISE_BLOCK;
            replace(noise, draw + 1, source, start + at, size, bytes + at);
            wanted--;
        }
    }
}
