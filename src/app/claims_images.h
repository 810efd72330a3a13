/*
 * Real images for `plumb claims hessian --images`: a folder's training set, each image pooled to
 * half its sides so that the Hessian of a perceptron on it stays small.
 */
#ifndef APP_CLAIMS_IMAGES_H
#define APP_CLAIMS_IMAGES_H

#include "app/failure.h"

#include <stdint.h>

typedef struct claims_images {
    int64_t count;
    int inputs; /* of an image: means of 2 x 2 pixels */
    int classes;
    float *values;   /* count x inputs, mean 0 and standard deviation 1 before pooling */
    uint8_t *labels; /* count */
} claims_images;

/* Of IDX files as the mlp reads them. Returns f's code; nothing is held after a failure. */
int claims_images_read(const char *folder, claims_images *images, failure *f);
void claims_images_free(claims_images *images);

#endif
