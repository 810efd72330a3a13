/*
 * Finishing the tree: sums of subtrees from several places become the sum of a node above them.
 */
#ifndef PLUMB_EXCHANGE_COMBINE_H
#define PLUMB_EXCHANGE_COMBINE_H

#include "exchange/tree.h"

typedef struct combine_input {
    int node;
    const float *values; /* [count] */
} combine_input;

/*
 * result[count] = the sum of `node`, formed along the tree from inputs that together cover it
 * exactly. `result` may be one of the inputs. Errors: MEMORY, INTERNAL (not covered).
 */
plumb_status combine(const tree *t, int node, int input_count, const combine_input *inputs,
                     int64_t count, float *result);

#endif
