/*
 * A small perceptron on drawn data, all of whose derivatives can be had: per-sample gradients, the
 * mean loss's Hessian as an operator, and the Fisher matrix's trace. What gradient noise is
 * compared with curvature on.
 */
#ifndef APP_CLAIMS_PERCEPTRON_H
#define APP_CLAIMS_PERCEPTRON_H

#include "app/claims_random.h"
#include "workload/mlp_tangent.h"

enum {
    PERCEPTRON_INPUTS = 16,
    PERCEPTRON_HIDDEN = 12,
    PERCEPTRON_CLASSES = 5,
    PERCEPTRON_SAMPLES = 400,
    PERCEPTRON_LAYERS = 2,
    PERCEPTRON_LENGTH =
        PERCEPTRON_HIDDEN * (PERCEPTRON_INPUTS + 1) + PERCEPTRON_CLASSES * (PERCEPTRON_HIDDEN + 1)
};

typedef struct claims_perceptron {
    mlp_network network;
    mlp_tangent tangent;
    mlp_tangent_layer plain[PERCEPTRON_LAYERS]; /* the tangent's, for products without its factor */
    float *ones;                                /* PERCEPTRON_LENGTH */
    float inputs[PERCEPTRON_SAMPLES * PERCEPTRON_INPUTS];
    uint8_t labels[PERCEPTRON_SAMPLES];
} claims_perceptron;

/* Data of five overlapping classes and random weights, a function of the key. 1: no memory. */
int claims_perceptron_create(claims_perceptron *p, claims_key key);
void claims_perceptron_destroy(claims_perceptron *p);

/* weights += change[PERCEPTRON_LENGTH]. */
void claims_perceptron_move(claims_perceptron *p, const float *change);

/* The mean gradient of samples[count] in gradient[PERCEPTRON_LENGTH]; returns their mean loss. */
double claims_perceptron_gradient(claims_perceptron *p, int count, const int *samples,
                                  float *gradient);

/* y = H x, H the Hessian of the mean loss over all samples. */
void claims_perceptron_hessian(claims_perceptron *p, const double *x, double *y);

/* Mean squared norm of the samples' gradients; with labels from the model, in expectation: the
 * trace of its Fisher matrix. */
double claims_perceptron_squares(claims_perceptron *p);
double claims_perceptron_fisher(claims_perceptron *p);

#endif
