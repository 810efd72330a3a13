/*
 * Messages under way: nonblocking sends and receives of floats, chunked, counted, polled.
 */
#ifndef PLUMB_EXCHANGE_MAIL_H
#define PLUMB_EXCHANGE_MAIL_H

#include <stdbool.h>

#include "plumb.h"

typedef enum mail_kind {
    MAIL_SENT, /* a send has left */
    MAIL_PART, /* a part of a group has arrived at its holder */
    MAIL_PIECE /* a piece has arrived at its owner */
} mail_kind;

typedef struct mail_item {
    mail_kind kind;
    int64_t bucket;
    int64_t bytes;
} mail_item;

typedef struct mail_account {
    int64_t messages, bytes; /* sent, or read from others' memory */
    int64_t wire_bytes;      /* those that went to another host */
    int64_t done_bytes;      /* of messages that have left or arrived, and of what was read */
} mail_account;

typedef struct mail {
    MPI_Comm communicator;
    int64_t chunk;   /* most floats of one MPI call */
    const bool *far; /* by rank: on another host; NULL: nobody is */
    int count, capacity;
    MPI_Request *requests;
    mail_item *items;
    mail_item *finished; /* those that a poll found done */
    int *indices;        /* of Testsome and Waitsome */
    mail_account account;
} mail;

/* Room for a step's messages: posting allocates nothing. Nothing may be under way. MEMORY. */
plumb_status mail_reserve(mail *m, int64_t messages);

/*
 * Posts `count` floats to or from a rank. Messages of the same two ranks and tag match in the
 * order of posting. The memory stays the caller's and untouched until the item is reported.
 * Errors: MPI, INTERNAL (no room).
 */
plumb_status mail_send(mail *m, int destination, int tag, const float *values, int64_t count,
                       int64_t bucket);
plumb_status mail_receive(mail *m, int source, int tag, float *values, int64_t count,
                          mail_kind kind, int64_t bucket);

/*
 * Asks MPI what is done, waiting for at least one if `wait` and anything is under way, and calls
 * `done` for each; with nothing in the list, MPI still goes on with what has left. Errors: MPI, and
 * what `done` returns.
 */
plumb_status mail_poll(mail *m, int wait, plumb_status (*done)(void *, const mail_item *),
                       void *context);

/* Frees the list. What is still under way is given up: receives are cancelled, so that nothing is
 * written to memory that is about to go. */
void mail_free(mail *m);

#endif
