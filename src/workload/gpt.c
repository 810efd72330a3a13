/*
 * The GPT as a workload: its micro-batches, held-out windows and generation behind the interface
 * of workload.h.
 */
#include "workload/activation.h"
#include "workload/gpt_generate.h"
#include "workload/gpt_model.h"
#include "workload/gpt_pass.h"
#include "workload/random.h"
#include "workload/text_noise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A sequence's context + 1 tokens, in state.sequence, into row `sequence` of inputs and targets. */
static void load_sequence(gpt *model, int64_t sequence)
{
    int64_t context = model->shape.context;
    size_t size = (size_t)context * sizeof *model->state.sequence;
    memcpy(model->state.inputs + sequence * context, model->state.sequence, size);
    memcpy(model->state.targets + sequence * context, model->state.sequence + 1, size);
}

/* The tokens from `start` on into state.sequence. */
static int read_sequence(gpt *model, int64_t start)
{
    workload *w = &model->base;
    return text_tokens(&model->data, start, model->shape.context + 1, model->state.sequence,
                       w->message, sizeof w->message);
}

/* The same of a text, with its noise. */
static void read_noisy(gpt *model, const text_noise *noise, int64_t start)
{
    int64_t count = model->shape.context + 1;
    unsigned char *bytes = model->state.bytes;
    memcpy(bytes, model->data.bytes + start, (size_t)count);
    text_noise_apply(noise, &model->data, start, count, bytes);
    for (int64_t i = 0; i < count; i++) {
        model->state.sequence[i] = bytes[i];
    }
}

/* Sequences start anywhere in the training part, a function of (seed, step, micro-batch) alone. */
static int load_micro_batch(gpt *model, int64_t step, int64_t micro_batch)
{
    const workload_options *options = &model->base.options;
    uint64_t starts = (uint64_t)text_sequences(&model->data, options->context);
    for (int64_t sequence = 0; sequence < options->micro_batch_size; sequence++) {
        int64_t start = (int64_t)random_below(options->seed, RANDOM_BATCH, (uint64_t)step,
                                              (uint64_t)micro_batch, (uint64_t)sequence, starts);
        text_noise noise = {options->noise, options->seed, step, micro_batch, sequence};
        if (options->noise > 0.0) {
            read_noisy(model, &noise, start);
        } else if (read_sequence(model, start) != 0) {
            return 1;
        }
        load_sequence(model, sequence);
    }
    return 0;
}

/* Sum over `sequences` of the sequence's mean loss. */
static double sum_losses(const gpt *model, int64_t sequences)
{
    int64_t context = model->shape.context;
    double total = 0.0;
    for (int64_t sequence = 0; sequence < sequences; sequence++) {
        double sum = 0.0;
        for (int64_t i = 0; i < context; i++) {
            sum += model->state.losses[sequence * context + i];
        }
        total += sum / (double)context;
    }
    return total;
}

/* Forward and backward over the loaded micro-batch; `draw` and *square_norm may be NULL. */
static int learn(gpt *model, const gpt_draw *draw, const workload_sink *sink, double *square_norm,
                 workload_result *result)
{
    int64_t sequences = model->base.options.micro_batch_size;
    gpt_forward(model, sequences, sink);
    if (gpt_backward(model, sequences, draw, sink, square_norm) != 0) {
        return 1;
    }
    *result = (workload_result){.samples = sequences,
                                .tokens = sequences * model->shape.context,
                                .loss_sum = sum_losses(model, sequences)};
    return 0;
}

static int micro_batch(workload *w, int64_t step, int64_t index, const workload_sink *sink,
                       workload_result *result)
{
    gpt *model = (gpt *)w;
    int64_t sequences = w->options.micro_batch_size;
    double square_norm = 0.0;
    if (load_micro_batch(model, step, index) != 0 ||
        learn(model, NULL, sink, sequences == 1 ? &square_norm : NULL, result) != 0) {
        return 1;
    }
    model->norm = (float)sqrt(square_norm);
    result->norms = sequences == 1 ? &model->norm : NULL;
    return 0;
}

static int curvature(workload *w, int64_t step, int64_t index, const workload_sink *sink,
                     workload_result *result)
{
    gpt *model = (gpt *)w;
    gpt_draw draw = {step, index};
    return load_micro_batch(model, step, index) != 0 ||
           learn(model, &draw, sink, NULL, result) != 0;
}

static int64_t count_correct(const gpt *model, int64_t first, int64_t rows)
{
    int64_t vocabulary = model->shape.vocabulary;
    int64_t correct = 0;
    for (int64_t row = 0; row < rows; row++) {
        const float *logits = model->state.logits + row * vocabulary;
        correct += activation_arg_max(vocabulary, logits) == model->state.targets[first + row];
    }
    return correct;
}

/* Losses of one sequence, and how many of its targets the model got right. */
static int64_t evaluate(gpt *model)
{
    const gpt_state *state = &model->state;
    int64_t context = model->shape.context;
    int64_t correct = 0;
    int64_t rows;
    gpt_forward(model, 1, NULL);
    for (int64_t first = 0; first < context; first += rows) {
        rows = context - first < state->logit_rows ? context - first : state->logit_rows;
        gpt_logits(model, first, rows);
        correct += count_correct(model, first, rows);
        activation_cross_entropy(rows, model->shape.vocabulary, state->targets + first, 1.0f,
                                 state->logits, state->losses + first);
    }
    return correct;
}

static int held_out(workload *w, int64_t unit, double *loss, double *weight, double *correct)
{
    gpt *model = (gpt *)w;
    int64_t context = model->shape.context;
    if (unit < 0 || unit >= w->held_out_units) {
        snprintf(w->message, sizeof w->message, "there is no held-out window %lld, only %lld",
                 (long long)unit, (long long)w->held_out_units);
        return 1;
    }
    if (read_sequence(model, text_window(&model->data, context, unit)) != 0) {
        return 1;
    }
    load_sequence(model, 0);
    *correct = (double)evaluate(model);
    *loss = sum_losses(model, 1);
    *weight = (double)context;
    return 0;
}

static int generate(workload *w, const char *prompt, int64_t count, double temperature,
                    uint64_t seed, char *generated)
{
    return gpt_generate((gpt *)w, prompt, count, temperature, seed, generated);
}

static void destroy(workload *w)
{
    gpt_destroy((gpt *)w);
}

const workload_kind gpt_kind = {.name = "gpt",
                                .micro_batch = micro_batch,
                                .curvature = curvature,
                                .held_out = held_out,
                                .generate = generate,
                                .destroy = destroy};

/* What options and data together rule out. Returns 0 or a reason. */
static int check_data(const workload_options *options, const text *data, char *message,
                      size_t message_size)
{
    if (text_has_bytes(data) && text_vocabulary(data) < TEXT_VOCABULARY) {
        snprintf(message, message_size, "--vocabulary %lld is below the %d of a text",
                 (long long)options->vocabulary, TEXT_VOCABULARY);
        return WORKLOAD_WRONG_OPTIONS;
    }
    if (!text_has_bytes(data) && options->noise > 0.0) {
        snprintf(message, message_size, "--noise is of texts: the token shards %s have none",
                 options->data);
        return WORKLOAD_WRONG_OPTIONS;
    }
    return text_check(data, options->data, options->context, message, message_size) != 0
               ? WORKLOAD_WRONG_DATA
               : 0;
}

int workload_create_gpt(const workload_options *options, workload **w, char *message,
                        size_t message_size)
{
    text data;
    gpt *model;
    *w = NULL;
    if (gpt_check_options(options, message, message_size) != 0) {
        return WORKLOAD_WRONG_OPTIONS;
    }
    if (options->data == NULL) {
        snprintf(message, message_size, "--data is missing: a text or token shards to train on");
        return WORKLOAD_WRONG_OPTIONS;
    }
    if (text_open(options->data, options->held_out_data, options->vocabulary, &data, message,
                  message_size) != 0) {
        return WORKLOAD_WRONG_DATA;
    }
    int reason = check_data(options, &data, message, message_size);
    if (reason != 0) {
        text_free(&data);
        return reason;
    }
    uint64_t hash = text_hash(&data);
    if (gpt_create(options, &data, &model, message, message_size) != 0) {
        return WORKLOAD_NO_MEMORY;
    }
    model->base.data_hash = hash;
    *w = &model->base;
    return 0;
}
