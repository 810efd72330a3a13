/*
 * Finishing the tree: sums of subtrees from several places become the sum of a node above them.
 */
#ifndef PLUMB_EXCHANGE_COMBINE_H
#define PLUMB_EXCHANGE_COMBINE_H

#include "exchange/tree.h"

typedef struct combine_input {
    int node;
    const float *values;
} combine_input;

/* A plan and the memory to carry it out: made once, so that steps allocate nothing. */
typedef struct combine_room {
    int capacity; /* inputs */
    int length;   /* of the plan */
    const float **steps;
    const float **top;
    float *stack;
} combine_room;

/* Room for plans with up to `inputs` inputs; grows what is there. MEMORY. combine_room_free takes a
 * zeroed room. */
plumb_status combine_room_make(int inputs, combine_room *room);
void combine_room_free(combine_room *room);

/*
 * How the sum of `node` is formed along the tree from inputs that together cover it exactly; others
 * among them are left alone. INTERNAL (not covered).
 */
plumb_status combine_plan(combine_room *room, const tree *t, int node, int input_count,
                          const combine_input *inputs);

/*
 * Carries out the plan for elements first .. first + count - 1 of the inputs; result[0] is that of
 * element 0, and may be one of the inputs. squares[i], if not NULL, is the sum of squares of the
 * i-th block of VECTOR_BLOCK elements from `first`. True if every element is finite; without
 * `squares` that is looked at if `look`.
 */
bool combine_run(const combine_room *room, int64_t first, int64_t count, float *result,
                 double *squares, bool look);

/* All of it at once. MEMORY, INTERNAL. */
plumb_status combine(const tree *t, int node, int input_count, const combine_input *inputs,
                     int64_t count, float *result);

#endif
