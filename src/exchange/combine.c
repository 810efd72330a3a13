/*
 * Evaluates a sum along the tree block by block, so that every input is read once from memory
 * and partial sums stay in the cache (combine.h).
 */
#include "exchange/combine.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"

/* A postfix program: inputs are pushed, NULL adds the two topmost. */
typedef struct program {
    int length;
    int depth; /* deepest stack */
    const float **steps;
} program;

static const float *find_input(int node, int input_count, const combine_input *inputs)
{
    for (int i = 0; i < input_count; i++) {
        if (inputs[i].node == node) {
            return inputs[i].values;
        }
    }
    return NULL;
}

static plumb_status compile(const tree *t, int node, int input_count, const combine_input *inputs,
                            int depth, program *p)
{
    const float *input = find_input(node, input_count, inputs);
    if (input != NULL) {
        REQUIRE(p->length < 2 * input_count, PLUMB_ERROR_INTERNAL, "sum of a node given twice");
        p->steps[p->length++] = input;
        p->depth = depth > p->depth ? depth : p->depth;
        return PLUMB_OK;
    }
    const tree_node *n = &t->nodes[node];
    REQUIRE(n->left >= 0, PLUMB_ERROR_INTERNAL, "no sum of micro-batch %lld", (long long)n->first);
    PROPAGATE(compile(t, n->left, input_count, inputs, depth, p));
    PROPAGATE(compile(t, n->right, input_count, inputs, depth + 1, p));
    REQUIRE(p->length < 2 * input_count, PLUMB_ERROR_INTERNAL, "sum of a node given twice");
    p->steps[p->length++] = NULL;
    return PLUMB_OK;
}

/* Runs the program on one block of `count` elements at `offset`; `stack` holds depth + 1 blocks. */
static void run_block(const program *p, int64_t offset, int64_t count, const float **top,
                      float *stack, float *result)
{
    int height = 0;
    for (int i = 0; i < p->length; i++) {
        if (p->steps[i] != NULL) {
            top[height++] = p->steps[i] + offset;
            continue;
        }
        height--;
        bool last = i == p->length - 1;
        float *to = last ? result + offset : stack + (int64_t)(height - 1) * VECTOR_BLOCK;
        vector_add(count, top[height - 1], top[height], to);
        top[height - 1] = to;
    }
}

static plumb_status run(const program *p, int64_t count, float *result)
{
    if (p->length == 1) {
        memmove(result, p->steps[0], (size_t)count * sizeof *result);
        return PLUMB_OK;
    }
    const float **top = NULL;
    float *stack = NULL;
    plumb_status status = memory_allocate(p->depth + 2, sizeof *top, &top);
    if (status == PLUMB_OK) {
        status = memory_allocate((int64_t)(p->depth + 2) * VECTOR_BLOCK, sizeof *stack, &stack);
    }
    for (int64_t offset = 0; status == PLUMB_OK && offset < count; offset += VECTOR_BLOCK) {
        int64_t part = count - offset < VECTOR_BLOCK ? count - offset : VECTOR_BLOCK;
        run_block(p, offset, part, top, stack, result);
    }
    memory_free(&top);
    memory_free(&stack);
    return status;
}

plumb_status combine(const tree *t, int node, int input_count, const combine_input *inputs,
                     int64_t count, float *result)
{
    program p = {0};
    PROPAGATE(memory_allocate(2 * input_count, sizeof *p.steps, &p.steps));
    plumb_status status = compile(t, node, input_count, inputs, 0, &p);
    if (status == PLUMB_OK) {
        status = run(&p, count, result);
    }
    memory_free(&p.steps);
    return status;
}
