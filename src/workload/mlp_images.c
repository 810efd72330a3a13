/*
 * Loads and checks the four IDX files of an MNIST-like data set (see mlp_images.h).
 */
#include "workload/mlp_images.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* As many labels as images, and no label out of range. */
static int check_labels(const mlp_image_set *set, char *message, size_t message_size)
{
    if (set->labels.count != set->count) {
        snprintf(message, message_size, "%.200s: %lld labels expected, %lld found (images: %.200s)",
                 set->labels.path, (long long)set->count, (long long)set->labels.count,
                 set->images.path);
        return 1;
    }
    for (int64_t i = 0; i < set->count; i++) {
        if (set->labels.bytes[i] >= MLP_CLASSES) {
            snprintf(message, message_size, "%.300s: label %d at %lld, must be below %d",
                     set->labels.path, set->labels.bytes[i], (long long)i, MLP_CLASSES);
            return 1;
        }
    }
    return 0;
}

static int read_set(const char *folder, const char *images, const char *labels, mlp_image_set *set,
                    char *message, size_t message_size)
{
    if (idx_read(folder, images, 3, &set->images, message, message_size) != 0 ||
        idx_read(folder, labels, 1, &set->labels, message, message_size) != 0) {
        return 1;
    }
    set->count = set->images.sizes[0];
    return check_labels(set, message, message_size);
}

static int check_shapes(const mlp_images *images, char *message, size_t message_size)
{
    const int64_t *train = images->train.images.sizes, *test = images->test.images.sizes;
    if (train[1] == test[1] && train[2] == test[2]) {
        return 0;
    }
    snprintf(message, message_size, "%.300s: images of %lld x %lld expected, %lld x %lld found",
             images->test.images.path, (long long)train[1], (long long)train[2], (long long)test[1],
             (long long)test[2]);
    return 1;
}

/* Sums of whole numbers: exact, so the constants do not depend on an order of summation. */
static void set_scale(mlp_images *images)
{
    const idx_array *pixels = &images->train.images;
    uint64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < pixels->count; i++) {
        sum += pixels->bytes[i];
        squares += (uint64_t)pixels->bytes[i] * pixels->bytes[i];
    }
    double mean = (double)sum / (double)pixels->count;
    double variance = (double)squares / (double)pixels->count - mean * mean;
    double deviation = variance > 0.0 ? sqrt(variance) : 1.0;
    for (int byte = 0; byte < 256; byte++) {
        images->scaled[byte] = (float)((byte - mean) / deviation);
    }
}

int mlp_images_read(const char *folder, mlp_images *images, char *message, size_t message_size)
{
    memset(images, 0, sizeof *images);
    int failed = read_set(folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                          &images->train, message, message_size) != 0 ||
                 read_set(folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", &images->test,
                          message, message_size) != 0 ||
                 check_shapes(images, message, message_size) != 0;
    if (failed) {
        mlp_images_free(images);
        return 1;
    }
    images->pixels = images->train.images.sizes[1] * images->train.images.sizes[2];
    set_scale(images);
    return 0;
}

void mlp_images_free(mlp_images *images)
{
    idx_free(&images->train.images);
    idx_free(&images->train.labels);
    idx_free(&images->test.images);
    idx_free(&images->test.labels);
}

void mlp_images_fetch(const mlp_images *images, const mlp_image_set *set, int64_t index,
                      float *values, uint8_t *label)
{
    const uint8_t *bytes = set->images.bytes + index * images->pixels;
    for (int64_t i = 0; i < images->pixels; i++) {
        values[i] = images->scaled[bytes[i]];
    }
    *label = set->labels.bytes[index];
}

/* One array's hash, seeded by those before it. */
static uint64_t add_hash(uint64_t hash, const idx_array *array)
{
    return XXH3_64bits_withSeed(array->bytes, (size_t)array->count, hash);
}

uint64_t mlp_images_hash(const mlp_images *images)
{
    uint64_t hash = add_hash(0, &images->train.images);
    hash = add_hash(hash, &images->train.labels);
    hash = add_hash(hash, &images->test.images);
    return add_hash(hash, &images->test.labels);
}
