/*
 * Recording of gradients; see gradient_recorder.h.
 *
 * Gradients are in chunks, which can be given back where a run ends early: whole micro-batches of a
 * step as far as they fit, of small parameters several steps.
 */
#include "store/gradient_recorder.h"
#include "store/written_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements of a chunk: 1 GiB at most (HDF5 takes 4), and 256 KiB before steps share one. */
static const int64_t most_elements = 1 << 28;
static const int64_t usual_elements = 1 << 16;

struct gradient_recorder {
    written_file file;
    int64_t steps, micro_batches;
    int count;
    hid_t *datasets;                /* [count] */
    recorder_parameter *parameters; /* [count] */
};

static int64_t clamp(int64_t value, int64_t highest)
{
    return value < 1 ? 1 : value < highest ? value : highest;
}

static void choose_chunk(const gradient_recorder *r, const recorder_parameter *p, hsize_t chunk[4])
{
    int64_t cols = clamp(p->cols, most_elements);
    int64_t rows = clamp(most_elements / cols, p->rows);
    int64_t micro_batches = clamp(most_elements / (cols * rows), r->micro_batches);
    int64_t steps = clamp(usual_elements / (cols * rows * micro_batches), r->steps);
    chunk[0] = (hsize_t)steps;
    chunk[1] = (hsize_t)micro_batches;
    chunk[2] = (hsize_t)rows;
    chunk[3] = (hsize_t)cols;
}

static void shape_of(const gradient_recorder *r, const recorder_parameter *p, hsize_t shape[4])
{
    shape[0] = (hsize_t)r->steps;
    shape[1] = (hsize_t)r->micro_batches;
    shape[2] = (hsize_t)p->rows;
    shape[3] = (hsize_t)p->cols;
}

/* Length of the file, with plenty for what HDF5 adds to every chunk and parameter. */
static double bytes_needed(const gradient_recorder *r)
{
    double bytes = 65536.0;
    for (int i = 0; i < r->count; i++) {
        const recorder_parameter *p = &r->parameters[i];
        hsize_t shape[4], chunk[4];
        double chunks = 1.0, size = (double)sizeof(float);
        shape_of(r, p, shape);
        choose_chunk(r, p, chunk);
        for (int d = 0; d < 4; d++) {
            hsize_t along = (shape[d] + chunk[d] - 1) / chunk[d];
            chunks *= (double)along;
            size *= (double)chunk[d];
        }
        bytes += chunks * (size + 256.0) + 16384.0;
        bytes += (double)p->rows * (double)p->cols * (double)sizeof(float);
    }
    return bytes;
}

/* The attribute samples: the same number for every micro-batch. */
static bool write_samples(const gradient_recorder *r, hid_t dataset, double samples)
{
    hsize_t length = (hsize_t)r->micro_batches;
    double *values = malloc((size_t)length * sizeof *values);
    hid_t space = H5Screate_simple(1, &length, NULL);
    hid_t attribute = HDF5_NONE;
    for (hsize_t k = 0; k < length && values != NULL; k++) {
        values[k] = samples;
    }
    if (values != NULL && space >= 0) {
        attribute = H5Acreate2(dataset, "samples", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    bool good = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_DOUBLE, values) >= 0;
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    free(values);
    return good;
}

static void initial_values_name(const recorder_parameter *p, char name[256])
{
    snprintf(name, 256, "/parameters/%.200s/initial_values", p->name);
}

static bool create_initial_values(const gradient_recorder *r, const recorder_parameter *p)
{
    char name[256];
    hsize_t shape[2] = {(hsize_t)p->rows, (hsize_t)p->cols};
    initial_values_name(p, name);
    hid_t dataset = written_file_dataset(&r->file, name, 2, shape, NULL);
    return dataset >= 0 && H5Dclose(dataset) >= 0;
}

/* Every rank writes its panel of rows. */
static bool write_initial_values(const gradient_recorder *r, const recorder_parameter *p)
{
    char name[256];
    initial_values_name(p, name);
    hid_t dataset = H5Dopen2(r->file.file, name, H5P_DEFAULT);
    int64_t first = p->rows * r->file.rank / r->file.ranks;
    int64_t end = p->rows * (r->file.rank + 1) / r->file.ranks;
    hdf5_rows panel = {.rank = 2, .first = first, .count = end - first, .cols = p->cols};
    bool good =
        dataset >= 0 && hdf5_write_rows(dataset, &panel, p->initial_values + first * p->cols) >= 0;
    hid_t errors = hdf5_keep_errors();
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    hdf5_restore_errors(errors);
    return good;
}

static bool create_parameter(gradient_recorder *r, int parameter, double samples)
{
    const recorder_parameter *p = &r->parameters[parameter];
    char name[256];
    hsize_t shape[4], chunk[4];
    snprintf(name, sizeof name, "/parameters/%.200s/gradients", p->name);
    shape_of(r, p, shape);
    choose_chunk(r, p, chunk);
    r->datasets[parameter] = written_file_dataset(&r->file, name, 4, shape, chunk);
    return r->datasets[parameter] >= 0 && write_samples(r, r->datasets[parameter], samples) &&
           create_initial_values(r, p);
}

/* Structure first, on all ranks alike; then, when that is agreed, values. */
static void lay_out(gradient_recorder *r, double samples, shared_error *e)
{
    for (int i = 0; i < r->count && e->kind == SHARED_OK; i++) {
        if (!create_parameter(r, i, samples)) {
            shared_error_from_hdf5(e, r->file.partial);
        }
    }
    if (written_file_keep_space(&r->file, e) != SHARED_OK) {
        return;
    }
    bool good = true;
    for (int i = 0; i < r->count; i++) {
        good = write_initial_values(r, &r->parameters[i]) && good;
    }
    if (!good) {
        written_file_failed(&r->file, e);
    }
    shared_error_agree(e, r->file.communicator);
}

static gradient_recorder *recorder_new(const recorder_parameter *parameters, int count,
                                       shared_error *e)
{
    gradient_recorder *r = calloc(1, sizeof *r);
    hid_t *datasets = calloc((size_t)count, sizeof *datasets);
    recorder_parameter *copy = calloc((size_t)count, sizeof *copy);
    if (r == NULL || datasets == NULL || copy == NULL) {
        shared_error_set(e, SHARED_SYSTEM, "no memory for a file of gradients");
        free(r);
        free(datasets);
        free(copy);
        return NULL;
    }
    memcpy(copy, parameters, (size_t)count * sizeof *copy);
    for (int i = 0; i < count; i++) {
        datasets[i] = HDF5_NONE;
    }
    r->file.file = HDF5_NONE;
    r->count = count;
    r->datasets = datasets;
    r->parameters = copy;
    return r;
}

int gradient_recorder_create(gradient_recorder **recorder, MPI_Comm communicator, const char *path,
                             int64_t steps, int64_t micro_batches, double samples,
                             const recorder_parameter *parameters, int count, const char *version,
                             const char *options, shared_error *e)
{
    *recorder = NULL;
    gradient_recorder *r = recorder_new(parameters, count, e);
    if (shared_error_agree(e, communicator) == SHARED_OK) {
        r->steps = steps;
        r->micro_batches = micro_batches;
        if (written_file_begin(&r->file, communicator, path, bytes_needed(r), "plumb train",
                               version, options, e) == SHARED_OK) {
            lay_out(r, samples, e);
        }
    }
    if (e->kind != SHARED_OK) {
        gradient_recorder_abandon(&r);
    }
    *recorder = r;
    return e->kind;
}

int gradient_recorder_write(gradient_recorder *r, int parameter, int64_t step, int64_t micro_batch,
                            const float *gradient, shared_error *e)
{
    const recorder_parameter *p = &r->parameters[parameter];
    hdf5_rows rows = {.rank = 4, .lead = {step, micro_batch}, .count = p->rows, .cols = p->cols};
    if (hdf5_write_rows(r->datasets[parameter], &rows, gradient) < 0) {
        return written_file_failed(&r->file, e);
    }
    return e->kind;
}

/* Gives the space of the steps behind `steps` back. Collective. */
static void cut(gradient_recorder *r, int64_t steps, shared_error *e)
{
    for (int i = 0; i < r->count && steps < r->steps; i++) {
        hsize_t shape[4];
        shape_of(r, &r->parameters[i], shape);
        shape[0] = (hsize_t)steps;
        if (H5Dset_extent(r->datasets[i], shape) < 0) {
            written_file_failed(&r->file, e);
        }
    }
}

static void close_datasets(gradient_recorder *r, shared_error *e)
{
    for (int i = 0; i < r->count; i++) {
        if (r->datasets[i] >= 0 && H5Dclose(r->datasets[i]) < 0) {
            written_file_failed(&r->file, e);
        }
        r->datasets[i] = HDF5_NONE;
    }
}

static void recorder_free(gradient_recorder **recorder)
{
    free((*recorder)->datasets);
    free((*recorder)->parameters);
    free(*recorder);
    *recorder = NULL;
}

int gradient_recorder_finish(gradient_recorder **recorder, int64_t steps, shared_error *e)
{
    gradient_recorder *r = *recorder;
    cut(r, steps, e);
    close_datasets(r, e);
    written_file_finish(&r->file, e);
    recorder_free(recorder);
    return e->kind;
}

void gradient_recorder_abandon(gradient_recorder **recorder)
{
    if (*recorder != NULL) {
        shared_error ignored = {0, ""};
        close_datasets(*recorder, &ignored);
        written_file_abandon(&(*recorder)->file);
        recorder_free(recorder);
    }
}
