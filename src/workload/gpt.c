/*
 * The GPT as a workload: its micro-batches, held-out windows and generation behind the interface
 * of workload.h.
 */
#include "workload/activation.h"
#include "workload/gpt_generate.h"
#include "workload/gpt_model.h"
#include "workload/gpt_pass.h"
#include "workload/label_sampling.h"
#include "workload/random.h"
#include "workload/text_noise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* context + 1 bytes of text into row `sequence` of inputs and of targets. */
static void load_sequence(gpt *model, int64_t sequence, const unsigned char *bytes)
{
    size_t context = (size_t)model->shape.context;
    memcpy(model->state.inputs + (size_t)sequence * context, bytes, context);
    memcpy(model->state.targets + (size_t)sequence * context, bytes + 1, context);
}

/* Sequences start anywhere in the training part, a function of (seed, step, micro-batch) alone. */
static void load_micro_batch(gpt *model, int64_t step, int64_t micro_batch)
{
    const workload_options *options = &model->base.options;
    unsigned char *bytes = model->state.sequence;
    uint64_t starts = (uint64_t)text_sequences(&model->data, options->context);
    for (int64_t sequence = 0; sequence < options->micro_batch_size; sequence++) {
        uint64_t start = random_below(options->seed, RANDOM_BATCH, (uint64_t)step,
                                      (uint64_t)micro_batch, (uint64_t)sequence, starts);
        text_noise noise = {options->noise, options->seed, step, micro_batch, sequence};
        memcpy(bytes, model->data.bytes + start, (size_t)options->context + 1);
        text_noise_apply(&noise, &model->data, (int64_t)start, options->context + 1, bytes);
        load_sequence(model, sequence, bytes);
    }
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

/* From logits and targets to the gradient of the mean loss; *square_norm may be NULL. */
static int learn(gpt *model, const workload_sink *sink, double *square_norm,
                 workload_result *result)
{
    int64_t sequences = model->base.options.micro_batch_size;
    int64_t rows = sequences * model->shape.context;
    activation_cross_entropy(rows, GPT_VOCABULARY, model->state.targets, 1.0f / (float)rows,
                             model->state.logits, model->state.losses);
    if (gpt_backward(model, sequences, sink, square_norm) != 0) {
        return 1;
    }
    *result = (workload_result){
        .samples = sequences, .tokens = rows, .loss_sum = sum_losses(model, sequences)};
    return 0;
}

static int micro_batch(workload *w, int64_t step, int64_t index, const workload_sink *sink,
                       workload_result *result)
{
    gpt *model = (gpt *)w;
    int64_t sequences = w->options.micro_batch_size;
    double square_norm = 0.0;
    load_micro_batch(model, step, index);
    gpt_forward(model, sequences, sink);
    if (learn(model, sink, sequences == 1 ? &square_norm : NULL, result) != 0) {
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
    int64_t sequences = w->options.micro_batch_size;
    load_micro_batch(model, step, index);
    gpt_forward(model, sequences, sink);
    label_sampling_draw(w->options.seed, step, index, sequences * model->shape.context,
                        GPT_VOCABULARY, model->state.logits, model->state.targets);
    return learn(model, sink, NULL, result);
}

static int64_t count_correct(const gpt *model)
{
    int64_t correct = 0;
    for (int64_t row = 0; row < model->shape.context; row++) {
        const float *logits = model->state.logits + row * GPT_VOCABULARY;
        correct += activation_arg_max(GPT_VOCABULARY, logits) == model->state.targets[row];
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
    load_sequence(model, 0, text_window(&model->data, context, unit));
    gpt_forward(model, 1, NULL);
    *correct = (double)count_correct(model);
    activation_cross_entropy(context, GPT_VOCABULARY, model->state.targets, 1.0f,
                             model->state.logits, model->state.losses);
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
        snprintf(message, message_size, "--data is missing: a text file to train on");
        return WORKLOAD_WRONG_OPTIONS;
    }
    if (text_read(options->data, &data, message, message_size) != 0) {
        return WORKLOAD_WRONG_DATA;
    }
    if (text_check(&data, options->data, options->context, message, message_size) != 0) {
        text_free(&data);
        return WORKLOAD_WRONG_DATA;
    }
    uint64_t hash = XXH3_64bits(data.bytes, (size_t)data.count);
    if (gpt_create(options, &data, &model, message, message_size) != 0) {
        return WORKLOAD_NO_MEMORY;
    }
    model->base.data_hash = hash;
    *w = &model->base;
    return 0;
}
