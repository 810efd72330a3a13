/*
 * Normal numbers in bulk; see claims_random.h. A block of 128 bits makes four of them (Box and
 * Muller 1958): 32 bits a uniform number are enough for means over some millions.
 */
#include "app/claims_random.h"

#include <math.h>

#include <Random123/philox.h>

static const double two_pi = 6.283185307179586476925;

enum { BLOCK = 4 };

/* The middle of one of 2^32 equal cells of (0, 1). */
static double open_unit(uint32_t bits)
{
    return ((double)bits + 0.5) * 0x1p-32;
}

static void uniform_block(claims_key key, int64_t block, double *uniform)
{
    philox4x32_ctr_t counter = {
        {(uint32_t)block, key.step, key.unit, (uint32_t)key.subject << 16 | key.micro_batch}};
    philox4x32_key_t words = {{(uint32_t)key.seed, (uint32_t)(key.seed >> 32)}};
    philox4x32_ctr_t bits = philox4x32(counter, words);
    for (int i = 0; i < BLOCK; i++) {
        uniform[i] = open_unit(bits.v[i]);
    }
}

static void normal_block(const double *uniform, double *normals)
{
    for (int pair = 0; pair < BLOCK; pair += 2) {
        double radius = sqrt(-2.0 * log(uniform[pair]));
        double angle = two_pi * uniform[pair + 1];
        normals[pair] = radius * cos(angle);
        normals[pair + 1] = radius * sin(angle);
    }
}

void claims_normals(claims_key key, int64_t count, double *normals)
{
    for (int64_t first = 0; first < count; first += BLOCK) {
        double uniform[BLOCK], values[BLOCK];
        uniform_block(key, first / BLOCK, uniform);
        normal_block(uniform, values);
        for (int64_t i = first; i < first + BLOCK && i < count; i++) {
            normals[i] = values[i - first];
        }
    }
}

void claims_squares(claims_key key, int64_t count, double *squares)
{
    for (int64_t i = 0; i < count; i++) {
        double uniform[BLOCK];
        uniform_block(key, i, uniform);
        squares[i] = -0.5 * log(uniform[0] * uniform[1]);
    }
}
