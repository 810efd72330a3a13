/*
 * Forward and backward pass of the perceptron (mlp_network.h) on BLAS.
 */
#include "workload/mlp_network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

static int64_t widest(const int64_t *widths, int64_t layer_count)
{
    int64_t most = widths[1];
    for (int64_t l = 2; l <= layer_count; l++) {
        most = widths[l] > most ? widths[l] : most;
    }
    return most;
}

static float *floats(int64_t rows, int64_t cols)
{
    return calloc((size_t)rows * (size_t)cols, sizeof(float));
}

static int layer_create(mlp_layer *layer, int64_t inputs, int64_t outputs, int64_t capacity)
{
    layer->inputs = inputs;
    layer->outputs = outputs;
    layer->weight = floats(outputs, inputs);
    layer->bias = floats(1, outputs);
    layer->input = floats(capacity, inputs);
    return layer->weight == NULL || layer->bias == NULL || layer->input == NULL;
}

int mlp_network_create(mlp_network *network, int64_t layer_count, const int64_t *widths,
                       int64_t capacity)
{
    memset(network, 0, sizeof *network);
    network->capacity = capacity;
    network->layers = calloc((size_t)layer_count, sizeof *network->layers);
    if (network->layers == NULL) {
        return 1;
    }
    network->layer_count = layer_count;
    int failed = 0;
    for (int64_t l = 0; l < layer_count; l++) {
        failed |= layer_create(&network->layers[l], widths[l], widths[l + 1], capacity);
    }
    network->labels = calloc((size_t)capacity, sizeof *network->labels);
    network->delta = floats(capacity, widest(widths, layer_count));
    network->delta_below = floats(capacity, widest(widths, layer_count));
    network->squares = calloc((size_t)capacity, sizeof *network->squares);
    failed |= network->labels == NULL || network->delta == NULL || network->delta_below == NULL ||
              network->squares == NULL;
    if (failed) {
        mlp_network_free(network);
    }
    return failed;
}

void mlp_network_free(mlp_network *network)
{
    for (int64_t l = 0; l < network->layer_count; l++) {
        free(network->layers[l].weight);
        free(network->layers[l].bias);
        free(network->layers[l].input);
    }
    free(network->layers);
    free(network->labels);
    free(network->delta);
    free(network->delta_below);
    free(network->squares);
    memset(network, 0, sizeof *network);
}

static void add_bias(int64_t samples, int64_t outputs, const float *bias, float *values)
{
    for (int64_t i = 0; i < samples; i++) {
        for (int64_t j = 0; j < outputs; j++) {
            values[i * outputs + j] += bias[j];
        }
    }
}

static void add_bias_rectified(int64_t samples, int64_t outputs, const float *bias, float *values)
{
    for (int64_t i = 0; i < samples; i++) {
        for (int64_t j = 0; j < outputs; j++) {
            float value = values[i * outputs + j] + bias[j];
            values[i * outputs + j] = value < 0.0f ? 0.0f : value; /* NaN stays NaN */
        }
    }
}

void mlp_network_forward(mlp_network *network, int64_t samples)
{
    for (int64_t l = 0; l < network->layer_count; l++) {
        const mlp_layer *layer = &network->layers[l];
        int inputs = (int)layer->inputs, outputs = (int)layer->outputs;
        int is_last = l + 1 == network->layer_count;
        float *result = is_last ? network->delta : network->layers[l + 1].input;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)samples, outputs, inputs, 1.0f,
                    layer->input, inputs, layer->weight, inputs, 0.0f, result, outputs);
        if (is_last) {
            add_bias(samples, outputs, layer->bias, result);
        } else {
            add_bias_rectified(samples, outputs, layer->bias, result);
        }
    }
}

static int64_t arg_max(int64_t count, const float *values)
{
    int64_t best = 0;
    for (int64_t j = 1; j < count; j++) {
        best = values[j] > values[best] ? j : best;
    }
    return best;
}

/* One sample's cross entropy; its logits become softmax minus the label's unit vector. */
static double softmax_loss(int64_t classes, int64_t label, float *logits)
{
    int64_t best = arg_max(classes, logits);
    double most = (double)logits[best];
    double sum = 1.0; /* the largest one's own exp(0) */
    for (int64_t j = 0; j < classes; j++) {
        sum += j == best ? 0.0 : exp((double)logits[j] - most);
    }
    double loss = log(sum) + most - (double)logits[label];
    for (int64_t j = 0; j < classes; j++) {
        double probability = exp((double)logits[j] - most) / sum;
        logits[j] = (float)(j == label ? probability - 1.0 : probability);
    }
    return loss;
}

double mlp_network_loss(mlp_network *network, int64_t samples, int64_t *correct)
{
    int64_t classes = network->layers[network->layer_count - 1].outputs;
    double loss = 0.0;
    *correct = 0;
    for (int64_t i = 0; i < samples; i++) {
        float *logits = network->delta + i * classes;
        *correct += arg_max(classes, logits) == network->labels[i];
        loss += softmax_loss(classes, network->labels[i], logits);
        network->squares[i] = 0.0;
    }
    return loss;
}

void mlp_network_weight_gradient(const mlp_network *network, int64_t layer, int64_t samples,
                                 float *gradient)
{
    const mlp_layer *l = &network->layers[layer];
    int inputs = (int)l->inputs, outputs = (int)l->outputs;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, outputs, inputs, (int)samples,
                1.0f / (float)samples, network->delta, outputs, l->input, inputs, 0.0f, gradient,
                inputs);
}

void mlp_network_bias_gradient(const mlp_network *network, int64_t layer, int64_t samples,
                               float *gradient)
{
    int64_t outputs = network->layers[layer].outputs;
    memset(gradient, 0, (size_t)outputs * sizeof *gradient);
    for (int64_t i = 0; i < samples; i++) {
        for (int64_t j = 0; j < outputs; j++) {
            gradient[j] += network->delta[i * outputs + j];
        }
    }
    for (int64_t j = 0; j < outputs; j++) {
        gradient[j] /= (float)samples;
    }
}

/* Eight running sums: fast, and in the same order on every machine. */
static double sum_squares(int64_t count, const float *values)
{
    enum { LANES = 8 };
    double sums[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += (double)values[i + lane] * (double)values[i + lane];
        }
    }
    for (int lane = 0; i < count; i++, lane++) {
        sums[lane] += (double)values[i] * (double)values[i];
    }
    double total = 0.0;
    for (int lane = 0; lane < LANES; lane++) {
        total += sums[lane];
    }
    return total;
}

void mlp_network_add_squares(mlp_network *network, int64_t layer, int64_t samples)
{
    const mlp_layer *l = &network->layers[layer];
    for (int64_t i = 0; i < samples; i++) {
        double delta = sum_squares(l->outputs, network->delta + i * l->outputs);
        double input = sum_squares(l->inputs, l->input + i * l->inputs);
        network->squares[i] += delta * (input + 1.0);
    }
}

void mlp_network_descend(mlp_network *network, int64_t layer, int64_t samples)
{
    const mlp_layer *l = &network->layers[layer];
    int inputs = (int)l->inputs, outputs = (int)l->outputs;
    float *below = network->delta_below;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)samples, inputs, outputs, 1.0f,
                network->delta, outputs, l->weight, inputs, 0.0f, below, inputs);
    /* The layer's input is a ReLU's output: where that is 0, nothing passes. */
    for (int64_t i = 0; i < samples * l->inputs; i++) {
        below[i] = l->input[i] == 0.0f ? 0.0f : below[i];
    }
    network->delta_below = network->delta;
    network->delta = below;
}
