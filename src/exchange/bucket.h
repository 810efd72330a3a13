/*
 * One bucket's way through the first leg on this rank: what is still missing, where arriving sums
 * lie, and what happens when something is complete. The exchange owns the buckets and their mail.
 *
 * A rank of a domain says by a flag in the window that its sums of a bucket are complete; the agent
 * of the domain for that bucket's owner, or the owner itself, then reads them in place. What leaves
 * the domain is a message. Buckets with a tail travel by messages only.
 */
#ifndef PLUMB_EXCHANGE_BUCKET_H
#define PLUMB_EXCHANGE_BUCKET_H

#include "exchange/combine.h"
#include "exchange/exchange.h"
#include "exchange/partial.h"
#include "exchange/route.h"
#include "exchange/window.h"

enum { BUCKET_WEIGHT_FLOATS = 3 }; /* samples ride behind a by-group part in three floats */

typedef struct bucket_state {
    const route *route;
    int64_t parameters_left; /* not yet complete on this rank */
    int members_seen;        /* ranks of the domain that are known to be complete */
    int parts_left;          /* MPI messages of parts still to arrive */
    int pieces_left;         /* the same for pieces; owner only */
    bool ready;              /* all of the domain is complete; parts are sent */
    bool held;               /* this rank's pieces are formed and sent */
    bool posted;             /* receives of pieces are posted; owner only */
    bool done;               /* owner: the sum is formed */
    float **parts;           /* [route->part_count] memory of arriving or leaving parts, or NULL */
    float **pieces;          /* [route->piece_count] memory of own pieces that need any */
    float *
        *formed; /* [route->piece_count] pieces: own ones once held, all once the sum is formed */
    float *sum;  /* owner only, [bucket->count]; NULL: in slot 0 of this rank's own sums */
    double *squares; /* owner only: of the sum, by block of each parameter's stretch */
    int lane;        /* memory of arriving pieces; owner only; -1: none yet */
} bucket_state;

/* A rank of this domain and what it has of a plain bucket [0] and of one by group [1]. */
typedef struct bucket_member {
    float *slots;       /* slot 0 in the window; NULL for this rank itself */
    window_flag *ready; /* [buckets]; NULL if nobody else is in the domain */
    int count[2];       /* subtrees; number i lies in slot i */
    int *nodes[2];
} bucket_member;

/* What all buckets share. */
typedef struct bucket_desk {
    const exchange_settings *settings;
    const layout *layout;
    const share_order *order;
    const tree *tree;
    partial_store *store;
    mail *mail;
    const int64_t *samples; /* [local micro-batches] */
    int member_count, own;  /* ranks of the domain, and which of them this one is */
    bucket_member *members;
    uint32_t step; /* what flags are set to */
    int most_inputs;
    combine_input *inputs; /* [most_inputs] room to list what a sum is formed from */
    combine_room room;
    plumb_status failure; /* first failure of own work */
    char *failure_text;   /* [ERROR_MESSAGE_SIZE] */
    exchange_suspect suspect;
    int64_t lane_floats;
    int lane_count;
    float **lanes;
    bool *lane_taken;
} bucket_desk;

/* Memory for the bucket's part in a step along `r`. MEMORY. bucket_free takes a zeroed state. */
plumb_status bucket_prepare(const bucket_desk *desk, int64_t index, const route *r,
                            bucket_state *state);
void bucket_free(bucket_state *state);

/* Empties the state for a new step along the same route. */
void bucket_reset(const bucket_desk *desk, int64_t index, bucket_state *state);

/* Floats of memory that the pieces arriving at this owner need. */
int64_t bucket_lane_floats(const bucket_desk *desk, int64_t index, const route *r);

/* Adds the MPI messages of this rank, and the bytes of messages and readings, that a step has for
 * the bucket. */
void bucket_traffic(const bucket_desk *desk, int64_t index, const route *r, int64_t *messages,
                    int64_t *bytes);

/* The most inputs of a sum that this rank forms. */
int bucket_most_inputs(const bucket_desk *desk, const route *r);

/* Posts the receives of parts; of pieces, into a lane. MPI, MEMORY. */
plumb_status bucket_post_parts(bucket_desk *desk, int64_t index, bucket_state *state);
plumb_status bucket_post_pieces(bucket_desk *desk, int64_t index, bucket_state *state, int lane);

/* The last parameter is complete here: says so to the domain, then goes on as bucket_advance. */
plumb_status bucket_complete(bucket_desk *desk, int64_t index, bucket_state *state);

/* True if this rank goes on with the bucket when others of its domain are complete. */
bool bucket_waits(const bucket_state *state);

/* Does what has become possible: form and send parts and pieces; at the owner form the sum. */
plumb_status bucket_advance(bucket_desk *desk, int64_t index, bucket_state *state);

/* The owner's sum. */
float *bucket_sum(const bucket_desk *desk, int64_t index, const bucket_state *state);

#endif
