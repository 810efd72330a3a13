/*
 * What the tests of the GPT share (see reference_gpt_fixture.h).
 */
#define _POSIX_C_SOURCE 200809L

#include "support/reference_gpt_fixture.h"

#include "support/test.h"
#include "workload/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

fixture_text fixture_text_create(int64_t count)
{
    fixture_text created = {.path = "/tmp/plumb-text-XXXXXX", .count = count};
    int descriptor = mkstemp(created.path);
    ck_assert_int_ge(descriptor, 0);
    created.bytes = malloc((size_t)count + 1);
    for (int64_t i = 0; i < count; i++) {
        /* Some order to learn, some noise, and every byte value. */
        created.bytes[i] = (unsigned char)(i % 3 == 0 ? i / 3 % 256 : 97 + (i * i + i / 7) % 11);
    }
    ck_assert_int_eq(write(descriptor, created.bytes, (size_t)count), count);
    close(descriptor);
    return created;
}

void fixture_text_remove(fixture_text *subject)
{
    unlink(subject->path);
    free(subject->bytes);
}

workload *fixture_gpt(const fixture_text *data, int layers, int width, int heads, int context,
                      int micro_batch_size, uint64_t seed)
{
    workload_options options = {.data = data->path,
                                .layers = layers,
                                .width = width,
                                .heads = heads,
                                .context = context,
                                .micro_batch_size = micro_batch_size,
                                .seed = seed};
    workload *w;
    char message[512] = "";
    int failed = workload_create_gpt(&options, &w, message, sizeof message);
    ck_assert_msg(failed == 0, "%s", message);
    ck_assert_int_le(w->parameter_count, FIXTURE_MOST_PARAMETERS);
    return w;
}

void fixture_enliven(workload *w)
{
    for (int p = 0; p < w->parameter_count; p++) {
        workload_parameter *parameter = &w->parameters[p];
        float size = parameter->role == WORKLOAD_VECTOR ? 0.3f : 0.4f;
        for (int64_t i = 0; i < parameter->rows * parameter->cols; i++) {
            parameter->values[i] += size * test_value(77, (uint64_t)p, (uint64_t)i);
        }
    }
}

static int64_t size_of(const workload *w, int parameter)
{
    return w->parameters[parameter].rows * w->parameters[parameter].cols;
}

fixture_gradients *fixture_gradients_create(workload *w)
{
    fixture_gradients *created = calloc(1, sizeof *created);
    created->w = w;
    created->refuse_destination = -1;
    created->refuse_completion = -1;
    for (int p = 0; p < w->parameter_count; p++) {
        created->values[p] = malloc((size_t)size_of(w, p) * sizeof(float));
    }
    return created;
}

void fixture_gradients_destroy(fixture_gradients *subject)
{
    for (int p = 0; p < subject->w->parameter_count; p++) {
        free(subject->values[p]);
    }
    free(subject);
}

static int destination(void *context, int parameter, float **gradient)
{
    fixture_gradients *subject = context;
    subject->destinations[parameter]++;
    subject->outstanding++;
    if (subject->outstanding > subject->most_outstanding) {
        subject->most_outstanding = subject->outstanding;
    }
    *gradient = subject->values[parameter];
    return parameter == subject->refuse_destination;
}

static int complete(void *context, int parameter)
{
    fixture_gradients *subject = context;
    subject->outstanding--;
    if (subject->completed < FIXTURE_MOST_PARAMETERS) {
        subject->order[subject->completed] = parameter;
    }
    subject->completed++;
    return parameter == subject->refuse_completion;
}

static void breathe(void *context)
{
    ((fixture_gradients *)context)->breaths++;
}

int fixture_micro_batch(fixture_gradients *subject, int64_t step, int64_t micro_batch)
{
    workload *w = subject->w;
    workload_sink sink = {subject, destination, complete, breathe};
    subject->completed = subject->outstanding = subject->most_outstanding = subject->breaths = 0;
    memset(subject->destinations, 0, sizeof subject->destinations);
    for (int p = 0; p < w->parameter_count; p++) {
        /* NaN, so that anything that is added to instead of written shows. */
        memset(subject->values[p], 0xff, (size_t)size_of(w, p) * sizeof(float));
    }
    int failed = w->kind->micro_batch(w, step, micro_batch, &sink, &subject->result);
    subject->loss = subject->result.loss_sum / (double)subject->result.samples;
    return failed;
}

fixture_reference *fixture_reference_create(const workload *w)
{
    fixture_reference *created = calloc(1, sizeof *created);
    created->shape = (reference_gpt){(int)w->options.layers, (int)w->options.width,
                                     (int)w->options.heads, (int)w->options.context};
    created->parameters = reference_gpt_parameters(&created->shape);
    ck_assert_int_eq(created->parameters, w->parameter_count);
    for (int p = 0; p < created->parameters; p++) {
        int64_t size = size_of(w, p);
        ck_assert_int_eq(size, reference_gpt_size(&created->shape, p));
        created->values[p] = malloc((size_t)size * sizeof(double));
        created->gradients[p] = calloc((size_t)size, sizeof(double));
        for (int64_t i = 0; i < size; i++) {
            created->values[p][i] = (double)w->parameters[p].values[i];
        }
    }
    return created;
}

void fixture_reference_destroy(fixture_reference *subject)
{
    for (int p = 0; p < subject->parameters; p++) {
        free(subject->values[p]);
        free(subject->gradients[p]);
    }
    free(subject);
}

int64_t fixture_start(const workload *w, int64_t text_count, int64_t step, int64_t micro_batch,
                      int64_t sequence)
{
    int64_t training = text_count - text_count / 10;
    return (int64_t)random_below(w->options.seed, RANDOM_BATCH, (uint64_t)step,
                                 (uint64_t)micro_batch, (uint64_t)sequence,
                                 (uint64_t)(training - w->options.context));
}

double fixture_reference_micro_batch(fixture_reference *subject, const workload *w,
                                     const fixture_text *data, int64_t step, int64_t micro_batch)
{
    int64_t sequences = w->options.micro_batch_size;
    for (int p = 0; p < subject->parameters; p++) {
        memset(subject->gradients[p], 0,
               (size_t)reference_gpt_size(&subject->shape, p) * sizeof(double));
    }
    double loss = 0.0;
    for (int64_t sequence = 0; sequence < sequences; sequence++) {
        int64_t start = fixture_start(w, data->count, step, micro_batch, sequence);
        loss += reference_gpt_loss(&subject->shape, subject->values, subject->shape.context,
                                   data->bytes + start, 1.0 / (double)sequences, subject->gradients,
                                   NULL);
    }
    return loss / (double)sequences;
}
