/*
 * The GPT as an object: shape, parameters, initial values, and the memory of its passes.
 *
 * The model is GPT-2's (Radford et al. 2019) over bytes, or over the tokens of shards: token and
 * position embeddings, blocks
 *     x = x + attention(norm(x)),   x = x + mlp(norm(x)),
 * a last norm and a head of its own (not tied to the embedding). Linear layers have no bias and
 * store rows of outputs: y = x W', W outputs x inputs. Query, key and value are three parameters,
 * because each is a linear map of its own to an optimizer that orthogonalises; they lie one after
 * the other in memory, so that the model still computes all three in one product.
 */
#ifndef WORKLOAD_GPT_MODEL_H
#define WORKLOAD_GPT_MODEL_H

#include "workload/activation_norm.h"
#include "workload/text.h"
#include "workload/workload.h"

enum { GPT_VOCABULARY = TEXT_VOCABULARY }; /* of texts */

/* Parameters in order: two embeddings, ten for each layer, three at the end. */
enum { GPT_TOKEN_EMBEDDING, GPT_POSITION_EMBEDDING, GPT_FIRST_LAYER };

typedef enum gpt_layer_parameter {
    GPT_ATTENTION_GAIN,
    GPT_ATTENTION_BIAS,
    GPT_QUERY,
    GPT_KEY,
    GPT_VALUE,
    GPT_PROJECTION, /* width x width: heads' outputs back to the stream */
    GPT_MLP_GAIN,
    GPT_MLP_BIAS,
    GPT_EXPAND,   /* 4 width x width */
    GPT_CONTRACT, /* width x 4 width: back to the stream */
    GPT_LAYER_PARAMETERS
} gpt_layer_parameter;

typedef enum gpt_final_parameter {
    GPT_FINAL_GAIN,
    GPT_FINAL_BIAS,
    GPT_HEAD, /* vocabulary x width */
    GPT_FINAL_PARAMETERS
} gpt_final_parameter;

typedef struct gpt_shape {
    int64_t layers, width, heads, context, vocabulary;
} gpt_shape;

/* What the forward pass of one layer leaves for the backward pass; rows are positions. */
typedef struct gpt_layer_state {
    float *input;                /* rows x width: the stream before the layer */
    float *attention_normalised; /* rows x width */
    float *query_key_value;      /* rows x 3 width */
    float *probabilities;        /* sequences x heads x context x context, lower triangles */
    float *mixed;                /* rows x width: the heads' outputs */
    float *middle;               /* rows x width: the stream before the MLP */
    float *mlp_normalised;       /* rows x width */
    float *slope;                /* rows x 4 width: GELU's derivative */
    float *activated;            /* rows x 4 width: GELU's value */
    activation_moments *attention_moments, *mlp_moments; /* rows */
} gpt_layer_state;

/* Memory of one forward and backward pass over `micro_batch_size` sequences. */
typedef struct gpt_state {
    void *memory;            /* all below */
    int32_t *inputs;         /* rows: sequences x context */
    int32_t *targets;        /* rows */
    int32_t *sequence;       /* context + 1: one sequence on its way to these */
    unsigned char *bytes;    /* context + 1: the same of a text, before noise is added */
    gpt_layer_state *layers; /* [layers] */
    float *output;           /* rows x width: the stream after the last layer */
    float *normalised;       /* rows x width */
    activation_moments *moments;
    int64_t logit_rows;     /* positions whose logits there is memory for */
    float *logits;          /* logit_rows x vocabulary; then their gradient */
    double *losses;         /* rows */
    float *stream_gradient; /* rows x width */
    float *narrow_gradient; /* rows x width */
    float *wide_gradient;   /* rows x 4 width */
    float *score_gradient;  /* context x context */
    float *norm_gradients;  /* 2 x width: of a norm's gain and bias */
} gpt_state;

typedef struct gpt {
    workload base; /* first, so that a workload * of this kind is a gpt * */
    gpt_shape shape;
    text data;
    char *paths[2]; /* of the data and held-out data, for base.options; NULL without */
    float *values;  /* all parameters one after the other */
    gpt_state state;
    float norm; /* of the last gradient, when a micro-batch is one sequence */
} gpt;

extern const workload_kind gpt_kind;

/* Index of a parameter in base.parameters. */
int gpt_layer_index(int64_t layer, gpt_layer_parameter parameter);
int gpt_final_index(const gpt_shape *shape, gpt_final_parameter parameter);

/* The values of a parameter. */
const float *gpt_layer_values(const gpt *model, int64_t layer, gpt_layer_parameter parameter);
const float *gpt_final_values(const gpt *model, gpt_final_parameter parameter);

/* 6 (12 L D^2 + V D) + 12 L T D: multiply-adds of the linear layers and of attention over whole
 * T x T squares, forward once and backward twice, two flops each. */
double gpt_flops_per_token(const gpt_shape *shape);

/* Returns 0, or 1 with a line in `message` that names the option that is out of range. */
int gpt_check_options(const workload_options *options, char *message, size_t message_size);

/* A model over `data`, which it takes over, also on failure; options have been checked. */
int gpt_create(const workload_options *options, text *data, gpt **model, char *message,
               size_t message_size);
void gpt_destroy(gpt *model);

#endif
