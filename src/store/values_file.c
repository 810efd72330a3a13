/*
 * Parallel writing of parameter values; see values_file.h.
 */
#include "store/values_file.h"
#include "store/written_file.h"

#include <stdlib.h>

struct values_file {
    written_file file;
    written_datasets of;
};

static hid_t create_dataset(const values_file *f, const written_parameter *p, int64_t steps)
{
    char name[256];
    written_parameter_path(p, "values", name);
    hsize_t shape[3] = {(hsize_t)steps, (hsize_t)p->rows, (hsize_t)p->cols};
    return written_file_dataset(&f->file, name, 3, shape, NULL);
}

/* All ranks make the same calls, as parallel HDF5 wants it. */
static void lay_out(values_file *f, int64_t steps, shared_error *e)
{
    for (int i = 0; i < f->of.count && e->kind == SHARED_OK; i++) {
        f->of.datasets[i] = create_dataset(f, &f->of.parameters[i], steps);
        if (f->of.datasets[i] < 0) {
            shared_error_from_hdf5(e, f->file.partial);
        }
    }
}

static values_file *values_file_new(const written_parameter *parameters, int count, shared_error *e)
{
    values_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        shared_error_set(e, SHARED_SYSTEM, "no memory for a file of values");
        return NULL;
    }
    f->file.file = HDF5_NONE;
    written_datasets_make(&f->of, parameters, count, e);
    return f;
}

/* Length of the file, with plenty for what HDF5 adds. */
static double bytes_needed(const written_parameter *parameters, int count, int64_t steps)
{
    double elements = 0.0;
    for (int i = 0; i < count; i++) {
        elements += (double)parameters[i].rows * (double)parameters[i].cols;
    }
    return elements * (double)steps * (double)sizeof(float) + 65536.0 + 4096.0 * count;
}

int values_file_create(values_file **file, MPI_Comm communicator, const char *path, int64_t steps,
                       const written_parameter *parameters, int count, const char *version,
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
    const written_parameter *p = &f->of.parameters[parameter];
    if (written_file_panel(&f->file, f->of.datasets[parameter], p, 3, step, values) < 0) {
        return written_file_failed(&f->file, e);
    }
    return e->kind;
}

static void values_file_free(values_file **file)
{
    written_datasets_free(&(*file)->of);
    free(*file);
    *file = NULL;
}

int values_file_finish(values_file **file, shared_error *e)
{
    written_datasets_close(&(*file)->of, &(*file)->file, e);
    written_file_finish(&(*file)->file, e);
    values_file_free(file);
    return e->kind;
}

void values_file_abandon(values_file **file)
{
    if (*file != NULL) {
        shared_error ignored = {0, ""};
        written_datasets_close(&(*file)->of, &(*file)->file, &ignored);
        written_file_abandon(&(*file)->file);
        values_file_free(file);
    }
}
