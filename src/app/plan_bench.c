/*
 * What benches tell the cost model; see plan_bench.h.
 */
#include "app/plan_bench.h"

#include <math.h>
#include <string.h>

/* The file under reading, and the constants that it gave. */
typedef struct bench_file {
    const plan_options *options;
    const char *name;
    const json_t *root;
    json_t *given;
    json_t *from; /* constant: file that gave it, over all files */
    failure *f;
} bench_file;

static bool fine(const bench_file *b)
{
    return b->f->code == EXIT_OK;
}

static double number_of(bench_file *b, const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    double value = json_number_value(number);
    if (!json_is_number(number) || !(value > 0.0) || !isfinite(value)) {
        failure_set(b->f, EXIT_DATA, "%s: %s is missing or not a number above 0", b->name, name);
        return 1.0;
    }
    return value;
}

/* A constant that two files give is a contradiction, which no order of files should settle. */
static void note(bench_file *b, const char *name)
{
    const char *before = json_string_value(json_object_get(b->from, name));
    if (before != NULL) {
        failure_set(b->f, EXIT_USAGE, "%s: %s is in %s already", b->name, name, before);
        return;
    }
    json_object_set_new(b->from, name, json_string(b->name));
    json_array_append_new(b->given, json_string(name));
}

static void give(bench_file *b, const char *name, double *constant, double value)
{
    if (!(value > 0.0) || !isfinite(value)) {
        failure_set(b->f, EXIT_DATA,
                    "%s: %s would be %g: measure again, longer or on cores that nobody else uses",
                    b->name, name, value);
    }
    if (fine(b)) {
        *constant = value;
        note(b, name);
    }
}

/* Rates of another kernel do not go with what is measured here. With --constants nothing is, and
 * they may all be another machine's; then the files must agree with each other. */
static void check_kernel(bench_file *b)
{
    const char *kernel = json_string_value(json_object_get(b->root, "blas_kernel"));
    const char *other = json_string_value(json_object_get(b->from, "blas_kernel"));
    plumb_environment environment = {.size = sizeof environment};
    if (other == NULL && b->options->constants == NULL) {
        failure_from_library(b->f, plumb_inspect_environment(&environment), NULL);
        other = environment.blas_kernel;
    }
    if (kernel == NULL) {
        failure_set(b->f, EXIT_DATA, "%s: blas_kernel is missing", b->name);
    } else if (other != NULL && strcmp(kernel, other) != 0) {
        failure_set(b->f, EXIT_USAGE, "%s: measured with the BLAS kernel %s, the rest with %s",
                    b->name, kernel, other);
    }
    json_object_set(b->from, "blas_kernel", json_object_get(b->root, "blas_kernel"));
}

static void take_gpt(bench_file *b, plan_constants *c)
{
    check_kernel(b);
    double gradient = number_of(b, b->root, "model_flops_per_second");
    double product = number_of(b, b->root, "product_flops_per_second");
    give(b, "gradient_flops_per_second", &c->gradient_rate, gradient);
    give(b, "product_flops_per_second", &c->product_rate, product);
}

/* ---- bench exchange ---------------------------------------------------------------------------- */

/* One step of the library, its update taken off. */
typedef struct exchange_point {
    double payload, bytes, seconds;
} exchange_point;

static exchange_point point_of(bench_file *b, const json_t *size)
{
    exchange_point point = {.payload = number_of(b, size, "bytes")};
    const json_t *ways = json_object_get(size, "ways");
    for (size_t i = 0; i < json_array_size(ways); i++) {
        const json_t *one = json_array_get(ways, i);
        const char *name = json_string_value(json_object_get(one, "way"));
        if (name != NULL && strcmp(name, "step") == 0) {
            point.bytes = number_of(b, one, "exchange_bytes");
            point.seconds = number_of(b, one, "seconds") - number_of(b, one, "update_seconds");
            return point;
        }
    }
    failure_set(b->f, EXIT_DATA, "%s: a size has no way 'step'", b->name);
    return point;
}

/* As --measure has it: a step is one round of messages, three agreements and the values' tree. */
static void take_exchange(bench_file *b, plan_constants *c)
{
    const char *owners = json_string_value(json_object_get(b->root, "owners"));
    if (owners == NULL || strcmp(owners, "sharded") != 0) {
        failure_set(b->f, EXIT_USAGE, "%s: the exchange was not measured with --owners sharded",
                    b->name);
        return;
    }
    const json_t *one_node = json_object_get(b->root, "one_node");
    if (!json_is_boolean(one_node)) {
        failure_set(b->f, EXIT_DATA, "%s: one_node is missing or not true or false", b->name);
    }
    double count = number_of(b, b->root, "ranks");
    const json_t *sizes = json_object_get(b->root, "sizes");
    exchange_point least = {.payload = INFINITY}, most = {.payload = 0.0};
    for (size_t i = 0; i < json_array_size(sizes) && fine(b); i++) {
        exchange_point point = point_of(b, json_array_get(sizes, i));
        least = point.payload < least.payload ? point : least;
        most = point.payload > most.payload ? point : most;
    }
    if (fine(b) && !(most.payload >= 16.0 * least.payload)) {
        failure_set(b->f, EXIT_DATA, "%s: no two sizes, one 16 times the other", b->name);
    }
    double rate = (most.bytes - least.bytes) / (most.seconds - least.seconds);
    double latency = least.seconds / (1.0 + 4.0 * ceil(log2(count)));
    if (json_is_true(one_node)) {
        give(b, "node_bytes_per_second", &c->node_bandwidth, rate);
        give(b, "node_latency_seconds", &c->node_latency, latency);
    } else {
        give(b, "network_bytes_per_second", &c->network_bandwidth, rate / count);
        give(b, "network_latency_seconds", &c->network_latency, latency);
    }
}

/* ---- bench polar ------------------------------------------------------------------------------- */

/* Its name of --polar's method; NULL if it has none. */
static const char *method_of(const update_options *u)
{
    static const char *const names[] = {[PLUMB_POLAR_SVD] = "svd",
                                        [PLUMB_POLAR_NEWTON_SCHULZ] = "newton-schulz",
                                        [PLUMB_POLAR_POLAR_EXPRESS] = "polar-express",
                                        [PLUMB_POLAR_FAST] = "fast",
                                        [PLUMB_POLAR_EXACT] = "exact",
                                        [PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC] =
                                            "newton-schulz-symmetric"};
    bool known = u->polar >= 0 && u->polar < (int)(sizeof names / sizeof names[0]);
    if (known && u->polar == PLUMB_POLAR_FAST && u->polar_delta != 0.0 && u->polar_delta != 1e-2) {
        return u->polar_delta == 3e-3 ? "fast-3e-3" : NULL;
    }
    return known ? names[u->polar] : NULL;
}

/* Sums of the least squares of q x + k y = 1 with x and y the features over the seconds: every
 * shape counts by its relative error. */
typedef struct fit_sums {
    int count;
    double xx, xy, yy, x, y;
} fit_sums;

static void add_shape(bench_file *b, const json_t *shape, const char *method, fit_sums *s)
{
    int64_t rows = (int64_t)number_of(b, shape, "rows");
    int64_t cols = (int64_t)number_of(b, shape, "cols");
    const json_t *methods = json_object_get(shape, "methods");
    for (size_t i = 0; i < json_array_size(methods); i++) {
        const json_t *one = json_array_get(methods, i);
        const char *name = json_string_value(json_object_get(one, "method"));
        if (name == NULL || strcmp(name, method) != 0) {
            continue;
        }
        double product, cube, seconds = number_of(b, one, "seconds");
        plan_features(b->options, rows, cols, &product, &cube);
        double x = product / seconds, y = cube / seconds;
        s->count++;
        s->xx += x * x;
        s->xy += x * y;
        s->yy += y * y;
        s->x += x;
        s->y += y;
    }
}

static void take_polar(bench_file *b, plan_constants *c)
{
    const update_options *u = &b->options->update;
    const char *method = method_of(u);
    if (u->optimizer != PLUMB_OPTIMIZER_MUON || u->correction != PLUMB_CORRECTION_NONE ||
        u->weights == PLUMB_WEIGHTS_ECHO || method == NULL) {
        failure_set(b->f, EXIT_USAGE,
                    "%s: bench polar tells only of muon without correction and weights, and of no "
                    "--polar-delta but 0.01 and 0.003",
                    b->name);
        return;
    }
    check_kernel(b);
    fit_sums s = {.count = 0};
    const json_t *shapes = json_object_get(b->root, "shapes");
    for (size_t i = 0; i < json_array_size(shapes) && fine(b); i++) {
        add_shape(b, json_array_get(shapes, i), method, &s);
    }
    double determinant = s.xx * s.yy - s.xy * s.xy;
    if (fine(b) && (s.count < 2 || !(determinant > 1e-6 * s.xx * s.yy))) {
        failure_set(b->f, EXIT_DATA, "%s: no two shapes of different proportions with method %s",
                    b->name, method);
    }
    double product = (s.x * s.yy - s.y * s.xy) / determinant;
    double cube = (s.xx * s.y - s.xy * s.x) / determinant;
    if (cube < 0.0) { /* no part for the short side alone */
        product = s.x / s.xx;
        cube = 0.0;
    } else if (product < 0.0) {
        product = 0.0;
        cube = s.y / s.yy;
    }
    if (fine(b)) {
        c->product = (plan_cost){product, 0.0};
        c->cube = (plan_cost){cube, 0.0};
        note(b, "product_seconds");
        note(b, "cube_seconds");
    }
}

/* ---- Files ------------------------------------------------------------------------------------- */

static void take(bench_file *b, plan_constants *c, json_t *sources)
{
    static const struct {
        const char *bench;
        void (*take)(bench_file *, plan_constants *);
    } known[] = {{"gpt", take_gpt}, {"exchange", take_exchange}, {"polar", take_polar}};
    const char *bench = json_string_value(json_object_get(b->root, "bench"));
    for (size_t i = 0; bench != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].bench, bench) == 0) {
            b->given = json_array();
            known[i].take(b, c);
            json_array_append_new(sources, json_pack("{s:s, s:s, s:o}", "file", b->name, "bench",
                                                     bench, "constants", b->given));
            return;
        }
    }
    failure_set(b->f, EXIT_DATA,
                "%s is not what plumb bench gpt, exchange or polar writes with --json", b->name);
}

static void read_file(const plan_options *o, const char *name, plan_constants *c, json_t *sources,
                      json_t *from, failure *f)
{
    json_error_t error;
    json_t *root = json_load_file(name, 0, &error);
    if (root == NULL) {
        failure_set(f, EXIT_DATA, "cannot read %s: %s", name, error.text);
        return;
    }
    bench_file file = {.options = o, .name = name, .root = root, .from = from, .f = f};
    take(&file, c, sources);
    json_decref(root);
}

int plan_bench_read(const plan_options *o, const char *list, plan_constants *c, json_t **sources,
                    failure *f)
{
    *sources = json_array();
    json_t *from = json_object();
    const char *at = list;
    while (at != NULL && f->code == EXIT_OK) {
        char name[4096];
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof name) {
            failure_set(f, EXIT_USAGE, "--bench '%s': a name is empty or too long", list);
            break;
        }
        memcpy(name, at, length);
        name[length] = '\0';
        read_file(o, name, c, *sources, from, f);
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    json_decref(from);
    return f->code;
}
