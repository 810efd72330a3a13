/*
 * Recording of gradients; see gradient_recorder.h.
 *
 * Gradients are in chunks, which can be given back where a run ends early: whole micro-batches of a
 * step as far as they fit, of small parameters several steps.
 */
#include "store/gradient_recorder.h"
#include "store/written_file.h"

#include <stdlib.h>

/* Elements of a chunk: 1 GiB at most (HDF5 takes 4), and 256 KiB before steps share one. */
static const int64_t most_elements = 1 << 28;
static const int64_t usual_elements = 1 << 16;

struct gradient_recorder {
    written_file file;
    int64_t steps, micro_batches;
    written_datasets of;
};

static int64_t clamp(int64_t value, int64_t highest)
{
    return value < 1 ? 1 : value < highest ? value : highest;
}

static void choose_chunk(const gradient_recorder *r, const written_parameter *p, hsize_t chunk[4])
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

static void shape_of(const gradient_recorder *r, const written_parameter *p, hsize_t shape[4])
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
    for (int i = 0; i < r->of.count; i++) {
        const written_parameter *p = &r->of.parameters[i];
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

static bool create_initial_values(const gradient_recorder *r, const written_parameter *p)
{
    char name[256];
    hsize_t shape[2] = {(hsize_t)p->rows, (hsize_t)p->cols};
    written_parameter_path(p, "initial_values", name);
    hid_t dataset = written_file_dataset(&r->file, name, 2, shape, NULL);
    return dataset >= 0 && H5Dclose(dataset) >= 0;
}

/* Every rank writes its panel of rows. */
static bool write_initial_values(const gradient_recorder *r, const written_parameter *p)
{
    char name[256];
    written_parameter_path(p, "initial_values", name);
    hid_t dataset = H5Dopen2(r->file.file, name, H5P_DEFAULT);
    bool good =
        dataset >= 0 && written_file_panel(&r->file, dataset, p, 2, 0, p->initial_values) >= 0;
    hid_t errors = hdf5_keep_errors();
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    hdf5_restore_errors(errors);
    return good;
}

static bool create_parameter(gradient_recorder *r, int parameter, double samples)
{
    const written_parameter *p = &r->of.parameters[parameter];
    char name[256];
    hsize_t shape[4], chunk[4];
    written_parameter_path(p, "gradients", name);
    shape_of(r, p, shape);
    choose_chunk(r, p, chunk);
    r->of.datasets[parameter] = written_file_dataset(&r->file, name, 4, shape, chunk);
    return r->of.datasets[parameter] >= 0 && write_samples(r, r->of.datasets[parameter], samples) &&
           create_initial_values(r, p);
}

/* Structure first, on all ranks alike; then, when that is agreed, values. */
static void lay_out(gradient_recorder *r, double samples, shared_error *e)
{
    for (int i = 0; i < r->of.count && e->kind == SHARED_OK; i++) {
        if (!create_parameter(r, i, samples)) {
            shared_error_from_hdf5(e, r->file.partial);
        }
    }
    if (written_file_keep_space(&r->file, e) != SHARED_OK) {
        return;
    }
    bool good = true;
    for (int i = 0; i < r->of.count; i++) {
        good = write_initial_values(r, &r->of.parameters[i]) && good;
    }
    if (!good) {
        written_file_failed(&r->file, e);
    }
    shared_error_agree(e, r->file.communicator);
}

static gradient_recorder *recorder_new(const written_parameter *parameters, int count,
                                       shared_error *e)
{
    gradient_recorder *r = calloc(1, sizeof *r);
    if (r == NULL) {
        shared_error_set(e, SHARED_SYSTEM, "no memory for a file of gradients");
        return NULL;
    }
    r->file.file = HDF5_NONE;
    written_datasets_make(&r->of, parameters, count, e);
    return r;
}

int gradient_recorder_create(gradient_recorder **recorder, MPI_Comm communicator, const char *path,
                             int64_t steps, int64_t micro_batches, double samples,
                             const written_parameter *parameters, int count, const char *version,
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
    const written_parameter *p = &r->of.parameters[parameter];
    hdf5_rows rows = {.rank = 4, .lead = {step, micro_batch}, .count = p->rows, .cols = p->cols};
    if (hdf5_write_rows(r->of.datasets[parameter], &rows, gradient) < 0) {
        return written_file_failed(&r->file, e);
    }
    return e->kind;
}

/* Gives the space of the steps behind `steps` back. Collective. */
static void cut(gradient_recorder *r, int64_t steps, shared_error *e)
{
    for (int i = 0; i < r->of.count && steps < r->steps; i++) {
        hsize_t shape[4];
        shape_of(r, &r->of.parameters[i], shape);
        shape[0] = (hsize_t)steps;
        if (H5Dset_extent(r->of.datasets[i], shape) < 0) {
            written_file_failed(&r->file, e);
        }
    }
}

static void recorder_free(gradient_recorder **recorder)
{
    written_datasets_free(&(*recorder)->of);
    free(*recorder);
    *recorder = NULL;
}

int gradient_recorder_finish(gradient_recorder **recorder, int64_t steps, shared_error *e)
{
    gradient_recorder *r = *recorder;
    cut(r, steps, e);
    written_datasets_close(&r->of, &r->file, e);
    written_file_finish(&r->file, e);
    recorder_free(recorder);
    return e->kind;
}

void gradient_recorder_abandon(gradient_recorder **recorder)
{
    if (*recorder != NULL) {
        shared_error ignored = {0, ""};
        written_datasets_close(&(*recorder)->of, &(*recorder)->file, &ignored);
        written_file_abandon(&(*recorder)->file);
        recorder_free(recorder);
    }
}
