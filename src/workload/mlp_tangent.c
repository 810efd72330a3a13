/*
 * Pearlmutter's R-operator on BLAS (see mlp_tangent.h). R{x} is the derivative of x along the
 * probe z: R{W} = Z, and the rules of differentiation for everything that depends on W.
 */
#include "workload/mlp_tangent.h"

#include "workload/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

/* A draw number of 48 bits: the probe, and a word of 64 signs. */
enum { WORD_BITS = 32, WORD_SIGNS = 64 };

static float *floats(int64_t rows, int64_t cols)
{
    return calloc((size_t)rows * (size_t)cols, sizeof(float));
}

static int layer_create(mlp_tangent_layer *layer, const mlp_layer *subject, int64_t capacity,
                        int is_first)
{
    layer->inputs = subject->inputs;
    layer->outputs = subject->outputs;
    layer->weight = floats(layer->outputs, layer->inputs);
    layer->bias = floats(1, layer->outputs);
    layer->input = is_first ? NULL : floats(capacity, layer->inputs);
    return layer->weight == NULL || layer->bias == NULL || (layer->input == NULL && !is_first);
}

int mlp_tangent_create(mlp_tangent *tangent, const mlp_network *network, int64_t capacity)
{
    int failed = 0;
    int64_t widest = 1;
    memset(tangent, 0, sizeof *tangent);
    tangent->layers = calloc((size_t)network->layer_count, sizeof *tangent->layers);
    if (tangent->layers == NULL) {
        return 1;
    }
    tangent->layer_count = network->layer_count;
    for (int64_t l = 0; l < network->layer_count; l++) {
        const mlp_layer *subject = &network->layers[l];
        failed |= layer_create(&tangent->layers[l], subject, capacity, l == 0);
        widest = subject->outputs > widest ? subject->outputs : widest;
    }
    tangent->delta = floats(capacity, widest);
    tangent->delta_below = floats(capacity, widest);
    if (failed || tangent->delta == NULL || tangent->delta_below == NULL) {
        mlp_tangent_free(tangent);
        return 1;
    }
    return 0;
}

void mlp_tangent_free(mlp_tangent *tangent)
{
    for (int64_t l = 0; l < tangent->layer_count; l++) {
        free(tangent->layers[l].weight);
        free(tangent->layers[l].bias);
        free(tangent->layers[l].input);
    }
    free(tangent->layers);
    free(tangent->delta);
    free(tangent->delta_below);
    memset(tangent, 0, sizeof *tangent);
}

/* What the signs of one probe are keyed by. */
typedef struct sign_source {
    uint64_t seed, step, micro_batch, probe;
    uint64_t word; /* the next one */
} sign_source;

static void draw_signs(sign_source *source, int64_t count, float *signs)
{
    for (int64_t i = 0; i < count; i += WORD_SIGNS) {
        uint64_t bits = random_bits(source->seed, RANDOM_PROBE, source->step, source->micro_batch,
                                    source->probe << WORD_BITS | source->word++);
        for (int64_t j = i; j < count && j < i + WORD_SIGNS; j++, bits >>= 1) {
            signs[j] = (bits & 1) != 0 ? 1.0f : -1.0f;
        }
    }
}

void mlp_tangent_draw(mlp_tangent *tangent, uint64_t seed, int64_t step, int64_t micro_batch,
                      int64_t probe)
{
    sign_source source = {seed, (uint64_t)step, (uint64_t)micro_batch, (uint64_t)probe, 0};
    for (int64_t l = 0; l < tangent->layer_count; l++) {
        const mlp_tangent_layer *layer = &tangent->layers[l];
        draw_signs(&source, layer->outputs * layer->inputs, layer->weight);
        draw_signs(&source, layer->outputs, layer->bias);
    }
}

static void add_rows(int64_t samples, int64_t outputs, const float *row, float *values)
{
    for (int64_t i = 0; i < samples; i++) {
        for (int64_t j = 0; j < outputs; j++) {
            values[i * outputs + j] += row[j];
        }
    }
}

/* A ReLU's output tells where its slope is 0; a NaN's slope is 1, so that nothing hides it. */
static void rectify(int64_t count, const float *output, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        values[i] = output[i] == 0.0f ? 0.0f : values[i];
    }
}

/* R{p} = p o (R{logits} - sum p R{logits}) of one sample, p the softmax, in place of R{logits}. */
static void softmax_tangent(int64_t classes, const float *logits, float *values)
{
    double most = (double)logits[0];
    double sum = 0.0, mean = 0.0;
    for (int64_t j = 1; j < classes; j++) {
        most = (double)logits[j] > most ? (double)logits[j] : most;
    }
    for (int64_t j = 0; j < classes; j++) {
        double weight = exp((double)logits[j] - most);
        sum += weight;
        mean += weight * (double)values[j];
    }
    mean /= sum;
    for (int64_t j = 0; j < classes; j++) {
        double probability = exp((double)logits[j] - most) / sum;
        values[j] = (float)(probability * ((double)values[j] - mean));
    }
}

/* R{x W' + b} = x Z' + R{x} W' + z. */
static void forward_layer(const mlp_tangent_layer *layer, const mlp_layer *subject, int64_t samples,
                          float *result)
{
    int inputs = (int)layer->inputs, outputs = (int)layer->outputs;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)samples, outputs, inputs, 1.0f,
                subject->input, inputs, layer->weight, inputs, 0.0f, result, outputs);
    if (layer->input != NULL) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)samples, outputs, inputs, 1.0f,
                    layer->input, inputs, subject->weight, inputs, 1.0f, result, outputs);
    }
    add_rows(samples, layer->outputs, layer->bias, result);
}

void mlp_tangent_forward(mlp_tangent *tangent, const mlp_network *network, int64_t samples)
{
    int64_t last = tangent->layer_count - 1;
    for (int64_t l = 0; l < last; l++) {
        float *result = tangent->layers[l + 1].input;
        forward_layer(&tangent->layers[l], &network->layers[l], samples, result);
        rectify(samples * tangent->layers[l].outputs, network->layers[l + 1].input, result);
    }
    forward_layer(&tangent->layers[last], &network->layers[last], samples, tangent->delta);
    int64_t classes = tangent->layers[last].outputs;
    for (int64_t i = 0; i < samples; i++) {
        softmax_tangent(classes, network->delta + i * classes, tangent->delta + i * classes);
    }
}

/* z o R{delta' x} / samples = z o (R{delta}' x + delta' R{x}) / samples. */
void mlp_tangent_weight_product(const mlp_tangent *tangent, const mlp_network *network,
                                int64_t layer, int64_t samples, float *product)
{
    const mlp_tangent_layer *l = &tangent->layers[layer];
    int inputs = (int)l->inputs, outputs = (int)l->outputs;
    float scale = 1.0f / (float)samples;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, outputs, inputs, (int)samples, scale,
                tangent->delta, outputs, network->layers[layer].input, inputs, 0.0f, product,
                inputs);
    if (l->input != NULL) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, outputs, inputs, (int)samples, scale,
                    network->delta, outputs, l->input, inputs, 1.0f, product, inputs);
    }
    for (int64_t i = 0; i < l->outputs * l->inputs; i++) {
        product[i] *= l->weight[i];
    }
}

void mlp_tangent_bias_product(const mlp_tangent *tangent, int64_t layer, int64_t samples,
                              float *product)
{
    const mlp_tangent_layer *l = &tangent->layers[layer];
    memset(product, 0, (size_t)l->outputs * sizeof *product);
    for (int64_t i = 0; i < samples; i++) {
        for (int64_t j = 0; j < l->outputs; j++) {
            product[j] += tangent->delta[i * l->outputs + j];
        }
    }
    for (int64_t j = 0; j < l->outputs; j++) {
        product[j] *= l->bias[j] / (float)samples;
    }
}

/* R{slope o (delta W)} = slope o (R{delta} W + delta Z). */
void mlp_tangent_descend(mlp_tangent *tangent, const mlp_network *network, int64_t layer,
                         int64_t samples)
{
    const mlp_tangent_layer *l = &tangent->layers[layer];
    const mlp_layer *subject = &network->layers[layer];
    int inputs = (int)l->inputs, outputs = (int)l->outputs;
    float *below = tangent->delta_below;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)samples, inputs, outputs, 1.0f,
                tangent->delta, outputs, subject->weight, inputs, 0.0f, below, inputs);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)samples, inputs, outputs, 1.0f,
                network->delta, outputs, l->weight, inputs, 1.0f, below, inputs);
    rectify(samples * l->inputs, subject->input, below);
    tangent->delta_below = tangent->delta;
    tangent->delta = below;
}
