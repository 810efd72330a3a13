/*
 * Generation (see gpt_generate.h): one position at a time, with the keys and values of all earlier
 * positions kept, so that a byte costs one matrix-vector product a weight.
 */
#include "workload/gpt_generate.h"

#include "workload/activation.h"
#include "workload/random.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kept from byte to byte, and scratch. */
typedef struct generation {
    const gpt *model;
    unsigned char *window;                      /* [context]: the bytes seen */
    int64_t position;                           /* of the next byte in the window */
    float *memory;                              /* all below */
    float *keys, *values;                       /* layers x context x width */
    float *stream, *normalised, *query, *mixed; /* width */
    float *slope, *activated;                   /* 4 width */
    float *scores;                              /* context */
    float *logits;                              /* vocabulary */
} generation;

static int generation_create(const gpt *model, generation *g)
{
    int64_t width = model->shape.width;
    int64_t context = model->shape.context;
    int64_t cache = model->shape.layers * context * width;
    *g = (generation){.model = model};
    g->window = malloc((size_t)context);
    g->memory = malloc((size_t)(2 * cache + 12 * width + context + model->shape.vocabulary) *
                       sizeof *g->memory);
    if (g->window == NULL || g->memory == NULL) {
        return 1;
    }
    g->keys = g->memory;
    g->values = g->keys + cache;
    g->stream = g->values + cache;
    g->normalised = g->stream + width;
    g->query = g->normalised + width;
    g->mixed = g->query + width;
    g->slope = g->mixed + width;
    g->activated = g->slope + 4 * width;
    g->scores = g->activated + 4 * width;
    g->logits = g->scores + context;
    return 0;
}

static void generation_free(generation *g)
{
    free(g->window);
    free(g->memory);
}

/* y = W x + beta y for W outputs x inputs. */
static void apply(int64_t outputs, int64_t inputs, const float *weight, const float *x, float beta,
                  float *y)
{
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)outputs, (int)inputs, 1.0f, weight, (int)inputs,
                x, 1, beta, y, 1);
}

static void norm(const generation *g, int64_t layer, gpt_layer_parameter gain)
{
    activation_moments moments;
    activation_norm(1, g->model->shape.width, g->stream, gpt_layer_values(g->model, layer, gain),
                    gpt_layer_values(g->model, layer, gain + 1), &moments, g->normalised);
}

static void attend(const generation *g, const float *keys, const float *values)
{
    const gpt_shape *shape = &g->model->shape;
    int width = (int)(shape->width / shape->heads);
    int seen = (int)g->position + 1;
    for (int64_t offset = 0; offset < shape->width; offset += width) {
        cblas_sgemv(CblasRowMajor, CblasNoTrans, seen, width, 1.0f, keys + offset,
                    (int)shape->width, g->query + offset, 1, 0.0f, g->scores, 1);
        activation_causal_softmax(1, seen, g->position, 1.0f / sqrtf((float)width), seen,
                                  g->scores);
        cblas_sgemv(CblasRowMajor, CblasTrans, seen, width, 1.0f, values + offset,
                    (int)shape->width, g->scores, 1, 0.0f, g->mixed + offset, 1);
    }
}

static void pass_layer(generation *g, int64_t layer)
{
    const gpt *model = g->model;
    int64_t width = model->shape.width;
    float *keys = g->keys + layer * model->shape.context * width;
    float *values = g->values + layer * model->shape.context * width;
    norm(g, layer, GPT_ATTENTION_GAIN);
    apply(width, width, gpt_layer_values(model, layer, GPT_QUERY), g->normalised, 0.0f, g->query);
    apply(width, width, gpt_layer_values(model, layer, GPT_KEY), g->normalised, 0.0f,
          keys + g->position * width);
    apply(width, width, gpt_layer_values(model, layer, GPT_VALUE), g->normalised, 0.0f,
          values + g->position * width);
    attend(g, keys, values);
    apply(width, width, gpt_layer_values(model, layer, GPT_PROJECTION), g->mixed, 1.0f, g->stream);
    norm(g, layer, GPT_MLP_GAIN);
    apply(4 * width, width, gpt_layer_values(model, layer, GPT_EXPAND), g->normalised, 0.0f,
          g->slope);
    activation_gelu(4 * width, g->slope, g->activated);
    apply(width, 4 * width, gpt_layer_values(model, layer, GPT_CONTRACT), g->activated, 1.0f,
          g->stream);
}

/* Takes one byte in; g->logits are then those of the byte after it. */
static void take(generation *g, unsigned char byte)
{
    const gpt *model = g->model;
    int64_t width = model->shape.width;
    const float *token = model->base.parameters[GPT_TOKEN_EMBEDDING].values + byte * width;
    const float *position =
        model->base.parameters[GPT_POSITION_EMBEDDING].values + g->position * width;
    for (int64_t i = 0; i < width; i++) {
        g->stream[i] = token[i] + position[i];
    }
    for (int64_t layer = 0; layer < model->shape.layers; layer++) {
        pass_layer(g, layer);
    }
    activation_moments moments;
    activation_norm(1, width, g->stream, gpt_final_values(model, GPT_FINAL_GAIN),
                    gpt_final_values(model, GPT_FINAL_BIAS), &moments, g->normalised);
    apply(model->shape.vocabulary, width, gpt_final_values(model, GPT_HEAD), g->normalised, 0.0f,
          g->logits);
    g->window[g->position++] = byte;
}

/* Makes room in a full window: its second half is taken in again from the start. */
static void slide(generation *g)
{
    int64_t context = g->model->shape.context;
    if (g->position < context) {
        return;
    }
    int64_t kept = context / 2;
    g->position = 0;
    for (int64_t i = context - kept; i < context; i++) {
        take(g, g->window[i]);
    }
}

/* A byte (of a larger vocabulary, one of its first 256) from softmax(logits / temperature), by the
 * inverse of its distribution function. */
static unsigned char draw(const generation *g, double temperature, uint64_t seed, int64_t index)
{
    int64_t best = activation_arg_max(GPT_VOCABULARY, g->logits);
    if (temperature == 0.0) {
        return (unsigned char)best;
    }
    double sums[GPT_VOCABULARY];
    double sum = 0.0;
    for (int i = 0; i < GPT_VOCABULARY; i++) {
        sum += exp(((double)g->logits[i] - (double)g->logits[best]) / temperature);
        sums[i] = sum;
    }
    double level = sum * random_uniform(seed, RANDOM_GENERATION, 0, 0, (uint64_t)index);
    int byte = 0;
    while (byte < GPT_VOCABULARY - 1 && sums[byte] <= level) {
        byte++;
    }
    return (unsigned char)byte;
}

static void take_prompt(generation *g, const char *prompt)
{
    size_t length = strlen(prompt);
    size_t context = (size_t)g->model->shape.context;
    size_t skipped = length > context ? length - context : 0;
    if (length == 0) {
        take(g, '\n');
    }
    for (size_t i = skipped; i < length; i++) {
        take(g, (unsigned char)prompt[i]);
    }
}

int gpt_generate(gpt *model, const char *prompt, int64_t count, double temperature, uint64_t seed,
                 char *generated)
{
    workload *base = &model->base;
    if (!text_has_bytes(&model->data)) {
        snprintf(base->message, sizeof base->message,
                 "cannot generate text: what the tokens of shards stand for is not in them");
        return 1;
    }
    if (count < 0 || !(temperature >= 0.0 && temperature <= 1000.0)) {
        snprintf(base->message, sizeof base->message,
                 "cannot generate %lld bytes at temperature %g: a count of at least 0 and a "
                 "temperature from 0 to 1000 are needed",
                 (long long)count, temperature);
        return 1;
    }
    generation g;
    int failed = generation_create(model, &g);
    if (failed) {
        snprintf(base->message, sizeof base->message, "not enough memory to generate text");
    } else {
        take_prompt(&g, prompt == NULL ? "" : prompt);
        for (int64_t i = 0; i < count; i++) {
            unsigned char byte = draw(&g, temperature, seed, i);
            generated[i] = (char)byte;
            if (i + 1 < count) {
                slide(&g);
                take(&g, byte);
            }
        }
        generated[count] = '\0';
    }
    generation_free(&g);
    return failed;
}
