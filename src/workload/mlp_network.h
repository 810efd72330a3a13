/*
 * The perceptron itself: linear maps with ReLU between them, softmax cross entropy at the end, and
 * their derivatives, for a batch at a time. It knows of no data set and of no workload.
 *
 * Layer l maps x (samples x inputs) to x W' + b, W outputs x inputs, b 1 x outputs.
 */
#ifndef WORKLOAD_MLP_NETWORK_H
#define WORKLOAD_MLP_NETWORK_H

#include <stdint.h>

typedef struct mlp_layer {
    int64_t inputs, outputs;
    float *weight; /* outputs x inputs */
    float *bias;   /* outputs */
    float *input;  /* capacity x inputs: what the last forward pass fed in */
} mlp_layer;

typedef struct mlp_network {
    int64_t layer_count;
    mlp_layer *layers;
    int64_t capacity;   /* most samples of a batch */
    uint8_t *labels;    /* [capacity], to be filled before mlp_network_loss */
    float *delta;       /* capacity x widest: logits, then d loss / d output of the current layer */
    float *delta_below; /* capacity x widest */
    double *squares;    /* [capacity] squared norm of each sample's gradient so far */
} mlp_network;

/* Layers of the given widths [layer_count + 1], inputs first. Returns 0, or 1 without memory. */
int mlp_network_create(mlp_network *network, int64_t layer_count, const int64_t *widths,
                       int64_t capacity);
void mlp_network_free(mlp_network *network);

/* From layers[0].input to the logits in `delta`. */
void mlp_network_forward(mlp_network *network, int64_t samples);

/*
 * Sum over the samples of the cross entropy (nats) of the logits and how many arg max are right;
 * the logits become d loss / d logits, each sample's own.
 */
double mlp_network_loss(mlp_network *network, int64_t samples, int64_t *correct);

/* The mean gradient of one layer, outputs x inputs and [outputs], from `delta`. */
void mlp_network_weight_gradient(const mlp_network *network, int64_t layer, int64_t samples,
                                 float *gradient);
void mlp_network_bias_gradient(const mlp_network *network, int64_t layer, int64_t samples,
                               float *gradient);

/*
 * Adds the layer's part to `squares`: |delta_i|^2 (|x_i|^2 + 1), since a sample's weight gradient
 * is the outer product delta_i x_i' and its bias gradient delta_i (Goodfellow 2015).
 */
void mlp_network_add_squares(mlp_network *network, int64_t layer, int64_t samples);

/* From the layer's `delta` to that of the layer below. */
void mlp_network_descend(mlp_network *network, int64_t layer, int64_t samples);

#endif
