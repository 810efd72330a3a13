/*
 * The GPT's forward pass (see gpt_pass.h).
 */
#include "workload/gpt_pass.h"

#include "workload/activation.h"
#include "workload/gpt_attention.h"

#include <cblas.h>
#include <string.h>

void gpt_linear(int64_t rows, int64_t outputs, int64_t inputs, const float *x, const float *weight,
                bool accumulate, float *y)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)outputs, (int)inputs, 1.0f,
                x, (int)inputs, weight, (int)inputs, accumulate ? 1.0f : 0.0f, y, (int)outputs);
}

static void embed(const gpt *model, int64_t rows, float *stream)
{
    int64_t width = model->shape.width;
    const float *tokens = model->base.parameters[GPT_TOKEN_EMBEDDING].values;
    const float *positions = model->base.parameters[GPT_POSITION_EMBEDDING].values;
    for (int64_t row = 0; row < rows; row++) {
        const float *token = tokens + model->state.inputs[row] * width;
        const float *position = positions + row % model->shape.context * width;
        for (int64_t i = 0; i < width; i++) {
            stream[row * width + i] = token[i] + position[i];
        }
    }
}

static void norm_layer(const gpt *model, int64_t rows, int64_t layer, gpt_layer_parameter gain,
                       const float *input, activation_moments *moments, float *output)
{
    activation_norm(rows, model->shape.width, input, gpt_layer_values(model, layer, gain),
                    gpt_layer_values(model, layer, gain + 1), moments, output);
}

/* The stream after the layer goes to `output`. */
static void forward_layer(const gpt *model, int64_t sequences, int64_t index, float *output)
{
    const gpt_layer_state *layer = &model->state.layers[index];
    int64_t width = model->shape.width;
    int64_t rows = sequences * model->shape.context;
    size_t stream_size = (size_t)(rows * width) * sizeof *output;

    norm_layer(model, rows, index, GPT_ATTENTION_GAIN, layer->input, layer->attention_moments,
               layer->attention_normalised);
    gpt_linear(rows, 3 * width, width, layer->attention_normalised,
               gpt_layer_values(model, index, GPT_QUERY), false, layer->query_key_value);
    gpt_attention(&model->shape, sequences, layer);
    memcpy(layer->middle, layer->input, stream_size);
    gpt_linear(rows, width, width, layer->mixed, gpt_layer_values(model, index, GPT_PROJECTION),
               true, layer->middle);

    norm_layer(model, rows, index, GPT_MLP_GAIN, layer->middle, layer->mlp_moments,
               layer->mlp_normalised);
    gpt_linear(rows, 4 * width, width, layer->mlp_normalised,
               gpt_layer_values(model, index, GPT_EXPAND), false, layer->slope);
    activation_gelu(rows * 4 * width, layer->slope, layer->activated);
    memcpy(output, layer->middle, stream_size);
    gpt_linear(rows, width, 4 * width, layer->activated,
               gpt_layer_values(model, index, GPT_CONTRACT), true, output);
}

void gpt_forward(gpt *model, int64_t sequences, const workload_sink *sink)
{
    const gpt_state *state = &model->state;
    int64_t width = model->shape.width;
    int64_t layers = model->shape.layers;
    int64_t rows = sequences * model->shape.context;
    embed(model, rows, state->layers[0].input);
    for (int64_t layer = 0; layer < layers; layer++) {
        float *output = layer + 1 < layers ? state->layers[layer + 1].input : state->output;
        forward_layer(model, sequences, layer, output);
        if (sink != NULL && sink->breathe != NULL) {
            sink->breathe(sink->context);
        }
    }
    activation_norm(rows, width, state->output, gpt_final_values(model, GPT_FINAL_GAIN),
                    gpt_final_values(model, GPT_FINAL_BIAS), state->moments, state->normalised);
}

void gpt_logits(gpt *model, int64_t first, int64_t rows)
{
    const gpt_state *state = &model->state;
    int64_t width = model->shape.width;
    gpt_linear(rows, model->shape.vocabulary, width, state->normalised + first * width,
               gpt_final_values(model, GPT_HEAD), false, state->logits);
}
