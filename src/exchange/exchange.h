/*
 * The exchange: gradients to their owners in a transposed reduction, new values back to everyone.
 * The step drives it; nothing else uses it. One step reads
 *
 *     exchange_begin -> exchange_accumulate ... -> exchange_deliver -> exchange_sum (owner)
 *                    -> exchange_values (owner writes) -> exchange_publish
 *                    -> exchange_await_values -> exchange_values
 *
 * and every rank goes through it to the end even when something fails on the way: a failed piece
 * of work sends zeros and is remembered (exchange_failure), so that no rank is left waiting.
 */
#ifndef PLUMB_EXCHANGE_EXCHANGE_H
#define PLUMB_EXCHANGE_EXCHANGE_H

#include <stdbool.h>

#include "exchange/layout.h"
#include "exchange/mail.h"
#include "exchange/share.h"
#include "exchange/tree.h"

typedef struct exchange exchange;

typedef struct exchange_settings {
    bool allreduce;         /* MPI_Allreduce instead of the transposed reduction */
    bool shared_memory;     /* the ranks of a host read each other's sums and values */
    bool one_way;           /* nothing is published: there are no values */
    bool look_later;        /* see partial_add: exchange_suspected then tells what was found */
    int64_t chunk;          /* most floats of one MPI call; 0: INT_MAX */
    double nominal_samples; /* samples that weigh 1 */
    /* What the groups of a bucket with a tail turn into before they are sent, and at the owner; see
     * pipeline.h. `parameter` is the bucket's only one. */
    void *context;
    plumb_status (*encode)(void *context, int64_t parameter, const float *sum, float weight,
                           float *stream, float *tail);
    plumb_status (*decode)(void *context, int64_t parameter, const float *stream, const float *tail,
                           float *contribution);
} exchange_settings;

/* A gradient that is not finite, of whatever rank; parameter -1: none was found. */
typedef struct exchange_suspect {
    int64_t parameter;
    int rank;
    int64_t micro_batch;
} exchange_suspect;

/*
 * On a duplicate of the communicator. Collective; if `mine` is a failure on any rank it becomes
 * everybody's. MEMORY, MPI.
 */
plumb_status exchange_create(MPI_Comm communicator, plumb_status mine,
                             const exchange_settings *settings, exchange **x);
void exchange_destroy(exchange **x);

MPI_Comm exchange_communicator(const exchange *x);
const share_order *exchange_order(const exchange *x);

/*
 * Takes the coordinator's layout, which becomes everybody's and the exchange's own; on other ranks
 * `l` is ignored. Collective, once. MEMORY, MPI, ARGUMENT (more buckets than MPI has tags).
 */
plumb_status exchange_adopt(exchange *x, layout *l);
const layout *exchange_layout(const exchange *x);

/*
 * Prepares a step of K micro-batches in G groups: memory and routes, no message. Then, when all
 * ranks agree that theirs went well, exchange_provide, which is collective when shared memory must
 * grow, sees to that: MEMORY, on all ranks. exchange_open does so too if it was not called, and
 * posts the receives: after that the step has to be gone through. MEMORY, MPI.
 */
plumb_status exchange_prepare(exchange *x, int64_t micro_batches, int groups);
plumb_status exchange_provide(exchange *x);
plumb_status exchange_open(exchange *x);

/* Why ranks of a host do not share memory although they should, once; then, and else, NULL. */
const char *exchange_notice(exchange *x);

/* This rank's micro-batches of the prepared step. */
void exchange_share(const exchange *x, int64_t *first, int64_t *count);

/* Samples of one of this rank's micro-batches, before its first gradient. */
void exchange_weigh(exchange *x, int64_t micro_batch, double samples);

/* See partial.h. Local; MEMORY, MPI. */
plumb_status exchange_buffer(exchange *x, int64_t parameter, float **buffer);
plumb_status exchange_accumulate(exchange *x, int64_t parameter, int64_t micro_batch,
                                 const float *gradient, bool *finite);
/*
 * For a step that has failed: zeros for all of an incomplete parameter's gradients, so that nobody
 * waits for them. Needs no memory. MPI.
 */
plumb_status exchange_blank(exchange *x, int64_t parameter);
bool exchange_seen(const exchange *x, int64_t parameter, int64_t micro_batch);
bool exchange_complete(const exchange *x, int64_t parameter);

/* Lets messages proceed. MPI. */
plumb_status exchange_progress(exchange *x);

/*
 * Finishes the first leg; all of this rank's gradients must be in. Afterwards owners have
 * exchange_sum. MPI only; anything else is in exchange_failure.
 */
plumb_status exchange_deliver(exchange *x);

/* The first failure of this rank's own work in this step, with its message raised again. */
plumb_status exchange_failure(const exchange *x);

/* What this rank, as somebody's owner or agent, found in gradients nobody had looked at. */
exchange_suspect exchange_suspected(const exchange *x);

/*
 * Sums of squares of the owner's sum: for each parameter's stretch of the bucket, and within it for
 * each VECTOR_BLOCK elements, one. NULL with allreduce.
 */
const double *exchange_squares(const exchange *x, int64_t bucket);

/*
 * The owner's sum of weighted gradients over the bucket (bucket->count floats, in place to be
 * worked on); NULL for others' buckets.
 */
float *exchange_sum(exchange *x, int64_t bucket);

/*
 * The owner's copy of one group's sum over the bucket, where groups are kept (by_group without a
 * tail); to be worked on in place until the next step.
 */
float *exchange_group(exchange *x, int64_t bucket, int group);

/*
 * Where the new values of a bucket lie: its owner writes them there, then all ranks meet in some
 * collective call, then publish, and after that every rank finds them where this tells. Of a bucket
 * in place (layout.h) that is exchange_sum at the owner, and its domain reads them there: after
 * that all ranks meet before the next exchange_open, whose gradients go to the same memory.
 */
float *exchange_values(exchange *x, int64_t bucket);

/*
 * This rank's own memory over a parameter (its elements, contiguous): the first of its slots
 * (partial.h), which once the ranks have met after exchange_deliver is free up to the next
 * exchange_open but for buckets in place that it owns.
 */
float *exchange_own_memory(exchange *x, int64_t parameter);

/* Where a bucket's owner is, and its values until they are published. */
typedef enum exchange_distance {
    EXCHANGE_OWN,
    EXCHANGE_NEAR, /* in this domain: after the ranks have met values may be read at once */
    EXCHANGE_FAR
} exchange_distance;

exchange_distance exchange_distance_of(const exchange *x, int64_t bucket);

/* True if the bucket's values come by messages to this rank alone: into any memory. */
bool exchange_arrives_here(const exchange *x, int64_t bucket);

/*
 * Sends every bucket's values from its owner to all: begins, and waits for the end. In between own
 * and near values may be read. Those of a bucket that arrives here go to places[bucket], the
 * caller's memory, if that is not NULL, and then exchange_values does not tell of them; `places`
 * may be NULL. Collective. MPI.
 */
plumb_status exchange_publish(exchange *x, float *const *places);
plumb_status exchange_await_values(exchange *x);

/* False if publishing is nothing: all ranks have the same memory. */
bool exchange_publishes(const exchange *x);

/* What this rank sent in this step's first leg, and the share of its bytes that was under way
 * or done when exchange_deliver was called. */
void exchange_account(const exchange *x, mail_account *account, double *overlap);

/* Bytes and messages of the second leg over all ranks; bytes of a first leg that only sums. */
int64_t exchange_publish_bytes(const exchange *x);
int64_t exchange_publish_messages(const exchange *x);
int64_t exchange_plain_bytes(const exchange *x);

/* Bytes of the second leg that go from host to host. */
int64_t exchange_publish_wire_bytes(const exchange *x);

#endif
