/*
 * What files of parameters have in common: a dataset of each, written by all ranks; see
 * written_file.h.
 */
#include "store/written_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int written_datasets_make(written_datasets *d, const written_parameter *parameters, int count,
                          shared_error *e)
{
    *d = (written_datasets){.datasets = calloc((size_t)count, sizeof *d->datasets),
                            .parameters = calloc((size_t)count, sizeof *d->parameters)};
    if (d->datasets == NULL || d->parameters == NULL) {
        return shared_error_set(e, SHARED_SYSTEM, "no memory for a file of %d parameters", count);
    }
    memcpy(d->parameters, parameters, (size_t)count * sizeof *parameters);
    for (int i = 0; i < count; i++) {
        d->datasets[i] = HDF5_NONE;
    }
    d->count = count;
    return e->kind;
}

void written_datasets_close(written_datasets *d, const written_file *f, shared_error *e)
{
    for (int i = 0; i < d->count; i++) {
        if (d->datasets[i] >= 0 && H5Dclose(d->datasets[i]) < 0) {
            written_file_failed(f, e);
        }
        d->datasets[i] = HDF5_NONE;
    }
}

void written_datasets_free(written_datasets *d)
{
    free(d->datasets);
    free(d->parameters);
    *d = (written_datasets){.count = 0};
}

void written_parameter_path(const written_parameter *p, const char *what, char path[256])
{
    snprintf(path, 256, "/parameters/%.200s/%s", p->name, what);
}

int written_file_panel(const written_file *f, hid_t dataset, const written_parameter *p, int rank,
                       int64_t lead, const float *values)
{
    int64_t first = p->rows * f->rank / f->ranks;
    int64_t end = p->rows * (f->rank + 1) / f->ranks;
    hdf5_rows panel = {
        .rank = rank, .lead = {lead}, .first = first, .count = end - first, .cols = p->cols};
    return hdf5_write_rows(dataset, &panel, values + first * p->cols);
}
