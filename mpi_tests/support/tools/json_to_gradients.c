/*
 * Turns a JSON file of recorded gradients and trajectories into the HDF5 files of plumb replay:
 * the gradients with the initial values, or, with --case, the values another implementation
 * reached, in the form in which replay writes its own. scripts/json-to-gradients calls it.
 */
#include <hdf5.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct recording {
    json_t *root;
    hsize_t steps, micro_batches, rows, cols;
} recording;

static void stop(const char *what, const char *name)
{
    fprintf(stderr, "json-to-gradients: %s%s\n", what, name);
    exit(1);
}

static hsize_t size_of(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    if (!json_is_integer(value) || json_integer_value(value) < 1) {
        stop("no positive whole number ", key);
    }
    return (hsize_t)json_integer_value(value);
}

/* The numbers of nested arrays in their order. Returns how many there are. */
static size_t flatten(const json_t *value, float *numbers, size_t most)
{
    if (!json_is_array(value)) {
        if (!json_is_number(value) || most == 0) {
            stop("an array has another length than the file says, or holds no numbers", "");
        }
        numbers[0] = (float)json_number_value(value);
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(value); i++) {
        count += flatten(json_array_get(value, i), numbers + count, most - count);
    }
    return count;
}

static float *numbers_of(const json_t *value, size_t count, const char *key)
{
    float *numbers = malloc(count * sizeof *numbers);
    if (numbers == NULL || flatten(value, numbers, count) != count) {
        stop("too few numbers in ", key);
    }
    return numbers;
}

static void write_numbers(hid_t file, const char *name, int rank, const hsize_t *shape,
                          const float *numbers)
{
    hid_t space = H5Screate_simple(rank, shape, NULL);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
    if (dataset < 0 ||
        H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) < 0) {
        stop("cannot write ", name);
    }
    H5Dclose(dataset);
    H5Pclose(links);
    H5Sclose(space);
}

/* The curvature samples of step t are the squares of the gradients of step t + 1, as the cases of
 * the file that need a curvature say. */
static void write_curvature(const recording *r, hid_t file, const hsize_t *shape,
                            const float *gradients)
{
    size_t step = (size_t)(r->micro_batches * r->rows * r->cols);
    size_t count = step * (size_t)r->steps;
    float *curvature = malloc(count * sizeof *curvature);
    for (size_t i = 0; i < count && curvature != NULL; i++) {
        float next = gradients[(i + step) % count];
        curvature[i] = next * next;
    }
    if (curvature == NULL) {
        stop("no memory", "");
    }
    write_numbers(file, "/parameters/weight/curvature", 4, shape, curvature);
    free(curvature);
}

static bool has_curvature(const recording *r)
{
    const json_t *cases = json_object_get(r->root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *entry = json_object_get(json_array_get(cases, i), "hyperparameters");
        if (json_object_get(entry, "curvature_interval") != NULL) {
            return true;
        }
    }
    return false;
}

static void write_gradients(const recording *r, hid_t file)
{
    hsize_t shape[4] = {r->steps, r->micro_batches, r->rows, r->cols};
    size_t elements = (size_t)(r->rows * r->cols);
    size_t count = elements * (size_t)(r->micro_batches * r->steps);
    float *values = numbers_of(json_object_get(r->root, "values"), elements, "values");
    float *gradients = numbers_of(json_object_get(r->root, "gradients"), count, "gradients");
    write_numbers(file, "/parameters/weight/initial_values", 2, shape + 2, values);
    write_numbers(file, "/parameters/weight/gradients", 4, shape, gradients);
    if (has_curvature(r)) {
        write_curvature(r, file, shape, gradients);
    }
    free(values);
    free(gradients);
}

static const json_t *find_case(const recording *r, const char *name)
{
    const json_t *cases = json_object_get(r->root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *entry = json_array_get(cases, i);
        const char *found = json_string_value(json_object_get(entry, "name"));
        if (found != NULL && strcmp(found, name) == 0) {
            return entry;
        }
    }
    stop("no case ", name);
    return NULL;
}

static void write_case(const recording *r, hid_t file, const char *name)
{
    hsize_t shape[3] = {r->steps, r->rows, r->cols};
    size_t count = (size_t)(r->steps * r->rows * r->cols);
    const json_t *expected = json_object_get(find_case(r, name), "values_after_step");
    float *values = numbers_of(expected, count, name);
    write_numbers(file, "/parameters/weight/values", 3, shape, values);
    free(values);
}

/* "NAME --learning-rate 0.01 ...": a case and its hyperparameters as options of plumb replay. */
static void print_case(const json_t *entry)
{
    static const char *const options[][2] = {{"lr", "learning-rate"},
                                             {"beta1", "beta1"},
                                             {"beta2", "beta2"},
                                             {"eps", "epsilon"},
                                             {"weight_decay", "weight-decay"},
                                             {"rho", "rho"},
                                             {"clip", "clip"},
                                             {"curvature_interval", "curvature-interval"},
                                             {"damping", "damping"},
                                             {"root_interval", "root-interval"}};
    const json_t *hyperparameters = json_object_get(entry, "hyperparameters");
    const char *name = json_string_value(json_object_get(entry, "name"));
    printf("%s", name != NULL ? name : "?");
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const json_t *value = json_object_get(hyperparameters, options[i][0]);
        if (json_is_number(value)) {
            printf(" --%s %.10g", options[i][1], json_number_value(value));
        }
    }
    putchar('\n');
}

static void print_cases(const recording *r)
{
    const json_t *cases = json_object_get(r->root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        print_case(json_array_get(cases, i));
    }
}

static recording load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL) {
        stop("", error.text);
    }
    return (recording){.root = root,
                       .steps = size_of(root, "steps"),
                       .micro_batches = size_of(root, "microbatches"),
                       .rows = size_of(root, "rows"),
                       .cols = size_of(root, "cols")};
}

int main(int argc, char **argv)
{
    bool list = argc == 3 && strcmp(argv[1], "--list") == 0;
    bool one_case = argc == 5 && strcmp(argv[1], "--case") == 0;
    if (!list && !one_case && argc != 3) {
        stop("usage: json-to-gradients [--list | --case NAME] FILE.json [OUT.h5]", "");
    }
    recording r = load(argv[one_case ? 3 : list ? 2 : 1]);
    if (list) {
        print_cases(&r);
    } else {
        H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
        hid_t file = H5Fcreate(argv[argc - 1], H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
        if (file < 0) {
            stop("exists or cannot be made: ", argv[argc - 1]);
        }
        if (one_case) {
            write_case(&r, file, argv[2]);
        } else {
            write_gradients(&r, file);
        }
        if (H5Fclose(file) < 0) {
            stop("cannot write ", argv[argc - 1]);
        }
    }
    json_decref(r.root);
    return 0;
}
