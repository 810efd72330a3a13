/*
 * IDX files, the format of the MNIST family (yann.lecun.com/exdb/mnist): a big-endian header of
 * magic number and sizes, then unsigned bytes. Compressed by gzip or plain.
 */
#ifndef WORKLOAD_IDX_H
#define WORKLOAD_IDX_H

#include <stddef.h>
#include <stdint.h>

enum { IDX_MOST_DIMENSIONS = 3, IDX_PATH_SIZE = 1024 };

typedef struct idx_array {
    char path[IDX_PATH_SIZE]; /* of the file, for messages */
    int64_t sizes[IDX_MOST_DIMENSIONS];
    int64_t count;  /* product of the sizes */
    uint8_t *bytes; /* [count] */
} idx_array;

/*
 * Reads FOLDER/NAME, or FOLDER/NAME.gz if that is not there, an array of `dimensions` dimensions.
 * Returns 0, or 1 with one line in `message` that names the file, what was expected, and what was
 * found; the array then holds nothing.
 */
int idx_read(const char *folder, const char *name, int dimensions, idx_array *array, char *message,
             size_t message_size);

void idx_free(idx_array *array);

#endif
