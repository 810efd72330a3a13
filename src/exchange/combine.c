/*
 * Evaluates a sum along the tree block by block, so that every input is read once from memory
 * and partial sums stay in the cache, where their squares are taken too (combine.h).
 */
#include "exchange/combine.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"

enum { DEEPEST = 64 }; /* more than a tree of TREE_LARGEST micro-batches and as many groups has */

void combine_room_free(combine_room *room)
{
    memory_free(&room->steps);
    memory_free(&room->top);
    memory_free(&room->stack);
    *room = (combine_room){0};
}

plumb_status combine_room_make(int inputs, combine_room *room)
{
    if (inputs <= room->capacity) {
        return PLUMB_OK;
    }
    combine_room_free(room);
    int64_t depth = 2 + (inputs < DEEPEST ? inputs : DEEPEST);
    plumb_status status = memory_allocate(2 * (int64_t)inputs, sizeof *room->steps, &room->steps);
    if (status == PLUMB_OK) {
        status = memory_allocate(depth, sizeof *room->top, &room->top);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(depth * VECTOR_BLOCK, sizeof *room->stack, &room->stack);
    }
    if (status != PLUMB_OK) {
        combine_room_free(room);
        return status;
    }
    room->capacity = inputs;
    return PLUMB_OK;
}

static const float *find_input(int node, int input_count, const combine_input *inputs)
{
    for (int i = 0; i < input_count; i++) {
        if (inputs[i].node == node) {
            return inputs[i].values;
        }
    }
    return NULL;
}

/* A postfix program: inputs are pushed, NULL adds the two topmost. */
static plumb_status compile(combine_room *room, const tree *t, int node, int input_count,
                            const combine_input *inputs)
{
    const float *input = find_input(node, input_count, inputs);
    if (input != NULL) {
        REQUIRE(room->length < 2 * input_count, PLUMB_ERROR_INTERNAL, "sum of a node given twice");
        room->steps[room->length++] = input;
        return PLUMB_OK;
    }
    const tree_node *n = &t->nodes[node];
    REQUIRE(n->left >= 0, PLUMB_ERROR_INTERNAL, "no sum of micro-batch %lld", (long long)n->first);
    PROPAGATE(compile(room, t, n->left, input_count, inputs));
    PROPAGATE(compile(room, t, n->right, input_count, inputs));
    REQUIRE(room->length < 2 * input_count, PLUMB_ERROR_INTERNAL, "sum of a node given twice");
    room->steps[room->length++] = NULL;
    return PLUMB_OK;
}

plumb_status combine_plan(combine_room *room, const tree *t, int node, int input_count,
                          const combine_input *inputs)
{
    REQUIRE(input_count <= room->capacity, PLUMB_ERROR_INTERNAL, "%d sums in room for %d",
            input_count, room->capacity);
    room->length = 0;
    return compile(room, t, node, input_count, inputs);
}

/* Runs the program on one block of `count` elements at `offset`. */
static void run_block(const combine_room *room, int64_t offset, int64_t count, float *result)
{
    int height = 0;
    for (int i = 0; i < room->length; i++) {
        if (room->steps[i] != NULL) {
            room->top[height++] = room->steps[i] + offset;
            continue;
        }
        height--;
        bool last = i == room->length - 1;
        float *to = last ? result + offset : room->stack + (int64_t)(height - 1) * VECTOR_BLOCK;
        vector_add(count, room->top[height - 1], room->top[height], to);
        room->top[height - 1] = to;
    }
    const float *only = room->length == 1 ? room->steps[0] : NULL;
    if (only != NULL && only != result) {
        memmove(result + offset, only + offset, (size_t)count * sizeof *result);
    }
}

bool combine_run(const combine_room *room, int64_t first, int64_t count, float *result,
                 double *squares, bool look)
{
    bool finite = true;
    for (int64_t block = 0; block * VECTOR_BLOCK < count; block++) {
        int64_t from = block * VECTOR_BLOCK;
        int64_t part = count - from < VECTOR_BLOCK ? count - from : VECTOR_BLOCK;
        run_block(room, first + from, part, result);
        if (squares != NULL) {
            squares[block] = vector_sum_squares(part, result + first + from);
            finite = finite && isfinite(squares[block]);
        } else if (look) {
            finite = finite && vector_all_finite(part, result + first + from);
        }
    }
    return finite;
}

plumb_status combine(const tree *t, int node, int input_count, const combine_input *inputs,
                     int64_t count, float *result)
{
    combine_room room = {0};
    PROPAGATE(combine_room_make(input_count, &room));
    plumb_status status = combine_plan(&room, t, node, input_count, inputs);
    if (status == PLUMB_OK) {
        (void)combine_run(&room, 0, count, result, NULL, false);
    }
    combine_room_free(&room);
    return status;
}
