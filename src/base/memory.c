/*
 * Counted, aligned allocation. A header of one cache line before each block holds its size.
 */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { HEADER = 64 };

bool memory_poisoned;

static atomic_llong live_allocations;
static atomic_llong live_bytes;

void memory_count(int64_t allocations, int64_t bytes)
{
    atomic_fetch_add(&live_allocations, allocations);
    atomic_fetch_add(&live_bytes, bytes);
}

plumb_status memory_allocate(int64_t count, size_t size, void *block)
{
    void *pointer = NULL;
    memcpy(block, &pointer, sizeof pointer);
    size_t bytes = 0;
    bool overflow = count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) ||
                    bytes > SIZE_MAX - 2 * HEADER;
    if (!overflow) {
        size_t rounded = (bytes + HEADER - 1) / HEADER * HEADER + HEADER;
        pointer = aligned_alloc(HEADER, rounded);
    }
    REQUIRE(pointer != NULL, PLUMB_ERROR_MEMORY, "no memory for %lld elements of %zu bytes",
            (long long)count, size);
    memcpy(pointer, &bytes, sizeof bytes);
    memory_count(1, (int64_t)bytes);
    pointer = (char *)pointer + HEADER;
    if (memory_poisoned) {
        memset(pointer, 0xff, bytes); /* a NaN as float and as double */
    }
    memcpy(block, &pointer, sizeof pointer);
    return PLUMB_OK;
}

plumb_status memory_zeroed(int64_t count, size_t size, void *block)
{
    PROPAGATE(memory_allocate(count, size, block));
    void *pointer;
    memcpy(&pointer, block, sizeof pointer);
    memset(pointer, 0, (size_t)count * size);
    return PLUMB_OK;
}

plumb_status memory_grow(int64_t old_count, int64_t count, size_t size, void *block)
{
    void *old;
    memcpy(&old, block, sizeof old);
    void *grown;
    PROPAGATE(memory_zeroed(count, size, &grown));
    if (old != NULL) {
        memcpy(grown, old, (size_t)old_count * size);
        memory_free(block);
    }
    memcpy(block, &grown, sizeof grown);
    return PLUMB_OK;
}

void memory_free(void *block)
{
    char *pointer;
    memcpy(&pointer, block, sizeof pointer);
    if (pointer == NULL) {
        return;
    }
    size_t bytes;
    pointer -= HEADER;
    memcpy(&bytes, pointer, sizeof bytes);
    memory_count(-1, -(int64_t)bytes);
    free(pointer);
    pointer = NULL;
    memcpy(block, &pointer, sizeof pointer);
}

plumb_status plumb_memory_in_use(int64_t *allocations, int64_t *bytes)
{
    if (allocations != NULL) {
        *allocations = atomic_load(&live_allocations);
    }
    if (bytes != NULL) {
        *bytes = atomic_load(&live_bytes);
    }
    return PLUMB_OK;
}
