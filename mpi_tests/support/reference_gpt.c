/*
 * The GPT in double with plain loops (see reference_gpt.h). Each operation stands beside its
 * backward, which adds to the gradients of its inputs.
 */
#include "support/reference_gpt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 256, PER_LAYER = 10 };

/* Parameters of a layer, after its first. */
enum { GAIN_1, BIAS_1, QUERY, KEY, VALUE, PROJECTION, GAIN_2, BIAS_2, EXPAND, CONTRACT };

/* All intermediate results of one layer, each `length` rows; the same once more for gradients. */
typedef struct layer_values {
    double *input, *norm_1, *query, *key, *value, *mixed, *middle, *norm_2, *hidden, *active;
} layer_values;

typedef struct pass {
    const reference_gpt *shape;
    double *const *values;
    double **gradients; /* as values */
    int length;
    layer_values *layers, *layer_gradients;
    double *output, *norm, *logits;
    double *output_gradient, *norm_gradient, *logits_gradient;
    void **allocated;
    int allocations;
} pass;

static int final_parameter(const reference_gpt *shape, int offset)
{
    return 2 + shape->layers * PER_LAYER + offset;
}

int reference_gpt_parameters(const reference_gpt *shape)
{
    return final_parameter(shape, 3);
}

int reference_gpt_size(const reference_gpt *shape, int parameter)
{
    static const int squares[PER_LAYER] = {0, 0, 1, 1, 1, 1, 0, 0, 4, 4};
    int width = shape->width;
    if (parameter == 0 || parameter == final_parameter(shape, 2)) {
        return VOCABULARY * width;
    }
    if (parameter == 1) {
        return shape->context * width;
    }
    int squared = parameter < final_parameter(shape, 0) ? squares[(parameter - 2) % PER_LAYER] : 0;
    return squared == 0 ? width : squared * width * width;
}

static double *rows_of(pass *p, int width)
{
    double *rows = calloc((size_t)(p->length * width), sizeof *rows);
    p->allocated[p->allocations++] = rows;
    return rows;
}

static layer_values make_layer(pass *p)
{
    int width = p->shape->width;
    return (layer_values){rows_of(p, width),    rows_of(p, width), rows_of(p, width),
                          rows_of(p, width),    rows_of(p, width), rows_of(p, width),
                          rows_of(p, width),    rows_of(p, width), rows_of(p, 4 * width),
                          rows_of(p, 4 * width)};
}

static void make_pass(pass *p)
{
    int layers = p->shape->layers;
    p->allocated = calloc((size_t)(20 * layers + 6), sizeof *p->allocated);
    p->layers = calloc((size_t)layers, sizeof *p->layers);
    p->layer_gradients = calloc((size_t)layers, sizeof *p->layer_gradients);
    for (int layer = 0; layer < layers; layer++) {
        p->layers[layer] = make_layer(p);
        p->layer_gradients[layer] = make_layer(p);
    }
    p->output = rows_of(p, p->shape->width);
    p->norm = rows_of(p, p->shape->width);
    p->logits = rows_of(p, VOCABULARY);
    p->output_gradient = rows_of(p, p->shape->width);
    p->norm_gradient = rows_of(p, p->shape->width);
    p->logits_gradient = rows_of(p, VOCABULARY);
}

static void free_pass(pass *p)
{
    for (int i = 0; i < p->allocations; i++) {
        free(p->allocated[i]);
    }
    free(p->allocated);
    free(p->layers);
    free(p->layer_gradients);
}

/* y += W x for every row. */
static void linear(int rows, int outputs, int inputs, const double *x, const double *w, double *y)
{
    for (int r = 0; r < rows; r++) {
        for (int o = 0; o < outputs; o++) {
            for (int i = 0; i < inputs; i++) {
                y[r * outputs + o] += w[o * inputs + i] * x[r * inputs + i];
            }
        }
    }
}

static void linear_backward(int rows, int outputs, int inputs, const double *x, const double *w,
                            const double *dy, double *dx, double *dw)
{
    for (int r = 0; r < rows; r++) {
        for (int o = 0; o < outputs; o++) {
            for (int i = 0; i < inputs; i++) {
                dx[r * inputs + i] += dy[r * outputs + o] * w[o * inputs + i];
                dw[o * inputs + i] += dy[r * outputs + o] * x[r * inputs + i];
            }
        }
    }
}

static void moments(int width, const double *x, double *mean, double *deviation)
{
    double sum = 0.0;
    double squares = 0.0;
    for (int i = 0; i < width; i++) {
        sum += x[i];
    }
    for (int i = 0; i < width; i++) {
        squares += (x[i] - sum / width) * (x[i] - sum / width);
    }
    *mean = sum / width;
    *deviation = sqrt(squares / width + 1e-5);
}

static void norm(int rows, int width, const double *x, const double *gain, const double *bias,
                 double *y)
{
    for (int r = 0; r < rows; r++) {
        double mean, deviation;
        moments(width, x + r * width, &mean, &deviation);
        for (int i = 0; i < width; i++) {
            y[r * width + i] = gain[i] * (x[r * width + i] - mean) / deviation + bias[i];
        }
    }
}

/* The whole Jacobian, element by element: dn_i/dx_j = ((i = j) - 1/w - n_i n_j / w) / deviation. */
static void norm_backward(int rows, int width, const double *x, const double *gain,
                          const double *dy, double *dx, double *dgain, double *dbias)
{
    for (int r = 0; r < rows; r++) {
        const double *row = x + r * width;
        double mean, deviation;
        moments(width, row, &mean, &deviation);
        for (int i = 0; i < width; i++) {
            double n_i = (row[i] - mean) / deviation;
            dgain[i] += dy[r * width + i] * n_i;
            dbias[i] += dy[r * width + i];
            for (int j = 0; j < width; j++) {
                double n_j = (row[j] - mean) / deviation;
                double slope = ((i == j) - 1.0 / width - n_i * n_j / width) / deviation;
                dx[r * width + j] += dy[r * width + i] * gain[i] * slope;
            }
        }
    }
}

static double gelu(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static double gelu_slope(double x)
{
    double c = sqrt(2.0 / acos(-1.0));
    double t = tanh(c * (x + 0.044715 * x * x * x));
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x);
}

static double inner(int count, const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Weights of position `row` over positions 0 .. row, one head (`offset` into a row). */
static void attention_weights(const reference_gpt *shape, const layer_values *v, int row,
                              int offset, double *weights)
{
    int width = shape->width / shape->heads;
    double sum = 0.0;
    for (int seen = 0; seen <= row; seen++) {
        double score = inner(width, v->query + row * shape->width + offset,
                             v->key + seen * shape->width + offset);
        weights[seen] = exp(score / sqrt(width));
        sum += weights[seen];
    }
    for (int seen = 0; seen <= row; seen++) {
        weights[seen] /= sum;
    }
}

static void attention(const reference_gpt *shape, int length, const layer_values *v)
{
    int width = shape->width / shape->heads;
    double *weights = calloc((size_t)length, sizeof *weights);
    for (int row = 0; row < length; row++) {
        for (int offset = 0; offset < shape->width; offset += width) {
            attention_weights(shape, v, row, offset, weights);
            for (int i = row * shape->width + offset; i < row * shape->width + offset + width;
                 i++) {
                for (int seen = 0; seen <= row; seen++) {
                    v->mixed[i] += weights[seen] * v->value[i + (seen - row) * shape->width];
                }
            }
        }
    }
    free(weights);
}

/* One row of one head; d is the gradient of v. */
static void attention_row_backward(const reference_gpt *shape, const layer_values *v,
                                   const layer_values *d, int row, int offset,
                                   const double *weights)
{
    int width = shape->width / shape->heads;
    const double *upper = d->mixed + row * shape->width + offset;
    double mean = inner(width, upper, v->mixed + row * shape->width + offset);
    for (int seen = 0; seen <= row; seen++) {
        int there = seen * shape->width + offset;
        int here = row * shape->width + offset;
        double score_gradient = weights[seen] * (inner(width, upper, v->value + there) - mean);
        for (int i = 0; i < width; i++) {
            d->value[there + i] += weights[seen] * upper[i];
            d->query[here + i] += score_gradient * v->key[there + i] / sqrt(width);
            d->key[there + i] += score_gradient * v->query[here + i] / sqrt(width);
        }
    }
}

static void attention_backward(const reference_gpt *shape, int length, const layer_values *v,
                               const layer_values *d)
{
    double *weights = calloc((size_t)length, sizeof *weights);
    for (int row = 0; row < length; row++) {
        for (int offset = 0; offset < shape->width; offset += shape->width / shape->heads) {
            attention_weights(shape, v, row, offset, weights);
            attention_row_backward(shape, v, d, row, offset, weights);
        }
    }
    free(weights);
}

static void add(int count, const double *from, double *to)
{
    for (int i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

static void forward_layer(pass *p, int index, double *output)
{
    double *const *w = p->values + 2 + index * PER_LAYER;
    const layer_values *v = &p->layers[index];
    int width = p->shape->width;
    int rows = p->length;
    norm(rows, width, v->input, w[GAIN_1], w[BIAS_1], v->norm_1);
    linear(rows, width, width, v->norm_1, w[QUERY], v->query);
    linear(rows, width, width, v->norm_1, w[KEY], v->key);
    linear(rows, width, width, v->norm_1, w[VALUE], v->value);
    attention(p->shape, rows, v);
    add(rows * width, v->input, v->middle);
    linear(rows, width, width, v->mixed, w[PROJECTION], v->middle);
    norm(rows, width, v->middle, w[GAIN_2], w[BIAS_2], v->norm_2);
    linear(rows, 4 * width, width, v->norm_2, w[EXPAND], v->hidden);
    for (int i = 0; i < rows * 4 * width; i++) {
        v->active[i] = gelu(v->hidden[i]);
    }
    add(rows * width, v->middle, output);
    linear(rows, width, 4 * width, v->active, w[CONTRACT], output);
}

static void backward_layer(pass *p, int index, const double *output_gradient)
{
    double *const *w = p->values + 2 + index * PER_LAYER;
    double *const *g = p->gradients + 2 + index * PER_LAYER;
    const layer_values *v = &p->layers[index];
    const layer_values *d = &p->layer_gradients[index];
    int width = p->shape->width;
    int rows = p->length;
    linear_backward(rows, width, 4 * width, v->active, w[CONTRACT], output_gradient, d->active,
                    g[CONTRACT]);
    add(rows * width, output_gradient, d->middle);
    for (int i = 0; i < rows * 4 * width; i++) {
        d->hidden[i] = d->active[i] * gelu_slope(v->hidden[i]);
    }
    linear_backward(rows, 4 * width, width, v->norm_2, w[EXPAND], d->hidden, d->norm_2, g[EXPAND]);
    norm_backward(rows, width, v->middle, w[GAIN_2], d->norm_2, d->middle, g[GAIN_2], g[BIAS_2]);
    linear_backward(rows, width, width, v->mixed, w[PROJECTION], d->middle, d->mixed,
                    g[PROJECTION]);
    add(rows * width, d->middle, d->input);
    attention_backward(p->shape, rows, v, d);
    linear_backward(rows, width, width, v->norm_1, w[QUERY], d->query, d->norm_1, g[QUERY]);
    linear_backward(rows, width, width, v->norm_1, w[KEY], d->key, d->norm_1, g[KEY]);
    linear_backward(rows, width, width, v->norm_1, w[VALUE], d->value, d->norm_1, g[VALUE]);
    norm_backward(rows, width, v->input, w[GAIN_1], d->norm_1, d->input, g[GAIN_1], g[BIAS_1]);
}

static void forward(pass *p, const unsigned char *bytes)
{
    int width = p->shape->width;
    int layers = p->shape->layers;
    for (int i = 0; i < p->length * width; i++) {
        p->layers[0].input[i] =
            p->values[0][bytes[i / width] * width + i % width] + p->values[1][i];
    }
    for (int layer = 0; layer < layers; layer++) {
        forward_layer(p, layer, layer + 1 < layers ? p->layers[layer + 1].input : p->output);
    }
    int last = final_parameter(p->shape, 0);
    norm(p->length, width, p->output, p->values[last], p->values[last + 1], p->norm);
    linear(p->length, VOCABULARY, width, p->norm, p->values[last + 2], p->logits);
}

/* Mean loss; fills the logits' gradient, times `weight`. */
static double cross_entropy(pass *p, const unsigned char *targets, double weight)
{
    double loss = 0.0;
    for (int r = 0; r < p->length; r++) {
        const double *row = p->logits + r * VOCABULARY;
        double sum = 0.0;
        for (int i = 0; i < VOCABULARY; i++) {
            sum += exp(row[i]);
        }
        loss += (log(sum) - row[targets[r]]) / p->length;
        for (int i = 0; i < VOCABULARY; i++) {
            p->logits_gradient[r * VOCABULARY + i] =
                weight * (exp(row[i]) / sum - (i == targets[r])) / p->length;
        }
    }
    return loss;
}

static void backward(pass *p, const unsigned char *bytes)
{
    int width = p->shape->width;
    int layers = p->shape->layers;
    int last = final_parameter(p->shape, 0);
    linear_backward(p->length, VOCABULARY, width, p->norm, p->values[last + 2], p->logits_gradient,
                    p->norm_gradient, p->gradients[last + 2]);
    norm_backward(p->length, width, p->output, p->values[last], p->norm_gradient,
                  p->output_gradient, p->gradients[last], p->gradients[last + 1]);
    for (int layer = layers - 1; layer >= 0; layer--) {
        backward_layer(p, layer,
                       layer + 1 < layers ? p->layer_gradients[layer + 1].input
                                          : p->output_gradient);
    }
    for (int i = 0; i < p->length * width; i++) {
        double gradient = p->layer_gradients[0].input[i];
        p->gradients[0][bytes[i / width] * width + i % width] += gradient;
        p->gradients[1][i] += gradient;
    }
}

double reference_gpt_loss(const reference_gpt *shape, double *const *values, int length,
                          const unsigned char *bytes, double weight, double *const *gradients,
                          double *logits)
{
    pass p = {
        .shape = shape, .values = values, .gradients = (double **)gradients, .length = length};
    make_pass(&p);
    forward(&p, bytes);
    double loss = cross_entropy(&p, bytes + 1, weight);
    if (gradients != NULL) {
        backward(&p, bytes);
    }
    if (logits != NULL) {
        memcpy(logits, p.logits, (size_t)(length * VOCABULARY) * sizeof *logits);
    }
    free_pass(&p);
    return loss;
}
