/*
 * The multi-layer perceptron as a workload: images by batches that depend on (seed, step,
 * micro-batch) alone, gradients from the last layer to the first, per-sample gradient norms, and
 * the test set in blocks.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/label_sampling.h"
#include "workload/mlp_images.h"
#include "workload/mlp_network.h"
#include "workload/mlp_tangent.h"
#include "workload/random.h"
#include "workload/workload.h"

enum { HELD_OUT_BLOCK = 500, MOST_LAYERS = 64, MOST_WIDTH = 65536, MOST_SAMPLES = 1 << 20 };

typedef struct mlp {
    workload base; /* first: a workload * of this kind points here */
    mlp_images images;
    mlp_network network;
    mlp_tangent tangent; /* made when first needed */
    float *norms;        /* [micro_batch_size] */
} mlp;

static mlp *mlp_of(workload *w)
{
    return (mlp *)w;
}

static int stopped(mlp *m)
{
    snprintf(m->base.message, sizeof m->base.message,
             "whoever takes the gradients stopped the micro-batch");
    return 1;
}

static void draw_batch(mlp *m, int64_t step, int64_t micro_batch)
{
    uint64_t train = (uint64_t)m->images.train.count;
    for (int64_t i = 0; i < m->base.options.micro_batch_size; i++) {
        uint64_t index = random_below(m->base.options.seed, RANDOM_BATCH, (uint64_t)step,
                                      (uint64_t)micro_batch, (uint64_t)i, train);
        mlp_images_fetch(&m->images, &m->images.train, (int64_t)index,
                         m->network.layers[0].input + i * m->images.pixels, &m->network.labels[i]);
    }
}

/* One parameter of a layer, weight or bias, to the sink. */
static int hand_over(mlp *m, int64_t layer, int is_bias, const workload_sink *sink)
{
    int64_t samples = m->base.options.micro_batch_size;
    int parameter = (int)(2 * layer) + is_bias;
    float *gradient;
    if (sink->destination(sink->context, parameter, &gradient) != 0) {
        return stopped(m);
    }
    if (is_bias) {
        mlp_network_bias_gradient(&m->network, layer, samples, gradient);
    } else {
        mlp_network_weight_gradient(&m->network, layer, samples, gradient);
    }
    if (sink->complete(sink->context, parameter) != 0) {
        return stopped(m);
    }
    return 0;
}

static void breathe(const workload_sink *sink)
{
    if (sink->breathe != NULL) {
        sink->breathe(sink->context);
    }
}

static int backward(mlp *m, const workload_sink *sink)
{
    int64_t samples = m->base.options.micro_batch_size;
    for (int64_t layer = m->network.layer_count - 1; layer >= 0; layer--) {
        mlp_network_add_squares(&m->network, layer, samples);
        if (hand_over(m, layer, 0, sink) != 0 || hand_over(m, layer, 1, sink) != 0) {
            return 1;
        }
        if (layer > 0) {
            mlp_network_descend(&m->network, layer, samples);
        }
        breathe(sink);
    }
    return 0;
}

static int mlp_micro_batch(workload *w, int64_t step, int64_t micro_batch,
                           const workload_sink *sink, workload_result *result)
{
    mlp *m = mlp_of(w);
    int64_t samples = w->options.micro_batch_size, correct;
    draw_batch(m, step, micro_batch);
    mlp_network_forward(&m->network, samples);
    double loss_sum = mlp_network_loss(&m->network, samples, &correct);
    if (backward(m, sink) != 0) {
        return 1;
    }
    for (int64_t i = 0; i < samples; i++) {
        m->norms[i] = (float)sqrt(m->network.squares[i]);
    }
    *result = (workload_result){
        .samples = samples, .tokens = samples, .loss_sum = loss_sum, .norms = m->norms};
    return 0;
}

static int mlp_curvature(workload *w, int64_t step, int64_t micro_batch, const workload_sink *sink,
                         workload_result *result)
{
    mlp *m = mlp_of(w);
    int64_t samples = w->options.micro_batch_size, correct;
    draw_batch(m, step, micro_batch);
    mlp_network_forward(&m->network, samples);
    label_sampling_draw(w->options.seed, step, micro_batch, samples, MLP_CLASSES, m->network.delta,
                        m->network.labels);
    double loss_sum = mlp_network_loss(&m->network, samples, &correct);
    if (backward(m, sink) != 0) {
        return 1;
    }
    *result = (workload_result){.samples = samples, .tokens = samples, .loss_sum = loss_sum};
    return 0;
}

/* One parameter's part of z o (H z) to the sink. */
static int hand_over_product(mlp *m, int64_t layer, int is_bias, const workload_sink *sink)
{
    int64_t samples = m->base.options.micro_batch_size;
    int parameter = (int)(2 * layer) + is_bias;
    float *product;
    if (sink->destination(sink->context, parameter, &product) != 0) {
        return stopped(m);
    }
    if (is_bias) {
        mlp_tangent_bias_product(&m->tangent, layer, samples, product);
    } else {
        mlp_tangent_weight_product(&m->tangent, &m->network, layer, samples, product);
    }
    if (sink->complete(sink->context, parameter) != 0) {
        return stopped(m);
    }
    return 0;
}

static int backward_products(mlp *m, const workload_sink *sink)
{
    int64_t samples = m->base.options.micro_batch_size;
    for (int64_t layer = m->network.layer_count - 1; layer >= 0; layer--) {
        if (hand_over_product(m, layer, 0, sink) != 0 ||
            hand_over_product(m, layer, 1, sink) != 0) {
            return 1;
        }
        if (layer > 0) {
            mlp_tangent_descend(&m->tangent, &m->network, layer, samples);
            mlp_network_descend(&m->network, layer, samples);
        }
        breathe(sink);
    }
    return 0;
}

static int mlp_hutchinson(workload *w, int64_t step, int64_t micro_batch, int64_t probe,
                          const workload_sink *sink)
{
    mlp *m = mlp_of(w);
    int64_t samples = w->options.micro_batch_size, correct;
    if (probe < 0 || probe >= MLP_TANGENT_PROBES) {
        snprintf(w->message, sizeof w->message, "probe %lld, must be in [0, %d)", (long long)probe,
                 MLP_TANGENT_PROBES);
        return 1;
    }
    if (m->tangent.layers == NULL && mlp_tangent_create(&m->tangent, &m->network, samples) != 0) {
        snprintf(w->message, sizeof w->message, "no memory for a product with the Hessian");
        return 1;
    }
    draw_batch(m, step, micro_batch);
    mlp_tangent_draw(&m->tangent, w->options.seed, step, micro_batch, probe);
    mlp_network_forward(&m->network, samples);
    mlp_tangent_forward(&m->tangent, &m->network, samples);
    breathe(sink);
    (void)mlp_network_loss(&m->network, samples, &correct);
    return backward_products(m, sink);
}

static int mlp_held_out(workload *w, int64_t unit, double *loss, double *weight, double *correct)
{
    mlp *m = mlp_of(w);
    if (unit < 0 || unit >= w->held_out_units) {
        snprintf(w->message, sizeof w->message, "held-out unit %lld, must be in [0, %lld)",
                 (long long)unit, (long long)w->held_out_units);
        return 1;
    }
    int64_t first = unit * HELD_OUT_BLOCK, left = m->images.test.count - first;
    int64_t samples = left < HELD_OUT_BLOCK ? left : HELD_OUT_BLOCK;
    for (int64_t i = 0; i < samples; i++) {
        mlp_images_fetch(&m->images, &m->images.test, first + i,
                         m->network.layers[0].input + i * m->images.pixels, &m->network.labels[i]);
    }
    int64_t right;
    mlp_network_forward(&m->network, samples);
    *loss = mlp_network_loss(&m->network, samples, &right) / (double)samples;
    *weight = (double)samples;
    *correct = (double)right;
    return 0;
}

static void mlp_destroy(workload *w)
{
    mlp *m = mlp_of(w);
    mlp_images_free(&m->images);
    mlp_tangent_free(&m->tangent);
    mlp_network_free(&m->network);
    free(m->norms);
    free(m->base.parameters);
    free(m);
}

static const workload_kind mlp_kind = {
    .name = "mlp",
    .micro_batch = mlp_micro_batch,
    .curvature = mlp_curvature,
    .hutchinson = mlp_hutchinson,
    .held_out = mlp_held_out,
    .destroy = mlp_destroy,
};

static int check_option(const char *name, int64_t value, int64_t highest, char *message,
                        size_t message_size)
{
    if (value >= 1 && value <= highest) {
        return 0;
    }
    snprintf(message, message_size, "%s is %lld, must be in [1, %lld]", name, (long long)value,
             (long long)highest);
    return 1;
}

static int check_options(const workload_options *options, char *message, size_t message_size)
{
    if (options->data == NULL) {
        snprintf(message, message_size, "--data is missing: a folder of IDX files");
        return 1;
    }
    if (options->noise != 0.0) {
        snprintf(message, message_size, "--noise is %g, must be 0: only text has noise",
                 options->noise);
        return 1;
    }
    return check_option("--layers", options->layers, MOST_LAYERS, message, message_size) != 0 ||
           check_option("--width", options->width, MOST_WIDTH, message, message_size) != 0 ||
           check_option("--micro-batch-size", options->micro_batch_size, MOST_SAMPLES, message,
                        message_size) != 0;
}

static int no_memory(char *message, size_t message_size)
{
    snprintf(message, message_size, "no memory for the model and its activations");
    return 1;
}

static int make_network(mlp *m, char *message, size_t message_size)
{
    const workload_options *options = &m->base.options;
    int64_t widths[MOST_LAYERS + 2];
    widths[0] = m->images.pixels;
    for (int64_t l = 1; l <= options->layers; l++) {
        widths[l] = options->width;
    }
    widths[options->layers + 1] = MLP_CLASSES;
    int64_t batch = options->micro_batch_size;
    int64_t capacity = batch > HELD_OUT_BLOCK ? batch : HELD_OUT_BLOCK;
    m->norms = calloc((size_t)batch, sizeof *m->norms);
    if (mlp_network_create(&m->network, options->layers + 1, widths, capacity) != 0 ||
        m->norms == NULL) {
        return no_memory(message, message_size);
    }
    return 0;
}

static void describe(workload_parameter *parameter, int64_t layer, const char *what, int64_t rows,
                     int64_t cols, float *values, workload_role role)
{
    snprintf(parameter->name, sizeof parameter->name, "layer%lld.%s", (long long)layer, what);
    parameter->rows = rows;
    parameter->cols = cols;
    parameter->values = values;
    parameter->role = role;
}

/* He et al. 2015: variance 2 / inputs keeps the size of activations behind ReLUs. */
static void set_initial_values(uint64_t seed, int parameter, mlp_layer *layer)
{
    double deviation = sqrt(2.0 / (double)layer->inputs);
    for (int64_t i = 0; i < layer->outputs * layer->inputs; i++) {
        double normal =
            random_normal(seed, RANDOM_INITIAL_VALUES, 0, (uint64_t)parameter, (uint64_t)i);
        layer->weight[i] = (float)(deviation * normal);
    }
}

static int make_parameters(mlp *m, char *message, size_t message_size)
{
    workload *w = &m->base;
    int64_t layers = m->network.layer_count;
    w->parameter_count = (int)(2 * layers);
    w->parameters = calloc((size_t)w->parameter_count, sizeof *w->parameters);
    if (w->parameters == NULL) {
        return no_memory(message, message_size);
    }
    for (int64_t l = 0; l < layers; l++) {
        mlp_layer *layer = &m->network.layers[l];
        describe(&w->parameters[2 * l], l, "weight", layer->outputs, layer->inputs, layer->weight,
                 l + 1 == layers ? WORKLOAD_HEAD : WORKLOAD_MATRIX);
        describe(&w->parameters[2 * l + 1], l, "bias", 1, layer->outputs, layer->bias,
                 WORKLOAD_VECTOR);
        set_initial_values(w->options.seed, (int)(2 * l), layer);
        /* Two flops a weight and pass; the first layer's inputs need no derivative. */
        w->flops_per_token += (l == 0 ? 4.0 : 6.0) * (double)(layer->outputs * layer->inputs);
    }
    return 0;
}

int workload_create_mlp(const workload_options *options, workload **w, char *message,
                        size_t message_size)
{
    *w = NULL;
    if (check_options(options, message, message_size) != 0) {
        return WORKLOAD_WRONG_OPTIONS;
    }
    mlp *m = calloc(1, sizeof *m);
    if (m == NULL) {
        no_memory(message, message_size);
        return WORKLOAD_NO_MEMORY;
    }
    m->base.kind = &mlp_kind;
    m->base.options = *options;
    m->base.unit_name = "image";
    if (mlp_images_read(options->data, &m->images, message, message_size) != 0) {
        mlp_destroy(&m->base);
        return WORKLOAD_WRONG_DATA;
    }
    if (make_network(m, message, message_size) != 0 ||
        make_parameters(m, message, message_size) != 0) {
        mlp_destroy(&m->base);
        return WORKLOAD_NO_MEMORY;
    }
    m->base.data_hash = mlp_images_hash(&m->images);
    m->base.held_out_units = (m->images.test.count + HELD_OUT_BLOCK - 1) / HELD_OUT_BLOCK;
    *w = &m->base;
    return 0;
}
