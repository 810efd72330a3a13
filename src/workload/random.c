/*
 * Random numbers as a function (see random.h). One Philox block of 128 bits per draw: the key is
 * the seed, and stream, step, micro-batch and draw have bits of their own in the counter, so that
 * two different sets of arguments never meet the same block.
 */
#include "workload/random.h"

#include <math.h>

#include <Random123/philox.h>

static const double two_pi = 6.283185307179586476925;

/*
 * Counter: draw 48 bits, step 40, micro-batch 32, stream 8. Runs stay far below these; bits above
 * them are cut off.
 */
static philox4x32_ctr_t random_block(uint64_t seed, random_stream stream, uint64_t step,
                                     uint64_t micro_batch, uint64_t draw)
{
    uint32_t draw_high = (uint32_t)(draw >> 32) & UINT32_C(0xffff);
    uint32_t step_high = (uint32_t)(step >> 32) & UINT32_C(0xff);
    philox4x32_ctr_t counter = {{(uint32_t)draw, (uint32_t)step, (uint32_t)micro_batch,
                                 draw_high << 16 | step_high << 8 | ((uint32_t)stream & 0xff)}};
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    return philox4x32(counter, key);
}

static uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

/* The middle of one of 2^52 equal cells of (0, 1): neither end is ever reached. */
static double open_unit(uint64_t bits)
{
    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

uint64_t random_bits(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                     uint64_t draw)
{
    philox4x32_ctr_t block = random_block(seed, stream, step, micro_batch, draw);
    return join(block.v[0], block.v[1]);
}

uint64_t random_below(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                      uint64_t draw, uint64_t bound)
{
    /* The high half of bits * bound (Lemire 2019), each half of `bits` multiplied apart. */
    uint64_t bits = random_bits(seed, stream, step, micro_batch, draw);
    uint64_t low = bits & UINT32_MAX, high = bits >> 32;
    uint64_t bound_low = bound & UINT32_MAX, bound_high = bound >> 32;
    uint64_t middle = high * bound_low + (low * bound_low >> 32);
    uint64_t carry = low * bound_high + (middle & UINT32_MAX);
    return high * bound_high + (middle >> 32) + (carry >> 32);
}

double random_uniform(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                      uint64_t draw)
{
    return open_unit(random_bits(seed, stream, step, micro_batch, draw));
}

double random_normal(uint64_t seed, random_stream stream, uint64_t step, uint64_t micro_batch,
                     uint64_t draw)
{
    philox4x32_ctr_t block = random_block(seed, stream, step, micro_batch, draw);
    double radius = sqrt(-2.0 * log(open_unit(join(block.v[0], block.v[1]))));
    return radius * cos(two_pi * open_unit(join(block.v[2], block.v[3])));
}
