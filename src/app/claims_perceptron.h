/*
 * A small perceptron on drawn data or on images, all of whose derivatives can be had: per-sample
 * gradients, the mean loss's Hessian as an operator, and the Fisher matrix's trace. What gradient
 * noise is compared with curvature on.
 */
#ifndef APP_CLAIMS_PERCEPTRON_H
#define APP_CLAIMS_PERCEPTRON_H

#include "app/claims_images.h"
#include "app/claims_random.h"
#include "workload/mlp_tangent.h"

/* On drawn data. */
enum {
    PERCEPTRON_INPUTS = 16,
    PERCEPTRON_HIDDEN = 12,
    PERCEPTRON_CLASSES = 5,
    PERCEPTRON_SAMPLES = 400,
    PERCEPTRON_LAYERS = 2,
    PERCEPTRON_LENGTH =
        PERCEPTRON_HIDDEN * (PERCEPTRON_INPUTS + 1) + PERCEPTRON_CLASSES * (PERCEPTRON_HIDDEN + 1)
};

/* On images. */
enum { PERCEPTRON_IMAGES_HIDDEN = 24, PERCEPTRON_IMAGES = 1000 };

typedef struct claims_perceptron {
    int64_t widths[PERCEPTRON_LAYERS + 1]; /* inputs, hidden units, classes */
    int samples, length;                   /* length: number of parameters */
    mlp_network network;
    mlp_tangent tangent;
    mlp_tangent_layer plain[PERCEPTRON_LAYERS]; /* the tangent's, for products without its factor */
    float *ones;                                /* length */
    float *product;                             /* length */
    double *weights;                            /* samples */
    float *inputs;                              /* samples x inputs */
    uint8_t *labels;                            /* samples */
} claims_perceptron;

/* Data of five overlapping classes and random weights, a function of the key. 1: no memory. */
int claims_perceptron_create(claims_perceptron *p, claims_key key);
/* On images, of which every unit takes its own: there must be PERCEPTRON_IMAGES. NULL: as above. */
int claims_perceptron_create_on(claims_perceptron *p, const claims_images *images, claims_key key);
void claims_perceptron_destroy(claims_perceptron *p);

/* weights += change[length]. */
void claims_perceptron_move(claims_perceptron *p, const float *change);

/* The mean gradient of samples[count] in gradient[length]; returns their mean loss. */
double claims_perceptron_gradient(claims_perceptron *p, int count, const int *samples,
                                  float *gradient);

/* y = H x, H the Hessian of the mean loss over all samples. */
void claims_perceptron_hessian(claims_perceptron *p, const double *x, double *y);

/* Mean squared norm of the samples' gradients; with labels from the model, in expectation: the
 * trace of its Fisher matrix. */
double claims_perceptron_squares(claims_perceptron *p);
double claims_perceptron_fisher(claims_perceptron *p);

#endif
