/*
 * What a trainer relies on: the same bits whatever was computed before, batches that depend on
 * (seed, step, micro-batch) alone, and gradients handed over once each, from the head down.
 * ranks: serial
 */
#include "support/gradient_sink.h"
#include "support/reference_gpt_fixture.h"
#include "support/test.h"
#include "workload/gpt_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 2, PARAMETERS = 2 + 10 * LAYERS + 3, CONTEXT = 70, TEXT = 2000 };

static bool same_gradients(const fixture_gradients *a, const fixture_gradients *b)
{
    bool same = a->result.loss_sum == b->result.loss_sum;
    for (int p = 0; p < a->w->parameter_count; p++) {
        size_t size = (size_t)(a->w->parameters[p].rows * a->w->parameters[p].cols);
        same = same && memcmp(a->values[p], b->values[p], size * sizeof(float)) == 0;
    }
    return same;
}

/* Two models over one text, the first with micro-batches of `sequences`. */
typedef struct pair {
    fixture_text data;
    workload *w[2];
    fixture_gradients *g[2];
} pair;

static pair make(int sequences, int other_sequences, uint64_t seed, uint64_t other_seed)
{
    pair p = {.data = fixture_text_create(TEXT)};
    p.w[0] = fixture_gpt(&p.data, LAYERS, 24, 3, CONTEXT, sequences, seed);
    p.w[1] = fixture_gpt(&p.data, LAYERS, 24, 3, CONTEXT, other_sequences, other_seed);
    p.g[0] = fixture_gradients_create(p.w[0]);
    p.g[1] = fixture_gradients_create(p.w[1]);
    return p;
}

static void release(pair *p)
{
    for (int i = 0; i < 2; i++) {
        fixture_gradients_destroy(p->g[i]);
        workload_destroy(&p->w[i]);
        ck_assert_ptr_null(p->w[i]);
    }
    fixture_text_remove(&p->data);
}

START_TEST(bits_do_not_depend_on_what_came_before)
{
    pair p = make(2, 2, 9, 9);
    double loss, weight, correct;
    char words[21];
    ck_assert_int_eq(fixture_micro_batch(p.g[0], 4, 1), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 0, 0), 0);
    ck_assert_int_eq(p.w[1]->kind->held_out(p.w[1], 0, &loss, &weight, &correct), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 4, 0), 0);
    ck_assert(!same_gradients(p.g[0], p.g[1]));
    ck_assert_int_eq(p.w[1]->kind->generate(p.w[1], "x", 20, 1.0, 1, words), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 4, 1), 0);
    ck_assert(same_gradients(p.g[0], p.g[1]));
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 4, 1), 0);
    ck_assert(same_gradients(p.g[0], p.g[1]));
    release(&p);
}
END_TEST

/* The first sequences of a micro-batch are those of a smaller one. */
START_TEST(batches_are_functions_of_their_keys)
{
    pair p = make(1, 3, 9, 9);
    int64_t starts = TEXT - TEXT / 10 - CONTEXT;
    bool seen_low = false, seen_high = false;
    for (int64_t step = 0; step < 200; step++) {
        int64_t start = fixture_start(p.w[0], TEXT, step, 0, 0);
        ck_assert(start >= 0 && start < starts);
        seen_low = seen_low || start < starts / 20;
        seen_high = seen_high || start >= starts - starts / 20;
    }
    ck_assert(seen_low && seen_high);
    ck_assert_int_eq(fixture_micro_batch(p.g[0], 2, 5), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 2, 5), 0);
    fixture_reference *truth = fixture_reference_create(p.w[0]);
    double alone = fixture_reference_micro_batch(truth, p.w[0], &p.data, 2, 5);
    double three = fixture_reference_micro_batch(truth, p.w[1], &p.data, 2, 5);
    ck_assert_double_le(fabs(p.g[0]->loss - alone), 1e-5);
    ck_assert_double_le(fabs(p.g[1]->loss - three), 1e-5);
    ck_assert_double_gt(fabs(alone - three), 1e-4);
    fixture_reference_destroy(truth);
    release(&p);
}
END_TEST

/* Two models whose text differs in noise only; the second has it in every sequence. */
static pair make_noisy(int sequences)
{
    pair p = make(sequences, sequences, 9, 9);
    workload_options options = p.w[1]->options;
    char message[512] = "";
    options.data = p.data.path;
    options.noise = 1.0;
    fixture_gradients_destroy(p.g[1]);
    workload_destroy(&p.w[1]);
    ck_assert_int_eq(workload_create_gpt(&options, &p.w[1], message, sizeof message), 0);
    p.g[1] = fixture_gradients_create(p.w[1]);
    return p;
}

/* Noise is in the training text only, the same in inputs and targets, and the same in curvature. */
START_TEST(noise_is_a_function_of_its_keys)
{
    enum { SEQUENCES = 3, ROWS = SEQUENCES * CONTEXT };
    pair p = make_noisy(SEQUENCES);
    const gpt *clean = (const gpt *)p.w[0], *noisy = (const gpt *)p.w[1];
    int32_t inputs[ROWS];
    double loss[2], weight, correct;
    ck_assert_int_eq(fixture_micro_batch(p.g[0], 2, 5), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 2, 5), 0);
    ck_assert(!same_gradients(p.g[0], p.g[1]));
    memcpy(inputs, noisy->state.inputs, sizeof inputs);
    for (int row = 0; row < ROWS; row += CONTEXT) {
        ck_assert_mem_ne(clean->state.inputs + row, inputs + row, CONTEXT * sizeof *inputs);
        ck_assert_mem_eq(inputs + row + 1, noisy->state.targets + row,
                         (CONTEXT - 1) * sizeof *inputs);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(p.w[i]->kind->held_out(p.w[i], 1, &loss[i], &weight, &correct), 0);
    }
    ck_assert_double_eq(loss[0], loss[1]);
    gradient_sink sink;
    sink_init(&sink, p.w[1]);
    workload_sink interface = {&sink, sink_destination, sink_complete, sink_breathe};
    ck_assert_int_eq(p.w[1]->kind->curvature(p.w[1], 2, 5, &interface, &p.g[1]->result), 0);
    sink_free(&sink);
    ck_assert_mem_eq(inputs, noisy->state.inputs, sizeof inputs);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 2, 4), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 2, 5), 0);
    ck_assert_mem_eq(inputs, noisy->state.inputs, sizeof inputs);
    release(&p);
}
END_TEST

START_TEST(initial_values_depend_on_the_seed)
{
    pair p = make(1, 3, 9, 9);
    pair q = make(1, 1, 10, 9);
    for (int i = 0; i < PARAMETERS; i++) {
        workload_parameter *a = &p.w[0]->parameters[i];
        size_t size = (size_t)(a->rows * a->cols) * sizeof(float);
        ck_assert_mem_eq(a->values, p.w[1]->parameters[i].values, size);
        bool same = memcmp(a->values, q.w[0]->parameters[i].values, size) == 0;
        ck_assert_int_eq(same, a->role == WORKLOAD_VECTOR);
    }
    release(&p);
    release(&q);
}
END_TEST

/* No two matrices of one shape start from the same numbers. */
START_TEST(initial_values_depend_on_the_parameter)
{
    pair p = make(1, 1, 9, 9);
    for (int i = 0; i < PARAMETERS; i++) {
        const workload_parameter *a = &p.w[0]->parameters[i];
        for (int j = 0; j < i && a->role != WORKLOAD_VECTOR; j++) {
            const workload_parameter *b = &p.w[0]->parameters[j];
            if (b->role != WORKLOAD_VECTOR) {
                ck_assert_mem_ne(a->values, b->values, 16 * sizeof(float));
                ck_assert(a->values[0] / b->values[0] != a->values[1] / b->values[1]);
            }
        }
    }
    release(&p);
}
END_TEST

static double deviation(const workload_parameter *parameter)
{
    int64_t size = parameter->rows * parameter->cols;
    double squares = 0.0;
    for (int64_t i = 0; i < size; i++) {
        squares += (double)parameter->values[i] * (double)parameter->values[i];
    }
    return sqrt(squares / (double)size);
}

START_TEST(initial_values_have_their_sizes)
{
    pair p = make(1, 1, 9, 9);
    for (int i = 0; i < PARAMETERS; i++) {
        workload_parameter *parameter = &p.w[0]->parameters[i];
        bool gain = strstr(parameter->name, ".gain") != NULL;
        bool residual =
            strstr(parameter->name, "projection") || strstr(parameter->name, "contract");
        if (parameter->role == WORKLOAD_VECTOR) {
            ck_assert(deviation(parameter) == (gain ? 1.0 : 0.0));
        } else {
            double expected = residual ? 0.02 / sqrt(2.0 * LAYERS) : 0.02;
            ck_assert_double_le(fabs(deviation(parameter) / expected - 1.0), 0.1);
        }
    }
    release(&p);
}
END_TEST

START_TEST(every_gradient_is_handed_over_once)
{
    pair p = make(2, 2, 9, 9);
    fixture_gradients *g = p.g[0];
    ck_assert_int_eq(p.w[0]->parameter_count, PARAMETERS);
    ck_assert_int_eq(fixture_micro_batch(g, 0, 0), 0);
    ck_assert_int_eq(g->completed, PARAMETERS);
    ck_assert_int_eq(g->most_outstanding, 1);
    ck_assert_int_ge(g->breaths, 2 * LAYERS);
    int seen[PARAMETERS] = {0};
    for (int i = 0; i < PARAMETERS; i++) {
        ck_assert_int_eq(g->destinations[i], 1);
        seen[g->order[i]]++;
    }
    for (int i = 0; i < PARAMETERS; i++) {
        ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_str_eq(p.w[0]->parameters[g->order[0]].name, "head");
    ck_assert_str_eq(p.w[0]->parameters[g->order[3]].name, "layer1.mlp.contract");
    ck_assert_str_eq(p.w[0]->parameters[g->order[PARAMETERS - 2]].name, "position_embedding");
    ck_assert_str_eq(p.w[0]->parameters[g->order[PARAMETERS - 1]].name, "token_embedding");
    ck_assert_int_eq(g->result.samples, 2);
    ck_assert_int_eq(g->result.tokens, 2 * CONTEXT);
    release(&p);
}
END_TEST

START_TEST(a_refusing_sink_ends_the_micro_batch)
{
    pair p = make(1, 1, 9, 9);
    for (int i = 0; i < 2 * PARAMETERS; i++) {
        fixture_gradients *g = p.g[0];
        g->refuse_destination = i < PARAMETERS ? i : -1;
        g->refuse_completion = i < PARAMETERS ? -1 : i - PARAMETERS;
        ck_assert_int_eq(fixture_micro_batch(g, 0, 0), 1);
        const char *name = p.w[0]->parameters[i % PARAMETERS].name;
        ck_assert_ptr_nonnull(strstr(p.w[0]->message, name));
    }
    p.g[0]->refuse_completion = -1;
    ck_assert_int_eq(fixture_micro_batch(p.g[0], 0, 0), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 0, 0), 0);
    ck_assert(same_gradients(p.g[0], p.g[1]));
    release(&p);
}
END_TEST

START_TEST(norms_belong_to_single_sequences)
{
    pair p = make(1, 2, 9, 9);
    ck_assert_int_eq(fixture_micro_batch(p.g[0], 0, 0), 0);
    ck_assert_int_eq(fixture_micro_batch(p.g[1], 0, 0), 0);
    double squares = 0.0;
    for (int i = 0; i < PARAMETERS; i++) {
        const workload_parameter *parameter = &p.w[0]->parameters[i];
        for (int64_t j = 0; j < parameter->rows * parameter->cols; j++) {
            squares += (double)p.g[0]->values[i][j] * (double)p.g[0]->values[i][j];
        }
    }
    ck_assert_ptr_null(p.g[1]->result.norms);
    ck_assert_ptr_nonnull(p.g[0]->result.norms);
    ck_assert_double_le(fabs((double)p.g[0]->result.norms[0] / sqrt(squares) - 1.0), 1e-6);
    release(&p);
}
END_TEST

START_TEST(describes_itself)
{
    pair p = make(1, 1, 9, 9);
    const workload *w = p.w[0];
    double flops = 6.0 * (12.0 * LAYERS * 24 * 24 + 256 * 24) + 12.0 * LAYERS * CONTEXT * 24;
    ck_assert_str_eq(w->kind->name, "gpt");
    ck_assert_str_eq(w->unit_name, "token");
    ck_assert(w->flops_per_token == flops);
    ck_assert_int_eq(w->parameters[0].role, WORKLOAD_EMBEDDING);
    ck_assert_int_eq(w->parameters[1].role, WORKLOAD_EMBEDDING);
    ck_assert_int_eq(w->parameters[1].rows, CONTEXT);
    ck_assert_int_eq(w->parameters[PARAMETERS - 1].role, WORKLOAD_HEAD);
    ck_assert_int_eq(w->parameters[2].role, WORKLOAD_VECTOR);
    ck_assert_int_eq(w->parameters[4].role, WORKLOAD_MATRIX);
    ck_assert_str_eq(w->parameters[4].name, "layer0.attention.query");
    release(&p);
}
END_TEST

static void add_identity(Suite *suite)
{
    test_add(suite, "bits_do_not_depend_on_what_came_before",
             bits_do_not_depend_on_what_came_before);
    test_add(suite, "batches_are_functions_of_their_keys", batches_are_functions_of_their_keys);
    test_add(suite, "noise_is_a_function_of_its_keys", noise_is_a_function_of_its_keys);
    test_add(suite, "initial_values_depend_on_the_seed", initial_values_depend_on_the_seed);
    test_add(suite, "initial_values_depend_on_the_parameter",
             initial_values_depend_on_the_parameter);
    test_add(suite, "initial_values_have_their_sizes", initial_values_have_their_sizes);
}

int main(void)
{
    Suite *suite = suite_create("gpt_protocol");
    add_identity(suite);
    test_add(suite, "every_gradient_is_handed_over_once", every_gradient_is_handed_over_once);
    test_add(suite, "a_refusing_sink_ends_the_micro_batch", a_refusing_sink_ends_the_micro_batch);
    test_add(suite, "norms_belong_to_single_sequences", norms_belong_to_single_sequences);
    test_add(suite, "describes_itself", describes_itself);
    return test_run(suite);
}
