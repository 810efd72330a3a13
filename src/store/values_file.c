/*
 * Parallel writing of parameter values; see values_file.h.
 */
#include "store/values_file.h"
#include "store/written_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct values_file {
    written_file file;
    int count;
    hid_t *datasets;              /* [count] */
    values_parameter *parameters; /* [count] */
};

static hid_t create_dataset(const values_file *f, const values_parameter *p, int64_t steps)
{
    char name[256];
    snprintf(name, sizeof name, "/parameters/%.200s/values", p->name);
    hsize_t shape[3] = {(hsize_t)steps, (hsize_t)p->rows, (hsize_t)p->cols};
    return written_file_dataset(&f->file, name, 3, shape, NULL);
}

/* All ranks make the same calls, as parallel HDF5 wants it. */
static void lay_out(values_file *f, int64_t steps, shared_error *e)
{
    for (int i = 0; i < f->count && e->kind == SHARED_OK; i++) {
        f->datasets[i] = create_dataset(f, &f->parameters[i], steps);
        if (f->datasets[i] < 0) {
            shared_error_from_hdf5(e, f->file.partial);
        }
    }
}

static values_file *values_file_new(const values_parameter *parameters, int count, shared_error *e)
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
    f->file.file = HDF5_NONE;
    f->count = count;
    f->datasets = datasets;
    f->parameters = copy;
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
    *file = NULL;
    values_file *f = values_file_new(parameters, count, e);
    if (shared_error_agree(e, communicator) == SHARED_OK &&
        written_file_begin(&f->file, communicator, path, bytes_needed(parameters, count, steps),
                           "plumb replay", version, options, e) == SHARED_OK) {
        lay_out(f, steps, e);
        written_file_keep_space(&f->file, e);
    }
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
    int64_t first = p->rows * f->file.rank / f->file.ranks;
    int64_t end = p->rows * (f->file.rank + 1) / f->file.ranks;
    hdf5_rows panel = {
        .rank = 3, .lead = {step}, .first = first, .count = end - first, .cols = p->cols};
    if (hdf5_write_rows(f->datasets[parameter], &panel, values + first * p->cols) < 0) {
        return written_file_failed(&f->file, e);
    }
    return e->kind;
}

/* `e` tells if HDF5 could not write the rest. */
static void close_datasets(values_file *f, shared_error *e)
{
    for (int i = 0; i < f->count; i++) {
        if (f->datasets[i] >= 0 && H5Dclose(f->datasets[i]) < 0) {
            written_file_failed(&f->file, e);
        }
        f->datasets[i] = HDF5_NONE;
    }
}

static void values_file_free(values_file **file)
{
    free((*file)->datasets);
    free((*file)->parameters);
    free(*file);
    *file = NULL;
}

int values_file_finish(values_file **file, shared_error *e)
{
    close_datasets(*file, e);
    written_file_finish(&(*file)->file, e);
    values_file_free(file);
    return e->kind;
}

void values_file_abandon(values_file **file)
{
    if (*file != NULL) {
        shared_error ignored = {0, ""};
        close_datasets(*file, &ignored);
        written_file_abandon(&(*file)->file);
        values_file_free(file);
    }
}
