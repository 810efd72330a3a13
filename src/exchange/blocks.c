/*
 * Sending blocks from their makers to their readers (blocks.h).
 */
#include "exchange/blocks.h"

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"
#include "exchange/transport.h"

/* The largest tag that MPI promises: buckets have the small ones. */
enum { BLOCKS_TAG = 32767 };

void blocks_init(MPI_Comm communicator, int rank, int64_t chunk, blocks *b)
{
    *b = (blocks){.rank = rank};
    b->mail.communicator = communicator;
    b->mail.chunk = chunk > 0 ? chunk : INT_MAX;
}

plumb_status blocks_reserve(blocks *b, int64_t messages)
{
    return mail_reserve(&b->mail, messages);
}

static bool reads(const blocks *b, const block *one)
{
    for (int i = 0; i < one->reader_count; i++) {
        if (one->readers[i] == b->rank) {
            return true;
        }
    }
    return false;
}

int64_t blocks_messages(const blocks *b, const block *one)
{
    int64_t chunks = transport_chunks(one->count, b->mail.chunk);
    if (one->source != b->rank) {
        return reads(b, one) ? chunks : 0;
    }
    return (one->reader_count - (reads(b, one) ? 1 : 0)) * chunks;
}

plumb_status blocks_expect(blocks *b, const block *one)
{
    if (one->source == b->rank || !reads(b, one)) {
        return PLUMB_OK;
    }
    return mail_receive(&b->mail, one->source, BLOCKS_TAG, one->values, one->count, MAIL_PIECE, 0);
}

plumb_status blocks_offer(blocks *b, const block *one)
{
    for (int i = 0; one->source == b->rank && i < one->reader_count; i++) {
        if (one->readers[i] != b->rank) {
            PROPAGATE(mail_send(&b->mail, one->readers[i], BLOCKS_TAG, one->values, one->count, 0));
        }
    }
    return PLUMB_OK;
}

static plumb_status nothing_to_do(void *context, const mail_item *item)
{
    (void)context;
    (void)item;
    return PLUMB_OK;
}

plumb_status blocks_finish(blocks *b)
{
    while (b->mail.count > 0) {
        PROPAGATE(mail_poll(&b->mail, 1, nothing_to_do, NULL));
    }
    return PLUMB_OK;
}

void blocks_free(blocks *b)
{
    mail_free(&b->mail);
}
