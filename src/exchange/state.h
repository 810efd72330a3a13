/*
 * What an exchange consists of: shared by its preparation, its steps and its publishing.
 */
#ifndef PLUMB_EXCHANGE_STATE_H
#define PLUMB_EXCHANGE_STATE_H

#include "base/error.h"
#include "exchange/bucket.h"

enum { ROUTE_KINDS = 3 }; /* sums, by group, by group and encoded */

struct exchange {
    MPI_Comm communicator;
    exchange_settings settings;
    share_order order;
    bool *far; /* [size] on another host */
    layout layout;
    tree tree;
    int64_t first, count; /* this rank's micro-batches */
    partial_store store;
    mail mail;
    route *routes; /* [ROUTE_KINDS][size] to each owner */
    bucket_state *buckets;
    bucket_desk desk;
    char failure_text[ERROR_MESSAGE_SIZE];
    int64_t *samples;     /* [count] */
    float *weights;       /* [count] */
    int64_t next_to_post; /* owned buckets above this one have their receives posted */
    int64_t *waiting;     /* [waiting_count] buckets that wait for others of the domain */
    int64_t waiting_count;
    MPI_Request *publishing; /* [publishing_count] of the broadcasts of values */
    int publishing_count;
    /* [layout.length], in the window or own_values, NULL if no bucket needs them: the values of
     * buckets that are not in place, and of what comes from other domains. */
    float *values;
    float *own_values;
    float *sums;        /* [layout.length], allreduce only */
    int64_t step_bytes; /* of all messages of a step that leave or reach this rank, and readings */
    double overlap;

    /* Shared memory. Every rank's part of the window: flags, slots, and of the first one values. */
    MPI_Comm host; /* the ranks of this domain, or MPI_COMM_NULL if it has one */
    window window;
    int window_slots; /* a rank; 0: there is no window */
    int slots_needed; /* by the prepared step, on any rank */
    char notice[ERROR_MESSAGE_SIZE];
    bool noticed;
    MPI_Comm leaders;         /* one rank of every domain, by domain; NULL: not a leader */
    int leader_count, leader; /* ranks of a domain that publish; which this one is, or -1 */
    window_flag **published;  /* [leader_count] of this domain's; NULL without a window */
};

/* True if the owner's new values of the bucket take the place of its sum. */
bool exchange_in_place(const exchange *x, const layout_bucket *b);

/* MPI calls by which a rank takes part in publishing. */
int64_t publishing_calls(const exchange *x);

/* Finds the ranks of this domain, and those that publish. Collective. MEMORY, MPI. */
plumb_status placing_create(exchange *x);
void placing_drop_window(exchange *x);
void placing_destroy(exchange *x);

/* True if values need memory besides that of sums. */
bool placing_needs_values(const exchange *x);

/* Slots that any rank needs for the tree. */
int placing_slots(const exchange *x);

#endif
