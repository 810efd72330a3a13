/*
 * Parallel writing of parameter values; see values_file.h.
 */
#define _GNU_SOURCE /* fallocate: it says where posix_fallocate would write every block */
#include "store/values_file.h"
#include "store/hdf5_parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct values_file {
    MPI_Comm communicator;
    int rank, ranks;
    hid_t file;
    int count;
    hid_t *datasets;              /* [count] */
    values_parameter *parameters; /* [count] */
    char path[2048];
    char partial[2064];
    bool reserved; /* rank 0 made the partial file: it is ours to remove */
};

static int wrong(shared_error *e, const char *path)
{
    return shared_error_set(e, SHARED_FILE, "cannot write %s: %s", path, strerror(errno));
}

/*
 * Sets space aside from the start of an open file. File systems that know nothing of it give no
 * error; then a full disk is only met when it is full.
 */
static void set_aside(int descriptor, double bytes, const char *path, shared_error *e)
{
    errno = EFBIG;
    if (bytes < 0x1p62 && fallocate(descriptor, 0, 0, (off_t)bytes) == 0) {
        return;
    }
    if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT || errno == EIO) {
        wrong(e, path);
    }
}

/*
 * Rank 0 makes the file under its partial name, and tries whether there is space for it: the system
 * names what is wrong. Past this point a full disk would be met inside collective calls of HDF5,
 * and one rank's failure there can leave the others waiting.
 */
static void reserve(values_file *f, double bytes, shared_error *e)
{
    if (access(f->path, F_OK) == 0) {
        shared_error_set(e, SHARED_FILE, "%s exists", f->path);
        return;
    }
    int descriptor = open(f->partial, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (descriptor < 0) {
        if (errno == EEXIST) {
            shared_error_set(e, SHARED_FILE,
                             "%s exists: another replay is writing it, or one was killed; remove "
                             "it then",
                             f->partial);
        } else {
            wrong(e, f->path);
        }
        return;
    }
    f->reserved = true;
    set_aside(descriptor, bytes, f->path, e);
    if (ftruncate(descriptor, 0) != 0 || close(descriptor) != 0) {
        wrong(e, f->path);
    }
}

static bool write_text_attribute(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = HDF5_NONE;
    bool good = type >= 0 && space >= 0 && H5Tset_size(type, strlen(text) + 1) >= 0 &&
                H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    if (good) {
        attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        good = attribute >= 0 && H5Awrite(attribute, type, text) >= 0;
    }
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    return good;
}

/* Every value will be written: no time for filling, and no times that make equal files differ. */
static hid_t dataset_properties(void)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (properties >= 0) {
        H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
        H5Pset_obj_track_times(properties, 0);
    }
    return properties;
}

static hid_t create_dataset(const values_file *f, const values_parameter *p, int64_t steps)
{
    char name[256];
    snprintf(name, sizeof name, "/parameters/%.200s/values", p->name);
    hsize_t shape[3] = {(hsize_t)steps, (hsize_t)p->rows, (hsize_t)p->cols};
    hid_t space = H5Screate_simple(3, shape, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    hid_t properties = dataset_properties();
    hid_t dataset = HDF5_NONE;
    if (space >= 0 && links >= 0 && properties >= 0 &&
        H5Pset_create_intermediate_group(links, 1) >= 0) {
        dataset = H5Dcreate2(f->file, name, H5T_IEEE_F32LE, space, links, properties, H5P_DEFAULT);
    }
    hid_t errors = hdf5_keep_errors();
    if (properties >= 0) {
        H5Pclose(properties);
    }
    if (links >= 0) {
        H5Pclose(links);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    hdf5_restore_errors(errors);
    return dataset;
}

/* What is inside; all ranks make the same calls, as parallel HDF5 wants it. */
static void lay_out(values_file *f, int64_t steps, const char *version, const char *options,
                    shared_error *e)
{
    f->file = hdf5_open_parallel(f->communicator, f->partial, true);
    bool good = f->file >= 0 && write_text_attribute(f->file, "program", "plumb replay") &&
                write_text_attribute(f->file, "version", version) &&
                write_text_attribute(f->file, "options", options);
    for (int i = 0; i < f->count && good; i++) {
        f->datasets[i] = create_dataset(f, &f->parameters[i], steps);
        good = f->datasets[i] >= 0;
    }
    /* The file gets its length when it is flushed. */
    if (!good || H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0) {
        shared_error_from_hdf5(e, f->partial);
    }
}

/* Rank 0, once the file has its length, which HDF5 sets without taking space: takes it. */
static void keep_space(values_file *f, shared_error *e)
{
    struct stat status;
    int descriptor = open(f->partial, O_RDWR);
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        wrong(e, f->path);
    } else {
        set_aside(descriptor, (double)status.st_size, f->path, e);
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
}

static values_file *values_file_new(MPI_Comm communicator, const char *path,
                                    const values_parameter *parameters, int count, shared_error *e)
{
    values_file *f = calloc(1, sizeof *f);
    hid_t *datasets = calloc((size_t)count, sizeof *datasets);
    values_parameter *copy = calloc((size_t)count, sizeof *copy);
    if (f == NULL || datasets == NULL || copy == NULL) {
        shared_error_set(e, SHARED_SYSTEM, "no memory for a file of values");
        free(f);
        free(datasets);
        free(copy);
        return NULL;
    }
    memcpy(copy, parameters, (size_t)count * sizeof *copy);
    for (int i = 0; i < count; i++) {
        datasets[i] = HDF5_NONE;
    }
    *f = (values_file){.communicator = communicator,
                       .file = HDF5_NONE,
                       .count = count,
                       .datasets = datasets,
                       .parameters = copy};
    MPI_Comm_rank(communicator, &f->rank);
    MPI_Comm_size(communicator, &f->ranks);
    if (snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path) {
        shared_error_set(e, SHARED_FILE, "the name %.60s... is too long", path);
    }
    snprintf(f->partial, sizeof f->partial, "%s.partial", f->path);
    return f;
}

/* Length of the file, with plenty for what HDF5 adds. */
static double bytes_needed(const values_parameter *parameters, int count, int64_t steps)
{
    double elements = 0.0;
    for (int i = 0; i < count; i++) {
        elements += (double)parameters[i].rows * (double)parameters[i].cols;
    }
    return elements * (double)steps * (double)sizeof(float) + 65536.0 + 4096.0 * count;
}

int values_file_create(values_file **file, MPI_Comm communicator, const char *path, int64_t steps,
                       const values_parameter *parameters, int count, const char *version,
                       const char *options, shared_error *e)
{
    shared_error_quiet_hdf5();
    *file = NULL;
    values_file *f = values_file_new(communicator, path, parameters, count, e);
    if (e->kind == SHARED_OK && f->rank == 0) {
        reserve(f, bytes_needed(parameters, count, steps), e);
    }
    if (shared_error_agree(e, communicator) == SHARED_OK) {
        lay_out(f, steps, version, options, e);
        shared_error_agree(e, communicator);
    }
    if (e->kind == SHARED_OK && f->rank == 0) {
        keep_space(f, e);
    }
    shared_error_agree(e, communicator);
    if (e->kind != SHARED_OK) {
        values_file_abandon(&f);
    }
    *file = f;
    return e->kind;
}

int values_file_write(values_file *f, int parameter, int64_t step, const float *values,
                      shared_error *e)
{
    const values_parameter *p = &f->parameters[parameter];
    int64_t first = p->rows * f->rank / f->ranks;
    int64_t end = p->rows * (f->rank + 1) / f->ranks;
    hdf5_rows panel = {
        .rank = 3, .lead = {step}, .first = first, .count = end - first, .cols = p->cols};
    if (hdf5_write_rows(f->datasets[parameter], &panel, values + first * p->cols) < 0) {
        char what[sizeof f->path + 16];
        snprintf(what, sizeof what, "cannot write %s", f->path);
        return shared_error_from_hdf5(e, what);
    }
    return e->kind;
}

/* Closes what is open; `e` tells if HDF5 could not write the rest. */
static void close_file(values_file *f, shared_error *e)
{
    char what[sizeof f->path + 16];
    snprintf(what, sizeof what, "cannot write %s", f->path);
    for (int i = 0; i < f->count; i++) {
        if (f->datasets[i] >= 0 && H5Dclose(f->datasets[i]) < 0) {
            shared_error_from_hdf5(e, what);
        }
        f->datasets[i] = HDF5_NONE;
    }
    if (f->file >= 0 && H5Fclose(f->file) < 0) {
        shared_error_from_hdf5(e, what);
    }
    f->file = HDF5_NONE;
}

/* Waits for the disk and gives the file its name. A link refuses to replace what appeared
 * meanwhile; where links are unknown, rename does it. */
static void publish(values_file *f, shared_error *e)
{
    int descriptor = open(f->partial, O_RDONLY);
    bool good = descriptor >= 0 && fsync(descriptor) == 0;
    int cause = errno;
    good = (descriptor < 0 || close(descriptor) == 0) && good;
    errno = cause;
    if (good && link(f->partial, f->path) == 0) {
        unlink(f->partial);
        f->reserved = false;
        return;
    }
    if (good && errno != EEXIST && rename(f->partial, f->path) == 0) {
        f->reserved = false;
        return;
    }
    wrong(e, f->path);
}

static void values_file_free(values_file **file)
{
    values_file *f = *file;
    if (f->reserved) {
        unlink(f->partial);
    }
    free(f->datasets);
    free(f->parameters);
    free(f);
    *file = NULL;
}

int values_file_finish(values_file **file, shared_error *e)
{
    values_file *f = *file;
    MPI_Comm communicator = f->communicator;
    close_file(f, e);
    if (shared_error_agree(e, communicator) == SHARED_OK && f->rank == 0) {
        publish(f, e);
    }
    values_file_free(file);
    return shared_error_agree(e, communicator);
}

void values_file_abandon(values_file **file)
{
    if (*file != NULL) {
        shared_error ignored = {0, ""};
        close_file(*file, &ignored);
        values_file_free(file);
    }
}
