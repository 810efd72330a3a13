/*
 * Makes small files of recorded gradients for the tests of plumb replay, right ones and wrong
 * ones: gradient_fixture KIND OUT.h5. Every file starts from the same good recording of a matrix
 * and a vector; a kind changes one thing. The numbers are whole 1024ths: exact in every type.
 */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What may differ from the good recording, for the parameter "vector"; the matrix stays good. */
typedef struct fixture {
    const char *kind;
    int ranks; /* dimensions of the gradients: 4, or less */
    hsize_t steps, micro_batches;
    hsize_t rows;
    hid_t *type;
    double odd;            /* in place of one gradient; 0: none */
    const double *samples; /* [sample_count] */
    hsize_t sample_count;
    int initial; /* 1: right, 2: of another shape, 3: with a NaN */
    int chunked;
    int without; /* 1: no gradients, 2: no group /parameters, 3: it is empty */
    /* 1: right, 2: one step less, 3: a row more, 4: a NaN, 5: integers, 6: only the matrix's,
     * 7: without the first dimension */
    int curvature;
    int steps_for_all;
} fixture;

enum { COLS = 5, MICRO_BATCHES = 8, STEPS = 3 };

static const double same_samples[MICRO_BATCHES] = {3, 3, 3, 3, 3, 3, 3, 3};
static const double other_samples[MICRO_BATCHES] = {1, 2, 3, 4, 3, 2, 1, 8};
static const double zero_samples[MICRO_BATCHES] = {1, 1, 1, 0, 1, 1, 1, 1};
static const double negative_samples[MICRO_BATCHES] = {1, 1, 1, 1, 1, 1, -2, 1};

static hid_t single, wide, big_endian, integer;

static const fixture fixtures[] = {
    {.kind = "good", .initial = 1},
    {.kind = "one-step", .ranks = 3, .steps = 1, .initial = 1, .steps_for_all = 1},
    {.kind = "doubles", .type = &wide, .initial = 1},
    {.kind = "big-endian", .type = &big_endian, .initial = 1},
    {.kind = "compressed", .chunked = 1, .initial = 1},
    {.kind = "same-samples", .samples = same_samples, .initial = 1},
    {.kind = "samples", .samples = other_samples, .initial = 1},
    {.kind = "two-dimensions", .ranks = 2},
    {.kind = "integers", .type = &integer},
    {.kind = "other-steps", .steps = 4},
    {.kind = "other-micro-batches", .micro_batches = 6},
    {.kind = "no-steps", .steps = 0, .steps_for_all = 2},
    {.kind = "short-samples", .samples = same_samples, .sample_count = 7},
    {.kind = "zero-samples", .samples = zero_samples},
    {.kind = "negative-samples", .samples = negative_samples},
    {.kind = "nan", .odd = NAN},
    {.kind = "overflow", .type = &wide, .odd = 1e300},
    {.kind = "initial-shape", .initial = 2},
    {.kind = "initial-nan", .initial = 3},
    {.kind = "curvature", .initial = 1, .curvature = 1},
    {.kind = "one-step-curvature", .ranks = 3, .steps = 1, .curvature = 1, .steps_for_all = 1},
    {.kind = "curvature-steps", .curvature = 2},
    {.kind = "curvature-rows", .curvature = 3},
    {.kind = "curvature-nan", .curvature = 4},
    {.kind = "curvature-integers", .curvature = 5},
    {.kind = "curvature-missing", .curvature = 6},
    {.kind = "curvature-dimensions", .curvature = 7},
    {.kind = "no-gradients", .without = 1, .initial = 1},
    {.kind = "no-parameters", .without = 2},
    {.kind = "empty", .without = 3},
};

static void write_dataset(hid_t file, const char *name, int rank, const hsize_t *shape, hid_t type,
                          const double *numbers, int chunked)
{
    hid_t space = H5Screate_simple(rank, shape, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    if (chunked) {
        hsize_t chunk[4] = {1, 3, shape[rank - 2] > 2 ? 2 : 1, 2};
        H5Pset_chunk(properties, rank, chunk + 4 - rank);
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, 4);
    }
    hid_t dataset = H5Dcreate2(file, name, type, space, links, properties, H5P_DEFAULT);
    if (dataset < 0 ||
        (H5Sget_simple_extent_npoints(space) > 0 &&
         H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) < 0)) {
        fprintf(stderr, "gradient_fixture: cannot write %s\n", name);
        exit(1);
    }
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Pclose(links);
    H5Sclose(space);
}

/* Whole 1024ths between -2 and 2, different everywhere. */
static double *numbers(size_t count, unsigned seed)
{
    double *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; i < count && values != NULL; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = ((double)(seed >> 20) - 2048.0) / 1024.0;
    }
    if (values == NULL) {
        exit(1);
    }
    return values;
}

static void write_samples(hid_t file, const char *object, const double *samples, hsize_t count)
{
    hid_t space = H5Screate_simple(1, &count, NULL);
    hid_t attribute = H5Acreate_by_name(file, object, "samples", H5T_STD_I32LE, space, H5P_DEFAULT,
                                        H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, samples);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* Positive numbers, of the shape of the gradients unless the kind says otherwise. */
static void write_curvature(hid_t file, const char *name, const fixture *f)
{
    char object[64];
    hsize_t shape[4] = {f->steps - (f->curvature == 2), f->micro_batches,
                        f->rows + (f->curvature == 3), COLS};
    int ranks = f->curvature == 7 ? 3 : f->ranks;
    size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    double *curvature = numbers(count, 1234u);
    for (size_t i = 0; i < count; i++) {
        curvature[i] *= curvature[i];
    }
    curvature[count / 2] = f->curvature == 4 ? NAN : curvature[count / 2];
    snprintf(object, sizeof object, "/parameters/%s/curvature", name);
    write_dataset(file, object, ranks, shape + 4 - ranks, f->curvature == 5 ? integer : single,
                  curvature, 0);
    free(curvature);
}

static void write_parameter(hid_t file, const char *name, const fixture *f)
{
    char object[64];
    hsize_t shape[4] = {f->steps, f->micro_batches, f->rows, COLS};
    size_t count = (size_t)(f->steps * f->micro_batches * f->rows * COLS);
    double *gradients = numbers(count, (unsigned)f->rows);
    if (f->odd != 0.0) {
        gradients[count / 2] = f->odd; /* step 1, micro-batch 4 of 3 steps with 8 */
    }
    snprintf(object, sizeof object, "/parameters/%s/gradients", name);
    if (f->without != 1) {
        write_dataset(file, object, f->ranks, shape + 4 - f->ranks, *f->type, gradients,
                      f->chunked);
    }
    if (f->samples != NULL && f->without != 1) {
        write_samples(file, object, f->samples, f->sample_count);
    }
    if (f->initial != 0) {
        double *initial = numbers((size_t)((f->rows + 1) * COLS), 77u);
        hsize_t matrix[2] = {f->initial == 2 ? f->rows + 1 : f->rows, COLS};
        initial[3] = f->initial == 3 ? NAN : initial[3];
        snprintf(object, sizeof object, "/parameters/%s/initial_values", name);
        write_dataset(file, object, 2, matrix, single, initial, 0);
        free(initial);
    }
    if (f->curvature != 0 && f->curvature != 6) {
        write_curvature(file, name, f);
    }
    free(gradients);
}

/* The good recording with what the kind changes. */
static fixture complete(const fixture *kind, hsize_t rows)
{
    fixture f = *kind;
    f.ranks = f.ranks == 0 ? 4 : f.ranks;
    f.steps = f.steps == 0 && f.steps_for_all != 2 ? STEPS : f.steps;
    f.micro_batches = f.micro_batches == 0 ? MICRO_BATCHES : f.micro_batches;
    f.sample_count = f.sample_count == 0 ? MICRO_BATCHES : f.sample_count;
    f.type = f.type == NULL ? &single : f.type;
    f.rows = rows;
    return f;
}

/* 32 steps of 2 micro-batches of a matrix of 1 MiB, all zero: chunks that nobody wrote take no
 * space. */
static int make_large(const char *path)
{
    const hsize_t shape[4] = {32, 2, 512, 512};
    const hsize_t chunk[4] = {1, 1, 512, 512};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(4, shape, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_chunk(properties, 4, chunk);
    H5Dclose(H5Dcreate2(file, "/parameters/large/gradients", single, space, links, properties,
                        H5P_DEFAULT));
    H5Pclose(properties);
    H5Pclose(links);
    H5Sclose(space);
    return H5Fclose(file) < 0;
}

static int make(const fixture *kind, const char *path)
{
    static const fixture good = {.kind = "good", .initial = 1};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (kind->without == 3) {
        H5Gclose(H5Gcreate2(file, "/parameters", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    } else if (kind->without != 2) {
        fixture matrix = complete(&good, 6);
        if (kind->steps_for_all != 0) {
            matrix = complete(kind, 6);
        }
        matrix.samples = kind->samples != NULL && kind->sample_count == 0 ? kind->samples : NULL;
        matrix.curvature = kind->curvature != 0;
        matrix.samples = kind->sample_count != 0 ? same_samples : matrix.samples;
        fixture vector = complete(kind, 1);
        write_parameter(file, "layer.weight", &matrix);
        write_parameter(file, "vector", &vector);
    }
    return H5Fclose(file) < 0;
}

int main(int argc, char **argv)
{
    single = H5T_IEEE_F32LE;
    wide = H5T_IEEE_F64LE;
    big_endian = H5T_IEEE_F32BE;
    integer = H5T_STD_I32LE;
    if (argc == 3 && strcmp(argv[1], "large") == 0) {
        return make_large(argv[2]);
    }
    for (size_t i = 0; argc == 3 && i < sizeof fixtures / sizeof fixtures[0]; i++) {
        if (strcmp(argv[1], fixtures[i].kind) == 0) {
            return make(&fixtures[i], argv[2]);
        }
    }
    fprintf(stderr, "usage: gradient_fixture KIND OUT.h5\n");
    return 1;
}
