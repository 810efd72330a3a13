/*
 * See claims_perceptron.h. Parameters are in one vector: weight and bias of the first layer, then
 * those of the second.
 */
#include "app/claims_perceptron.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How far class means are apart, in units of a class's spread: one in six is misplaced. */
static const double separation = 0.45;

static int64_t layer_weights(const claims_perceptron *p, int layer)
{
    return p->widths[layer] * p->widths[layer + 1];
}

/* Where a layer's weights and biases are in the vector. */
static int64_t weight_at(const claims_perceptron *p, int layer)
{
    return layer == 0 ? 0 : layer_weights(p, 0) + p->widths[1];
}

static int64_t bias_at(const claims_perceptron *p, int layer)
{
    return weight_at(p, layer) + layer_weights(p, layer);
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

static void take_images(claims_perceptron *p, const claims_images *images, claims_key key)
{
    int64_t shares = images->count / p->samples;
    int64_t first = (int64_t)((key.seed + key.unit) % (uint64_t)shares) * p->samples;
    memcpy(p->inputs, images->values + first * images->inputs,
           (size_t)(p->samples * images->inputs) * sizeof *p->inputs);
    memcpy(p->labels, images->labels + first, (size_t)p->samples);
}

static int draw_weights(claims_perceptron *p, claims_key key)
{
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        double *z = malloc((size_t)layer_weights(p, layer) * sizeof *z);
        if (z == NULL) {
            return 1;
        }
        key.micro_batch = (uint16_t)(1 + p->samples + layer);
        claims_normals(key, (int)layer_weights(p, layer), z);
        for (int64_t i = 0; i < layer_weights(p, layer); i++) {
            p->network.layers[layer].weight[i] =
                (float)(z[i] * sqrt((layer == 0 ? 2.0 : 1.0) / (double)p->widths[layer]));
        }
        free(z);
    }
    return 0;
}

static int allocate(claims_perceptron *p)
{
    size_t length = (size_t)p->length, samples = (size_t)p->samples;
    if (mlp_network_create(&p->network, PERCEPTRON_LAYERS, p->widths, p->samples) != 0) {
        return 1;
    }
    p->ones = malloc(length * sizeof *p->ones);
    p->product = malloc(length * sizeof *p->product);
    p->weights = malloc(samples * sizeof *p->weights);
    p->inputs = malloc(samples * (size_t)p->widths[0] * sizeof *p->inputs);
    p->labels = malloc(samples);
    return p->ones == NULL || p->product == NULL || p->weights == NULL || p->inputs == NULL ||
           p->labels == NULL || mlp_tangent_create(&p->tangent, &p->network, p->samples) != 0;
}

int claims_perceptron_create(claims_perceptron *p, claims_key key)
{
    return claims_perceptron_create_on(p, NULL, key);
}

int claims_perceptron_create_on(claims_perceptron *p, const claims_images *images, claims_key key)
{
    memset(p, 0, sizeof *p);
    p->widths[0] = images != NULL ? images->inputs : PERCEPTRON_INPUTS;
    p->widths[1] = images != NULL ? PERCEPTRON_IMAGES_HIDDEN : PERCEPTRON_HIDDEN;
    p->widths[2] = images != NULL ? images->classes : PERCEPTRON_CLASSES;
    p->samples = images != NULL ? PERCEPTRON_IMAGES : PERCEPTRON_SAMPLES;
    p->length = (int)(bias_at(p, 1) + p->widths[2]);
    if (allocate(p) != 0) {
        return 1;
    }
    for (int i = 0; i < p->length; i++) {
        p->ones[i] = 1.0f;
    }
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        p->plain[layer] = p->tangent.layers[layer];
        p->plain[layer].weight = p->ones;
        p->plain[layer].bias = p->ones;
    }
    if (images != NULL) {
        take_images(p, images, key);
    } else {
        draw_data(p, key);
    }
    return draw_weights(p, key);
}

void claims_perceptron_destroy(claims_perceptron *p)
{
    if (p->network.layers != NULL) {
        mlp_network_free(&p->network);
    }
    mlp_tangent_free(&p->tangent);
    free(p->ones);
    free(p->product);
    free(p->weights);
    free(p->inputs);
    free(p->labels);
    memset(p, 0, sizeof *p);
}

void claims_perceptron_move(claims_perceptron *p, const float *change)
{
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        for (int64_t i = 0; i < layer_weights(p, layer); i++) {
            p->network.layers[layer].weight[i] += change[weight_at(p, layer) + i];
        }
        for (int64_t i = 0; i < p->widths[layer + 1]; i++) {
            p->network.layers[layer].bias[i] += change[bias_at(p, layer) + i];
        }
    }
}

/* samples NULL: all of them, or the first `count`. */
static void forward(claims_perceptron *p, int count, const int *samples)
{
    for (int s = 0; s < count; s++) {
        int from = samples != NULL ? samples[s] : s;
        memcpy(p->network.layers[0].input + s * p->widths[0], p->inputs + from * p->widths[0],
               (size_t)p->widths[0] * sizeof *p->inputs);
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
        mlp_network_weight_gradient(&p->network, layer, count, gradient + weight_at(p, layer));
        mlp_network_bias_gradient(&p->network, layer, count, gradient + bias_at(p, layer));
        if (layer > 0) {
            mlp_network_descend(&p->network, layer, count);
        }
    }
    return loss;
}

static void set_direction(claims_perceptron *p, const double *x)
{
    for (int layer = 0; layer < PERCEPTRON_LAYERS; layer++) {
        for (int64_t i = 0; i < layer_weights(p, layer); i++) {
            p->tangent.layers[layer].weight[i] = (float)x[weight_at(p, layer) + i];
        }
        for (int64_t i = 0; i < p->widths[layer + 1]; i++) {
            p->tangent.layers[layer].bias[i] = (float)x[bias_at(p, layer) + i];
        }
    }
}

void claims_perceptron_hessian(claims_perceptron *p, const double *x, double *y)
{
    int64_t correct;
    set_direction(p, x);
    forward(p, p->samples, NULL);
    mlp_tangent_forward(&p->tangent, &p->network, p->samples);
    mlp_network_loss(&p->network, p->samples, &correct);
    for (int layer = PERCEPTRON_LAYERS - 1; layer >= 0; layer--) {
        /* Its products are the direction's elements times those of H x: with ones, H x. */
        mlp_tangent plain = p->tangent;
        plain.layers = p->plain;
        mlp_tangent_weight_product(&plain, &p->network, layer, p->samples,
                                   p->product + weight_at(p, layer));
        mlp_tangent_bias_product(&plain, layer, p->samples, p->product + bias_at(p, layer));
        if (layer > 0) {
            mlp_tangent_descend(&p->tangent, &p->network, layer, p->samples);
            mlp_network_descend(&p->network, layer, p->samples);
        }
    }
    for (int i = 0; i < p->length; i++) {
        y[i] = (double)p->product[i];
    }
}

/* Squared norms of all samples' gradients with the network's labels into network.squares. */
static void find_squares(claims_perceptron *p)
{
    int64_t correct;
    memset(p->network.squares, 0, (size_t)p->samples * sizeof *p->network.squares);
    mlp_network_loss(&p->network, p->samples, &correct);
    for (int layer = PERCEPTRON_LAYERS - 1; layer >= 0; layer--) {
        mlp_network_add_squares(&p->network, layer, p->samples);
        if (layer > 0) {
            mlp_network_descend(&p->network, layer, p->samples);
        }
    }
}

double claims_perceptron_squares(claims_perceptron *p)
{
    double sum = 0.0;
    forward(p, p->samples, NULL);
    find_squares(p);
    for (int s = 0; s < p->samples; s++) {
        sum += p->network.squares[s] / p->samples;
    }
    return sum;
}

/* Probability of a class, from a sample's logits. */
static double probability(int64_t classes, const float *logits, int label)
{
    double sum = 0.0;
    for (int64_t c = 0; c < classes; c++) {
        sum += exp((double)logits[c] - (double)logits[label]);
    }
    return 1.0 / sum;
}

double claims_perceptron_fisher(claims_perceptron *p)
{
    double sum = 0.0;
    for (int label = 0; label < p->widths[2]; label++) {
        forward(p, p->samples, NULL);
        for (int s = 0; s < p->samples; s++) {
            p->weights[s] = probability(p->widths[2], p->network.delta + s * p->widths[2], label);
            p->network.labels[s] = (uint8_t)label;
        }
        find_squares(p);
        for (int s = 0; s < p->samples; s++) {
            sum += p->weights[s] * p->network.squares[s] / p->samples;
        }
    }
    return sum;
}
