/*
 * Derivatives of the perceptron's passes along a direction of its parameters (the R-operator,
 * Pearlmutter 1994): the exact product of the mean loss's Hessian with a probe of random signs.
 * Exact wherever the loss has a Hessian: ReLU's second derivative is 0.
 *
 * Order of calls: draw, the network's own forward pass, mlp_tangent_forward, mlp_network_loss; then
 * layer by layer from the last the products, mlp_tangent_descend and mlp_network_descend.
 */
#ifndef WORKLOAD_MLP_TANGENT_H
#define WORKLOAD_MLP_TANGENT_H

#include "workload/mlp_network.h"

enum { MLP_TANGENT_PROBES = 65536 };

typedef struct mlp_tangent_layer {
    int64_t inputs, outputs;
    float *weight; /* outputs x inputs: the probe's part, +1 and -1 */
    float *bias;   /* outputs */
    float *input;  /* capacity x inputs: derivative of the layer's input; NULL: of the data, 0 */
} mlp_tangent_layer;

typedef struct mlp_tangent {
    int64_t layer_count;
    mlp_tangent_layer *layers;
    float *delta;       /* capacity x widest: derivative of the network's delta */
    float *delta_below; /* capacity x widest */
} mlp_tangent;

/* For a network and batches of at most `capacity` samples. Returns 0, or 1 without memory. */
int mlp_tangent_create(mlp_tangent *tangent, const mlp_network *network, int64_t capacity);
void mlp_tangent_free(mlp_tangent *tangent);

/* The probe's signs, a function of the arguments alone; 0 <= probe < MLP_TANGENT_PROBES. */
void mlp_tangent_draw(mlp_tangent *tangent, uint64_t seed, int64_t step, int64_t micro_batch,
                      int64_t probe);

/* Along the probe: from the network's inputs to `delta`, the derivative of d loss / d logits. The
 * network's delta holds the logits. */
void mlp_tangent_forward(mlp_tangent *tangent, const mlp_network *network, int64_t samples);

/* One parameter's part of z o (H z) of the mean loss, outputs x inputs and [outputs], while the
 * network's delta is that of this layer. */
void mlp_tangent_weight_product(const mlp_tangent *tangent, const mlp_network *network,
                                int64_t layer, int64_t samples, float *product);
void mlp_tangent_bias_product(const mlp_tangent *tangent, int64_t layer, int64_t samples,
                              float *product);

/* From the layer's `delta` to that of the layer below; before mlp_network_descend. */
void mlp_tangent_descend(mlp_tangent *tangent, const mlp_network *network, int64_t layer,
                         int64_t samples);

#endif
