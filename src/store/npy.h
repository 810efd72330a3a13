/*
 * Matrices as NumPy files, format version 1.0 (numpy.lib.format): a short text header, then the
 * values. Chosen for saved parameters because it needs no library, and everybody has a reader:
 * numpy.load("name.npy").
 */
#ifndef STORE_NPY_H
#define STORE_NPY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes values[rows][cols] as little-endian 32-bit floats in C order, and waits until they are on
 * disk. The file must not exist. 0, or 1 with a line in `message`; then nothing is left behind.
 */
int npy_write(const char *path, int64_t rows, int64_t cols, const float *values, char *message,
              size_t message_size);

/*
 * Reads what npy_write wrote, or any program, into values[rows][cols]; a row may also have one
 * dimension. 0, or 1 with a line in `message` that names the file and what is wrong: another type,
 * order or shape, too short, too long. On failure `values` are undefined.
 */
int npy_read(const char *path, int64_t rows, int64_t cols, float *values, char *message,
             size_t message_size);

#endif
