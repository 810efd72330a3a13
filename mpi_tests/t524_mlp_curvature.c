/*
 * Curvature from the perceptron, against a plain reference in double with the whole Hessian by
 * central differences of its gradients: gradients of labels drawn from the model, and products of
 * Hessian and probe.
 * ranks: serial
 * seconds: 900
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "support/gradient_sink.h"
#include "support/idx_fixture.h"
#include "support/test.h"
#include "workload/mlp_tangent.h"
#include "workload/random.h"

enum { LAYERS = 2, WIDTH = 7, SEED = 21, STEP = 3, MICRO_BATCH = 2, MOST = 300 };

/* All parameters in double, one after the other as the workload registers them. */
typedef struct reference {
    double values[MOST];
    int count;
    double mean, deviation; /* of the training pixels */
} reference;

/* A data set, a network over it and its reference. */
typedef struct setting {
    fixture files;
    workload *w;
    gradient_sink sink;
    reference truth;
} setting;

static void reference_init(reference *r, const workload *w)
{
    double sum = 0.0, squares = 0.0, total = FIXTURE_TRAIN * FIXTURE_PIXELS;
    for (int i = 0; i < FIXTURE_TRAIN * FIXTURE_PIXELS; i++) {
        double pixel = fixture_pixel(0, i / FIXTURE_PIXELS, i % FIXTURE_PIXELS);
        sum += pixel;
        squares += pixel * pixel;
    }
    r->mean = sum / total;
    r->deviation = sqrt(squares / total - r->mean * r->mean);
    r->count = 0;
    for (int p = 0; p < w->parameter_count; p++) {
        for (int64_t i = 0; i < w->parameters[p].rows * w->parameters[p].cols; i++) {
            ck_assert_int_lt(r->count, MOST);
            r->values[r->count++] = (double)w->parameters[p].values[i];
        }
    }
}

static void setting_make(setting *s, int64_t batch)
{
    fixture_make(&s->files, false);
    workload_options options = {.data = s->files.folder,
                                .layers = LAYERS,
                                .width = WIDTH,
                                .micro_batch_size = batch,
                                .seed = SEED};
    char message[512] = "";
    int failed = workload_create_mlp(&options, &s->w, message, sizeof message);
    ck_assert_msg(failed == 0, "%s", message);
    for (int p = 0; p < s->w->parameter_count; p++) { /* biases start at 0: make them count */
        for (int64_t i = 0; p % 2 == 1 && i < s->w->parameters[p].cols; i++) {
            s->w->parameters[p].values[i] = 0.2f * test_value(3, (uint64_t)p, (uint64_t)i);
        }
    }
    sink_init(&s->sink, s->w);
    reference_init(&s->truth, s->w);
}

static void setting_free(setting *s)
{
    sink_free(&s->sink);
    workload_destroy(&s->w);
    fixture_remove(&s->files);
}

static int inputs_of(int layer)
{
    return layer == 0 ? FIXTURE_PIXELS : WIDTH;
}

static int outputs_of(int layer)
{
    return layer == LAYERS ? FIXTURE_CLASSES : WIDTH;
}

/* Where the layer's weight begins among all values; its bias follows. */
static int offset_of(int layer)
{
    int offset = 0;
    for (int l = 0; l < layer; l++) {
        offset += (inputs_of(l) + 1) * outputs_of(l);
    }
    return offset;
}

/* values[layer] are the layer's inputs; returns the probabilities in `probabilities`. */
static void forward(const reference *r, int image, double values[][FIXTURE_PIXELS],
                    double *probabilities)
{
    double sum = 0.0;
    for (int i = 0; i < FIXTURE_PIXELS; i++) {
        values[0][i] = (fixture_pixel(0, image, i) - r->mean) / r->deviation;
    }
    for (int layer = 0; layer <= LAYERS; layer++) {
        int inputs = inputs_of(layer), outputs = outputs_of(layer);
        const double *weight = r->values + offset_of(layer);
        for (int j = 0; j < outputs; j++) {
            double value = weight[inputs * outputs + j];
            for (int i = 0; i < inputs; i++) {
                value += weight[j * inputs + i] * values[layer][i];
            }
            if (layer < LAYERS) {
                values[layer + 1][j] = value > 0.0 ? value : 0.0;
            } else {
                probabilities[j] = exp(value);
                sum += probabilities[j];
            }
        }
    }
    for (int j = 0; j < FIXTURE_CLASSES; j++) {
        probabilities[j] /= sum;
    }
}

/* Adds weight times the gradient of the image's loss with that label; returns the loss. */
static double add_gradient(const reference *r, int image, int label, double weight,
                           double *gradient)
{
    double values[LAYERS + 1][FIXTURE_PIXELS];
    double probabilities[FIXTURE_CLASSES], delta[FIXTURE_PIXELS], below[FIXTURE_PIXELS];
    forward(r, image, values, probabilities);
    for (int j = 0; j < FIXTURE_CLASSES; j++) {
        delta[j] = weight * (probabilities[j] - (j == label));
    }
    for (int layer = LAYERS; layer >= 0; layer--) {
        int inputs = inputs_of(layer), outputs = outputs_of(layer), at = offset_of(layer);
        for (int i = 0; i < inputs; i++) {
            below[i] = 0.0;
            for (int j = 0; j < outputs; j++) {
                gradient[at + j * inputs + i] += delta[j] * values[layer][i];
                below[i] += values[layer][i] > 0.0 ? delta[j] * r->values[at + j * inputs + i] : 0;
            }
        }
        for (int j = 0; j < outputs; j++) {
            gradient[at + inputs * outputs + j] += delta[j];
        }
        memcpy(delta, below, sizeof delta);
    }
    return -log(probabilities[label]);
}

static int drawn(int64_t step, int64_t micro_batch, int sample)
{
    return (int)random_below(SEED, RANDOM_BATCH, (uint64_t)step, (uint64_t)micro_batch,
                             (uint64_t)sample, FIXTURE_TRAIN);
}

/* Mean gradient of the micro-batch that the tests use, with the data's labels. */
static void batch_gradient(const reference *r, int batch, double *gradient)
{
    memset(gradient, 0, MOST * sizeof *gradient);
    for (int s = 0; s < batch; s++) {
        int image = drawn(STEP, MICRO_BATCH, s);
        add_gradient(r, image, fixture_label(0, image), 1.0 / batch, gradient);
    }
}

/* Its Hessian; columns are central differences of the gradient. */
static void batch_hessian(reference *r, int batch, double hessian[MOST][MOST])
{
    const double h = 1e-6;
    double above[MOST], below[MOST];
    for (int i = 0; i < r->count; i++) {
        double kept = r->values[i];
        r->values[i] = kept + h;
        batch_gradient(r, batch, above);
        r->values[i] = kept - h;
        batch_gradient(r, batch, below);
        r->values[i] = kept;
        for (int j = 0; j < r->count; j++) {
            hessian[j][i] = (above[j] - below[j]) / (2.0 * h);
        }
    }
}

/* All gradients of the sink, one after the other. */
static void collect(const gradient_sink *sink, double *all)
{
    for (int p = 0, at = 0; p < sink->w->parameter_count; p++) {
        for (int64_t i = 0; i < sink_count(sink, p); i++) {
            all[at++] = (double)sink->gradients[p][i];
        }
    }
}

static double norm_of(int count, const double *values)
{
    double squares = 0.0;
    for (int i = 0; i < count; i++) {
        squares += values[i] * values[i];
    }
    return sqrt(squares);
}

static int run_curvature(gradient_sink *sink, int64_t step, int64_t micro_batch,
                         workload_result *result)
{
    workload_sink interface = {sink, sink_destination, sink_complete, sink_breathe};
    return sink->w->kind->curvature(sink->w, step, micro_batch, &interface, result);
}

static int run_hutchinson(gradient_sink *sink, int64_t step, int64_t micro_batch, int64_t probe)
{
    workload_sink interface = {sink, sink_destination, sink_complete, sink_breathe};
    return sink->w->kind->hutchinson(sink->w, step, micro_batch, probe, &interface);
}

/* The signs of a probe, taken from a network of the same shape. */
static void probe_signs(int64_t probe, double *signs)
{
    const int64_t widths[LAYERS + 2] = {FIXTURE_PIXELS, WIDTH, WIDTH, FIXTURE_CLASSES};
    mlp_network network;
    mlp_tangent tangent;
    ck_assert_int_eq(mlp_network_create(&network, LAYERS + 1, widths, 1), 0);
    ck_assert_int_eq(mlp_tangent_create(&tangent, &network, 1), 0);
    mlp_tangent_draw(&tangent, SEED, STEP, MICRO_BATCH, probe);
    for (int layer = 0, at = 0; layer <= LAYERS; layer++) {
        const mlp_tangent_layer *l = &tangent.layers[layer];
        for (int64_t i = 0; i < l->outputs * (l->inputs + 1); i++) {
            int64_t weights = l->outputs * l->inputs;
            signs[at++] = (double)(i < weights ? l->weight[i] : l->bias[i - weights]);
        }
    }
    mlp_tangent_free(&tangent);
    mlp_network_free(&network);
}

/* z o (H z) against the whole Hessian, and against differences of gradients along z. */
START_TEST(products_are_those_of_the_hessian)
{
    enum { BATCH = 6, PROBES = 8 };
    static double hessian[MOST][MOST];
    setting s;
    setting_make(&s, BATCH);
    int count = s.truth.count;
    batch_hessian(&s.truth, BATCH, hessian);
    for (int probe = 0; probe < PROBES; probe++) {
        double signs[MOST] = {0}, found[MOST] = {0}, errors[MOST] = {0}, truth[MOST] = {0};
        double above[MOST], below[MOST], slope_errors[MOST] = {0};
        const double h = 1e-6;
        probe_signs(probe * 1001, signs);
        ck_assert_int_eq(run_hutchinson(&s.sink, STEP, MICRO_BATCH, probe * 1001), 0);
        collect(&s.sink, found);
        reference moved = s.truth;
        for (int i = 0; i < count; i++) {
            moved.values[i] = s.truth.values[i] + h * signs[i];
        }
        batch_gradient(&moved, BATCH, above);
        for (int i = 0; i < count; i++) {
            moved.values[i] = s.truth.values[i] - h * signs[i];
        }
        batch_gradient(&moved, BATCH, below);
        for (int i = 0; i < count; i++) {
            ck_assert_double_eq(fabs(signs[i]), 1.0);
            for (int j = 0; j < count; j++) {
                truth[i] += signs[i] * hessian[i][j] * signs[j];
            }
            errors[i] = found[i] - truth[i];
            slope_errors[i] = found[i] - signs[i] * (above[i] - below[i]) / (2.0 * h);
        }
        ck_assert_double_gt(norm_of(count, truth), 1.0);
        ck_assert_double_lt(norm_of(count, errors), 3e-6 * norm_of(count, truth));
        ck_assert_double_lt(norm_of(count, slope_errors), 3e-6 * norm_of(count, truth));
    }
    setting_free(&s);
}
END_TEST

/*
 * The mean over probes is the diagonal, the variance the squares beside it (Rademacher), for each
 * parameter within its standard error.
 */
START_TEST(mean_over_probes_is_the_diagonal)
{
    enum { BATCH = 4, PROBES = 2000 };
    static double hessian[MOST][MOST];
    double sums[MOST] = {0}, squares[MOST] = {0}, found[MOST] = {0};
    double variance_found = 0.0, variance_expected = 0.0;
    setting s;
    setting_make(&s, BATCH);
    batch_hessian(&s.truth, BATCH, hessian);
    for (int probe = 0; probe < PROBES; probe++) {
        ck_assert_int_eq(run_hutchinson(&s.sink, STEP, MICRO_BATCH, probe), 0);
        collect(&s.sink, found);
        for (int i = 0; i < s.truth.count; i++) {
            sums[i] += found[i] / PROBES;
            squares[i] += found[i] * found[i] / PROBES;
        }
    }
    for (int i = 0; i < s.truth.count; i++) {
        double variance = 0.0;
        for (int j = 0; j < s.truth.count; j++) {
            variance += i == j ? 0.0 : hessian[i][j] * hessian[i][j];
        }
        double error = sqrt(variance / PROBES);
        ck_assert_double_eq_tol(sums[i], hessian[i][i], 4.0 * error + 1e-6);
        variance_expected += variance;
        variance_found += squares[i] - sums[i] * sums[i];
    }
    ck_assert_double_eq_tol(variance_found, variance_expected, 0.1 * variance_expected);
    setting_free(&s);
}
END_TEST

/* One image: the gradient is that of the label whose loss is reported, and labels are as frequent
 * as they are likely, image by image. */
START_TEST(labels_follow_the_model)
{
    enum { STEPS = 4000 };
    double found[FIXTURE_CLASSES] = {0}, expected[FIXTURE_CLASSES] = {0};
    double spread[FIXTURE_CLASSES] = {0}, surprise = 0.0, variance = 0.0;
    setting s;
    setting_make(&s, 1);
    for (int step = 0; step < STEPS; step++) {
        double values[LAYERS + 1][FIXTURE_PIXELS], p[FIXTURE_CLASSES];
        double all[MOST] = {0}, gradient[MOST] = {0}, entropy = 0.0, squares = 0.0;
        int image = drawn(step, 0, 0), label = 0;
        workload_result result;
        ck_assert_int_eq(run_curvature(&s.sink, step, 0, &result), 0);
        forward(&s.truth, image, values, p);
        for (int c = 0; c < FIXTURE_CLASSES; c++) {
            double distance = fabs(-log(p[c]) - result.loss_sum);
            label = distance < fabs(-log(p[label]) - result.loss_sum) ? c : label;
            expected[c] += p[c];
            spread[c] += p[c] * (1.0 - p[c]);
            entropy -= p[c] * log(p[c]);
            squares += p[c] * log(p[c]) * log(p[c]);
        }
        double loss = add_gradient(&s.truth, image, label, 1.0, gradient);
        collect(&s.sink, all);
        for (int i = 0; i < s.truth.count; i++) {
            ck_assert_double_eq_tol(all[i], gradient[i], 1e-5);
        }
        ck_assert_double_eq_tol(result.loss_sum, loss, 1e-5);
        found[label] += 1.0;
        surprise += loss - entropy;
        variance += squares - entropy * entropy;
    }
    for (int c = 0; c < FIXTURE_CLASSES; c++) {
        ck_assert_double_lt(fabs(found[c] - expected[c]), 4.0 * sqrt(spread[c]));
    }
    ck_assert_double_lt(fabs(surprise), 4.0 * sqrt(variance));
    setting_free(&s);
}
END_TEST

/* Exact Gauss-Newton diagonal over the training set: sum over classes of p_c (gradient)^2. */
static void gauss_newton(const reference *r, double *diagonal)
{
    memset(diagonal, 0, MOST * sizeof *diagonal);
    for (int image = 0; image < FIXTURE_TRAIN; image++) {
        double values[LAYERS + 1][FIXTURE_PIXELS], p[FIXTURE_CLASSES];
        forward(r, image, values, p);
        for (int c = 0; c < FIXTURE_CLASSES; c++) {
            double gradient[MOST] = {0};
            add_gradient(r, image, c, 1.0, gradient);
            for (int i = 0; i < r->count; i++) {
                diagonal[i] += p[c] * gradient[i] * gradient[i] / FIXTURE_TRAIN;
            }
        }
    }
}

/* Bartlett's identities for each parameter: the mean gradient of drawn labels is 0, and B times
 * its square is the Gauss-Newton diagonal on average. */
START_TEST(squares_estimate_gauss_newton)
{
    enum { STEPS = 8000, BATCH = 3 };
    double mean[MOST] = {0}, second[MOST] = {0}, fourth[MOST] = {0}, exact[MOST], found[MOST] = {0};
    setting s;
    setting_make(&s, BATCH);
    gauss_newton(&s.truth, exact);
    for (int step = 0; step < STEPS; step++) {
        workload_result result;
        ck_assert_int_eq(run_curvature(&s.sink, step, 1, &result), 0);
        ck_assert_int_eq(result.tokens, BATCH);
        ck_assert_int_eq(result.samples, BATCH);
        ck_assert_ptr_null(result.norms);
        collect(&s.sink, found);
        for (int i = 0; i < s.truth.count; i++) {
            double square = (double)result.tokens * found[i] * found[i];
            mean[i] += found[i] / STEPS;
            second[i] += square / STEPS;
            fourth[i] += square * square / STEPS;
        }
    }
    for (int i = 0; i < s.truth.count; i++) {
        double error = sqrt((fourth[i] - second[i] * second[i]) / STEPS);
        ck_assert_double_eq_tol(mean[i], 0.0, 4.0 * sqrt(second[i] / BATCH / STEPS) + 1e-9);
        ck_assert_double_eq_tol(second[i], exact[i], 4.5 * error + 1e-9);
    }
    setting_free(&s);
}
END_TEST

static bool same(const gradient_sink *a, const gradient_sink *b)
{
    bool equal = true;
    for (int p = 0; p < a->w->parameter_count; p++) {
        size_t size = (size_t)sink_count(a, p) * sizeof(float);
        equal = equal && memcmp(a->gradients[p], b->gradients[p], size) == 0;
    }
    return equal;
}

START_TEST(bits_do_not_depend_on_what_came_before)
{
    setting s, t;
    workload_result result;
    setting_make(&s, 5);
    setting_make(&t, 5);
    double loss, weight, correct;
    for (int64_t micro_batch = 0; micro_batch < 3; micro_batch++) {
        ck_assert_int_eq(run_hutchinson(&t.sink, 8, micro_batch, 65535), 0);
        ck_assert_int_eq(sink_run(&s.sink, 7, micro_batch, &result), 0);
        ck_assert_int_eq(sink_run(&t.sink, 7, micro_batch, &result), 0);
        ck_assert(same(&s.sink, &t.sink));
        ck_assert_int_eq(run_curvature(&t.sink, 7, micro_batch, &result), 0);
        ck_assert(!same(&s.sink, &t.sink));
        ck_assert_int_eq(run_curvature(&s.sink, 7, micro_batch, &result), 0);
        ck_assert(same(&s.sink, &t.sink));
        ck_assert_int_eq(t.w->kind->held_out(t.w, 0, &loss, &weight, &correct), 0);
        ck_assert_int_eq(run_hutchinson(&t.sink, 7, micro_batch, 1), 0);
        ck_assert_int_eq(run_hutchinson(&s.sink, 7, micro_batch, 0), 0);
        ck_assert(!same(&s.sink, &t.sink));
        ck_assert_int_eq(run_hutchinson(&s.sink, 7, micro_batch, 1), 0);
        ck_assert(same(&s.sink, &t.sink));
    }
    setting_free(&s);
    setting_free(&t);
}
END_TEST

static int run(gradient_sink *sink, int product)
{
    workload_result result;
    return product ? run_hutchinson(sink, 0, 0, 0) : run_curvature(sink, 0, 0, &result);
}

START_TEST(sink_protocol)
{
    setting s;
    setting_make(&s, 5);
    for (int product = 0; product < 2; product++) {
        gradient_sink sink;
        sink_init(&sink, s.w);
        ck_assert_int_eq(run(&sink, product), 0);
        ck_assert_int_eq(sink.completed, s.w->parameter_count);
        ck_assert_int_ge(sink.breaths, 1);
        ck_assert(isfinite(sink_squares(&sink)));
        sink_free(&sink);
        for (int call = 0; call < 2 * s.w->parameter_count; call++) {
            sink_init(&sink, s.w);
            sink.stop_at = call;
            s.w->message[0] = '\0';
            ck_assert_int_eq(run(&sink, product), 1);
            ck_assert_int_eq(sink.calls, call + 1);
            ck_assert_ptr_nonnull(strstr(s.w->message, "stopped"));
            sink_free(&sink);
        }
    }
    for (int p = 0; p < s.w->parameter_count; p++) {
        float kept = s.w->parameters[p].values[0];
        s.w->parameters[p].values[0] = NAN;
        for (int product = 0; product < 2; product++) {
            ck_assert_int_eq(run(&s.sink, product), 0);
            ck_assert(isnan(sink_squares(&s.sink)));
        }
        s.w->parameters[p].values[0] = kept;
    }
    setting_free(&s);
}
END_TEST

START_TEST(wrong_probes)
{
    setting s;
    setting_make(&s, 5);
    ck_assert_int_eq(run_hutchinson(&s.sink, 0, 0, -1), 1);
    ck_assert_ptr_nonnull(strstr(s.w->message, "probe -1"));
    ck_assert_int_eq(run_hutchinson(&s.sink, 0, 0, MLP_TANGENT_PROBES), 1);
    ck_assert_ptr_nonnull(strstr(s.w->message, "probe 65536"));
    ck_assert_int_eq(s.sink.calls, 0);
    setting_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mlp curvature");
    test_add(suite, "products are those of the Hessian", products_are_those_of_the_hessian);
    test_add(suite, "mean over probes is the diagonal", mean_over_probes_is_the_diagonal);
    test_add(suite, "labels follow the model", labels_follow_the_model);
    test_add(suite, "squares estimate Gauss-Newton", squares_estimate_gauss_newton);
    test_add(suite, "bits do not depend on what came before",
             bits_do_not_depend_on_what_came_before);
    test_add(suite, "sink protocol", sink_protocol);
    test_add(suite, "wrong probes", wrong_probes);
    return test_run(suite);
}
