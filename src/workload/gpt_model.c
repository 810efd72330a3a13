/*
 * The GPT as an object (see gpt_model.h).
 */
#define _POSIX_C_SOURCE 200809L

#include "workload/gpt_model.h"

#include "workload/gpt_state.h"
#include "workload/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Standard deviation of initial values (GPT-2). */
static const double initial_deviation = 0.02;

typedef struct parameter_kind {
    const char *name;
    workload_role role;
    int rows, cols; /* in widths; rows 0: a vector */
} parameter_kind;

static const parameter_kind layer_kinds[GPT_LAYER_PARAMETERS] = {
    [GPT_ATTENTION_GAIN] = {"attention_norm.gain", WORKLOAD_VECTOR, 0, 1},
    [GPT_ATTENTION_BIAS] = {"attention_norm.bias", WORKLOAD_VECTOR, 0, 1},
    [GPT_QUERY] = {"attention.query", WORKLOAD_MATRIX, 1, 1},
    [GPT_KEY] = {"attention.key", WORKLOAD_MATRIX, 1, 1},
    [GPT_VALUE] = {"attention.value", WORKLOAD_MATRIX, 1, 1},
    [GPT_PROJECTION] = {"attention.projection", WORKLOAD_MATRIX, 1, 1},
    [GPT_MLP_GAIN] = {"mlp_norm.gain", WORKLOAD_VECTOR, 0, 1},
    [GPT_MLP_BIAS] = {"mlp_norm.bias", WORKLOAD_VECTOR, 0, 1},
    [GPT_EXPAND] = {"mlp.expand", WORKLOAD_MATRIX, 4, 1},
    [GPT_CONTRACT] = {"mlp.contract", WORKLOAD_MATRIX, 1, 4},
};

int gpt_layer_index(int64_t layer, gpt_layer_parameter parameter)
{
    return GPT_FIRST_LAYER + (int)layer * GPT_LAYER_PARAMETERS + (int)parameter;
}

int gpt_final_index(const gpt_shape *shape, gpt_final_parameter parameter)
{
    return gpt_layer_index(shape->layers, (gpt_layer_parameter)0) + (int)parameter;
}

const float *gpt_layer_values(const gpt *model, int64_t layer, gpt_layer_parameter parameter)
{
    return model->base.parameters[gpt_layer_index(layer, parameter)].values;
}

const float *gpt_final_values(const gpt *model, gpt_final_parameter parameter)
{
    return model->base.parameters[gpt_final_index(&model->shape, parameter)].values;
}

double gpt_flops_per_token(const gpt_shape *shape)
{
    double layers = (double)shape->layers;
    double width = (double)shape->width;
    double context = (double)shape->context;
    return 6.0 * (12.0 * layers * width * width + (double)shape->vocabulary * width) +
           12.0 * layers * context * width;
}

static int check_range(const char *option, int64_t value, int64_t least, int64_t most,
                       char *message, size_t message_size)
{
    if (value >= least && value <= most) {
        return 0;
    }
    snprintf(message, message_size, "%s %lld is out of range: %lld to %lld", option,
             (long long)value, (long long)least, (long long)most);
    return 1;
}

/* The bounds keep every size in bytes below 2^62 and every row count in BLAS's 32-bit integers. */
int gpt_check_options(const workload_options *options, char *message, size_t message_size)
{
    const int64_t most_tokens = (int64_t)1 << 24;
    if (check_range("--layers", options->layers, 1, 512, message, message_size) ||
        check_range("--width", options->width, 1, 16384, message, message_size) ||
        check_range("--heads", options->heads, 1, 1024, message, message_size) ||
        check_range("--context", options->context, 2, 16384, message, message_size) ||
        check_range("--micro-batch-size", options->micro_batch_size, 1,
                    most_tokens / options->context, message, message_size)) {
        return 1;
    }
    if (options->width % options->heads != 0) {
        snprintf(message, message_size, "--width %lld is not divisible by --heads %lld",
                 (long long)options->width, (long long)options->heads);
        return 1;
    }
    if (options->vocabulary != 0 &&
        check_range("--vocabulary", options->vocabulary, 2, TOKEN_SHARDS_MOST_VOCABULARY, message,
                    message_size)) {
        return 1;
    }
    if (!(options->noise >= 0.0 && options->noise <= 1.0)) {
        snprintf(message, message_size, "--noise %g is out of range: 0 to 1", options->noise);
        return 1;
    }
    return 0;
}

static void add_parameter(workload *base, const char *name, int64_t rows, int64_t cols,
                          workload_role role)
{
    workload_parameter *parameter = &base->parameters[base->parameter_count++];
    snprintf(parameter->name, sizeof parameter->name, "%s", name);
    parameter->rows = rows;
    parameter->cols = cols;
    parameter->role = role;
}

static void add_layer(workload *base, int64_t layer, int64_t width)
{
    for (int i = 0; i < GPT_LAYER_PARAMETERS; i++) {
        const parameter_kind *kind = &layer_kinds[i];
        char name[sizeof base->parameters->name];
        snprintf(name, sizeof name, "layer%lld.%s", (long long)layer, kind->name);
        add_parameter(base, name, kind->rows == 0 ? 1 : kind->rows * width, kind->cols * width,
                      kind->role);
    }
}

/* Names, shapes and roles of all parameters, and memory for their values. */
static int make_parameters(gpt *model)
{
    workload *base = &model->base;
    int64_t width = model->shape.width;
    int count = gpt_final_index(&model->shape, GPT_FINAL_PARAMETERS);
    base->parameters = calloc((size_t)count, sizeof *base->parameters);
    if (base->parameters == NULL) {
        return 1;
    }
    add_parameter(base, "token_embedding", model->shape.vocabulary, width, WORKLOAD_EMBEDDING);
    add_parameter(base, "position_embedding", model->shape.context, width, WORKLOAD_EMBEDDING);
    for (int64_t layer = 0; layer < model->shape.layers; layer++) {
        add_layer(base, layer, width);
    }
    add_parameter(base, "final_norm.gain", 1, width, WORKLOAD_VECTOR);
    add_parameter(base, "final_norm.bias", 1, width, WORKLOAD_VECTOR);
    add_parameter(base, "head", model->shape.vocabulary, width, WORKLOAD_HEAD);
    int64_t size = 0;
    for (int i = 0; i < count; i++) {
        size += base->parameters[i].rows * base->parameters[i].cols;
    }
    model->values = malloc((size_t)size * sizeof *model->values);
    if (model->values == NULL) {
        return 1;
    }
    float *next = model->values;
    for (int i = 0; i < count; i++) {
        base->parameters[i].values = next;
        next += base->parameters[i].rows * base->parameters[i].cols;
    }
    return 0;
}

/* Independent normal numbers, keyed by seed, parameter and element. */
static void set_normal(gpt *model, int index, double deviation)
{
    workload_parameter *parameter = &model->base.parameters[index];
    for (int64_t i = 0; i < parameter->rows * parameter->cols; i++) {
        double number = random_normal(model->base.options.seed, RANDOM_INITIAL_VALUES,
                                      (uint64_t)index, 0, (uint64_t)i);
        parameter->values[i] = (float)(deviation * number);
    }
}

static void set_constant(gpt *model, int index, float value)
{
    workload_parameter *parameter = &model->base.parameters[index];
    for (int64_t i = 0; i < parameter->rows * parameter->cols; i++) {
        parameter->values[i] = value;
    }
}

/* GPT-2's: weights 0.02; those that add to the stream less, since 2 L of them add up; norms 1. */
static void set_initial_values(gpt *model)
{
    double residual = initial_deviation / sqrt(2.0 * (double)model->shape.layers);
    for (int i = 0; i < model->base.parameter_count; i++) {
        if (model->base.parameters[i].role == WORKLOAD_VECTOR) {
            set_constant(model, i, 0.0f);
        } else {
            set_normal(model, i, initial_deviation);
        }
    }
    for (int64_t layer = 0; layer < model->shape.layers; layer++) {
        set_constant(model, gpt_layer_index(layer, GPT_ATTENTION_GAIN), 1.0f);
        set_constant(model, gpt_layer_index(layer, GPT_MLP_GAIN), 1.0f);
        set_normal(model, gpt_layer_index(layer, GPT_PROJECTION), residual);
        set_normal(model, gpt_layer_index(layer, GPT_CONTRACT), residual);
    }
    set_constant(model, gpt_final_index(&model->shape, GPT_FINAL_GAIN), 1.0f);
}

static int copy_path(const char *path, char **own, const char **option)
{
    *own = path != NULL ? strdup(path) : NULL;
    *option = *own;
    return path != NULL && *own == NULL;
}

static int copy_options(gpt *model, const workload_options *options)
{
    workload_options *own = &model->base.options;
    *own = *options;
    own->vocabulary = model->shape.vocabulary;
    return copy_path(options->data, &model->paths[0], &own->data) |
           copy_path(options->held_out_data, &model->paths[1], &own->held_out_data);
}

int gpt_create(const workload_options *options, text *data, gpt **model, char *message,
               size_t message_size)
{
    gpt *created = calloc(1, sizeof *created);
    *model = NULL;
    if (created == NULL) {
        text_free(data);
        snprintf(message, message_size, "not enough memory for the model");
        return 1;
    }
    created->base.kind = &gpt_kind;
    created->data = *data;
    created->shape = (gpt_shape){.layers = options->layers,
                                 .width = options->width,
                                 .heads = options->heads,
                                 .context = options->context,
                                 .vocabulary = text_vocabulary(data)};
    if (copy_options(created, options) || make_parameters(created) ||
        gpt_state_create(&created->shape, options->micro_batch_size, &created->state)) {
        gpt_destroy(created);
        snprintf(message, message_size,
                 "not enough memory for the model: --micro-batch-size, --context, --width, "
                 "--layers or the vocabulary is too large");
        return 1;
    }
    set_initial_values(created);
    created->base.held_out_units = text_windows(&created->data, options->context);
    created->base.unit_name = "token";
    created->base.flops_per_token = gpt_flops_per_token(&created->shape);
    *model = created;
    return 0;
}

void gpt_destroy(gpt *model)
{
    gpt_state_free(&model->state);
    free(model->values);
    free(model->base.parameters);
    free(model->paths[0]);
    free(model->paths[1]);
    text_free(&model->data);
    free(model);
}
