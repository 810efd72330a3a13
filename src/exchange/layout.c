/*
 * Sending and freeing a layout (layout.h).
 */
#include "exchange/layout.h"

#include "base/error.h"
#include "base/memory.h"
#include "exchange/agreement.h"
#include "exchange/transport.h"

static plumb_status make_room(layout *l)
{
    plumb_status status = memory_zeroed(l->parameter_count, sizeof *l->parameters, &l->parameters);
    if (status == PLUMB_OK) {
        status = memory_zeroed(l->bucket_count, sizeof *l->buckets, &l->buckets);
    }
    return status;
}

plumb_status layout_broadcast(MPI_Comm communicator, int rank, layout *l)
{
    int64_t sizes[3] = {l->length, l->parameter_count, l->bucket_count};
    PROPAGATE(transport_broadcast(communicator, 0, sizeof sizes, sizes));
    plumb_status status = PLUMB_OK;
    if (rank != 0) {
        *l = (layout){sizes[0], sizes[1], sizes[2], NULL, NULL};
        status = make_room(l);
    }
    PROPAGATE(agreement_verdict(communicator, status));
    PROPAGATE(transport_broadcast(
        communicator, 0, l->parameter_count * (int64_t)sizeof *l->parameters, l->parameters));
    return transport_broadcast(communicator, 0, l->bucket_count * (int64_t)sizeof *l->buckets,
                               l->buckets);
}

void layout_free(layout *l)
{
    memory_free(&l->parameters);
    memory_free(&l->buckets);
    *l = (layout){0};
}
