/*
 * The perceptron as a workload: what it registers, its sink protocol, batches that depend on
 * nothing but their keys, and options without meaning.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "support/gradient_sink.h"
#include "support/idx_fixture.h"
#include "support/test.h"

static workload_options options_for(const fixture *f)
{
    return (workload_options){
        .data = f->folder, .layers = 3, .width = 9, .micro_batch_size = 5, .seed = 4};
}

static workload *make(const workload_options *options)
{
    workload *w;
    char message[512] = "";
    ck_assert_msg(workload_create_mlp(options, &w, message, sizeof message) == 0, "%s", message);
    return w;
}

START_TEST(parameters)
{
    fixture f;
    fixture_make(&f, false);
    workload_options options = options_for(&f);
    workload *w = make(&options);
    static const int64_t shapes[8][2] = {{9, 20}, {1, 9}, {9, 9},  {1, 9},
                                         {9, 9},  {1, 9}, {10, 9}, {1, 10}};
    ck_assert_int_eq(w->parameter_count, 8);
    ck_assert_str_eq(w->unit_name, "image");
    double flops = 4.0 * 180 + 6.0 * (81 + 81 + 90);
    ck_assert_double_eq(w->flops_per_token, flops);
    for (int p = 0; p < 8; p++) {
        const workload_parameter *parameter = &w->parameters[p];
        workload_role matrix = p == 6 ? WORKLOAD_HEAD : WORKLOAD_MATRIX;
        ck_assert_int_eq(parameter->rows, shapes[p][0]);
        ck_assert_int_eq(parameter->cols, shapes[p][1]);
        ck_assert_int_eq(parameter->role, p % 2 == 1 ? WORKLOAD_VECTOR : matrix);
        for (int q = 0; q < p; q++) {
            ck_assert_str_ne(parameter->name, w->parameters[q].name);
        }
    }
    workload_destroy(&w);
    ck_assert_ptr_null(w);
    fixture_remove(&f);
}
END_TEST

START_TEST(initial_values)
{
    fixture f;
    fixture_make(&f, false);
    workload_options options = options_for(&f);
    options.width = 200;
    workload *w = make(&options), *same = make(&options);
    options.seed = 5;
    workload *other = make(&options);
    for (int p = 0; p < w->parameter_count; p++) {
        const workload_parameter *parameter = &w->parameters[p];
        int64_t count = parameter->rows * parameter->cols;
        double squares = 0.0;
        for (int64_t i = 0; i < count; i++) {
            squares += (double)parameter->values[i] * (double)parameter->values[i];
        }
        double expected = p % 2 == 1 ? 0.0 : 2.0 / (double)parameter->cols;
        ck_assert_double_eq_tol(squares / (double)count, expected, 0.1 * expected + 1e-12);
        size_t bytes = (size_t)count * sizeof(float);
        ck_assert_mem_eq(parameter->values, same->parameters[p].values, bytes);
        if (p % 2 == 0) {
            ck_assert_mem_ne(parameter->values, other->parameters[p].values, bytes);
        }
    }
    workload_destroy(&w);
    workload_destroy(&same);
    workload_destroy(&other);
    fixture_remove(&f);
}
END_TEST

START_TEST(sink_protocol)
{
    fixture f;
    fixture_make(&f, false);
    workload_options options = options_for(&f);
    workload *w = make(&options);
    gradient_sink sink;
    sink_init(&sink, w);
    workload_result result;
    ck_assert_int_eq(sink_run(&sink, 0, 0, &result), 0);
    ck_assert_int_eq(sink.completed, w->parameter_count);
    ck_assert_int_ge(sink.breaths, 1);
    for (int p = 0; p < w->parameter_count; p++) {
        ck_assert_int_eq(sink.destinations[p], 1);
        ck_assert_int_eq(sink.completions[p], 1);
        /* Layers from the last to the first. */
        ck_assert_int_eq(sink.order[p] / 2, w->parameter_count / 2 - 1 - p / 2);
    }
    double squares = sink_squares(&sink);
    ck_assert(isfinite(squares) && squares > 0.0);
    workload_sink bare = {&sink, sink_destination, sink_complete, NULL};
    ck_assert_int_eq(w->kind->micro_batch(w, 0, 0, &bare, &result), 0);
    ck_assert_double_eq(sink_squares(&sink), squares);
    sink_free(&sink);
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

START_TEST(a_sink_may_stop)
{
    fixture f;
    fixture_make(&f, false);
    workload_options options = options_for(&f);
    workload *w = make(&options);
    for (int call = 0; call < 2 * w->parameter_count; call++) {
        gradient_sink sink;
        sink_init(&sink, w);
        sink.stop_at = call;
        w->message[0] = '\0';
        workload_result result;
        ck_assert_int_eq(sink_run(&sink, 0, 0, &result), 1);
        ck_assert_int_eq(sink.calls, call + 1);
        ck_assert_ptr_nonnull(strstr(w->message, "stopped"));
        sink_free(&sink);
    }
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

/* Gradients and norms of (step, micro-batch), whatever was asked before. */
START_TEST(order_of_calls_does_not_matter)
{
    fixture f;
    fixture_make(&f, false);
    workload_options options = options_for(&f);
    workload *first = make(&options), *second = make(&options);
    gradient_sink expected, sink;
    sink_init(&expected, first);
    sink_init(&sink, second);
    workload_result expected_result, result;
    double loss, weight, correct;
    for (int64_t micro_batch = 0; micro_batch < 4; micro_batch++) {
        ck_assert_int_eq(sink_run(&sink, 8, 3 - micro_batch, &result), 0);
        ck_assert_int_eq(second->kind->held_out(second, 0, &loss, &weight, &correct), 0);
        ck_assert_int_eq(sink_run(&sink, 7, micro_batch, &result), 0);
        ck_assert_int_eq(sink_run(&expected, 7, micro_batch, &expected_result), 0);
        ck_assert_double_eq(result.loss_sum, expected_result.loss_sum);
        ck_assert_mem_eq(result.norms, expected_result.norms, 5 * sizeof(float));
        for (int p = 0; p < first->parameter_count; p++) {
            ck_assert_mem_eq(sink.gradients[p], expected.gradients[p],
                             (size_t)sink_count(&sink, p) * sizeof(float));
        }
    }
    double before = result.loss_sum;
    ck_assert_int_eq(sink_run(&sink, 8, 3, &result), 0);
    ck_assert_double_ne(result.loss_sum, before);
    sink_free(&expected);
    sink_free(&sink);
    workload_destroy(&first);
    workload_destroy(&second);
    fixture_remove(&f);
}
END_TEST

/* A NaN among the weights must reach the loss, or nobody would notice. */
START_TEST(nan_is_not_hidden)
{
    fixture f;
    fixture_make(&f, false);
    workload_options options = options_for(&f);
    for (int p = 0; p < 8; p++) {
        workload *w = make(&options);
        gradient_sink sink;
        sink_init(&sink, w);
        w->parameters[p].values[0] = NAN;
        workload_result result;
        ck_assert_int_eq(sink_run(&sink, 0, 0, &result), 0);
        ck_assert(isnan(result.loss_sum));
        ck_assert(isnan(sink_squares(&sink)));
        sink_free(&sink);
        workload_destroy(&w);
    }
    fixture_remove(&f);
}
END_TEST

static void assert_refused(const workload_options *options, int reason, const char *name)
{
    workload *w = (workload *)1;
    char message[512] = "";
    ck_assert_int_eq(workload_create_mlp(options, &w, message, sizeof message), reason);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(message, name) != NULL, "%s", message);
}

#define REFUSED(field, value, name)                                                                \
    do {                                                                                           \
        workload_options wrong = options_for(&f);                                                  \
        wrong.field = (value);                                                                     \
        assert_refused(&wrong, WORKLOAD_WRONG_OPTIONS, name);                                      \
    } while (0)

START_TEST(wrong_options)
{
    fixture f;
    fixture_make(&f, false);
    REFUSED(layers, 0, "--layers");
    REFUSED(layers, 65, "--layers");
    REFUSED(width, 0, "--width");
    REFUSED(width, 65537, "--width");
    REFUSED(micro_batch_size, 0, "--micro-batch-size");
    REFUSED(micro_batch_size, (1 << 20) + 1, "--micro-batch-size");
    REFUSED(noise, 0.2, "--noise is 0.2");
    REFUSED(noise, (double)NAN, "--noise");
    REFUSED(data, NULL, "data");
    workload_options wrong = options_for(&f);
    wrong.data = "/nowhere";
    assert_refused(&wrong, WORKLOAD_WRONG_DATA, "/nowhere");
    fixture_remove(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mlp workload");
    test_add(suite, "parameters", parameters);
    test_add(suite, "initial values", initial_values);
    test_add(suite, "sink protocol", sink_protocol);
    test_add(suite, "a sink may stop", a_sink_may_stop);
    test_add(suite, "order of calls does not matter", order_of_calls_does_not_matter);
    test_add(suite, "NaN is not hidden", nan_is_not_hidden);
    test_add(suite, "wrong options", wrong_options);
    return test_run(suite);
}
