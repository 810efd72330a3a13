/*
 * Causal attention (see gpt_attention.h). Probabilities are kept: recomputing them would cost a
 * product more than reading them back.
 */
#include "workload/gpt_attention.h"

#include "workload/activation.h"

#include <cblas.h>
#include <math.h>

/* Rows of a block: small enough to skip most of the upper triangle, large enough for BLAS. */
enum { BLOCK = 64 };

/* One head of one sequence. Query, key and value are context x head_width, `stride` apart. */
typedef struct head {
    int context, width, stride, mixed_stride;
    float scale;
    const float *query, *key, *value;
    float *probabilities;        /* context x context */
    const float *mixed;          /* context x head_width, mixed_stride apart */
    const float *mixed_gradient; /* as mixed */
    float *query_gradient, *key_gradient, *value_gradient;
} head;

static head head_of(const gpt_shape *shape, const gpt_layer_state *layer, int64_t sequence,
                    int64_t index)
{
    int64_t width = shape->width / shape->heads;
    int64_t row = sequence * shape->context;
    const float *query = layer->query_key_value + row * 3 * shape->width + index * width;
    int64_t square = shape->context * shape->context;
    return (head){.context = (int)shape->context,
                  .width = (int)width,
                  .stride = (int)(3 * shape->width),
                  .mixed_stride = (int)shape->width,
                  .scale = 1.0f / sqrtf((float)width),
                  .query = query,
                  .key = query + shape->width,
                  .value = query + 2 * shape->width,
                  .probabilities =
                      layer->probabilities + (sequence * shape->heads + index) * square,
                  .mixed = layer->mixed + row * shape->width + index * width};
}

static int block_end(const head *h, int first)
{
    return first + BLOCK < h->context ? first + BLOCK : h->context;
}

static void forward(const head *h, float *mixed)
{
    for (int first = 0; first < h->context; first += BLOCK) {
        int end = block_end(h, first);
        float *probabilities = h->probabilities + (int64_t)first * h->context;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, end - first, end, h->width, 1.0f,
                    h->query + (int64_t)first * h->stride, h->stride, h->key, h->stride, 0.0f,
                    probabilities, h->context);
        activation_causal_softmax(end - first, end, first, h->scale, h->context, probabilities);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, end - first, h->width, end, 1.0f,
                    probabilities, h->context, h->value, h->stride, 0.0f,
                    mixed + (int64_t)first * h->mixed_stride, h->mixed_stride);
    }
}

void gpt_attention(const gpt_shape *shape, int64_t sequences, const gpt_layer_state *layer)
{
    for (int64_t sequence = 0; sequence < sequences; sequence++) {
        for (int64_t index = 0; index < shape->heads; index++) {
            head h = head_of(shape, layer, sequence, index);
            int64_t offset = sequence * shape->context * shape->width + index * h.width;
            forward(&h, layer->mixed + offset);
        }
    }
}

/*
 * Rows of the gradient of the scores, and of the query. The row sums of probability times its
 * gradient that softmax needs equal those of mixed times its gradient, which are shorter.
 */
static void backward_rows(const head *h, int first, float *scores)
{
    int end = block_end(h, first);
    int64_t row = first;
    float sums[BLOCK];
    activation_row_products(end - first, h->width, h->mixed_stride,
                            h->mixed + row * h->mixed_stride,
                            h->mixed_gradient + row * h->mixed_stride, sums);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, end - first, end, h->width, 1.0f,
                h->mixed_gradient + row * h->mixed_stride, h->mixed_stride, h->value, h->stride,
                0.0f, scores + row * h->context, h->context);
    activation_softmax_gradient(end - first, end, h->scale, h->context,
                                h->probabilities + row * h->context, sums,
                                scores + row * h->context);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, end - first, h->width, end, 1.0f,
                scores + row * h->context, h->context, h->key, h->stride, 0.0f,
                h->query_gradient + row * h->stride, h->stride);
}

/* Rows of the gradients of key and value: everything at or after them looked at them. */
static void backward_columns(const head *h, int first, const float *scores)
{
    int end = block_end(h, first);
    int64_t row = first;
    int64_t corner = row * h->context + first;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, end - first, h->width, h->context - first,
                1.0f, h->probabilities + corner, h->context,
                h->mixed_gradient + row * h->mixed_stride, h->mixed_stride, 0.0f,
                h->value_gradient + row * h->stride, h->stride);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, end - first, h->width, h->context - first,
                1.0f, scores + corner, h->context, h->query + row * h->stride, h->stride, 0.0f,
                h->key_gradient + row * h->stride, h->stride);
}

void gpt_attention_backward(const gpt_shape *shape, int64_t sequences, const gpt_layer_state *layer,
                            const float *gradient, float *input_gradient, float *scores)
{
    for (int64_t sequence = 0; sequence < sequences; sequence++) {
        for (int64_t index = 0; index < shape->heads; index++) {
            head h = head_of(shape, layer, sequence, index);
            h.mixed_gradient = gradient + (h.mixed - layer->mixed);
            h.query_gradient = input_gradient + (h.query - layer->query_key_value);
            h.key_gradient = h.query_gradient + shape->width;
            h.value_gradient = h.key_gradient + shape->width;
            for (int first = 0; first < h.context; first += BLOCK) {
                backward_rows(&h, first, scores);
            }
            for (int first = 0; first < h.context; first += BLOCK) {
                backward_columns(&h, first, scores);
            }
        }
    }
}
