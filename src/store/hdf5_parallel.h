/*
 * HDF5 with MPI support: the one place that includes it and says what to do where it is missing,
 * files that ranks open together, and matrices in them.
 *
 * Opening, closing and whatever changes a file's structure is collective. Values are read and
 * written by each rank on its own: the part of a rank is contiguous, so collective transfers
 * would gain nothing, and one rank's failed transfer would leave the others waiting in them.
 */
#ifndef STORE_HDF5_PARALLEL_H
#define STORE_HDF5_PARALLEL_H

#include <hdf5.h>

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#ifndef H5_HAVE_PARALLEL
#error "This HDF5 has no MPI support. Install libhdf5-openmpi-dev, or build with WITH_HDF5=0."
#endif

/* No valid handle: what an unset hid_t of ours holds. */
#define HDF5_NONE ((hid_t)-1)

/* Every call of HDF5 forgets the errors of the one before: these two keep them over tidying up. */
hid_t hdf5_keep_errors(void);
void hdf5_restore_errors(hid_t kept);

/* Opens for reading, or makes anew for writing, by all ranks. Negative on failure. Collective. */
hid_t hdf5_open_parallel(MPI_Comm communicator, const char *path, bool create);

/* Rows of a matrix in a dataset [..., rows, cols] of 2, 3 or 4 dimensions, or a part of each. */
typedef struct hdf5_rows {
    int rank;        /* dimensions of the dataset */
    int64_t lead[2]; /* index in each dimension before the last two */
    int64_t first, count;
    int64_t first_col, cols; /* of the part; 0 and the dataset's cols: whole rows */
} hdf5_rows;

/* Reads or writes count x cols floats, dense and row-major in memory. Local. Negative on
 * failure. */
herr_t hdf5_read_rows(hid_t dataset, const hdf5_rows *rows, float *values);
herr_t hdf5_write_rows(hid_t dataset, const hdf5_rows *rows, const float *values);

#endif
