/*
 * The parameters after every step, in an HDF5 file:
 *
 *     /                           attributes program, version, options (JSON text)
 *     /parameters/NAME/values     [steps, rows, cols], 32-bit floats
 *
 * It is written under the name PATH.partial by all ranks together, each a panel of rows, and gets
 * its own name when it is complete: a file called PATH is whole. PATH must not exist, and neither
 * may PATH.partial, which another replay may be writing.
 */
#ifndef STORE_VALUES_FILE_H
#define STORE_VALUES_FILE_H

#include "store/written_file.h"

#include <stdint.h>

typedef struct values_file values_file;

/*
 * Makes the file with space on disk for all steps, so that a full disk is found here, not after
 * hours, where the file system can promise space. parameters[count] is copied, the names are not.
 * Collective; errors are agreed, and then nothing is left behind and *file is NULL.
 */
int values_file_create(values_file **file, MPI_Comm communicator, const char *path, int64_t steps,
                       const written_parameter *parameters, int count, const char *version,
                       const char *options, shared_error *e);

/*
 * Writes one parameter after step `step` (from 0). Every rank calls it with the same values, and
 * writes its part of them. Local; so are errors: agree on them.
 */
int values_file_write(values_file *file, int parameter, int64_t step,
                      const float *values /* rows x cols */, shared_error *e);

/* Closes the file and gives it its name. Collective; agreed; on error nothing is left behind.
 * *file becomes NULL. */
int values_file_finish(values_file **file, shared_error *e);

/* Closes and removes it. Collective. NULL is no error. */
void values_file_abandon(values_file **file);

#endif
