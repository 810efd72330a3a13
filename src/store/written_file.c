/*
 * HDF5 files that are written whole or not at all; see written_file.h.
 */
#define _GNU_SOURCE /* fallocate: it says where posix_fallocate would write every block */
#include "store/written_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int wrong(shared_error *e, const char *path)
{
    return shared_error_set(e, SHARED_FILE, "cannot write %s: %s", path, strerror(errno));
}

int written_file_failed(const written_file *f, shared_error *e)
{
    char what[sizeof f->path + 16];
    snprintf(what, sizeof what, "cannot write %s", f->path);
    return shared_error_from_hdf5(e, what);
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

/* Rank 0 makes the file under its partial name, and tries whether there is space for it: the system
 * names what is wrong. */
static void reserve(written_file *f, double bytes, shared_error *e)
{
    if (access(f->path, F_OK) == 0) {
        shared_error_set(e, SHARED_FILE, "%s exists: choose another name, or remove it", f->path);
        return;
    }
    int descriptor = open(f->partial, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (descriptor < 0) {
        if (errno == EEXIST) {
            shared_error_set(e, SHARED_FILE,
                             "%s exists: another run is writing it, or one was killed; remove it "
                             "then",
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

int written_file_begin(written_file *f, MPI_Comm communicator, const char *path, double bytes,
                       const char *program, const char *version, const char *options,
                       shared_error *e)
{
    shared_error_quiet_hdf5();
    *f = (written_file){.communicator = communicator, .file = HDF5_NONE};
    MPI_Comm_rank(communicator, &f->rank);
    MPI_Comm_size(communicator, &f->ranks);
    if (snprintf(f->path, sizeof f->path, "%s", path) >= (int)sizeof f->path) {
        shared_error_set(e, SHARED_FILE, "the name %.60s... is too long", path);
    }
    snprintf(f->partial, sizeof f->partial, "%s.partial", f->path);
    if (e->kind == SHARED_OK && f->rank == 0) {
        reserve(f, bytes, e);
    }
    if (shared_error_agree(e, communicator) != SHARED_OK) {
        return e->kind;
    }
    f->file = hdf5_open_parallel(communicator, f->partial, true);
    if (f->file < 0 || !write_text_attribute(f->file, "program", program) ||
        !write_text_attribute(f->file, "version", version) ||
        !write_text_attribute(f->file, "options", options)) {
        shared_error_from_hdf5(e, f->partial);
    }
    return shared_error_agree(e, communicator);
}

/* No time for filling, and no times that make equal files differ. */
static hid_t dataset_properties(int rank, const hsize_t *chunk)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (properties >= 0) {
        H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
        H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY);
        H5Pset_obj_track_times(properties, 0);
        if (chunk != NULL) {
            H5Pset_chunk(properties, rank, chunk);
        }
    }
    return properties;
}

hid_t written_file_dataset(const written_file *f, const char *name, int rank, const hsize_t *shape,
                           const hsize_t *chunk)
{
    hid_t space = H5Screate_simple(rank, shape, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    hid_t properties = dataset_properties(rank, chunk);
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

/* Rank 0, once the file has its length, which HDF5 sets without taking space: takes it. */
static void take_space(written_file *f, shared_error *e)
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

int written_file_keep_space(written_file *f, shared_error *e)
{
    /* The file gets its length when it is flushed. */
    if (e->kind == SHARED_OK && H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0) {
        shared_error_from_hdf5(e, f->partial);
    }
    if (shared_error_agree(e, f->communicator) == SHARED_OK && f->rank == 0) {
        take_space(f, e);
    }
    return shared_error_agree(e, f->communicator);
}

/* Waits for the disk and gives the file its name. A link refuses to replace what appeared
 * meanwhile; where links are unknown, rename does it. */
static void publish(written_file *f, shared_error *e)
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

static void close_file(written_file *f, shared_error *e)
{
    if (f->file >= 0 && H5Fclose(f->file) < 0) {
        written_file_failed(f, e);
    }
    f->file = HDF5_NONE;
}

static void discard(written_file *f)
{
    if (f->reserved) {
        unlink(f->partial);
        f->reserved = false;
    }
}

int written_file_finish(written_file *f, shared_error *e)
{
    close_file(f, e);
    if (shared_error_agree(e, f->communicator) == SHARED_OK && f->rank == 0) {
        publish(f, e);
    }
    discard(f);
    return shared_error_agree(e, f->communicator);
}

void written_file_abandon(written_file *f)
{
    shared_error ignored = {0, ""};
    close_file(f, &ignored);
    discard(f);
}
