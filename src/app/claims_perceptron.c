/*
 * See claims_perceptron.h. Parameters are in one vector: weight and bias of the first layer, then
 * those of the second.
 */
#include "app/claims_perceptron.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t widths[] = {PERCEPTRON_INPUTS, PERCEPTRON_HIDDEN, PERCEPTRON_CLASSES};

/* How far class means are apart, in units of a class's spread: one in six is misplaced. */
static const double separation = 0.45;

static int64_t layer_weights(int layer)
{
    return widths[layer] * widths[layer + 1];
}

/* Where a layer's weights and biases are in the vector. */
static int64_t weight_at(int layer)
{
    return layer == 0 ? 0 : layer_weights(0) + PERCEPTRON_HIDDEN;
}

static int64_t bias_at(int layer)
{
    return weight_at(layer) + layer_weights(layer);
}

static void draw_data(claims_perceptron *p, claims_key key)
{
    double means[PERCEPTRON_CLASSES * PERCEPTRON_INPUTS];
    key.micro_batch = 0;
    claims_normals(key, PERCEPTRON_CLASSES * PERCEPTRON_INPUTS, means);
    for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
        double z[PERCEPTRON_INPUTS];
        int label = s % PERCEPTRON_CLASSES;
        key.micro_batch = (uint16_t)(1 + s);
        claims_normals(key, PERCEPTRON_INPUTS, z);
        p->labels[s] = (uint8_t)label;
        for (int i = 0; i < PERCEPTRON_INPUTS; i++) {
            p->inputs[s * PERCEPTRON_INPUTS + i] =
                (float)(z[i] + separation * means[label * PERCEPTRON_INPUTS + i]);
        }
    }
}

static void draw_weights(claims_perceptron *p, claims_key key)
{
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        double z[PERCEPTRON_INPUTS * PERCEPTRON_HIDDEN];
        key.micro_batch = (uint16_t)(1 + PERCEPTRON_SAMPLES + layer);
        claims_normals(key, layer_weights(layer), z);
        for (int64_t i = 0; i < layer_weights(layer); i++) {
            p->network.layers[layer].weight[i] =
                (float)(z[i] * sqrt((layer == 0 ? 2.0 : 1.0) / (double)widths[layer]));
        }
    }
}

int claims_perceptron_create(claims_perceptron *p, claims_key key)
{
    memset(p, 0, sizeof *p);
    if (mlp_network_create(&p->network, PERCEPTRON_LAYERS, widths, PERCEPTRON_SAMPLES) != 0) {
        return 1;
    }
    p->ones = malloc(PERCEPTRON_LENGTH * sizeof *p->ones);
    if (p->ones == NULL || mlp_tangent_create(&p->tangent, &p->network, PERCEPTRON_SAMPLES) != 0) {
        return 1;
    }
    for (int i = 0; i < PERCEPTRON_LENGTH; i++) {
        p->ones[i] = 1.0f;
    }
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        p->plain[layer] = p->tangent.layers[layer];
        p->plain[layer].weight = p->ones;
        p->plain[layer].bias = p->ones;
    }
    draw_data(p, key);
    draw_weights(p, key);
    return 0;
}

void claims_perceptron_destroy(claims_perceptron *p)
{
    if (p->network.layers != NULL) {
        mlp_network_free(&p->network);
    }
    mlp_tangent_free(&p->tangent);
    free(p->ones);
    p->ones = NULL;
}

void claims_perceptron_move(claims_perceptron *p, const float *change)
{
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        for (int64_t i = 0; i < layer_weights(layer); i++) {
            p->network.layers[layer].weight[i] += change[weight_at(layer) + i];
        }
        for (int64_t i = 0; i < widths[layer + 1]; i++) {
            p->network.layers[layer].bias[i] += change[bias_at(layer) + i];
        }
    }
}

/* samples NULL: all of them, or the first `count`. */
static void forward(claims_perceptron *p, int count, const int *samples)
{
    for (int s = 0; s < count; s++) {
        int from = samples != NULL ? samples[s] : s;
        memcpy(p->network.layers[0].input + s * PERCEPTRON_INPUTS,
               p->inputs + from * PERCEPTRON_INPUTS, PERCEPTRON_INPUTS * sizeof *p->inputs);
        p->network.labels[s] = p->labels[from];
    }
    mlp_network_forward(&p->network, count);
}

double claims_perceptron_gradient(claims_perceptron *p, int count, const int *samples,
                                  float *gradient)
{
    int64_t correct;
    forward(p, count, samples);
    double loss = mlp_network_loss(&p->network, count, &correct) / count;
    for (int layer = PERCEPTRON_LAYERS - 1; layer >= 0; layer--) {
        mlp_network_weight_gradient(&p->network, layer, count, gradient + weight_at(layer));
        mlp_network_bias_gradient(&p->network, layer, count, gradient + bias_at(layer));
        if (layer > 0) {
            mlp_network_descend(&p->network, layer, count);
        }
    }
    return loss;
}

static void set_direction(claims_perceptron *p, const double *x)
{
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        for (int64_t i = 0; i < layer_weights(layer); i++) {
            p->tangent.layers[layer].weight[i] = (float)x[weight_at(layer) + i];
        }
        for (int64_t i = 0; i < widths[layer + 1]; i++) {
            p->tangent.layers[layer].bias[i] = (float)x[bias_at(layer) + i];
        }
    }
}

void claims_perceptron_hessian(claims_perceptron *p, const double *x, double *y)
{
    int64_t correct;
    float product[PERCEPTRON_LENGTH];
    set_direction(p, x);
    forward(p, PERCEPTRON_SAMPLES, NULL);
    mlp_tangent_forward(&p->tangent, &p->network, PERCEPTRON_SAMPLES);
    mlp_network_loss(&p->network, PERCEPTRON_SAMPLES, &correct);
    for (int layer = PERCEPTRON_LAYERS - 1; layer >= 0; layer--) {
        /* Its products are the direction's elements times those of H x: with ones, H x. */
        mlp_tangent plain = p->tangent;
        plain.layers = p->plain;
        mlp_tangent_weight_product(&plain, &p->network, layer, PERCEPTRON_SAMPLES,
                                   product + weight_at(layer));
        mlp_tangent_bias_product(&plain, layer, PERCEPTRON_SAMPLES, product + bias_at(layer));
        if (layer > 0) {
            mlp_tangent_descend(&p->tangent, &p->network, layer, PERCEPTRON_SAMPLES);
            mlp_network_descend(&p->network, layer, PERCEPTRON_SAMPLES);
        }
    }
    for (int i = 0; i < PERCEPTRON_LENGTH; i++) {
        y[i] = (double)product[i];
    }
}

/* Squared norms of all samples' gradients with the network's labels into network.squares. */
static void find_squares(claims_perceptron *p)
{
    int64_t correct;
    memset(p->network.squares, 0, PERCEPTRON_SAMPLES * sizeof *p->network.squares);
    mlp_network_loss(&p->network, PERCEPTRON_SAMPLES, &correct);
    for (int layer = PERCEPTRON_LAYERS - 1; layer >= 0; layer--) {
        mlp_network_add_squares(&p->network, layer, PERCEPTRON_SAMPLES);
        if (layer > 0) {
            mlp_network_descend(&p->network, layer, PERCEPTRON_SAMPLES);
        }
    }
}

double claims_perceptron_squares(claims_perceptron *p)
{
    double sum = 0.0;
    forward(p, PERCEPTRON_SAMPLES, NULL);
    find_squares(p);
    for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
        sum += p->network.squares[s] / PERCEPTRON_SAMPLES;
    }
    return sum;
}

/* Probability of a class, from a sample's logits. */
static double probability(const float *logits, int label)
{
    double sum = 0.0;
    for (int c = 0; c < PERCEPTRON_CLASSES; c++) {
        sum += exp((double)logits[c] - (double)logits[label]);
    }
    return 1.0 / sum;
}

double claims_perceptron_fisher(claims_perceptron *p)
{
    double sum = 0.0;
    for (int label = 0; label < PERCEPTRON_CLASSES; label++) {
        double weights[PERCEPTRON_SAMPLES];
        forward(p, PERCEPTRON_SAMPLES, NULL);
        for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
            weights[s] = probability(p->network.delta + s * PERCEPTRON_CLASSES, label);
            p->network.labels[s] = (uint8_t)label;
        }
        find_squares(p);
        for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
            sum += weights[s] * p->network.squares[s] / PERCEPTRON_SAMPLES;
        }
    }
    return sum;
}
