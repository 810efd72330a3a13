/*
 * Blocks of floats that one rank makes and a few ranks need: how the owners of one matrix's panels
 * work together on its update. Only the ranks that a block names take part.
 */
#ifndef PLUMB_EXCHANGE_BLOCKS_H
#define PLUMB_EXCHANGE_BLOCKS_H

#include "exchange/mail.h"

typedef struct block {
    float *values; /* [count]; where a rank makes it or has room for it */
    int64_t count;
    int source;       /* the rank that makes it */
    int reader_count; /* ranks that need it; the source may be one of them */
    const int *readers;
} block;

typedef struct blocks {
    mail mail;
    int rank;
} blocks;

/* Messages that this rank sends or receives for a block. */
int64_t blocks_messages(const blocks *b, const block *one);

/*
 * Room for `messages` at once on a communicator, at most `chunk` floats each (0: INT_MAX); after
 * that nothing is allocated. MEMORY.
 */
void blocks_init(MPI_Comm communicator, int rank, int64_t chunk, blocks *b);
plumb_status blocks_reserve(blocks *b, int64_t messages);

/*
 * Readers expect a block, then its source offers it when it is made; the memory is untouched until
 * all of both is done, which blocks_finish waits for. The blocks between two ranks must be expected
 * in the order in which they are offered. MPI.
 */
plumb_status blocks_expect(blocks *b, const block *one);
plumb_status blocks_offer(blocks *b, const block *one);
plumb_status blocks_finish(blocks *b);
void blocks_free(blocks *b);

#endif
