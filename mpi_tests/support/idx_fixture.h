/*
 * Small data sets of IDX files in a temporary folder, right ones and damaged ones.
 */
#ifndef SUPPORT_IDX_FIXTURE_H
#define SUPPORT_IDX_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
    FIXTURE_ROWS = 4,
    FIXTURE_COLS = 5,
    FIXTURE_PIXELS = FIXTURE_ROWS * FIXTURE_COLS,
    FIXTURE_TRAIN = 40,
    FIXTURE_TEST = 13,
    FIXTURE_CLASSES = 10
};

static const char *const fixture_names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                            "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

typedef struct fixture {
    char folder[64];
} fixture;

static inline uint8_t fixture_label(int set, int image)
{
    return (uint8_t)((image * 7 + set) % FIXTURE_CLASSES);
}

/* Images of one label are alike, so that there is something to learn. */
static inline uint8_t fixture_pixel(int set, int image, int pixel)
{
    int pattern = (fixture_label(set, image) + 3) * (pixel + 1) * 37 % 211;
    return (uint8_t)(pattern + (image * 13 + pixel * 5 + set) % 23);
}

static inline void fixture_path(const fixture *f, const char *name, bool compressed, char path[256])
{
    snprintf(path, 256, "%s/%s%s", f->folder, name, compressed ? ".gz" : "");
}

static inline void fixture_write(const fixture *f, const char *name, bool compressed,
                                 const uint8_t *bytes, size_t count)
{
    char path[256];
    fixture_path(f, name, compressed, path);
    /* Mode T writes without compression and without a gzip header. */
    gzFile file = gzopen(path, compressed ? "wb" : "wbT");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(gzwrite(file, bytes, (unsigned)count), (int)count);
    ck_assert_int_eq(gzclose(file), Z_OK);
}

static inline size_t fixture_put(uint8_t *bytes, size_t at, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        bytes[at + (size_t)i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return at + 4;
}

static inline void fixture_write_images(const fixture *f, int set, int count, int rows,
                                        bool compressed)
{
    static uint8_t bytes[16 + 64 * 64 * FIXTURE_PIXELS];
    size_t at = fixture_put(bytes, 0, 0x803);
    at = fixture_put(bytes, at, (uint32_t)count);
    at = fixture_put(bytes, at, (uint32_t)rows);
    at = fixture_put(bytes, at, FIXTURE_COLS);
    for (int image = 0; image < count; image++) {
        for (int pixel = 0; pixel < rows * FIXTURE_COLS; pixel++) {
            bytes[at++] = fixture_pixel(set, image, pixel);
        }
    }
    fixture_write(f, fixture_names[2 * set], compressed, bytes, at);
}

static inline void fixture_write_labels(const fixture *f, int set, int count, bool compressed)
{
    uint8_t bytes[8 + 256];
    size_t at = fixture_put(bytes, 0, 0x801);
    at = fixture_put(bytes, at, (uint32_t)count);
    for (int image = 0; image < count; image++) {
        bytes[at++] = fixture_label(set, image);
    }
    fixture_write(f, fixture_names[2 * set + 1], compressed, bytes, at);
}

/* A right data set of FIXTURE_TRAIN and FIXTURE_TEST images. */
static inline void fixture_make(fixture *f, bool compressed)
{
    const char *temporary = getenv("TMPDIR");
    *f = (fixture){{0}};
    snprintf(f->folder, sizeof f->folder, "%.40s/plumb-test-XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    for (int set = 0; set < 2; set++) {
        int count = set == 0 ? FIXTURE_TRAIN : FIXTURE_TEST;
        fixture_write_images(f, set, count, FIXTURE_ROWS, compressed);
        fixture_write_labels(f, set, count, compressed);
    }
}

static inline void fixture_remove(fixture *f)
{
    char path[256];
    for (int i = 0; i < 4; i++) {
        fixture_path(f, fixture_names[i], false, path);
        (void)unlink(path);
        fixture_path(f, fixture_names[i], true, path);
        (void)unlink(path);
    }
    ck_assert_int_eq(rmdir(f->folder), 0);
}

#endif
