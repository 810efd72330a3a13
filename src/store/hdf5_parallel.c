/*
 * Shared HDF5 files and matrices in them; see hdf5_parallel.h.
 */
#include "store/hdf5_parallel.h"

/* Values of one transfer, 1 GiB: HDF5 1.10 over MPI takes no 2 GiB at once. */
static const int64_t most_values = 1 << 28;

hid_t hdf5_keep_errors(void)
{
    return H5Eget_current_stack();
}

void hdf5_restore_errors(hid_t kept)
{
    if (kept >= 0) {
        H5Eset_current_stack(kept);
    }
}

hid_t hdf5_open_parallel(MPI_Comm communicator, const char *path, bool create)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = HDF5_NONE;
    if (access >= 0 && H5Pset_fapl_mpio(access, communicator, MPI_INFO_NULL) >= 0) {
        file = create ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access)
                      : H5Fopen(path, H5F_ACC_RDONLY, access);
    }
    hid_t errors = hdf5_keep_errors();
    if (access >= 0) {
        H5Pclose(access);
    }
    hdf5_restore_errors(errors);
    return file;
}

/* Exactly one of `read` and `write` is given. */
static herr_t transfer_block(hid_t dataset, int rank, const hsize_t *start, const hsize_t *count,
                             float *read, const float *write)
{
    hid_t file = H5Dget_space(dataset);
    hid_t memory = H5Screate_simple(rank, count, NULL);
    herr_t result = -1;
    if (file >= 0 && memory >= 0) {
        result = H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL);
    }
    if (result >= 0) {
        result = read != NULL
                     ? H5Dread(dataset, H5T_NATIVE_FLOAT, memory, file, H5P_DEFAULT, read)
                     : H5Dwrite(dataset, H5T_NATIVE_FLOAT, memory, file, H5P_DEFAULT, write);
    }
    hid_t errors = hdf5_keep_errors();
    if (memory >= 0) {
        H5Sclose(memory);
    }
    if (file >= 0) {
        H5Sclose(file);
    }
    hdf5_restore_errors(errors);
    return result;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* In blocks of whole rows, or of parts of one row where a row alone is too long. */
static herr_t transfer(hid_t dataset, const hdf5_rows *m, float *read, const float *write)
{
    int64_t width = smaller(m->cols, most_values);
    int64_t height = most_values / width;
    hsize_t start[4] = {(hsize_t)m->lead[0], (hsize_t)m->lead[1], 0, 0};
    hsize_t count[4] = {1, 1, 1, 1};
    herr_t result = 0;
    for (int64_t i = 0; i < m->count && result >= 0; i += height) {
        for (int64_t j = 0; j < m->cols && result >= 0; j += width) {
            int64_t at = i * m->cols + j;
            start[m->rank - 2] = (hsize_t)(m->first + i);
            count[m->rank - 2] = (hsize_t)smaller(height, m->count - i);
            start[m->rank - 1] = (hsize_t)(m->first_col + j);
            count[m->rank - 1] = (hsize_t)smaller(width, m->cols - j);
            result = transfer_block(dataset, m->rank, start, count, read != NULL ? read + at : NULL,
                                    write != NULL ? write + at : NULL);
        }
    }
    return result;
}

herr_t hdf5_read_rows(hid_t dataset, const hdf5_rows *rows, float *values)
{
    return transfer(dataset, rows, values, NULL);
}

herr_t hdf5_write_rows(hid_t dataset, const hdf5_rows *rows, const float *values)
{
    return transfer(dataset, rows, NULL, values);
}
