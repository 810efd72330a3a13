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
