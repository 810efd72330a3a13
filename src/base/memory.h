/*
 * Counted memory. Every allocation of the library goes through here, or is told
 * here where MPI makes it, so that "destroy leaves
 * nothing" can be tested by a number (plumb_memory_in_use). Blocks are aligned to 64 bytes.
 */
#ifndef PLUMB_BASE_MEMORY_H
#define PLUMB_BASE_MEMORY_H

#include <stdbool.h>

#include "plumb.h"

/*
 * `count` elements of `size` bytes into *block; contents undefined (allocate) or zero (zeroed).
 * count 0 gives a valid block. MEMORY if there is none or count * size overflows; *block is NULL
 * then. `block` is the address of any object pointer.
 */
plumb_status memory_allocate(int64_t count, size_t size, void *block);
plumb_status memory_zeroed(int64_t count, size_t size, void *block);

/* For tests: memory_allocate fills its blocks with NaN, so that nothing can rest on what they
 * hold. */
extern bool memory_poisoned;

/* Grows (or makes) *block from `old_count` to `count` elements; the new ones are zero. */
plumb_status memory_grow(int64_t old_count, int64_t count, size_t size, void *block);

/* Counts memory that MPI holds for the library, or, with numbers below 0, held. */
void memory_count(int64_t allocations, int64_t bytes);

/* Frees *block, which may be NULL, and sets it to NULL. */
void memory_free(void *block);

#endif
