/*
 * Writing and reading NumPy files; see npy.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/npy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Magic, version, and the length of the text that follows, which ends at a multiple of 64. */
enum { PREFIX_SIZE = 10, ALIGNMENT = 64, LONGEST_TEXT = 65535 };

static const unsigned char magic[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

static bool machine_is_little_endian(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* To or from the file's byte order: nothing to do on nearly every machine. */
static void swap_bytes(const float *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char in[4], out[4];
        memcpy(in, &from[i], 4);
        for (int b = 0; b < 4; b++) {
            out[b] = in[3 - b];
        }
        memcpy(&to[i], out, 4);
    }
}

static bool write_values(FILE *file, const float *values, size_t count)
{
    if (machine_is_little_endian()) {
        return fwrite(values, sizeof *values, count, file) == count;
    }
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        float swapped;
        swap_bytes(&values[i], &swapped, 1);
        good = fwrite(&swapped, sizeof swapped, 1, file) == 1;
    }
    return good;
}

static bool write_header(FILE *file, int64_t rows, int64_t cols)
{
    char text[2 * ALIGNMENT + 1];
    int length =
        snprintf(text, sizeof text,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64 ", %" PRId64 "), }",
                 rows, cols);
    int total = (PREFIX_SIZE + length + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - PREFIX_SIZE;
    unsigned char size[2] = {(unsigned char)(total & 255), (unsigned char)(total >> 8)};
    return fwrite(magic, 1, sizeof magic, file) == sizeof magic && fwrite(size, 1, 2, file) == 2 &&
           fprintf(file, "%-*s\n", total - 1, text) == total;
}

int npy_write(const char *path, int64_t rows, int64_t cols, const float *values, char *message,
              size_t message_size)
{
    FILE *file = fopen(path, "wbx");
    if (file == NULL) {
        snprintf(message, message_size, "cannot write %s: %s", path, strerror(errno));
        return 1;
    }
    bool good = write_header(file, rows, cols) &&
                write_values(file, values, (size_t)(rows * cols)) && fflush(file) == 0 &&
                fsync(fileno(file)) == 0;
    int cause = errno;
    if (fclose(file) != 0 && good) {
        good = false;
        cause = errno;
    }
    if (!good) {
        snprintf(message, message_size, "cannot write %s: %s", path, strerror(cause));
        unlink(path);
    }
    return good ? 0 : 1;
}

/* A file being read, and where to say what is wrong with it. */
typedef struct reading {
    const char *path;
    FILE *file;
    char *message;
    size_t message_size;
} reading;

static int wrong(const reading *r, const char *what)
{
    snprintf(r->message, r->message_size, "%s %s", r->path, what);
    return 1;
}

/* What follows the key in the header, or "". */
static const char *value_of(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    if (found == NULL) {
        return "";
    }
    found += strlen(key);
    return found + strspn(found, " ");
}

/* "(6, 4)", "(4,)" or "()" into two numbers, missing ones at the front 1. False: not so. */
static bool parse_shape(const char *text, int64_t shape[2], int *dimensions)
{
    shape[0] = shape[1] = 1;
    *dimensions = 0;
    if (*text++ != '(') {
        return false;
    }
    text += strspn(text, " ");
    while (*text != ')') {
        int64_t number;
        int length = 0;
        if (*dimensions == 2 || sscanf(text, "%" SCNd64 "%n", &number, &length) != 1) {
            return false;
        }
        shape[0] = shape[1];
        shape[1] = number;
        ++*dimensions;
        text += length;
        text += strspn(text, " ,");
    }
    return true;
}

static int check_header(const reading *r, const char *text, int64_t rows, int64_t cols)
{
    int64_t shape[2];
    int dimensions;
    char expected[128];
    const char *type = value_of(text, "'descr':");
    if (strncmp(type, "'<f4'", 5) != 0) {
        int length = (int)strcspn(type, ",}");
        snprintf(expected, sizeof expected,
                 "holds %.*s, expected '<f4', little-endian 32-bit floats",
                 length < 16 ? length : 16, type);
        return wrong(r, expected);
    }
    if (strncmp(value_of(text, "'fortran_order':"), "False", 5) != 0) {
        return wrong(r, "is in Fortran order, expected C order");
    }
    if (!parse_shape(value_of(text, "'shape':"), shape, &dimensions)) {
        return wrong(r, "does not hold a matrix");
    }
    if (shape[0] != rows || shape[1] != cols) {
        snprintf(expected, sizeof expected,
                 "is %" PRId64 " x %" PRId64 ", expected %" PRId64 " x %" PRId64, shape[0],
                 shape[1], rows, cols);
        return wrong(r, expected);
    }
    return 0;
}

static int read_header(const reading *r, int64_t rows, int64_t cols)
{
    unsigned char prefix[PREFIX_SIZE];
    static char text[LONGEST_TEXT + 1];
    if (fread(prefix, 1, sizeof prefix, r->file) != sizeof prefix ||
        memcmp(prefix, magic, sizeof magic) != 0) {
        return wrong(r, "is not a NumPy file of format version 1.0");
    }
    size_t length = (size_t)prefix[8] + 256 * (size_t)prefix[9];
    if (fread(text, 1, length, r->file) != length) {
        return wrong(r, "is truncated: it ends in its header");
    }
    text[length] = '\0';
    return check_header(r, text, rows, cols);
}

static int read_values(const reading *r, int64_t rows, int64_t cols, float *values)
{
    size_t count = (size_t)(rows * cols);
    size_t got = fread(values, sizeof *values, count, r->file);
    char what[96];
    if (got != count) {
        snprintf(what, sizeof what, "is truncated: %zu of %zu values", got, count);
        return wrong(r, what);
    }
    if (fgetc(r->file) != EOF) {
        return wrong(r, "is longer than its shape");
    }
    if (!machine_is_little_endian()) {
        swap_bytes(values, values, count);
    }
    return 0;
}

int npy_read(const char *path, int64_t rows, int64_t cols, float *values, char *message,
             size_t message_size)
{
    struct stat status;
    reading r = {path, NULL, message, message_size};
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        return wrong(&r, "is not a regular file");
    }
    r.file = fopen(path, "rb");
    if (r.file == NULL) {
        snprintf(message, message_size, "%s: %s", path, strerror(errno));
        return 1;
    }
    int result = read_header(&r, rows, cols);
    if (result == 0) {
        result = read_values(&r, rows, cols, values);
    }
    fclose(r.file);
    return result;
}
