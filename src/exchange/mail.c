/*
 * The list of MPI requests behind the exchange (mail.h).
 */
#include "exchange/mail.h"

#include <limits.h>

#include "base/error.h"
#include "base/memory.h"
#include "exchange/fault.h"
#include "exchange/transport.h"

plumb_status mail_reserve(mail *m, int64_t messages)
{
    REQUIRE(messages <= INT_MAX, PLUMB_ERROR_ARGUMENT,
            "%lld messages a step on one rank are too many: use larger chunks",
            (long long)messages);
    if (messages > m->capacity) {
        mail_free(m);
        PROPAGATE(memory_zeroed(messages, sizeof *m->requests, &m->requests));
        PROPAGATE(memory_zeroed(messages, sizeof *m->items, &m->items));
        PROPAGATE(memory_zeroed(messages, sizeof *m->finished, &m->finished));
        PROPAGATE(memory_zeroed(messages, sizeof *m->indices, &m->indices));
        m->capacity = (int)messages;
    }
    return PLUMB_OK;
}

static plumb_status check_room(const mail *m)
{
    REQUIRE(m->count < m->capacity, PLUMB_ERROR_INTERNAL, "more messages than were planned");
    return PLUMB_OK;
}

static void enter(mail *m, mail_item item)
{
    m->items[m->count++] = item;
}

plumb_status mail_send(mail *m, int destination, int tag, const float *values, int64_t count,
                       int64_t bucket)
{
    PROPAGATE(fault_of_message());
    for (int64_t done = 0; done < count; done += m->chunk) {
        int64_t part = count - done < m->chunk ? count - done : m->chunk;
        PROPAGATE(check_room(m));
        TRANSPORT(MPI_Isend(values + done, (int)part, MPI_FLOAT, destination, tag, m->communicator,
                            &m->requests[m->count]));
        int64_t bytes = part * (int64_t)sizeof *values;
        enter(m, (mail_item){MAIL_SENT, bucket, bytes});
        m->account.messages++;
        m->account.bytes += bytes;
        m->account.wire_bytes += m->far != NULL && m->far[destination] ? bytes : 0;
    }
    return PLUMB_OK;
}

plumb_status mail_receive(mail *m, int source, int tag, float *values, int64_t count,
                          mail_kind kind, int64_t bucket)
{
    for (int64_t done = 0; done < count; done += m->chunk) {
        int64_t part = count - done < m->chunk ? count - done : m->chunk;
        PROPAGATE(check_room(m));
        TRANSPORT(MPI_Irecv(values + done, (int)part, MPI_FLOAT, source, tag, m->communicator,
                            &m->requests[m->count]));
        enter(m, (mail_item){kind, bucket, part * (int64_t)sizeof *values});
    }
    return PLUMB_OK;
}

/* Closes the gaps that completed requests, now MPI_REQUEST_NULL, have left. */
static void close_gaps(mail *m)
{
    int kept = 0;
    for (int i = 0; i < m->count; i++) {
        if (m->requests[i] != MPI_REQUEST_NULL) {
            m->requests[kept] = m->requests[i];
            m->items[kept++] = m->items[i];
        }
    }
    m->count = kept;
}

/* Reports one done item after the other: `done` may post new messages meanwhile. */
static plumb_status report(mail *m, int done_count, plumb_status (*done)(void *, const mail_item *),
                           void *context)
{
    for (int i = 0; i < done_count; i++) {
        m->finished[i] = m->items[m->indices[i]];
        m->account.done_bytes += m->finished[i].bytes;
    }
    close_gaps(m);
    plumb_status status = PLUMB_OK;
    for (int i = 0; i < done_count && status == PLUMB_OK; i++) {
        status = done(context, &m->finished[i]);
    }
    return status;
}

/*
 * What this rank has sent in earlier calls may still need it: an MPI call that finds nothing, since
 * nobody sends to itself, lets that proceed. Those who wait for a flag in shared memory would not
 * make any (MPI 4.1, section 2.9: progress is only sure within MPI calls).
 */
static plumb_status let_proceed(const mail *m)
{
    int rank;
    int found;
    TRANSPORT(MPI_Comm_rank(m->communicator, &rank));
    TRANSPORT(MPI_Iprobe(rank, 0, m->communicator, &found, MPI_STATUS_IGNORE));
    return PLUMB_OK;
}

plumb_status mail_poll(mail *m, int wait, plumb_status (*done)(void *, const mail_item *),
                       void *context)
{
    if (m->count == 0) {
        return let_proceed(m);
    }
    int finished = 0;
    if (wait) {
        TRANSPORT(MPI_Waitsome(m->count, m->requests, &finished, m->indices, MPI_STATUSES_IGNORE));
    } else {
        TRANSPORT(MPI_Testsome(m->count, m->requests, &finished, m->indices, MPI_STATUSES_IGNORE));
    }
    return finished > 0 ? report(m, finished, done, context) : PLUMB_OK;
}

static void give_up(mail *m)
{
    if (transport_over()) {
        m->count = 0;
    }
    for (int i = 0; i < m->count; i++) {
        if (m->items[i].kind != MAIL_SENT) {
            (void)MPI_Cancel(&m->requests[i]);
        }
        (void)MPI_Request_free(&m->requests[i]);
    }
    m->count = 0;
}

void mail_free(mail *m)
{
    give_up(m);
    memory_free(&m->requests);
    memory_free(&m->items);
    memory_free(&m->finished);
    memory_free(&m->indices);
    m->capacity = 0;
}
