/*
 * Memory of the GPT's passes (see gpt_state.h). The same cuts are made twice: first to measure,
 * with no memory behind them, then for real.
 */
#include "workload/gpt_state.h"

#include <stdlib.h>

/* Matrices start on cache lines. */
static const size_t alignment = 64;

typedef struct cutter {
    char *memory; /* NULL while measuring */
    size_t used;
} cutter;

static void *cut(cutter *from, int64_t count, size_t size)
{
    void *piece = from->memory == NULL ? NULL : from->memory + from->used;
    size_t bytes = (size_t)count * size;
    from->used += (bytes + alignment - 1) / alignment * alignment;
    return piece;
}

static float *cut_floats(cutter *from, int64_t rows, int64_t cols)
{
    return cut(from, rows * cols, sizeof(float));
}

static void cut_layer(cutter *from, const gpt_shape *shape, int64_t rows, gpt_layer_state *layer)
{
    int64_t width = shape->width;
    layer->input = cut_floats(from, rows, width);
    layer->attention_normalised = cut_floats(from, rows, width);
    layer->query_key_value = cut_floats(from, rows, 3 * width);
    layer->probabilities = cut_floats(from, rows, shape->heads * shape->context);
    layer->mixed = cut_floats(from, rows, width);
    layer->middle = cut_floats(from, rows, width);
    layer->mlp_normalised = cut_floats(from, rows, width);
    layer->slope = cut_floats(from, rows, 4 * width);
    layer->activated = cut_floats(from, rows, 4 * width);
    layer->attention_moments = cut(from, rows, sizeof *layer->attention_moments);
    layer->mlp_moments = cut(from, rows, sizeof *layer->mlp_moments);
}

/*
 * Logits of a large vocabulary are many times the rest of the pass: 64 MiB of them are computed at
 * a time, which is every position of a byte's vocabulary and still whole products of a large one.
 */
static int64_t logit_rows(const gpt_shape *shape, int64_t rows)
{
    const int64_t most_floats = (int64_t)1 << 24;
    int64_t fitting = most_floats / shape->vocabulary;
    return fitting < rows ? fitting : rows;
}

static void cut_state(cutter *from, const gpt_shape *shape, int64_t rows, gpt_state *state)
{
    int64_t width = shape->width;
    state->inputs = cut(from, rows, sizeof *state->inputs);
    state->targets = cut(from, rows, sizeof *state->targets);
    state->sequence = cut(from, shape->context + 1, sizeof *state->sequence);
    state->bytes = cut(from, shape->context + 1, 1);
    state->layers = cut(from, shape->layers, sizeof *state->layers);
    for (int64_t layer = 0; layer < shape->layers; layer++) {
        gpt_layer_state unused;
        cut_layer(from, shape, rows, state->layers == NULL ? &unused : &state->layers[layer]);
    }
    state->output = cut_floats(from, rows, width);
    state->normalised = cut_floats(from, rows, width);
    state->moments = cut(from, rows, sizeof *state->moments);
    state->logit_rows = logit_rows(shape, rows);
    state->logits = cut_floats(from, state->logit_rows, shape->vocabulary);
    state->losses = cut(from, rows, sizeof *state->losses);
    state->stream_gradient = cut_floats(from, rows, width);
    state->narrow_gradient = cut_floats(from, rows, width);
    state->wide_gradient = cut_floats(from, rows, 4 * width);
    state->score_gradient = cut_floats(from, shape->context, shape->context);
    state->norm_gradients = cut_floats(from, 2, width);
}

int gpt_state_create(const gpt_shape *shape, int64_t sequences, gpt_state *state)
{
    cutter measure = {0};
    cut_state(&measure, shape, sequences * shape->context, state);
    cutter real = {aligned_alloc(alignment, measure.used), 0};
    *state = (gpt_state){.memory = real.memory};
    if (real.memory == NULL) {
        return 1;
    }
    cut_state(&real, shape, sequences * shape->context, state);
    return 0;
}

void gpt_state_free(gpt_state *state)
{
    free(state->memory);
    *state = (gpt_state){0};
}
