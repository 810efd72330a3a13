/*
 * See claims_images.h.
 */
#include "app/claims_images.h"

#include <stdlib.h>

#include "workload/mlp_images.h"

enum { POOL = 2 };

/* Means of POOL x POOL pixels of rows x cols; a last odd row or column is left out. */
static void pool(const float *pixels, int64_t rows, int64_t cols, float *result)
{
    for (int64_t i = 0; i < rows / POOL; i++) {
        for (int64_t j = 0; j < cols / POOL; j++) {
            float sum = 0.0f;
            for (int64_t k = 0; k < POOL * POOL; k++) {
                sum += pixels[(i * POOL + k / POOL) * cols + j * POOL + k % POOL];
            }
            result[i * (cols / POOL) + j] = sum / (POOL * POOL);
        }
    }
}

static int pool_all(const mlp_images *source, claims_images *images, failure *f)
{
    int64_t rows = source->train.images.sizes[1], cols = source->train.images.sizes[2];
    images->count = source->train.count;
    images->inputs = (int)((rows / POOL) * (cols / POOL));
    images->classes = MLP_CLASSES;
    images->values = malloc((size_t)(images->count * images->inputs + 1) * sizeof(float));
    images->labels = malloc((size_t)images->count + 1);
    float *pixels = malloc((size_t)source->pixels * sizeof *pixels);
    if (images->values == NULL || images->labels == NULL || pixels == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory for the images");
    }
    for (int64_t i = 0; i < images->count && f->code == EXIT_OK; i++) {
        mlp_images_fetch(source, &source->train, i, pixels, &images->labels[i]);
        pool(pixels, rows, cols, images->values + i * images->inputs);
    }
    free(pixels);
    return f->code;
}

int claims_images_read(const char *folder, claims_images *images, failure *f)
{
    mlp_images source;
    char message[512];
    *images = (claims_images){.count = 0};
    if (mlp_images_read(folder, &source, message, sizeof message) != 0) {
        return failure_set(f, EXIT_DATA, "%s", message);
    }
    if (pool_all(&source, images, f) != EXIT_OK) {
        claims_images_free(images);
    }
    mlp_images_free(&source);
    return f->code;
}

void claims_images_free(claims_images *images)
{
    free(images->values);
    free(images->labels);
    *images = (claims_images){.count = 0};
}
