/*
 * The vector kernels against plain loops, to the last bit, for sizes around every vector width, for
 * addresses that are aligned to a float only, and in place; and that no element escapes the
 * search for NaN and Inf.
 *
 * ranks: serial
 */
#include "base/vector.h"

#include <math.h>
#include <string.h>

#include "support/test.h"

enum { MOST = 4200, GUARD = 16, OFFSETS = 3 };

static const int64_t sizes[] = {0,  1,  2,  3,  4,  5,   7,   8,   9,   15,   16,   17,   31,
                                32, 33, 63, 64, 65, 100, 127, 128, 129, 1000, 4095, 4096, 4097};

enum { SIZES = sizeof sizes / sizeof *sizes };

static const float untouched = -12345.0f;

/* Two operands and memory for a result, `offset` floats from an aligned address. */
typedef struct operands {
    float left[MOST], right[MOST], result[MOST];
} operands;

static operands memory;

static void fill(uint64_t key)
{
    for (int i = 0; i < MOST; i++) {
        /* Magnitudes over forty powers of two: sums of two of them round. */
        memory.left[i] = ldexpf(test_value(key, 1, (uint64_t)i), i % 41 - 20);
        memory.right[i] = ldexpf(test_value(key, 2, (uint64_t)i), i % 37 - 18);
        memory.result[i] = untouched;
    }
}

/* Bits, not values: -0 and 0 differ. */
static void assert_same(const float *found, const float *expected, int64_t count)
{
    ck_assert_int_eq(memcmp(found, expected, (size_t)count * sizeof *found), 0);
    for (int64_t i = count; i < count + GUARD; i++) {
        ck_assert(found[i] == untouched);
    }
}

typedef enum kernel { ADD, ADD_CHECKED, SCALE, SCALE_CHECKED, DIVIDE, KERNELS } kernel;

static const float factor = 0.3f;

/* The plain reference: one operation, one rounding, one store. */
static float reference(kernel which, float left, float right)
{
    volatile float product = factor * right;
    switch (which) {
    case ADD:
        return left + right;
    case ADD_CHECKED:
        return left + product;
    case SCALE:
    case SCALE_CHECKED:
        return product;
    default:
        return right / factor;
    }
}

static void apply(kernel which, int64_t count, const float *left, const float *right, float *to)
{
    switch (which) {
    case ADD:
        vector_add(count, left, right, to);
        break;
    case ADD_CHECKED:
        ck_assert(vector_add_checked(count, left, factor, right, to));
        break;
    case SCALE:
        vector_scale(count, factor, right, to);
        break;
    case SCALE_CHECKED:
        ck_assert(vector_scale_checked(count, factor, right, to));
        break;
    default:
        vector_divide(count, factor, right, to);
    }
}

START_TEST(test_kernels_equal_plain_loops)
{
    static float expected[MOST];
    for (int which = 0; which < KERNELS; which++) {
        for (int i = 0; i < SIZES * OFFSETS; i++) {
            int64_t count = sizes[i / OFFSETS];
            int offset = i % OFFSETS;
            fill((uint64_t)i);
            for (int64_t j = 0; j < count; j++) {
                expected[j] = reference((kernel)which, memory.left[j], memory.right[j + offset]);
            }
            apply((kernel)which, count, memory.left, memory.right + offset, memory.result + offset);
            assert_same(memory.result + offset, expected, count);
        }
    }
}
END_TEST

START_TEST(test_in_place)
{
    static float expected[MOST];
    for (int which = 0; which < KERNELS; which++) {
        for (int i = 0; i < 2 * SIZES; i++) {
            int64_t count = sizes[i / 2];
            fill((uint64_t)i);
            apply((kernel)which, count, memory.left, memory.right, expected);
            float *to = i % 2 == 0 || which >= SCALE ? memory.right : memory.left;
            apply((kernel)which, count, memory.left, memory.right, to);
            ck_assert_int_eq(memcmp(to, expected, (size_t)count * sizeof *to), 0);
        }
    }
}
END_TEST

START_TEST(test_division_rounds_correctly)
{
    /* Multiplying by the reciprocal would give another last bit for some of these. */
    for (int divisor = 1; divisor <= 64; divisor++) {
        float from[64], to[64];
        for (int i = 0; i < 64; i++) {
            from[i] = (float)(i + 1);
        }
        vector_divide(64, (float)divisor, from, to);
        for (int i = 0; i < 64; i++) {
            ck_assert(to[i] == (float)((double)(i + 1) / (double)divisor));
        }
    }
}
END_TEST

/* Powers of two go by their reciprocals, where these are normal numbers: also where quotients are
 * subnormal, or overflow. */
START_TEST(test_division_by_powers_of_two)
{
    for (int i = 0; i < 2 * (149 + 128); i++) {
        float divisor = ldexpf(i % 2 == 0 ? 1.0f : -1.0f, i / 2 - 149);
        float from[64], to[64];
        for (int j = 0; j < 64; j++) {
            from[j] = ldexpf(1.0f + (float)(2 * j + 1) * 0x1p-23f, 4 * j - 140);
        }
        vector_divide(64, divisor, from, to);
        for (int j = 0; j < 64; j++) {
            ck_assert(to[j] == (float)((double)from[j] / (double)divisor));
        }
    }
}
END_TEST

/* True if all three searches find that `values` has something that is not finite. */
static bool found_everywhere(int64_t count, const float *values)
{
    static float other[MOST], scaled[MOST], sum[MOST];
    memset(sum, 0, sizeof sum);
    bool all = vector_all_finite(count, values);
    bool scale = vector_scale_checked(count, 0.5f, values, scaled);
    bool add = vector_add_checked(count, other, 0.5f, values, sum);
    ck_assert(all == scale && all == add);
    return !all;
}

START_TEST(test_nothing_that_is_not_finite_escapes)
{
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const float good[] = {0.0f, -0.0f, 3.4028235e38f, -3.4028235e38f, 1e-45f};
    static float values[MOST];
    for (int i = 0; i < SIZES; i++) {
        int64_t count = sizes[i];
        int64_t stride = count > 200 ? 7 : 1;
        for (int64_t j = 0; j < MOST; j++) {
            values[j] = good[j % 5];
        }
        ck_assert(!found_everywhere(count, values));
        for (int64_t j = 0; j < count; j += stride) {
            float before = values[j];
            values[j] = bad[j % 4];
            ck_assert(found_everywhere(count, values));
            values[j] = before;
        }
        values[count] = NAN; /* behind the end: not ours */
        ck_assert(!found_everywhere(count, values));
    }
}
END_TEST

START_TEST(test_check_looks_at_the_gradient_not_the_sum)
{
    float left[3] = {INFINITY, 1.0f, NAN};
    float right[3] = {1.0f, 2.0f, 3.0f};
    float to[3];
    ck_assert(vector_add_checked(3, left, 1.0f, right, to));
    float large[1] = {3e38f};
    ck_assert(vector_scale_checked(1, 10.0f, large, to));
    ck_assert(isinf(to[0]));
}
END_TEST

START_TEST(test_sum_of_squares)
{
    for (int i = 0; i < SIZES * OFFSETS; i++) {
        int64_t count = sizes[i / OFFSETS];
        float *values = memory.left + i % OFFSETS;
        fill((uint64_t)i);
        double sums[16] = {0};
        long double exact = 0.0L;
        for (int64_t j = 0; j < count; j++) {
            double square = (double)values[j] * (double)values[j];
            sums[j % 16] += square;
            exact += (long double)square;
        }
        /* The documented order: sixteen running sums, then halves onto halves. */
        for (int width = 8; width > 0; width /= 2) {
            for (int lane = 0; lane < width; lane++) {
                sums[lane] += sums[lane + width];
            }
        }
        double found = vector_sum_squares(count, values);
        ck_assert(found == sums[0]);
        ck_assert(fabsl((long double)found - exact) <= 1e-13L * exact);
    }
}
END_TEST

START_TEST(test_sum_of_squares_keeps_its_range)
{
    float tiny[2] = {1e-30f, 1e-30f};
    float huge[2] = {1e30f, 1e30f};
    ck_assert_double_eq_tol(vector_sum_squares(2, tiny) * 1e60, 2.0, 1e-6);
    ck_assert_double_eq_tol(vector_sum_squares(2, huge) * 1e-60, 2.0, 1e-6);
}
END_TEST

START_TEST(test_largest_at_every_position)
{
    static float values[MOST];
    for (int i = 0; i < SIZES; i++) {
        int64_t count = sizes[i] > 200 ? 200 : sizes[i];
        for (int64_t j = 0; j < count; j++) {
            values[j] = test_value(3, 4, (uint64_t)j);
        }
        for (int64_t j = 0; j < count; j++) {
            float before = values[j];
            values[j] = j % 2 == 0 ? 1.5f : -1.5f;
            ck_assert(vector_largest(count, values) == 1.5f);
            values[j] = before;
        }
        values[count] = 7.0f;
        ck_assert(vector_largest(count, values) <= 1.0f);
        values[count] = 0.0f;
    }
    ck_assert(vector_largest(0, values) == 0.0f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vector");
    test_add(suite, "plain loops", test_kernels_equal_plain_loops);
    test_add(suite, "in place", test_in_place);
    test_add(suite, "division", test_division_rounds_correctly);
    test_add(suite, "division by powers of two", test_division_by_powers_of_two);
    test_add(suite, "not finite", test_nothing_that_is_not_finite_escapes);
    test_add(suite, "what is checked", test_check_looks_at_the_gradient_not_the_sum);
    test_add(suite, "sum of squares", test_sum_of_squares);
    test_add(suite, "range", test_sum_of_squares_keeps_its_range);
    test_add(suite, "largest", test_largest_at_every_position);
    return test_run(suite);
}
