/*
 * Random numbers: Philox's published known answers through our own counters, distinct streams, and
 * the shapes of the distributions.
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>

#include "support/test.h"
#include "workload/random.h"

/* philox4x32-10 of Random123's kat_vectors: counter, key, result. */
typedef struct known_answer {
    uint32_t counter[4], key[2], result[4];
} known_answer;

static const known_answer answers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static double unit(uint32_t low, uint32_t high)
{
    uint64_t bits = (uint64_t)high << 32 | low;
    return ((double)(bits >> 12) + 0.5) / 4503599627370496.0;
}

START_TEST(known_answers)
{
    for (int i = 0; i < 3; i++) {
        const known_answer *a = &answers[i];
        uint64_t seed = (uint64_t)a->key[1] << 32 | a->key[0];
        uint64_t draw = (uint64_t)(a->counter[3] >> 16) << 32 | a->counter[0];
        uint64_t step = (uint64_t)(a->counter[3] >> 8 & 0xff) << 32 | a->counter[1];
        random_stream stream = (random_stream)(a->counter[3] & 0xff);
        uint64_t bits = random_bits(seed, stream, step, a->counter[2], draw);
        ck_assert_uint_eq(bits, (uint64_t)a->result[1] << 32 | a->result[0]);
        double radius = sqrt(-2.0 * log(unit(a->result[0], a->result[1])));
        double angle = 2.0 * acos(-1.0) * unit(a->result[2], a->result[3]);
        ck_assert_double_eq_tol(random_normal(seed, stream, step, a->counter[2], draw),
                                radius * cos(angle), 1e-12);
        ck_assert_double_eq_tol(random_uniform(seed, stream, step, a->counter[2], draw),
                                unit(a->result[0], a->result[1]), 1e-15);
    }
}
END_TEST

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Every argument, also in its high bits, leads to other numbers. */
START_TEST(arguments_never_share_numbers)
{
    enum { VALUES = 6 * 6 * 6 * 6 * 3 };
    static const uint64_t points[] = {0, 1, 2, 255, 1u << 31, UINT64_C(0xffffffff)};
    static uint64_t seen[VALUES];
    int count = 0;
    for (int i = 0; i < VALUES; i++) {
        uint64_t seed = points[i % 6] << 16, step = points[i / 6 % 6] << 7;
        uint64_t micro_batch = points[i / 36 % 6], draw = points[i / 216 % 6] << 15;
        random_stream stream = (random_stream)(1 + i / 1296);
        seen[count++] = random_bits(seed, stream, step, micro_batch, draw);
    }
    qsort(seen, VALUES, sizeof seen[0], compare);
    for (int i = 1; i < VALUES; i++) {
        ck_assert_uint_ne(seen[i - 1], seen[i]);
    }
}
END_TEST

/* Correlation of two series that differ in one argument only. */
static double correlation(int argument, int samples)
{
    double sum = 0.0;
    for (int i = 0; i < samples; i++) {
        uint64_t n = (uint64_t)i;
        random_stream other = argument == 1 ? RANDOM_GENERATION : RANDOM_BATCH;
        double left = random_normal(7, RANDOM_BATCH, 3, 5, n);
        double right = random_normal(argument == 0 ? 8 : 7, other, argument == 2 ? 4 : 3,
                                     argument == 3 ? 6 : 5, argument == 4 ? n + 1 : n);
        sum += left * right;
    }
    return sum / samples;
}

START_TEST(streams_do_not_correlate)
{
    enum { SAMPLES = 40000 };
    for (int argument = 0; argument < 5; argument++) {
        /* Four standard errors. */
        ck_assert_double_lt(fabs(correlation(argument, SAMPLES)), 4.0 / sqrt((double)SAMPLES));
    }
}
END_TEST

START_TEST(uniform_is_uniform)
{
    enum { SAMPLES = 100000, CELLS = 64 };
    int cells[CELLS] = {0};
    for (int i = 0; i < SAMPLES; i++) {
        double value = random_uniform(11, RANDOM_BATCH, 0, 1, (uint64_t)i);
        ck_assert(value > 0.0 && value < 1.0);
        cells[(int)(value * CELLS)]++;
    }
    double chi_square = 0.0;
    for (int c = 0; c < CELLS; c++) {
        double expected = (double)SAMPLES / CELLS;
        chi_square += (cells[c] - expected) * (cells[c] - expected) / expected;
    }
    /* 63 degrees of freedom: mean 63, standard deviation 11.2. */
    ck_assert_double_gt(chi_square, 63.0 - 4 * 11.2);
    ck_assert_double_lt(chi_square, 63.0 + 4 * 11.2);
}
END_TEST

START_TEST(normal_moments)
{
    enum { SAMPLES = 200000 };
    double moments[5] = {0};
    for (int i = 0; i < SAMPLES; i++) {
        double value = random_normal(13, RANDOM_INITIAL_VALUES, 0, 2, (uint64_t)i), power = 1.0;
        ck_assert(isfinite(value));
        for (int m = 1; m < 5; m++) {
            power *= value;
            moments[m] += power / SAMPLES;
        }
    }
    double error = 1.0 / sqrt((double)SAMPLES);
    ck_assert_double_lt(fabs(moments[1]), 4 * error);
    ck_assert_double_lt(fabs(moments[2] - 1.0), 4 * sqrt(2.0) * error);
    ck_assert_double_lt(fabs(moments[3]), 4 * sqrt(15.0) * error);
    ck_assert_double_lt(fabs(moments[4] - 3.0), 4 * sqrt(96.0) * error);
}
END_TEST

__extension__ typedef unsigned __int128 wide;

START_TEST(below_is_the_high_half)
{
    static const uint64_t bounds[] = {1,
                                      2,
                                      10,
                                      60000,
                                      UINT64_C(0xffffffff),
                                      UINT64_C(0x100000000),
                                      UINT64_C(0x123456789abcdef1),
                                      UINT64_MAX};
    for (int b = 0; b < 8; b++) {
        for (uint64_t draw = 0; draw < 200; draw++) {
            uint64_t value = random_below(17, RANDOM_BATCH, 9, 4, draw, bounds[b]);
            wide product = (wide)random_bits(17, RANDOM_BATCH, 9, 4, draw) * bounds[b];
            ck_assert_uint_lt(value, bounds[b]);
            ck_assert_uint_eq(value, (uint64_t)(product >> 64));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random");
    test_add(suite, "known answers", known_answers);
    test_add(suite, "arguments never share numbers", arguments_never_share_numbers);
    test_add(suite, "streams do not correlate", streams_do_not_correlate);
    test_add(suite, "uniform is uniform", uniform_is_uniform);
    test_add(suite, "normal moments", normal_moments);
    test_add(suite, "below is the high half", below_is_the_high_half);
    return test_run(suite);
}
