/*
 * Parallel reading of recorded gradients; see gradient_file.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/gradient_file.h"
#include "store/gradient_layout.h"
#include "store/hdf5_parallel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct gradient_file {
    MPI_Comm communicator;
    int rank;
    gradient_layout layout;
    hid_t file;
    bool has_curvature;
    hid_t *gradients; /* [parameter_count], open datasets */
    hid_t *curvature; /* the same; all HDF5_NONE without has_curvature */
    char path[512];   /* for messages */
};

/* The file must be rank 0's on every host before all open it together. */
static void check_same_file(const gradient_file *f, const char *path, shared_error *e)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        shared_error_set(e, SHARED_FILE, "%s: not every rank sees this file", path);
    } else if ((int64_t)status.st_size != f->layout.bytes) {
        shared_error_set(e, SHARED_FILE, "%s: ranks see files of different length", path);
    }
}

static hid_t open_dataset(const gradient_file *f, int parameter, const char *object,
                          shared_error *e)
{
    char name[GRADIENT_FILE_NAME_SIZE + 32];
    snprintf(name, sizeof name, "/parameters/%s/%s", f->layout.parameters[parameter].name, object);
    hid_t dataset = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (dataset < 0) {
        shared_error_from_hdf5(e, f->path);
    }
    return dataset;
}

static void open_datasets(gradient_file *f, MPI_Comm communicator, const char *path,
                          shared_error *e)
{
    f->file = hdf5_open_parallel(communicator, path, false);
    if (f->file < 0) {
        shared_error_from_hdf5(e, path);
        return;
    }
    for (int i = 0; i < f->layout.parameter_count; i++) {
        f->gradients[i] = open_dataset(f, i, "gradients", e);
        if (f->has_curvature) {
            f->curvature[i] = open_dataset(f, i, "curvature", e);
        }
    }
}

/* [count] datasets, none of them open; NULL without memory. */
static hid_t *no_datasets(size_t count)
{
    hid_t *datasets = malloc(count * sizeof *datasets);
    for (size_t i = 0; i < count && datasets != NULL; i++) {
        datasets[i] = HDF5_NONE;
    }
    return datasets;
}

static void prepare(gradient_file *f, MPI_Comm communicator, const char *path, shared_error *e)
{
    size_t count = (size_t)f->layout.parameter_count;
    f->gradients = no_datasets(count);
    f->curvature = no_datasets(count);
    if (f->gradients == NULL || f->curvature == NULL) {
        shared_error_set(e, SHARED_SYSTEM, "no memory for a file of gradients");
    }
    check_same_file(f, path, e);
    if (shared_error_agree(e, communicator) == SHARED_OK) {
        open_datasets(f, communicator, path, e);
        shared_error_agree(e, communicator);
    }
}

int gradient_file_open(gradient_file **file, MPI_Comm communicator, const char *path,
                       bool curvature, shared_error *e)
{
    int rank = 0;
    MPI_Comm_rank(communicator, &rank);
    shared_error_quiet_hdf5();
    *file = NULL;
    gradient_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        shared_error_set(e, SHARED_SYSTEM, "no memory for a file of gradients");
    } else {
        f->communicator = communicator;
        f->rank = rank;
        f->file = HDF5_NONE;
        f->has_curvature = curvature;
        snprintf(f->path, sizeof f->path, "%s", path);
        if (rank == 0) {
            gradient_layout_examine(&f->layout, path, curvature, e);
        }
    }
    if (shared_error_agree(e, communicator) == SHARED_OK &&
        gradient_layout_share(&f->layout, communicator, e) == SHARED_OK) {
        prepare(f, communicator, path, e);
    }
    if (e->kind != SHARED_OK) {
        gradient_file_close(&f);
    }
    *file = f;
    return e->kind;
}

static void close_datasets(hid_t *datasets, int count)
{
    for (int i = 0; i < count && datasets != NULL; i++) {
        if (datasets[i] >= 0) {
            H5Dclose(datasets[i]);
        }
    }
    free(datasets);
}

void gradient_file_close(gradient_file **file)
{
    gradient_file *f = *file;
    if (f == NULL) {
        return;
    }
    close_datasets(f->gradients, f->layout.parameter_count);
    close_datasets(f->curvature, f->layout.parameter_count);
    if (f->file >= 0) {
        H5Fclose(f->file);
    }
    gradient_layout_free(&f->layout);
    free(f);
    *file = NULL;
}

int64_t gradient_file_steps(const gradient_file *f)
{
    return f->layout.steps;
}

int64_t gradient_file_micro_batches(const gradient_file *f)
{
    return f->layout.micro_batches;
}

int gradient_file_parameter_count(const gradient_file *f)
{
    return f->layout.parameter_count;
}

const recorded_parameter *gradient_file_parameters(const gradient_file *f)
{
    return f->layout.parameters;
}

const double *gradient_file_samples(const gradient_file *f)
{
    return f->layout.samples;
}

static int read_failed(const gradient_file *f, int parameter, const char *object, shared_error *e)
{
    char what[sizeof f->path + GRADIENT_FILE_NAME_SIZE + 64];
    snprintf(what, sizeof what, "%s: cannot read /parameters/%s/%s", f->path,
             f->layout.parameters[parameter].name, object);
    return shared_error_from_hdf5(e, what);
}

/* Rank 0 reads what all want to know. The dataset belongs to a shared file, so all open it. */
static void broadcast(gradient_file *f, hid_t dataset, int parameter, float *values,
                      shared_error *e)
{
    const recorded_parameter *p = &f->layout.parameters[parameter];
    const int64_t most = 1 << 28;
    int64_t total = p->rows * p->cols;
    hdf5_rows all = {.rank = 2, .count = p->rows, .cols = p->cols};
    if (f->rank == 0 && hdf5_read_rows(dataset, &all, values) < 0) {
        read_failed(f, parameter, "initial_values", e);
    }
    if (shared_error_agree(e, f->communicator) != SHARED_OK) {
        return;
    }
    for (int64_t i = 0; i < total; i += most) {
        int count = (int)(total - i < most ? total - i : most);
        if (MPI_Bcast(values + i, count, MPI_FLOAT, 0, f->communicator) != MPI_SUCCESS) {
            shared_error_set(e, SHARED_SYSTEM, "MPI_Bcast failed");
        }
    }
}

int gradient_file_read_initial_values(gradient_file *f, int parameter, float *values,
                                      shared_error *e)
{
    char name[GRADIENT_FILE_NAME_SIZE + 32];
    snprintf(name, sizeof name, "/parameters/%s/initial_values",
             f->layout.parameters[parameter].name);
    hid_t dataset = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (dataset < 0) {
        read_failed(f, parameter, "initial_values", e);
    }
    if (shared_error_agree(e, f->communicator) == SHARED_OK) {
        broadcast(f, dataset, parameter, values, e);
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    return e->kind;
}

static int read_micro_batch(const gradient_file *f, int parameter, const char *object,
                            hid_t dataset, const int64_t lead[2], float *values, shared_error *e)
{
    const recorded_parameter *p = &f->layout.parameters[parameter];
    hdf5_rows rows = {
        .rank = 4, .lead = {lead[0], lead[1]}, .first = 0, .count = p->rows, .cols = p->cols};
    if (!p->has_steps) {
        rows.rank = 3;
        rows.lead[0] = lead[1];
    }
    if (hdf5_read_rows(dataset, &rows, values) < 0) {
        read_failed(f, parameter, object, e);
    }
    return e->kind;
}

int gradient_file_read(gradient_file *f, int parameter, int64_t step, int64_t micro_batch,
                       float *gradient, shared_error *e)
{
    const int64_t lead[2] = {step, micro_batch};
    return read_micro_batch(f, parameter, "gradients", f->gradients[parameter], lead, gradient, e);
}

/* The next piece of a stretch: whole rows if it begins with one, else what is left of the row. */
static void choose_piece(const recorded_parameter *p, int64_t first, int64_t count, hdf5_rows *rows)
{
    rows->first = first / p->cols;
    rows->first_col = first % p->cols;
    if (rows->first_col == 0 && count >= p->cols) {
        rows->count = count / p->cols;
        rows->cols = p->cols;
    } else {
        int64_t left = p->cols - rows->first_col;
        rows->count = 1;
        rows->cols = count < left ? count : left;
    }
}

int gradient_file_read_stretch(gradient_file *f, int parameter, int64_t step, int64_t micro_batch,
                               int64_t first, int64_t count, float *gradient, shared_error *e)
{
    const recorded_parameter *p = &f->layout.parameters[parameter];
    hdf5_rows rows = {.rank = 3, .lead = {micro_batch, 0}};
    if (p->has_steps) {
        rows = (hdf5_rows){.rank = 4, .lead = {step, micro_batch}};
    }
    for (int64_t i = 0; i < count && e->kind == SHARED_OK; i += rows.count * rows.cols) {
        choose_piece(p, first + i, count - i, &rows);
        if (hdf5_read_rows(f->gradients[parameter], &rows, gradient + i) < 0) {
            read_failed(f, parameter, "gradients", e);
        }
    }
    return e->kind;
}

int gradient_file_read_curvature(gradient_file *f, int parameter, int64_t step, int64_t micro_batch,
                                 float *curvature, shared_error *e)
{
    const int64_t lead[2] = {step, micro_batch};
    return read_micro_batch(f, parameter, "curvature", f->curvature[parameter], lead, curvature, e);
}
