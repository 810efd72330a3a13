/*
 * The GPT over tokens: shards of bytes give the bits of the text, logits in pieces the gradient of
 * all at once, any vocabulary, and what can go wrong is said.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include "support/gradient_sink.h"
#include "support/reference_gpt_fixture.h"
#include "support/test.h"
#include "workload/gpt_model.h"
#include "workload/label_sampling.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXT = 8, SEQUENCES = 3, ROWS = SEQUENCES * CONTEXT };

static const char shards_path[] = "/tmp/plumb-gpt-tokens.bin";

static void put(FILE *file, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        fputc((int)(value >> 8 * i & 255), file);
    }
}

/* A shard of the bytes of `data`, each times `factor`, in 16 or 32 bits. */
static void write_shard(const fixture_text *data, uint32_t factor, int width)
{
    FILE *file = fopen(shards_path, "wb");
    ck_assert_ptr_nonnull(file);
    put(file, width == 2 ? 20240520 : 20240801, 4);
    put(file, width == 2 ? 1 : 7, 4);
    put(file, (uint32_t)data->count, 4);
    for (int i = 3; i < 256; i++) {
        put(file, 0, 4);
    }
    for (int64_t i = 0; i < data->count; i++) {
        put(file, data->bytes[i] * factor, width);
    }
    fclose(file);
}

static workload *make(const char *path, int64_t width, int64_t vocabulary)
{
    workload_options options = {.data = path,
                                .layers = 1,
                                .width = width,
                                .heads = 2,
                                .context = CONTEXT,
                                .micro_batch_size = SEQUENCES,
                                .seed = 3,
                                .vocabulary = vocabulary};
    workload *w;
    char message[512] = "";
    int failed = workload_create_gpt(&options, &w, message, sizeof message);
    ck_assert_msg(failed == 0, "%s", message);
    return w;
}

static int run(gradient_sink *sink, bool curvature, workload_result *result)
{
    workload_sink interface = {sink, sink_destination, sink_complete, sink_breathe};
    workload *w = sink->w;
    return curvature ? w->kind->curvature(w, 2, 5, &interface, result)
                     : w->kind->micro_batch(w, 2, 5, &interface, result);
}

/* Largest difference of two gradients over their largest element. */
static double distance(const gradient_sink *a, const gradient_sink *b)
{
    double largest = 0.0;
    double difference = 0.0;
    for (int p = 0; p < a->w->parameter_count; p++) {
        for (int64_t i = 0; i < sink_count(a, p); i++) {
            double x = (double)a->gradients[p][i];
            double y = (double)b->gradients[p][i];
            ck_assert(isfinite(x) && isfinite(y));
            largest = fmax(largest, fabs(x));
            difference = fmax(difference, fabs(x - y));
        }
    }
    ck_assert_double_gt(largest, 0.0);
    return difference / largest;
}

START_TEST(shards_of_bytes_are_the_text)
{
    fixture_text data = fixture_text_create(900);
    for (int width = 2; width <= 4; width += 2) {
        write_shard(&data, 1, width);
        workload *w[2] = {make(data.path, 8, 0), make(shards_path, 8, 256)};
        gradient_sink sinks[2];
        for (int curvature = 0; curvature < 2; curvature++) {
            workload_result results[2];
            for (int i = 0; i < 2; i++) {
                sink_init(&sinks[i], w[i]);
                ck_assert_int_eq(run(&sinks[i], curvature != 0, &results[i]), 0);
            }
            ck_assert_double_eq(results[0].loss_sum, results[1].loss_sum);
            ck_assert(distance(&sinks[0], &sinks[1]) == 0.0);
            sink_free(&sinks[0]);
            sink_free(&sinks[1]);
        }
        ck_assert_int_eq(w[0]->held_out_units, w[1]->held_out_units);
        for (int64_t unit = 0; unit < w[0]->held_out_units; unit++) {
            double loss[2], weight[2], correct[2];
            for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(
                    w[i]->kind->held_out(w[i], unit, &loss[i], &weight[i], &correct[i]), 0);
            }
            ck_assert(loss[0] == loss[1] && weight[0] == weight[1] && correct[0] == correct[1]);
        }
        workload_destroy(&w[0]);
        workload_destroy(&w[1]);
    }
    unlink(shards_path);
    fixture_text_remove(&data);
}
END_TEST

/* The memory for logits decides how many positions go together, and nothing else. */
START_TEST(logits_in_pieces)
{
    fixture_text data = fixture_text_create(900);
    write_shard(&data, 100, 2);
    workload *w = make(shards_path, 8, 0);
    ck_assert_int_eq(((gpt *)w)->shape.vocabulary, 25600); /* above 255 * 100 = 25500 */
    ck_assert_int_eq(((gpt *)w)->state.logit_rows, ROWS);
    fixture_enliven(w);
    for (int curvature = 0; curvature < 2; curvature++) {
        gradient_sink whole, pieces;
        workload_result results[2];
        sink_init(&whole, w);
        sink_init(&pieces, w);
        ck_assert_int_eq(run(&whole, curvature != 0, &results[0]), 0);
        for (int64_t rows = 1; rows < ROWS; rows += 4) {
            ((gpt *)w)->state.logit_rows = rows;
            ck_assert_int_eq(run(&pieces, curvature != 0, &results[1]), 0);
            ck_assert_double_eq_tol(results[0].loss_sum, results[1].loss_sum, 1e-4);
            ck_assert_double_lt(distance(&whole, &pieces), 1e-5);
        }
        ((gpt *)w)->state.logit_rows = ROWS;
        sink_free(&whole);
        sink_free(&pieces);
    }
    double loss[2], weight, correct[2];
    ck_assert_int_eq(w->kind->held_out(w, 1, &loss[0], &weight, &correct[0]), 0);
    ((gpt *)w)->state.logit_rows = 3;
    ck_assert_int_eq(w->kind->held_out(w, 1, &loss[1], &weight, &correct[1]), 0);
    ck_assert_double_eq_tol(loss[0], loss[1], 1e-4);
    ck_assert_double_eq(correct[0], correct[1]);
    workload_destroy(&w);
    unlink(shards_path);
    fixture_text_remove(&data);
}
END_TEST

/* An untrained model's loss is that of guessing; its rows of the embedding are those looked up. */
START_TEST(a_large_vocabulary)
{
    const int64_t vocabulary = 1 << 20;
    fixture_text data = fixture_text_create(900);
    write_shard(&data, 4000, 4);
    workload *w = make(shards_path, 2, vocabulary);
    ck_assert_int_eq(((gpt *)w)->state.logit_rows, 16); /* 64 MiB of them */
    gradient_sink sink;
    workload_result result;
    sink_init(&sink, w);
    ck_assert_int_eq(run(&sink, false, &result), 0);
    ck_assert_double_eq_tol(result.loss_sum / SEQUENCES, log((double)vocabulary), 0.1);
    bool *seen = calloc((size_t)vocabulary, sizeof *seen);
    int64_t used = 0, wrong = 0;
    for (int row = 0; row < ROWS; row++) {
        seen[((const gpt *)w)->state.inputs[row]] = true;
    }
    for (int64_t token = 0; token < vocabulary; token++) {
        const float *row = sink.gradients[GPT_TOKEN_EMBEDDING] + 2 * token;
        wrong += (row[0] != 0.0f || row[1] != 0.0f) != seen[token];
        wrong += seen[token] && token % 4000 != 0;
        used += seen[token];
    }
    ck_assert_int_eq(wrong, 0);
    free(seen);
    ck_assert_int_gt(used, 3);
    sink_free(&sink);
    workload_destroy(&w);
    unlink(shards_path);
    fixture_text_remove(&data);
}
END_TEST

START_TEST(labels_of_many_classes)
{
    enum { CLASSES = 1000, DRAWS = 4000 };
    static float logits[DRAWS * CLASSES];
    static int32_t labels[DRAWS], part[DRAWS];
    unsigned char bytes[50];
    for (int64_t i = 0; i < DRAWS * CLASSES; i++) {
        logits[i] =
            (float)(i % CLASSES % 10); /* every tenth class is likelier than the one before */
    }
    label_sampling_draw_tokens(5, 1, 2, 0, DRAWS, CLASSES, logits, labels);
    double total = 0.0, found[10] = {0}, late = 0.0;
    for (int digit = 0; digit < 10; digit++) {
        total += exp(digit);
    }
    for (int i = 0; i < DRAWS; i++) {
        ck_assert(labels[i] >= 0 && labels[i] < CLASSES);
        found[labels[i] % 10] += 1.0;
        late += labels[i] >= 512;
    }
    for (int digit = 0; digit < 10; digit++) {
        double share = exp(digit) / total;
        ck_assert_double_lt(fabs(found[digit] - DRAWS * share),
                            4.0 * sqrt(DRAWS * share * (1.0 - share)) + 1.0);
    }
    ck_assert_double_lt(fabs(late - DRAWS * 0.488), 4.0 * sqrt(DRAWS * 0.25));
    /* A row's label does not depend on the rows it comes with. */
    label_sampling_draw_tokens(5, 1, 2, 700, 30, CLASSES, logits, part);
    ck_assert_mem_eq(part, labels + 700, 30 * sizeof *part);
    /* Few classes: as for bytes. */
    label_sampling_draw_tokens(5, 1, 2, 0, 50, 200, logits, part);
    label_sampling_draw(5, 1, 2, 50, 200, logits, bytes);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(part[i], bytes[i]);
    }
}
END_TEST

/* A file that changes under the run: no access beyond the embedding, but an error that says where. */
START_TEST(a_token_that_becomes_wrong)
{
    fixture_text data = fixture_text_create(900);
    write_shard(&data, 1, 2);
    workload *w = make(shards_path, 8, 256);
    FILE *file = fopen(shards_path, "rb+");
    fseek(file, 1024, SEEK_SET);
    for (int i = 0; i < 900; i++) {
        put(file, 256, 2);
    }
    fclose(file);
    gradient_sink sink;
    workload_result result;
    sink_init(&sink, w);
    ck_assert_int_eq(run(&sink, false, &result), 1);
    ck_assert_ptr_nonnull(strstr(w->message, shards_path));
    ck_assert_ptr_nonnull(strstr(w->message, "is 256, which a vocabulary of 256"));
    double loss, weight, correct;
    ck_assert_int_eq(w->kind->held_out(w, 0, &loss, &weight, &correct), 1);
    sink_free(&sink);
    workload_destroy(&w);
    unlink(shards_path);
    fixture_text_remove(&data);
}
END_TEST

START_TEST(what_shards_do_not_have)
{
    fixture_text data = fixture_text_create(900);
    write_shard(&data, 1, 2);
    workload *w = make(shards_path, 8, 256);
    char generated[5];
    ck_assert_int_eq(w->kind->generate(w, "a", 4, 1.0, 1, generated), 1);
    ck_assert_ptr_nonnull(strstr(w->message, "cannot generate text"));
    workload_options options = w->options;
    char path[64];
    snprintf(path, sizeof path, "%s", shards_path);
    options.data = path;
    options.noise = 0.5;
    workload *noisy;
    char message[512] = "";
    ck_assert_int_eq(workload_create_gpt(&options, &noisy, message, sizeof message),
                     WORKLOAD_WRONG_OPTIONS);
    ck_assert_ptr_nonnull(strstr(message, "--noise"));
    workload_destroy(&w);
    unlink(shards_path);
    fixture_text_remove(&data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_tokens");
    test_add(suite, "shards_of_bytes_are_the_text", shards_of_bytes_are_the_text);
    test_add(suite, "logits_in_pieces", logits_in_pieces);
    test_add(suite, "a_large_vocabulary", a_large_vocabulary);
    test_add(suite, "labels_of_many_classes", labels_of_many_classes);
    test_add(suite, "a_token_that_becomes_wrong", a_token_that_becomes_wrong);
    test_add(suite, "what_shards_do_not_have", what_shards_do_not_have);
    return test_run(suite);
}
