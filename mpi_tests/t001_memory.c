/*
 * Counted memory: every block is counted, aligned and given back; sizes that do not exist are
 * errors that change nothing.
 *
 * ranks: serial
 */
#include "base/memory.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "support/test.h"

static void assert_in_use(int64_t allocations, int64_t bytes)
{
    int64_t found_allocations = -1;
    int64_t found_bytes = -1;
    ck_assert_int_eq(plumb_memory_in_use(&found_allocations, &found_bytes), PLUMB_OK);
    ck_assert_int_eq(found_allocations, allocations);
    ck_assert_int_eq(found_bytes, bytes);
}

START_TEST(test_counts)
{
    assert_in_use(0, 0);
    float *values;
    double *other;
    ck_assert_int_eq(memory_allocate(1000, sizeof *values, &values), PLUMB_OK);
    assert_in_use(1, 4000);
    ck_assert_int_eq(memory_zeroed(3, sizeof *other, &other), PLUMB_OK);
    assert_in_use(2, 4024);
    memory_free(&values);
    ck_assert_ptr_null(values);
    assert_in_use(1, 24);
    memory_free(&other);
    assert_in_use(0, 0);
    memory_free(&other);
    assert_in_use(0, 0);
    ck_assert_int_eq(plumb_memory_in_use(NULL, NULL), PLUMB_OK);
}
END_TEST

START_TEST(test_blocks_are_aligned_and_apart)
{
    enum { BLOCKS = 130 };
    unsigned char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        ck_assert_int_eq(memory_allocate(i, 1, &blocks[i]), PLUMB_OK);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], i, (size_t)i);
    }
    assert_in_use(BLOCKS, BLOCKS * (BLOCKS - 1) / 2);
    for (int i = 0; i < BLOCKS; i++) {
        for (int j = 0; j < i; j++) {
            ck_assert_uint_eq(blocks[i][j], (unsigned)i);
        }
        memory_free(&blocks[i]);
    }
    assert_in_use(0, 0);
}
END_TEST

START_TEST(test_zeroed_is_zero)
{
    for (int attempt = 0; attempt < 8; attempt++) {
        unsigned char *block;
        ck_assert_int_eq(memory_zeroed(999, 7, &block), PLUMB_OK);
        for (int i = 0; i < 999 * 7; i++) {
            ck_assert_uint_eq(block[i], 0);
        }
        memset(block, 0xff, 999 * 7);
        memory_free(&block);
    }
}
END_TEST

static void assert_refused(int64_t count, size_t size)
{
    char marker;
    void *block = &marker;
    error_raise(PLUMB_ERROR_INTERNAL, "nothing said");
    ck_assert_int_eq(memory_allocate(count, size, &block), PLUMB_ERROR_MEMORY);
    ck_assert_ptr_null(block);
    ck_assert_ptr_nonnull(strstr(error_text(), "no memory"));
    block = &marker;
    ck_assert_int_eq(memory_zeroed(count, size, &block), PLUMB_ERROR_MEMORY);
    ck_assert_ptr_null(block);
    assert_in_use(0, 0);
}

START_TEST(test_impossible_sizes)
{
    assert_refused(-1, 1);
    assert_refused(-1, 0);
    assert_refused(INT64_MIN, 8);
    assert_refused(INT64_MAX, 4);           /* the product overflows */
    assert_refused(INT64_MAX, SIZE_MAX);    /* so that a part of it wraps around */
    assert_refused(2, SIZE_MAX / 2);        /* no room for the header */
    assert_refused(1, SIZE_MAX - 63);       /* the rounding would wrap around */
    assert_refused(INT64_C(1) << 50, 1024); /* fits a size, not a machine */
}
END_TEST

START_TEST(test_grow)
{
    int32_t *numbers = NULL;
    int64_t count = 0;
    for (int64_t next = 1; next < 5000; next = 2 * next + 1) {
        ck_assert_int_eq(memory_grow(count, next, sizeof *numbers, &numbers), PLUMB_OK);
        assert_in_use(1, 4 * next);
        for (int64_t i = 0; i < next; i++) {
            ck_assert_int_eq(numbers[i], i < count ? i + 1 : 0);
            numbers[i] = (int32_t)i + 1;
        }
        count = next;
    }
    int32_t *before = numbers;
    ck_assert_int_eq(memory_grow(count, INT64_MAX, sizeof *numbers, &numbers), PLUMB_ERROR_MEMORY);
    ck_assert_ptr_eq(numbers, before);
    ck_assert_int_eq(numbers[count - 1], count);
    memory_free(&numbers);
    assert_in_use(0, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    test_add(suite, "counts", test_counts);
    test_add(suite, "alignment", test_blocks_are_aligned_and_apart);
    test_add(suite, "zeroed", test_zeroed_is_zero);
    test_add(suite, "impossible sizes", test_impossible_sizes);
    test_add(suite, "grow", test_grow);
    return test_run(suite);
}
