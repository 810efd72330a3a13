/*
 * The images the perceptron learns from: training and test sets of a folder of IDX files, with
 * the constants that give the training set's pixels mean 0 and standard deviation 1.
 */
#ifndef WORKLOAD_MLP_IMAGES_H
#define WORKLOAD_MLP_IMAGES_H

#include <stddef.h>
#include <stdint.h>

#include "workload/idx.h"

enum { MLP_CLASSES = 10 };

typedef struct mlp_image_set {
    idx_array images; /* count x rows x cols */
    idx_array labels; /* count, each below MLP_CLASSES */
    int64_t count;
} mlp_image_set;

typedef struct mlp_images {
    mlp_image_set train, test;
    int64_t pixels;    /* of one image */
    float scaled[256]; /* of a pixel's byte */
} mlp_images;

/* Reads both sets. Returns 0, or 1 with one line in `message`; nothing is held then. */
int mlp_images_read(const char *folder, mlp_images *images, char *message, size_t message_size);

void mlp_images_free(mlp_images *images);

/* XXH3 of both sets' images and labels. */
uint64_t mlp_images_hash(const mlp_images *images);

/* Image `index` of `set` as `pixels` floats, and its label. */
void mlp_images_fetch(const mlp_images *images, const mlp_image_set *set, int64_t index,
                      float *values, uint8_t *label);

#endif
