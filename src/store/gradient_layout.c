/*
 * Examining a file of recorded gradients; see gradient_layout.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/gradient_layout.h"
#include "store/hdf5_parallel.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_DIMENSIONS = 4 };

/* An object on its way: the open file, and the name of what is being looked at. */
typedef struct examination {
    const char *path;
    hid_t file;
    gradient_layout *layout;
    shared_error *e;
    bool first_has_samples;
    bool curvature; /* must be there */
} examination;

static int wrong(const examination *x, const char *object, const char *what)
{
    return shared_error_set(x->e, SHARED_FILE, "%s: %s %s", x->path, object, what);
}

static int no_memory(shared_error *e)
{
    return shared_error_set(e, SHARED_SYSTEM, "no memory for the list of recorded parameters");
}

/* The dimensions of a dataset of floats, or an error that names it. */
static int dataset_shape(const examination *x, const char *object, int *rank,
                         hsize_t dimensions[MOST_DIMENSIONS])
{
    hid_t dataset = H5Dopen2(x->file, object, H5P_DEFAULT);
    if (dataset < 0) {
        return wrong(x, object, "is not a dataset that can be read");
    }
    hid_t type = H5Dget_type(dataset);
    hid_t space = H5Dget_space(dataset);
    *rank = H5Sget_simple_extent_ndims(space);
    if (H5Tget_class(type) != H5T_FLOAT) {
        wrong(x, object, "does not hold floating-point numbers");
    } else if (*rank < 0 || *rank > MOST_DIMENSIONS) {
        wrong(x, object, "has more than 4 dimensions");
    } else {
        H5Sget_simple_extent_dims(space, dimensions, NULL);
    }
    for (int i = 0; i < *rank && x->e->kind == SHARED_OK; i++) {
        if (dimensions[i] < 1 || dimensions[i] > (hsize_t)1 << 52) {
            wrong(x, object, "has a dimension of length 0");
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
    return x->e->kind;
}

/* Shape of the gradients into `p`; steps and micro-batches must be those of the first one. */
static int examine_gradients(examination *x, const char *object, recorded_parameter *p)
{
    gradient_layout *layout = x->layout;
    hsize_t shape[MOST_DIMENSIONS] = {0};
    int rank = 0;
    if (dataset_shape(x, object, &rank, shape) != SHARED_OK) {
        return x->e->kind;
    }
    if (rank != 3 && rank != 4) {
        return shared_error_set(x->e, SHARED_FILE,
                                "%s: %s has %d dimension%s, expected [steps, micro-batches, rows, "
                                "cols] or [micro-batches, rows, cols]",
                                x->path, object, rank, rank == 1 ? "" : "s");
    }
    const hsize_t *tail = shape + rank - 3;
    int64_t steps = rank == 4 ? (int64_t)shape[0] : 1;
    int64_t micro_batches = (int64_t)tail[0];
    p->has_steps = rank == 4;
    p->rows = (int64_t)tail[1];
    p->cols = (int64_t)tail[2];
    if (micro_batches > INT32_MAX || (double)p->rows * (double)p->cols > 0x1p40) {
        return wrong(x, object, "is larger than a step can be");
    }
    if (layout->steps == 0) {
        layout->steps = steps;
        layout->micro_batches = micro_batches;
    }
    if (steps != layout->steps || micro_batches != layout->micro_batches) {
        return shared_error_set(x->e, SHARED_FILE,
                                "%s: %s has %" PRId64 " steps of %" PRId64
                                " micro-batches, but /parameters/%s has %" PRId64 " of %" PRId64,
                                x->path, object, steps, micro_batches, layout->parameters[0].name,
                                layout->steps, layout->micro_batches);
    }
    return SHARED_OK;
}

static int examine_initial_values(examination *x, const char *object, recorded_parameter *p)
{
    hsize_t shape[MOST_DIMENSIONS] = {0};
    int rank = 0;
    p->has_initial_values = H5Lexists(x->file, object, H5P_DEFAULT) > 0;
    if (!p->has_initial_values || dataset_shape(x, object, &rank, shape) != SHARED_OK) {
        return x->e->kind;
    }
    if (rank != 2 || (int64_t)shape[0] != p->rows || (int64_t)shape[1] != p->cols) {
        return shared_error_set(x->e, SHARED_FILE,
                                "%s: %s is not %" PRId64 " x %" PRId64 " like its gradients",
                                x->path, object, p->rows, p->cols);
    }
    return SHARED_OK;
}

/* It must have all dimensions of the gradients. */
static int examine_curvature(examination *x, const char *group, const recorded_parameter *p)
{
    char object[GRADIENT_FILE_NAME_SIZE + 48];
    hsize_t shape[MOST_DIMENSIONS] = {0};
    int rank = 0;
    snprintf(object, sizeof object, "%s/curvature", group);
    if (H5Lexists(x->file, object, H5P_DEFAULT) <= 0) {
        return wrong(x, group, "has no dataset curvature, which the optimizer needs");
    }
    if (dataset_shape(x, object, &rank, shape) != SHARED_OK) {
        return x->e->kind;
    }
    const gradient_layout *layout = x->layout;
    const int64_t expected[MOST_DIMENSIONS] = {layout->steps, layout->micro_batches, p->rows,
                                               p->cols};
    int wanted = p->has_steps ? 4 : 3;
    bool same = rank == wanted;
    for (int i = 0; i < rank && same; i++) {
        same = (int64_t)shape[i] == expected[MOST_DIMENSIONS - wanted + i];
    }
    if (!same) {
        return shared_error_set(x->e, SHARED_FILE,
                                "%s: %s has not the shape of its gradients, %" PRId64
                                " steps of %" PRId64 " micro-batches of %" PRId64 " x %" PRId64,
                                x->path, object, layout->steps, layout->micro_batches, p->rows,
                                p->cols);
    }
    return SHARED_OK;
}

/* The attribute as doubles [K] into `samples`. */
static int read_samples(const examination *x, const char *object, double *samples)
{
    hid_t attribute = H5Aopen_by_name(x->file, object, "samples", H5P_DEFAULT, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);
    hid_t space = H5Aget_space(attribute);
    H5T_class_t class = H5Tget_class(type);
    int64_t length = (int64_t)H5Sget_simple_extent_npoints(space);
    if (class != H5T_FLOAT && class != H5T_INTEGER) {
        wrong(x, object, "has an attribute samples that does not hold numbers");
    } else if (length != x->layout->micro_batches) {
        shared_error_set(x->e, SHARED_FILE,
                         "%s: %s has an attribute samples of length %" PRId64
                         ", expected one number for each of %" PRId64 " micro-batches",
                         x->path, object, length, x->layout->micro_batches);
    } else if (H5Aread(attribute, H5T_NATIVE_DOUBLE, samples) < 0) {
        wrong(x, object, "has an attribute samples that cannot be read");
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return x->e->kind;
}

static int check_positive(const examination *x, const char *object, const double *samples)
{
    for (int64_t k = 0; k < x->layout->micro_batches; k++) {
        if (!(samples[k] > 0.0) || isinf(samples[k])) {
            return shared_error_set(x->e, SHARED_FILE,
                                    "%s: %s has %g samples in micro-batch %" PRId64
                                    ", expected a positive number",
                                    x->path, object, samples[k], k);
        }
    }
    return SHARED_OK;
}

/* The first parameter says the samples, or that there are none; the others must say the same. */
static int examine_samples(examination *x, const char *object, bool first)
{
    gradient_layout *layout = x->layout;
    bool has = H5Aexists_by_name(x->file, object, "samples", H5P_DEFAULT) > 0;
    size_t size = (size_t)layout->micro_batches * sizeof *layout->samples;
    double *samples = malloc(size);
    if (samples == NULL) {
        return no_memory(x->e);
    }
    for (int64_t k = 0; k < layout->micro_batches; k++) {
        samples[k] = 1.0;
    }
    if (has && read_samples(x, object, samples) == SHARED_OK) {
        check_positive(x, object, samples);
    }
    if (first) {
        layout->samples = samples;
        x->first_has_samples = has;
        return x->e->kind;
    }
    if (x->e->kind == SHARED_OK &&
        (has != x->first_has_samples || memcmp(samples, layout->samples, size) != 0)) {
        wrong(x, object, "has other samples than the parameters before it");
    }
    free(samples);
    return x->e->kind;
}

static int examine_parameter(examination *x, recorded_parameter *p, bool first)
{
    char group[GRADIENT_FILE_NAME_SIZE + 32];
    char gradients[sizeof group + 16];
    char initial_values[sizeof group + 16];
    snprintf(group, sizeof group, "/parameters/%s", p->name);
    snprintf(gradients, sizeof gradients, "%s/gradients", group);
    snprintf(initial_values, sizeof initial_values, "%s/initial_values", group);
    hid_t handle = H5Gopen2(x->file, group, H5P_DEFAULT);
    if (handle < 0) {
        return wrong(x, group, "is not a group");
    }
    H5Gclose(handle);
    if (H5Lexists(x->file, gradients, H5P_DEFAULT) <= 0) {
        return wrong(x, group, "has no dataset gradients");
    }
    if (examine_gradients(x, gradients, p) == SHARED_OK &&
        examine_initial_values(x, initial_values, p) == SHARED_OK &&
        examine_samples(x, gradients, first) == SHARED_OK && x->curvature) {
        examine_curvature(x, group, p);
    }
    return x->e->kind;
}

/* The names below /parameters, sorted. */
static int list_parameters(examination *x)
{
    gradient_layout *layout = x->layout;
    H5G_info_t info;
    if (H5Lexists(x->file, "parameters", H5P_DEFAULT) <= 0 ||
        H5Gget_info_by_name(x->file, "parameters", &info, H5P_DEFAULT) < 0) {
        return shared_error_set(x->e, SHARED_FILE, "%s has no group /parameters", x->path);
    }
    if (info.nlinks < 1 || info.nlinks > 1000000) {
        return shared_error_set(x->e, SHARED_FILE, "%s: /parameters holds %" PRIu64 " parameters",
                                x->path, (uint64_t)info.nlinks);
    }
    layout->parameters = calloc((size_t)info.nlinks, sizeof *layout->parameters);
    if (layout->parameters == NULL) {
        return no_memory(x->e);
    }
    layout->parameter_count = (int)info.nlinks;
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char *name = layout->parameters[i].name;
        ssize_t length = H5Lget_name_by_idx(x->file, "parameters", H5_INDEX_NAME, H5_ITER_INC, i,
                                            name, GRADIENT_FILE_NAME_SIZE, H5P_DEFAULT);
        if (length < 0 || length >= GRADIENT_FILE_NAME_SIZE) {
            return wrong(x, name, "...: the name of a parameter is longer than 127 bytes");
        }
    }
    return SHARED_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const recorded_parameter *)a)->name, ((const recorded_parameter *)b)->name);
}

/* What the system says before HDF5 is asked, whose own words are less clear. */
static int look_at_file(gradient_layout *layout, const char *path, shared_error *e)
{
    struct stat status;
    if (stat(path, &status) != 0 || access(path, R_OK) != 0) {
        return shared_error_set(e, SHARED_FILE, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return shared_error_set(e, SHARED_FILE, "%s is not a file", path);
    }
    layout->bytes = (int64_t)status.st_size;
    if (H5Fis_hdf5(path) <= 0) {
        return shared_error_set(e, SHARED_FILE, "%s is not an HDF5 file", path);
    }
    return SHARED_OK;
}

int gradient_layout_examine(gradient_layout *layout, const char *path, bool curvature,
                            shared_error *e)
{
    examination x = {
        .path = path, .file = HDF5_NONE, .layout = layout, .e = e, .curvature = curvature};
    *layout = (gradient_layout){.parameters = NULL};
    if (look_at_file(layout, path, e) != SHARED_OK) {
        return e->kind;
    }
    x.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (x.file < 0) {
        return shared_error_from_hdf5(e, path);
    }
    if (list_parameters(&x) == SHARED_OK) {
        qsort(layout->parameters, (size_t)layout->parameter_count, sizeof *layout->parameters,
              by_name);
    }
    for (int i = 0; i < layout->parameter_count && e->kind == SHARED_OK; i++) {
        examine_parameter(&x, &layout->parameters[i], i == 0);
    }
    H5Fclose(x.file);
    return e->kind;
}

int gradient_layout_share(gradient_layout *layout, MPI_Comm communicator, shared_error *e)
{
    int rank = 0;
    int64_t sizes[4] = {layout->steps, layout->micro_batches, layout->bytes,
                        layout->parameter_count};
    MPI_Comm_rank(communicator, &rank);
    if (MPI_Bcast(sizes, 4, MPI_INT64_T, 0, communicator) != MPI_SUCCESS) {
        return shared_error_set(e, SHARED_SYSTEM, "MPI_Bcast failed");
    }
    size_t count = (size_t)sizes[3];
    if (rank != 0) {
        layout->steps = sizes[0];
        layout->micro_batches = sizes[1];
        layout->bytes = sizes[2];
        layout->parameter_count = (int)count;
        layout->parameters = calloc(count, sizeof *layout->parameters);
        layout->samples = calloc((size_t)sizes[1], sizeof *layout->samples);
        if (layout->parameters == NULL || layout->samples == NULL) {
            no_memory(e);
        }
    }
    if (shared_error_agree(e, communicator) != SHARED_OK) {
        return e->kind;
    }
    int bytes = (int)(count * sizeof *layout->parameters); /* at most 160 MB */
    if (MPI_Bcast(layout->parameters, bytes, MPI_BYTE, 0, communicator) != MPI_SUCCESS ||
        MPI_Bcast(layout->samples, (int)sizes[1], MPI_DOUBLE, 0, communicator) != MPI_SUCCESS) {
        return shared_error_set(e, SHARED_SYSTEM, "MPI_Bcast failed");
    }
    return SHARED_OK;
}

void gradient_layout_free(gradient_layout *layout)
{
    free(layout->parameters);
    free(layout->samples);
    *layout = (gradient_layout){.parameters = NULL};
}
