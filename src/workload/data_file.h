/*
 * Files that hold training data. Only regular files will do: a pipe may never begin and a device
 * never end, and both are the same bytes to one rank only.
 */
#ifndef WORKLOAD_DATA_FILE_H
#define WORKLOAD_DATA_FILE_H

#include <stdint.h>

/*
 * Opens a regular file for reading, without waiting for anything. Returns its descriptor and its
 * size in bytes, or -1 with an errno (EINVAL: not a regular file).
 */
int data_file_open(const char *path, int64_t *size);

/* What such an errno says about a file. */
const char *data_file_reason(int error);

#endif
