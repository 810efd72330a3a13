/*
 * Where every parameter lies in one flat space of floats, and how that space is cut into buckets:
 * a bucket is a contiguous piece with one owner and travels as one message. Made by the step's
 * plan at the coordinator, sent to all by layout_broadcast.
 */
#ifndef PLUMB_EXCHANGE_LAYOUT_H
#define PLUMB_EXCHANGE_LAYOUT_H

#include <stdbool.h>

#include "plumb.h"

enum { LAYOUT_ALIGNMENT = 16 }; /* floats: parameters start on cache lines */

typedef struct layout_parameter {
    int64_t offset, count; /* in the flat space */
    int64_t first_bucket, last_bucket;
} layout_parameter;

typedef struct layout_bucket {
    int64_t first, count; /* in the flat space */
    int64_t owner;        /* rank */
    int64_t first_parameter, last_parameter;
    int64_t by_group; /* 1: the owner gets every group by itself, and not only the sum */
    int64_t in_place; /* 1: new values take the place of the sum, which is not needed any more */
    int64_t tail;     /* of a pipeline's streams: floats behind each; then the bucket has one
                         parameter. 0: groups come as their sums and are kept for the step */
    double seconds;   /* of its update and its way to the owner and back, by the plan's estimate */
} layout_bucket;

typedef struct layout {
    int64_t length; /* of the flat space */
    int64_t parameter_count, bucket_count;
    layout_parameter *parameters;
    layout_bucket *buckets;
} layout;

/* The least multiple of `unit` that is `value` or more. */
static inline int64_t layout_round_up(int64_t value, int64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* The coordinator's layout to all; on other ranks `l` is filled. Collective. MEMORY, MPI. */
plumb_status layout_broadcast(MPI_Comm communicator, int rank, layout *l);
void layout_free(layout *l);

#endif
