/*
 * What produces real gradients: a model, its data, and the batch of every step. The program's own,
 * not the library's; it knows nothing of MPI and of Plumb, so that a workload can be tested alone.
 *
 * Everything is a function of (seed, step, micro-batch): which rank computes a micro-batch, and
 * how many ranks there are, changes no bit.
 */
#ifndef WORKLOAD_WORKLOAD_H
#define WORKLOAD_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum workload_role {
    WORKLOAD_MATRIX,    /* hidden weight: rows x cols, a linear map */
    WORKLOAD_EMBEDDING, /* table looked up by row */
    WORKLOAD_HEAD,      /* output layer */
    WORKLOAD_VECTOR     /* gains, biases: 1 x cols */
} workload_role;

typedef struct workload_parameter {
    char name[64];
    int64_t rows, cols;
    float *values; /* rows x cols, row-major; belongs to the workload */
    workload_role role;
} workload_parameter;

typedef struct workload_options {
    const char *data; /* path of the text or token shards (gpt) or the folder of IDX files (mlp) */
    const char *held_out_data; /* gpt: the same, all held out; NULL: the last tenth of data is */
    int64_t vocabulary;        /* gpt: tokens below it; 0: as text_open chooses */
    int64_t layers, width, heads, context; /* gpt: all; mlp: layers hidden layers of width */
    int64_t micro_batch_size;              /* sequences or images */
    uint64_t seed;
    double noise; /* gpt: share of training sequences with text_noise.h's blocks from elsewhere, 0
                     to 1; held-out text stays clean. mlp: 0 */
} workload_options;

/* Where a micro-batch's gradients go. Both calls return 0, or another number to stop. */
typedef struct workload_sink {
    void *context;
    /* *gradient = memory of rows x cols floats, contents undefined, for this parameter. */
    int (*destination)(void *context, int parameter, float **gradient);
    /* The parameter's mean gradient over the micro-batch's samples is complete there. Called once
     * for each parameter, as early as the backward pass allows. */
    int (*complete)(void *context, int parameter);
    /* Called now and then during long computations; may be NULL. */
    void (*breathe)(void *context);
} workload_sink;

typedef struct workload_result {
    int64_t samples;    /* sequences or images */
    int64_t tokens;     /* tokens, or again images */
    double loss_sum;    /* sum over samples of the sample's mean loss, nats */
    const float *norms; /* per-sample gradient norms, [samples], or NULL; the workload's memory */
} workload_result;

typedef struct workload workload;

/* One kind of workload. Calls that can fail return 0, or 1 with a line in workload->message. */
typedef struct workload_kind {
    const char *name;
    /* The gradient of one micro-batch of one step, handed to `sink`. */
    int (*micro_batch)(workload *w, int64_t step, int64_t micro_batch, const workload_sink *sink,
                       workload_result *result);
    /* As micro_batch, over the same samples, but with labels drawn from the model: what
     * Gauss-Newton-Bartlett squares (Liu et al. 2023). result->tokens is the number of independent
     * draws B: B g^2 estimates the Gauss-Newton diagonal of the mean loss. result->loss_sum is that
     * of the drawn labels, result->norms NULL. NULL if the kind has none. */
    int (*curvature)(workload *w, int64_t step, int64_t micro_batch, const workload_sink *sink,
                     workload_result *result);
    /* z o (H z), handed to `sink` as a gradient is: H the Hessian of the mean loss of the samples
     * that micro_batch has, z random signs for all parameters, a function of (seed, step,
     * micro-batch, probe), 0 <= probe < 65536. Its mean over probes is H's diagonal. NULL if the
     * kind has no products with its Hessian. */
    int (*hutchinson)(workload *w, int64_t step, int64_t micro_batch, int64_t probe,
                      const workload_sink *sink);
    /* Loss (nats per token or example) of held-out unit `unit`, 0 .. held_out_units - 1: a window
     * of text, or a block of test images. *weight: its tokens or images; *correct: how many of
     * them the model got right (arg max). */
    int (*held_out)(workload *w, int64_t unit, double *loss, double *weight, double *correct);
    /* Continues `prompt` by `count` bytes into text[count + 1], keyed by `seed`; NULL if the kind
     * does not generate. Fails if the model's tokens are not bytes. */
    int (*generate)(workload *w, const char *prompt, int64_t count, double temperature,
                    uint64_t seed, char *text);
    void (*destroy)(workload *w);
} workload_kind;

struct workload {
    const workload_kind *kind;
    workload_options options;
    int parameter_count;
    workload_parameter *parameters;
    int64_t held_out_units;
    const char *unit_name;  /* "token" or "image": what losses are per */
    double flops_per_token; /* model flops, forward and backward */
    uint64_t data_hash;     /* XXH3 of the data as read: equal files, equal hashes */
    char message[512];
};

/* Why a workload could not be made: whose mistake it is. */
enum { WORKLOAD_WRONG_OPTIONS = 1, WORKLOAD_WRONG_DATA = 2, WORKLOAD_NO_MEMORY = 3 };

/*
 * Makes a workload: reads the data, sets the initial values (keyed by seed). Returns 0 or one of
 * the reasons above; then *w is NULL and `message` (of `message_size` bytes) holds one line that
 * names file or option and what is wrong.
 */
int workload_create_gpt(const workload_options *options, workload **w, char *message,
                        size_t message_size);
int workload_create_mlp(const workload_options *options, workload **w, char *message,
                        size_t message_size);
void workload_destroy(workload **w);

#endif
