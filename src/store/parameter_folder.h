/*
 * The parameters of a run in a folder of their own: RUN/parameters/NAME.npy, one file each. The
 * folder appears under its name when all of them are complete, and not otherwise.
 */
#ifndef STORE_PARAMETER_FOLDER_H
#define STORE_PARAMETER_FOLDER_H

#include <stddef.h>
#include <stdint.h>

typedef struct saved_parameter {
    const char *name; /* a file name: without slashes */
    int64_t rows, cols;
    float *values; /* rows x cols */
} saved_parameter;

/* Writes RUN/parameters, which must not exist. 0, or 1 with a line in `message`. */
int parameter_folder_write(const char *run, const saved_parameter *parameters, int count,
                           char *message, size_t message_size);

/*
 * Reads all of RUN/parameters into the values. It must hold these parameters and no others. 0, or
 * 1 with a line in `message`.
 */
int parameter_folder_read(const char *run, const saved_parameter *parameters, int count,
                          char *message, size_t message_size);

#endif
