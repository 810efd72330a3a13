/*
 * Reads IDX files (see idx.h) through zlib, which passes plain files on as they are. A file is
 * taken only if its length is exactly what its header says.
 */
#define _POSIX_C_SOURCE 200809L
#include "workload/idx.h"
#include "workload/data_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

static const int64_t most_bytes = INT64_C(1) << 40;

typedef struct idx_reader {
    gzFile file;
    const char *path;
    char *message;
    size_t message_size;
} idx_reader;

/* Opens NAME or, if there is no such file, NAME.gz, whose path is in `path`. */
static int open_either(char *path, int length)
{
    int64_t size;
    path[length - 3] = '\0';
    int descriptor = data_file_open(path, &size);
    if (descriptor < 0 && errno == ENOENT) {
        path[length - 3] = '.';
        descriptor = data_file_open(path, &size);
    }
    return descriptor;
}

static int idx_open(const char *folder, const char *name, char path[IDX_PATH_SIZE],
                    idx_reader *reader)
{
    int length = snprintf(path, IDX_PATH_SIZE, "%s/%s.gz", folder, name);
    if (length < 0 || length >= IDX_PATH_SIZE) {
        snprintf(reader->message, reader->message_size, "the folder's name is too long: %.80s...",
                 folder);
        return 1;
    }
    reader->path = path;
    int descriptor = open_either(path, length);
    if (descriptor < 0) {
        int error = errno;
        snprintf(reader->message, reader->message_size, "%.300s: %s%s", path,
                 data_file_reason(error), error == ENOENT ? " (nor without .gz)" : "");
        return 1;
    }
    reader->file = gzdopen(descriptor, "rb");
    if (reader->file == NULL) {
        close(descriptor);
        snprintf(reader->message, reader->message_size, "%.300s: no memory", path);
        return 1;
    }
    return 0;
}

/* zlib's own complaint about a damaged file, or "". */
static const char *complaint(gzFile file)
{
    int code;
    const char *text = gzerror(file, &code);
    return code == Z_OK || code == Z_STREAM_END ? "" : text;
}

/* Reads exactly `count` bytes, `what` in the message if there are fewer. */
static int read_exactly(const idx_reader *reader, int64_t count, const char *what, uint8_t *bytes)
{
    const int64_t most_at_once = 1 << 24;
    int64_t found = 0;
    while (found < count) {
        int64_t wanted = count - found < most_at_once ? count - found : most_at_once;
        int got = gzread(reader->file, bytes + found, (unsigned)wanted);
        if (got <= 0) {
            break;
        }
        found += got;
    }
    if (found == count) {
        return 0;
    }
    const char *why = complaint(reader->file);
    snprintf(reader->message, reader->message_size,
             "%.300s: %lld bytes of %s expected, %lld found%s%.100s", reader->path,
             (long long)count, what, (long long)found, why[0] != '\0' ? ": " : "", why);
    return 1;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Magic number: 0x08 says unsigned bytes, then the number of dimensions. */
static int read_header(const idx_reader *reader, int dimensions, idx_array *array)
{
    uint8_t header[4 * (1 + IDX_MOST_DIMENSIONS)];
    if (read_exactly(reader, 4, "magic number", header) != 0) {
        return 1;
    }
    uint32_t magic = big_endian(header);
    uint32_t expected = UINT32_C(0x0800) | (uint32_t)dimensions;
    if (magic != expected) {
        snprintf(reader->message, reader->message_size,
                 "%.300s: magic number 0x%08x expected, 0x%08x found: not an IDX file of %d "
                 "dimensions of bytes",
                 reader->path, (unsigned)expected, (unsigned)magic, dimensions);
        return 1;
    }
    if (read_exactly(reader, (int64_t)4 * dimensions, "sizes", header + 4) != 0) {
        return 1;
    }
    array->count = 1;
    for (int d = 0; d < dimensions; d++) {
        array->sizes[d] = big_endian(header + 4 * (d + 1));
        int64_t most = array->count > 0 ? most_bytes / array->count : most_bytes;
        if (array->sizes[d] < 1 || array->sizes[d] > most) {
            snprintf(reader->message, reader->message_size,
                     "%.300s: size %lld of dimension %d has no meaning", reader->path,
                     (long long)array->sizes[d], d);
            return 1;
        }
        array->count *= array->sizes[d];
    }
    return 0;
}

/* Reading on at the end also makes zlib compare its checksum. */
static int check_end(const idx_reader *reader, int64_t count)
{
    uint8_t more;
    int got = gzread(reader->file, &more, 1);
    if (got == 0 && complaint(reader->file)[0] == '\0') {
        return 0;
    }
    if (got > 0) {
        snprintf(reader->message, reader->message_size,
                 "%.300s: %lld bytes of data expected, more found", reader->path, (long long)count);
    } else {
        snprintf(reader->message, reader->message_size, "%.300s: damaged: %.100s", reader->path,
                 complaint(reader->file));
    }
    return 1;
}

static int read_data(const idx_reader *reader, idx_array *array)
{
    array->bytes = malloc((size_t)array->count);
    if (array->bytes == NULL) {
        snprintf(reader->message, reader->message_size, "%.300s: no memory for %lld bytes",
                 reader->path, (long long)array->count);
        return 1;
    }
    int failed = read_exactly(reader, array->count, "data", array->bytes) != 0 ||
                 check_end(reader, array->count) != 0;
    if (failed) {
        idx_free(array);
    }
    return failed;
}

int idx_read(const char *folder, const char *name, int dimensions, idx_array *array, char *message,
             size_t message_size)
{
    memset(array, 0, sizeof *array);
    idx_reader reader = {.message_size = message_size};
    reader.message = message;
    if (idx_open(folder, name, array->path, &reader) != 0) {
        return 1;
    }
    int failed = read_header(&reader, dimensions, array) != 0 || read_data(&reader, array) != 0;
    gzclose(reader.file);
    return failed;
}

void idx_free(idx_array *array)
{
    free(array->bytes);
    array->bytes = NULL;
}
