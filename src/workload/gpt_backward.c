/*
 * The GPT's backward pass (see gpt_pass.h). One gradient of the stream runs from the end to the
 * embeddings; every part of the model adds what it passes on.
 */
#include "workload/gpt_pass.h"

#include "workload/activation.h"
#include "workload/gpt_attention.h"
#include "workload/label_sampling.h"

#include <cblas.h>
#include <stdio.h>
#include <string.h>

typedef struct backward_pass {
    gpt *model;
    int64_t sequences, rows;
    const gpt_draw *draw; /* or NULL */
    const workload_sink *sink;
    bool measure;       /* the gradient's norm is wanted */
    double square_norm; /* of the parameters that are complete */
} backward_pass;

static int refuse(backward_pass *pass, int parameter)
{
    workload *base = &pass->model->base;
    snprintf(base->message, sizeof base->message, "the gradient of %s was not taken",
             base->parameters[parameter].name);
    return 1;
}

static int get_destination(backward_pass *pass, int parameter, float **gradient)
{
    if (pass->sink->destination(pass->sink->context, parameter, gradient) != 0) {
        return refuse(pass, parameter);
    }
    return 0;
}

static int complete(backward_pass *pass, int parameter, const float *gradient)
{
    const workload_parameter *subject = &pass->model->base.parameters[parameter];
    if (pass->measure) {
        pass->square_norm += activation_sum_squares(subject->rows * subject->cols, gradient);
    }
    if (pass->sink->complete(pass->sink->context, parameter) != 0) {
        return refuse(pass, parameter);
    }
    return 0;
}

/* A small gradient that was formed in memory of ours. */
static int hand_over(backward_pass *pass, int parameter, const float *values)
{
    float *gradient;
    if (get_destination(pass, parameter, &gradient) != 0) {
        return 1;
    }
    memcpy(gradient, values, (size_t)pass->model->shape.width * sizeof *gradient);
    return complete(pass, parameter, gradient);
}

static void breathe(const backward_pass *pass)
{
    if (pass->sink->breathe != NULL) {
        pass->sink->breathe(pass->sink->context);
    }
}

/* x_gradient = y_gradient W for W outputs x inputs. */
static void pass_on(int64_t rows, int64_t outputs, int64_t inputs, const float *y_gradient,
                    const float *weight, float *x_gradient)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)inputs, (int)outputs,
                1.0f, y_gradient, (int)outputs, weight, (int)inputs, 0.0f, x_gradient, (int)inputs);
}

/* Gradient of the weight `parameter`, outputs x inputs: y_gradient' x. */
static int weight_gradient(backward_pass *pass, int parameter, const float *y_gradient,
                           int64_t y_stride, const float *x)
{
    const workload_parameter *weight = &pass->model->base.parameters[parameter];
    int inputs = (int)weight->cols;
    float *gradient;
    if (get_destination(pass, parameter, &gradient) != 0) {
        return 1;
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)weight->rows, inputs, (int)pass->rows,
                1.0f, y_gradient, (int)y_stride, x, inputs, 0.0f, gradient, inputs);
    return complete(pass, parameter, gradient);
}

/* Through a norm whose gain is parameter `gain`, the bias the one after; adds to the stream. */
static int norm_backward(backward_pass *pass, int gain, const float *input,
                         const activation_moments *moments, const float *gradient)
{
    const gpt *model = pass->model;
    int64_t width = model->shape.width;
    float *gain_gradient = model->state.norm_gradients;
    float *bias_gradient = gain_gradient + width;
    activation_norm_backward(pass->rows, width, input, model->base.parameters[gain].values, moments,
                             gradient, model->state.stream_gradient, gain_gradient, bias_gradient);
    return hand_over(pass, gain, gain_gradient) || hand_over(pass, gain + 1, bias_gradient);
}

/* Losses of positions [first, first + rows) and what they add to the gradient of the head. */
static void backward_logits(backward_pass *pass, int64_t first, int64_t rows, float *gradient)
{
    gpt *model = pass->model;
    const gpt_state *state = &model->state;
    int64_t vocabulary = model->shape.vocabulary;
    int64_t width = model->shape.width;
    gpt_logits(model, first, rows);
    if (pass->draw != NULL) {
        label_sampling_draw_tokens(model->base.options.seed, pass->draw->step,
                                   pass->draw->micro_batch, first, rows, vocabulary, state->logits,
                                   state->targets + first);
    }
    activation_cross_entropy(rows, vocabulary, state->targets + first, 1.0f / (float)pass->rows,
                             state->logits, state->losses + first);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)vocabulary, (int)width, (int)rows,
                1.0f, state->logits, (int)vocabulary, state->normalised + first * width, (int)width,
                first == 0 ? 0.0f : 1.0f, gradient, (int)width);
    pass_on(rows, vocabulary, width, state->logits, gpt_final_values(model, GPT_HEAD),
            state->narrow_gradient + first * width);
}

static int backward_head(backward_pass *pass)
{
    int head = gpt_final_index(&pass->model->shape, GPT_HEAD);
    int64_t most = pass->model->state.logit_rows;
    float *gradient;
    if (get_destination(pass, head, &gradient) != 0) {
        return 1;
    }
    for (int64_t first = 0; first < pass->rows; first += most) {
        int64_t left = pass->rows - first;
        backward_logits(pass, first, left < most ? left : most, gradient);
    }
    return complete(pass, head, gradient);
}

static int backward_end(backward_pass *pass)
{
    const gpt *model = pass->model;
    const gpt_state *state = &model->state;
    int64_t width = model->shape.width;
    if (backward_head(pass) != 0) {
        return 1;
    }
    memset(state->stream_gradient, 0, (size_t)(pass->rows * width) * sizeof(float));
    return norm_backward(pass, gpt_final_index(&model->shape, GPT_FINAL_GAIN), state->output,
                         state->moments, state->narrow_gradient);
}

static int backward_mlp(backward_pass *pass, int64_t index)
{
    const gpt *model = pass->model;
    const gpt_state *state = &model->state;
    const gpt_layer_state *layer = &state->layers[index];
    int64_t width = model->shape.width;
    if (weight_gradient(pass, gpt_layer_index(index, GPT_CONTRACT), state->stream_gradient, width,
                        layer->activated) != 0) {
        return 1;
    }
    pass_on(pass->rows, width, 4 * width, state->stream_gradient,
            gpt_layer_values(model, index, GPT_CONTRACT), state->wide_gradient);
    activation_multiply(pass->rows * 4 * width, layer->slope, state->wide_gradient);
    if (weight_gradient(pass, gpt_layer_index(index, GPT_EXPAND), state->wide_gradient, 4 * width,
                        layer->mlp_normalised) != 0) {
        return 1;
    }
    pass_on(pass->rows, 4 * width, width, state->wide_gradient,
            gpt_layer_values(model, index, GPT_EXPAND), state->narrow_gradient);
    return norm_backward(pass, gpt_layer_index(index, GPT_MLP_GAIN), layer->middle,
                         layer->mlp_moments, state->narrow_gradient);
}

static int backward_attention(backward_pass *pass, int64_t index)
{
    const gpt *model = pass->model;
    const gpt_state *state = &model->state;
    const gpt_layer_state *layer = &state->layers[index];
    int64_t width = model->shape.width;
    if (weight_gradient(pass, gpt_layer_index(index, GPT_PROJECTION), state->stream_gradient, width,
                        layer->mixed) != 0) {
        return 1;
    }
    pass_on(pass->rows, width, width, state->stream_gradient,
            gpt_layer_values(model, index, GPT_PROJECTION), state->narrow_gradient);
    gpt_attention_backward(&model->shape, pass->sequences, layer, state->narrow_gradient,
                           state->wide_gradient, state->score_gradient);
    for (int i = 2; i >= 0; i--) {
        if (weight_gradient(pass, gpt_layer_index(index, GPT_QUERY) + i,
                            state->wide_gradient + i * width, 3 * width,
                            layer->attention_normalised) != 0) {
            return 1;
        }
    }
    pass_on(pass->rows, 3 * width, width, state->wide_gradient,
            gpt_layer_values(model, index, GPT_QUERY), state->narrow_gradient);
    return norm_backward(pass, gpt_layer_index(index, GPT_ATTENTION_GAIN), layer->input,
                         layer->attention_moments, state->narrow_gradient);
}

static void add_rows(int64_t width, const float *from, float *to)
{
    for (int64_t i = 0; i < width; i++) {
        to[i] += from[i];
    }
}

/* Each row of an embedding collects the stream's gradient wherever it was looked up. */
static int backward_embedding(backward_pass *pass, int parameter)
{
    const gpt *model = pass->model;
    const gpt_state *state = &model->state;
    int64_t width = model->shape.width;
    const workload_parameter *table = &model->base.parameters[parameter];
    float *gradient;
    if (get_destination(pass, parameter, &gradient) != 0) {
        return 1;
    }
    memset(gradient, 0, (size_t)(table->rows * width) * sizeof *gradient);
    for (int64_t row = 0; row < pass->rows; row++) {
        int64_t entry = parameter == GPT_TOKEN_EMBEDDING ? (int64_t)state->inputs[row]
                                                         : row % model->shape.context;
        add_rows(width, state->stream_gradient + row * width, gradient + entry * width);
    }
    return complete(pass, parameter, gradient);
}

int gpt_backward(gpt *model, int64_t sequences, const gpt_draw *draw, const workload_sink *sink,
                 double *square_norm)
{
    backward_pass pass = {.model = model,
                          .sequences = sequences,
                          .rows = sequences * model->shape.context,
                          .draw = draw,
                          .sink = sink,
                          .measure = square_norm != NULL};
    int failed = backward_end(&pass);
    for (int64_t layer = model->shape.layers - 1; layer >= 0 && !failed; layer--) {
        breathe(&pass);
        failed = backward_mlp(&pass, layer);
        if (!failed) {
            breathe(&pass);
            failed = backward_attention(&pass, layer);
        }
    }
    if (failed || backward_embedding(&pass, GPT_POSITION_EMBEDDING) ||
        backward_embedding(&pass, GPT_TOKEN_EMBEDDING)) {
        return 1;
    }
    if (square_norm != NULL) {
        *square_norm = pass.square_norm;
    }
    return 0;
}
