/*
 * Makes files of recorded gradients whose truth is known, for the tests of plumb diagnose:
 * noise_fixture KIND OUT.h5. Gradients are planted matrices in Gaussian noise from a fixed seed.
 * Standard output gets the truth, a line a parameter: name, trace of one sample's covariance,
 * squared norm of the true gradient.
 */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

typedef struct shape {
    const char *name;
    hsize_t rows, cols;
    int rank;              /* of the planted matrix */
    double largest, ratio; /* its singular values */
} shape;

/* Few strong directions in many; all of them strong; a vector; one that is larger than 1 MiB. */
static const shape shapes[] = {
    {"embedding", 310, 63, 2, 9.0, 0.5},
    {"flat", 48, 72, 3, 6.0, 0.5},
    {"full", 12, 8, 8, 6.0, 0.9},
    {"vector", 1, 50, 1, 4.0, 1.0},
};
static const shape columns[] = {{"column", 50, 1, 1, 4.0, 1.0}};

typedef struct kind {
    const char *name;
    const shape *shapes;
    size_t shape_count;
    hsize_t steps, micro_batches;
    double noise;  /* standard deviation of an entry of one sample's gradient */
    double spread; /* of the logarithm of its scale over rows and over columns */
    int unequal;   /* samples 2 to 8 a micro-batch, in place of 4 */
    double scale;  /* of the planted matrices */
    int one_step;  /* without the first dimension */
} kind;

#define ALL shapes, sizeof shapes / sizeof shapes[0]
static const kind kinds[] = {
    {"isotropic", ALL, 4, 16, 1.0, 0.0, 0, 1.0, 0},
    {"anisotropic", ALL, 4, 16, 1.0, 0.8, 0, 1.0, 0},
    {"unequal", ALL, 4, 16, 1.0, 0.4, 1, 1.0, 0},
    {"one-step", ALL, 1, 16, 1.0, 0.0, 0, 1.0, 1},
    {"single", ALL, 2, 1, 1.0, 0.0, 0, 1.0, 0},
    {"pair", ALL, 2, 2, 1.0, 0.0, 0, 1.0, 0},
    {"prime", ALL, 2, 5, 1.0, 0.0, 0, 1.0, 0},
    {"constant", ALL, 2, 8, 0.0, 0.0, 0, 1.0, 0},
    {"zero", ALL, 2, 8, 0.0, 0.0, 0, 0.0, 0},
    {"noise", ALL, 2, 8, 1.0, 0.0, 0, 0.0, 0},
    {"column", columns, 1, 2, 8, 1.0, 0.0, 0, 1.0, 0},
    {"many", columns, 1, 1, 1026, 1.0, 0.0, 0, 1.0, 0},
};

static unsigned long long state = 0x9e3779b97f4a7c15ull;

/* In (0, 1): splitmix64, Steele, Lea and Flood 2014. */
static double uniform(void)
{
    state += 0x9e3779b97f4a7c15ull;
    unsigned long long z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) / 9007199254740992.0;
}

/* Box and Muller 1958, one of the two. */
static double gaussian(void)
{
    double radius = sqrt(-2.0 * log(uniform()));
    return radius * cos(2.0 * pi * uniform());
}

/* Entry `i` of vector `j` of an orthonormal basis of `length`: the discrete cosines. */
static double basis(hsize_t length, int j, hsize_t i)
{
    double scale = j == 0 ? sqrt(1.0 / (double)length) : sqrt(2.0 / (double)length);
    return scale * cos(pi * ((double)i + 0.5) * (double)j / (double)length);
}

static double planted(const shape *s, hsize_t row, hsize_t col)
{
    double value = 0.0, singular = s->largest;
    for (int j = 0; j < s->rank; j++) {
        value += singular * basis(s->rows, j, row) * basis(s->cols, j, col);
        singular *= s->ratio;
    }
    return value;
}

/* Scale of the noise of a row or a column: not smooth, so that it is no planted direction. */
static double scale_of(const kind *k, hsize_t index)
{
    return exp(k->spread * sin(12.9898 * (double)(index + 1)));
}

static double samples_of(const kind *k, hsize_t micro_batch)
{
    return k->unequal ? 2.0 + (double)(micro_batch % 4) * 2.0 : 4.0;
}

static void fill(const kind *k, const shape *s, hsize_t micro_batch, double *values)
{
    double noise = k->noise / sqrt(samples_of(k, micro_batch));
    for (hsize_t i = 0; i < s->rows; i++) {
        for (hsize_t j = 0; j < s->cols; j++) {
            double own = noise > 0.0 ? noise * scale_of(k, i) * scale_of(k, j) * gaussian() : 0.0;
            values[i * s->cols + j] = k->scale * planted(s, i, j) + own;
        }
    }
}

static void tell_truth(const kind *k, const shape *s)
{
    double trace = 0.0, signal = 0.0;
    for (hsize_t i = 0; i < s->rows; i++) {
        for (hsize_t j = 0; j < s->cols; j++) {
            double own = k->noise * scale_of(k, i) * scale_of(k, j);
            double value = k->scale * planted(s, i, j);
            trace += own * own;
            signal += value * value;
        }
    }
    printf("%s %.9g %.9g\n", s->name, trace, signal);
}

static void write_samples(hid_t dataset, const kind *k)
{
    double samples[2048];
    hid_t space = H5Screate_simple(1, &k->micro_batches, NULL);
    hid_t attribute =
        H5Acreate2(dataset, "samples", H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT);
    for (hsize_t i = 0; i < k->micro_batches; i++) {
        samples[i] = samples_of(k, i);
    }
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, samples);
    H5Aclose(attribute);
    H5Sclose(space);
}

static void write_shape(hid_t file, const kind *k, const shape *s)
{
    char object[64];
    const hsize_t dimensions[4] = {k->steps, k->micro_batches, s->rows, s->cols};
    size_t elements = (size_t)(s->rows * s->cols);
    double *values = malloc((size_t)(k->steps * k->micro_batches) * elements * sizeof *values);
    for (hsize_t i = 0; i < k->steps * k->micro_batches && values != NULL; i++) {
        fill(k, s, i % k->micro_batches, values + i * elements);
    }
    snprintf(object, sizeof object, "/parameters/%s/gradients", s->name);
    hid_t space = H5Screate_simple(k->one_step ? 3 : 4, dimensions + k->one_step, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset =
        H5Dcreate2(file, object, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
    if (values == NULL || dataset < 0 ||
        H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
        fprintf(stderr, "noise_fixture: cannot write %s\n", object);
        exit(1);
    }
    write_samples(dataset, k);
    H5Dclose(dataset);
    H5Pclose(links);
    H5Sclose(space);
    free(values);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof kinds[0]; i++) {
        const kind *k = &kinds[i];
        if (strcmp(argv[1], k->name) == 0) {
            hid_t file = H5Fcreate(argv[2], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
            for (size_t j = 0; j < k->shape_count; j++) {
                write_shape(file, k, &k->shapes[j]);
                tell_truth(k, &k->shapes[j]);
            }
            return H5Fclose(file) < 0;
        }
    }
    fprintf(stderr, "usage: noise_fixture KIND OUT.h5\n");
    return 1;
}
