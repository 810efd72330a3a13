/*
 * An HDF5 file that all ranks write together and that is there only when it is complete: it grows
 * as PATH.partial, with its space on disk set aside before the first value, and gets its own name
 * at the end. PATH must not exist, and neither may PATH.partial, which another run may be writing.
 *
 * Past its beginning a full disk would be met inside collective calls of HDF5, and one rank's
 * failure there can leave the others waiting: hence the space.
 */
#ifndef STORE_WRITTEN_FILE_H
#define STORE_WRITTEN_FILE_H

#include "store/hdf5_parallel.h"
#include "store/shared_error.h"

#include <stdint.h>

typedef struct written_file {
    MPI_Comm communicator;
    int rank, ranks;
    hid_t file;
    char path[2048];
    char partial[2064];
    bool reserved; /* rank 0 made the partial file: it is ours to remove */
} written_file;

/*
 * Makes the file, if there is room for `bytes`, with the attributes program, version and options of
 * its root. Collective; errors are agreed, and written_file_abandon is then still to be called.
 */
int written_file_begin(written_file *f, MPI_Comm communicator, const char *path, double bytes,
                       const char *program, const char *version, const char *options,
                       shared_error *e);

/* A parameter of such a file. */
typedef struct written_parameter {
    const char *name;
    int64_t rows, cols;
    const float *initial_values; /* rows x cols, the same on all ranks; NULL: none are written */
} written_parameter;

/* The parameters and a dataset of each. */
typedef struct written_datasets {
    int count;
    hid_t *datasets;               /* [count] */
    written_parameter *parameters; /* [count] */
} written_datasets;

/* Copies the parameters, not their names; no dataset is open yet. Local. written_datasets_free
 * whatever it returns. */
int written_datasets_make(written_datasets *d, const written_parameter *parameters, int count,
                          shared_error *e);

/* Closes those that are open; `e` tells if HDF5 could not write the rest. */
void written_datasets_close(written_datasets *d, const written_file *f, shared_error *e);

void written_datasets_free(written_datasets *d);

/* "/parameters/NAME/WHAT" */
void written_parameter_path(const written_parameter *p, const char *what, char path[256]);

/*
 * Writes this rank's panel of rows into a dataset whose last two dimensions are the parameter's;
 * `lead` tells where in those before it. Every rank has the same `values`, rows x cols. Local.
 * Negative on failure.
 */
int written_file_panel(const written_file *f, hid_t dataset, const written_parameter *p, int rank,
                       int64_t lead, const float *values);

/*
 * A dataset of 32-bit floats with the groups above it; `chunk` NULL: in one piece, which cannot
 * shrink. Space is taken at once and never filled: every value is to be written. Negative on
 * failure. Collective.
 */
hid_t written_file_dataset(const written_file *f, const char *name, int rank, const hsize_t *shape,
                           const hsize_t *chunk);

/* When all datasets are made: takes the space that the file has by now. Collective; agreed. */
int written_file_keep_space(written_file *f, shared_error *e);

/* Local: "cannot write PATH: HDF5's words". */
int written_file_failed(const written_file *f, shared_error *e);

/* Closes the file, whose datasets are closed, and gives it its name. Collective; agreed; on error
 * nothing is left behind. */
int written_file_finish(written_file *f, shared_error *e);

/* Closes and removes it. Collective. */
void written_file_abandon(written_file *f);

#endif
