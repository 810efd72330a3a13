/*
 * Gauss-Newton-Bartlett from the GPT: labels follow the model's own distribution, the gradient is
 * that of these labels, its mean is zero, and B times its square estimates the exact Gauss-Newton
 * diagonal, which the plain reference sums over the whole vocabulary.
 * ranks: serial
 * seconds: 900
 */
#include "support/gradient_sink.h"
#include "support/reference_gpt_fixture.h"
#include "support/test.h"
#include "workload/gpt_model.h"
#include "workload/label_sampling.h"

#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 256, MOST_CONTEXT = 16 };

/* Mean and standard error of independent numbers. */
typedef struct tally {
    double count, sum, squares;
} tally;

static void tally_add(tally *t, double value)
{
    t->count += 1.0;
    t->sum += value;
    t->squares += value * value;
}

/* Distance of the mean from `expected` in standard errors. */
static double tally_score(const tally *t, double expected)
{
    double mean = t->sum / t->count;
    double variance = (t->squares / t->count - mean * mean) / (t->count - 1.0);
    return (mean - expected) / sqrt(variance);
}

static void softmax(int classes, const double *logits, double *probabilities)
{
    double sum = 0.0;
    for (int c = 0; c < classes; c++) {
        probabilities[c] = exp(logits[c]);
        sum += probabilities[c];
    }
    for (int c = 0; c < classes; c++) {
        probabilities[c] /= sum;
    }
}

/* Chi-square of `draws` labels from fixed logits lies within four standard deviations. */
static void check_frequencies(int classes, float shift)
{
    enum { ROWS = 500, BATCHES = 400, DRAWS = ROWS * BATCHES };
    static float logits[ROWS * VOCABULARY];
    static unsigned char labels[ROWS];
    double wide[VOCABULARY], probabilities[VOCABULARY], counts[VOCABULARY] = {0}, square = 0.0;
    for (int i = 0; i < ROWS * classes; i++) {
        logits[i] = 1.5f * test_value(5, 6, (uint64_t)(i % classes)) + shift;
    }
    for (int c = 0; c < classes; c++) {
        wide[c] = (double)logits[c] - (double)shift;
    }
    softmax(classes, wide, probabilities);
    for (int batch = 0; batch < BATCHES; batch++) {
        label_sampling_draw(3, 7 + batch / 20, batch % 20, ROWS, classes, logits, labels);
        for (int row = 0; row < ROWS; row++) {
            ck_assert_int_lt(labels[row], classes);
            counts[labels[row]] += 1.0;
        }
    }
    for (int c = 0; c < classes; c++) {
        double expected = DRAWS * probabilities[c];
        square += (counts[c] - expected) * (counts[c] - expected) / expected;
    }
    double freedom = classes - 1;
    ck_assert_double_lt(fabs(square - freedom), 4.0 * sqrt(2.0 * freedom));
}

START_TEST(labels_follow_the_softmax)
{
    check_frequencies(VOCABULARY, 0.0f);
    check_frequencies(10, 0.0f);
    check_frequencies(2, 64.0f);
}
END_TEST

START_TEST(labels_of_extreme_logits)
{
    enum { ROWS = 300 };
    static float logits[ROWS * 10];
    unsigned char labels[ROWS];
    for (int i = 0; i < ROWS * 10; i++) {
        int row = i / 10, class = i % 10;
        logits[i] = row < 100   ? (class == row % 10 ? 1e30f : -1e30f)
                    : row < 200 ? (class == row % 10 ? 0.0f : -INFINITY)
                                : (class == row % 10 ? NAN : 0.0f);
    }
    label_sampling_draw(1, 2, 3, ROWS, 10, logits, labels);
    for (int row = 0; row < ROWS; row++) {
        ck_assert_int_lt(labels[row], 10);
        ck_assert(row >= 200 || labels[row] == row % 10);
    }
    label_sampling_draw(1, 2, 3, ROWS, 1, logits, labels);
    ck_assert_int_eq(labels[ROWS - 1], 0);
}
END_TEST

static const int32_t *inputs_of(const workload *w)
{
    return ((const gpt *)w)->state.inputs;
}

static const int32_t *labels_of(const workload *w)
{
    return ((const gpt *)w)->state.targets;
}

static const unsigned char *to_bytes(const int32_t *tokens, int count, unsigned char *bytes)
{
    for (int i = 0; i < count; i++) {
        bytes[i] = (unsigned char)tokens[i];
    }
    return bytes;
}

static int run_curvature(gradient_sink *sink, int64_t step, int64_t micro_batch,
                         workload_result *result)
{
    workload_sink interface = {sink, sink_destination, sink_complete, sink_breathe};
    return sink->w->kind->curvature(sink->w, step, micro_batch, &interface, result);
}

/* A small model, its sink, and its reference. */
typedef struct setting {
    fixture_text data;
    workload *w;
    gradient_sink sink;
    fixture_reference *truth;
} setting;

static void setting_make(setting *s, int64_t bytes, int layers, int width, int context,
                         int sequences)
{
    s->data = fixture_text_create(bytes);
    s->w = fixture_gpt(&s->data, layers, width, 2, context, sequences, 17);
    fixture_enliven(s->w);
    sink_init(&s->sink, s->w);
    s->truth = fixture_reference_create(s->w);
}

static void setting_free(setting *s)
{
    fixture_reference_destroy(s->truth);
    sink_free(&s->sink);
    workload_destroy(&s->w);
    fixture_text_remove(&s->data);
}

/* Probabilities, context x 256, of the sequence whose inputs begin at `bytes`. */
static void predict(const setting *s, const unsigned char *bytes, double *probabilities)
{
    int context = s->truth->shape.context;
    unsigned char closed[MOST_CONTEXT + 1] = {0};
    memcpy(closed, bytes, (size_t)context);
    reference_gpt_loss(&s->truth->shape, s->truth->values, context, closed, 0.0, NULL,
                       probabilities);
    for (int row = 0; row < context; row++) {
        softmax(VOCABULARY, probabilities + row * VOCABULARY, probabilities + row * VOCABULARY);
    }
}

/*
 * Adds weight times the gradient of one prediction's loss: that of byte `label` after
 * bytes[0 .. row]. The reference knows mean losses of sequences, and attention looks back only.
 */
static void add_prediction(fixture_reference *truth, const unsigned char *bytes, int row,
                           unsigned char label, double weight)
{
    unsigned char closed[MOST_CONTEXT + 1];
    memcpy(closed, bytes, (size_t)row + 1);
    closed[row + 1] = label;
    reference_gpt_loss(&truth->shape, truth->values, row + 1, closed, weight * (row + 1),
                       truth->gradients, NULL);
    if (row > 0) {
        reference_gpt_loss(&truth->shape, truth->values, row, closed, -weight * row,
                           truth->gradients, NULL);
    }
}

static void clear_gradients(fixture_reference *truth)
{
    for (int p = 0; p < truth->parameters; p++) {
        size_t size = (size_t)reference_gpt_size(&truth->shape, p);
        memset(truth->gradients[p], 0, size * sizeof(double));
    }
}

/*
 * Labels drawn in training fit the reference's predictions, in the frequency of each byte, and in
 * the surprise at each position: its expectation is the entropy, if the position is the right one.
 */
START_TEST(drawn_labels_follow_the_model)
{
    enum { STEPS = 400, CONTEXT = 9, SEQUENCES = 2, ROWS = CONTEXT * SEQUENCES };
    setting s;
    setting_make(&s, 700, 1, 8, CONTEXT, SEQUENCES);
    double expected[VOCABULARY] = {0}, found[VOCABULARY] = {0}, spread[VOCABULARY] = {0};
    double probabilities[CONTEXT * VOCABULARY], surprise = 0.0, variance = 0.0;
    unsigned char bytes[CONTEXT];
    for (int step = 0; step < STEPS; step++) {
        workload_result result;
        double loss = 0.0;
        ck_assert_int_eq(run_curvature(&s.sink, step, 3, &result), 0);
        for (int row = 0; row < ROWS; row++) {
            if (row % CONTEXT == 0) {
                predict(&s, to_bytes(inputs_of(s.w) + row, CONTEXT, bytes), probabilities);
            }
            const double *p = probabilities + row % CONTEXT * VOCABULARY;
            double entropy = 0.0, squares = 0.0;
            for (int c = 0; c < VOCABULARY; c++) {
                expected[c] += p[c];
                spread[c] += p[c] * (1.0 - p[c]);
                entropy -= p[c] * log(p[c]);
                squares += p[c] * log(p[c]) * log(p[c]);
            }
            found[labels_of(s.w)[row]] += 1.0;
            loss -= log(p[labels_of(s.w)[row]]) / CONTEXT;
            surprise -= log(p[labels_of(s.w)[row]]) + entropy;
            variance += squares - entropy * entropy;
        }
        ck_assert_double_eq_tol(result.loss_sum, loss, 1e-5 * loss);
    }
    for (int c = 0; c < VOCABULARY; c++) {
        ck_assert_double_lt(fabs(found[c] - expected[c]), 4.5 * sqrt(spread[c]));
    }
    ck_assert_double_gt(variance, 100.0); /* the model has opinions */
    ck_assert_double_lt(fabs(surprise), 4.0 * sqrt(variance));
    setting_free(&s);
}
END_TEST

/* The gradient of exactly the labels that were drawn, and the mean over all predictions. */
START_TEST(gradient_is_that_of_the_drawn_labels)
{
    enum { CONTEXT = 6, SEQUENCES = 3, ROWS = CONTEXT * SEQUENCES };
    setting s;
    setting_make(&s, 400, 2, 8, CONTEXT, SEQUENCES);
    workload_result result;
    ck_assert_int_eq(run_curvature(&s.sink, 5, 2, &result), 0);
    ck_assert_int_eq(result.samples, SEQUENCES);
    ck_assert_int_eq(result.tokens, ROWS);
    ck_assert_ptr_null(result.norms);
    clear_gradients(s.truth);
    for (int row = 0; row < ROWS; row++) {
        unsigned char bytes[CONTEXT];
        to_bytes(inputs_of(s.w) + row / CONTEXT * CONTEXT, CONTEXT, bytes);
        add_prediction(s.truth, bytes, row % CONTEXT, (unsigned char)labels_of(s.w)[row],
                       1.0 / ROWS);
    }
    for (int p = 0; p < s.w->parameter_count; p++) {
        double squares = 0.0, errors = 0.0;
        for (int64_t i = 0; i < sink_count(&s.sink, p); i++) {
            double truth = s.truth->gradients[p][i];
            double error = (double)s.sink.gradients[p][i] - truth;
            squares += truth * truth;
            errors += error * error;
        }
        ck_assert_double_gt(squares, 0.0);
        ck_assert_double_lt(errors, 1e-8 * squares);
    }
    setting_free(&s);
}
END_TEST

/* The exact Gauss-Newton diagonal, mean over all predictions of all training sequences: the
 * label's covariance, sum over c of p_c (gradient for label c)^2. */
static void exact_diagonal(setting *s, double *const *exact)
{
    fixture_reference *truth = s->truth;
    int context = truth->shape.context;
    int64_t starts = s->data.count - s->data.count / 10 - context;
    double probabilities[MOST_CONTEXT * VOCABULARY];
    for (int64_t start = 0; start < starts; start++) {
        predict(s, s->data.bytes + start, probabilities);
        for (int i = 0; i < context * VOCABULARY; i++) {
            double weight = probabilities[i] / (double)(starts * context);
            clear_gradients(truth);
            add_prediction(truth, s->data.bytes + start, i / VOCABULARY,
                           (unsigned char)(i % VOCABULARY), 1.0);
            for (int p = 0; p < truth->parameters; p++) {
                for (int e = 0; e < reference_gpt_size(&truth->shape, p); e++) {
                    exact[p][e] += weight * truth->gradients[p][e] * truth->gradients[p][e];
                }
            }
        }
    }
}

/* What is averaged for each parameter: its gradient along a direction, and B times its squares,
 * plain and with weights. */
typedef struct parameter_tally {
    tally along, squares, weighted;
} parameter_tally;

static void add_gradients(const gradient_sink *sink, double draws, parameter_tally *tallies)
{
    for (int p = 0; p < sink->w->parameter_count; p++) {
        double along = 0.0, squares = 0.0, weighted = 0.0;
        for (int64_t i = 0; i < sink_count(sink, p); i++) {
            double value = (double)sink->gradients[p][i];
            double weight = (double)test_value(31, (uint64_t)p, (uint64_t)i);
            along += weight * value;
            squares += draws * value * value;
            weighted += weight * draws * value * value;
        }
        tally_add(&tallies[p].along, along);
        tally_add(&tallies[p].squares, squares);
        tally_add(&tallies[p].weighted, weighted);
    }
}

static double largest_score(const gradient_sink *sink, const parameter_tally *tallies,
                            double *const *exact, bool of_squares)
{
    double largest = 0.0;
    for (int p = 0; p < sink->w->parameter_count; p++) {
        double squares = 0.0, weighted = 0.0;
        for (int64_t i = 0; i < sink_count(sink, p); i++) {
            squares += exact[p][i];
            weighted += (double)test_value(31, (uint64_t)p, (uint64_t)i) * exact[p][i];
        }
        if (of_squares) {
            largest = fmax(largest, fabs(tally_score(&tallies[p].squares, squares)));
            largest = fmax(largest, fabs(tally_score(&tallies[p].weighted, weighted)));
        } else {
            largest = fmax(largest, fabs(tally_score(&tallies[p].along, 0.0)));
        }
    }
    return largest;
}

/* Bartlett's identities. The gradient of the data's labels fulfils neither. */
START_TEST(bartlett)
{
    enum { STEPS = 8000, CONTEXT = 2, SEQUENCES = 2, MOST = 16 };
    setting s;
    setting_make(&s, 30, 1, 4, CONTEXT, SEQUENCES);
    double *exact[MOST] = {NULL};
    parameter_tally drawn[MOST] = {0}, data[MOST] = {0};
    ck_assert_int_le(s.w->parameter_count, MOST);
    for (int p = 0; p < s.w->parameter_count; p++) {
        exact[p] = calloc((size_t)sink_count(&s.sink, p), sizeof *exact[p]);
    }
    exact_diagonal(&s, exact);
    for (int step = 0; step < STEPS; step++) {
        workload_result result;
        ck_assert_int_eq(run_curvature(&s.sink, step, 1, &result), 0);
        add_gradients(&s.sink, (double)result.tokens, drawn);
        if (step % 10 == 0) {
            ck_assert_int_eq(sink_run(&s.sink, step, 1, &result), 0);
            add_gradients(&s.sink, (double)result.tokens, data);
        }
    }
    ck_assert_double_lt(largest_score(&s.sink, drawn, exact, false), 4.0);
    ck_assert_double_lt(largest_score(&s.sink, drawn, exact, true), 4.0);
    ck_assert_double_gt(largest_score(&s.sink, data, exact, false), 10.0);
    ck_assert_double_gt(largest_score(&s.sink, data, exact, true), 10.0);
    for (int p = 0; p < MOST; p++) {
        free(exact[p]);
    }
    setting_free(&s);
}
END_TEST

static void keep(const gradient_sink *sink, float *const *kept)
{
    for (int p = 0; p < sink->w->parameter_count; p++) {
        memcpy(kept[p], sink->gradients[p], (size_t)sink_count(sink, p) * sizeof(float));
    }
}

static bool same(const gradient_sink *sink, float *const *kept)
{
    bool equal = true;
    for (int p = 0; p < sink->w->parameter_count; p++) {
        size_t size = (size_t)sink_count(sink, p) * sizeof(float);
        equal = equal && memcmp(kept[p], sink->gradients[p], size) == 0;
    }
    return equal;
}

/* Gradient and curvature of (step, micro-batch), whoever computes them and whatever before. */
START_TEST(bits_do_not_depend_on_what_came_before)
{
    setting s, t;
    workload_result result;
    setting_make(&s, 900, 2, 12, 11, 2);
    setting_make(&t, 900, 2, 12, 11, 2);
    gradient_sink gradient, curvature;
    sink_init(&gradient, t.w);
    sink_init(&curvature, t.w);
    ck_assert_int_eq(sink_run(&s.sink, 4, 1, &result), 0);
    keep(&s.sink, gradient.gradients);
    ck_assert_int_eq(run_curvature(&t.sink, 9, 0, &result), 0);
    ck_assert_int_eq(run_curvature(&t.sink, 4, 1, &result), 0);
    keep(&t.sink, curvature.gradients);
    ck_assert_int_eq(sink_run(&t.sink, 4, 1, &result), 0);
    ck_assert(same(&t.sink, gradient.gradients));
    ck_assert(!same(&t.sink, curvature.gradients));
    ck_assert_int_eq(run_curvature(&s.sink, 4, 1, &result), 0);
    ck_assert(same(&s.sink, curvature.gradients));
    ck_assert_mem_eq(inputs_of(s.w), inputs_of(t.w), 22 * sizeof(int32_t));
    sink_free(&gradient);
    sink_free(&curvature);
    setting_free(&s);
    setting_free(&t);
}
END_TEST

/* The labels of the first sequences are those of a smaller micro-batch, and keyed by all else. */
START_TEST(labels_are_functions_of_their_keys)
{
    enum { CONTEXT = 12 };
    setting one, three;
    workload_result result;
    int32_t labels[4][CONTEXT];
    setting_make(&one, 900, 1, 8, CONTEXT, 1);
    setting_make(&three, 900, 1, 8, CONTEXT, 3);
    ck_assert_int_eq(run_curvature(&one.sink, 6, 2, &result), 0);
    ck_assert_int_eq(run_curvature(&three.sink, 6, 2, &result), 0);
    ck_assert_mem_eq(labels_of(one.w), labels_of(three.w), sizeof *labels);
    ck_assert_mem_ne(labels_of(three.w), labels_of(three.w) + CONTEXT, sizeof *labels);
    /* Equal sequences everywhere, so that the keys alone make a difference. */
    memset(((gpt *)one.w)->data.bytes, 'a', 900);
    for (int key = 0; key < 4; key++) {
        one.w->options.seed = 17 + (uint64_t)(key == 3);
        ck_assert_int_eq(run_curvature(&one.sink, key == 1 ? 7 : 6, key == 2 ? 3 : 2, &result), 0);
        memcpy(labels[key], labels_of(one.w), sizeof *labels);
        for (int other = 0; other < key; other++) {
            ck_assert_mem_ne(labels[key], labels[other], sizeof *labels);
        }
    }
    setting_free(&one);
    setting_free(&three);
}
END_TEST

START_TEST(sink_protocol)
{
    setting s;
    workload_result result;
    setting_make(&s, 900, 1, 8, 6, 1);
    ck_assert(s.w->kind->hutchinson == NULL);
    ck_assert_int_eq(run_curvature(&s.sink, 0, 0, &result), 0);
    ck_assert_int_eq(s.sink.completed, s.w->parameter_count);
    ck_assert_int_ge(s.sink.breaths, 1);
    ck_assert(isfinite(sink_squares(&s.sink)));
    for (int call = 0; call < 2 * s.w->parameter_count; call++) {
        gradient_sink stopping;
        sink_init(&stopping, s.w);
        stopping.stop_at = call;
        s.w->message[0] = '\0';
        ck_assert_int_eq(run_curvature(&stopping, 0, 0, &result), 1);
        ck_assert_int_eq(stopping.calls, call + 1);
        ck_assert_ptr_nonnull(strstr(s.w->message, "was not taken"));
        sink_free(&stopping);
    }
    s.w->parameters[2].values[0] = NAN;
    ck_assert_int_eq(run_curvature(&s.sink, 0, 0, &result), 0);
    ck_assert(isnan(result.loss_sum) && isnan(sink_squares(&s.sink)));
    setting_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_curvature");
    test_add(suite, "labels_follow_the_softmax", labels_follow_the_softmax);
    test_add(suite, "labels_of_extreme_logits", labels_of_extreme_logits);
    test_add(suite, "drawn_labels_follow_the_model", drawn_labels_follow_the_model);
    test_add(suite, "gradient_is_that_of_the_drawn_labels", gradient_is_that_of_the_drawn_labels);
    test_add(suite, "bartlett", bartlett);
    test_add(suite, "bits_do_not_depend_on_what_came_before",
             bits_do_not_depend_on_what_came_before);
    test_add(suite, "labels_are_functions_of_their_keys", labels_are_functions_of_their_keys);
    test_add(suite, "sink_protocol", sink_protocol);
    return test_run(suite);
}
