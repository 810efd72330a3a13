/*
 * The perceptron's loss, gradients and per-sample norms against a plain reference in double and
 * its central differences.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "support/gradient_sink.h"
#include "support/idx_fixture.h"
#include "support/test.h"
#include "workload/random.h"

enum { LAYERS = 2, WIDTH = 7, BATCH = 6, SEED = 21, STEP = 3, MICRO_BATCH = 2, MOST = 1000 };

/* All parameters in double, one after the other as the workload registers them. */
typedef struct reference {
    double values[MOST];
    int count;
    double mean, deviation; /* of the training pixels */
} reference;

static workload *make(const fixture *f, int64_t batch)
{
    workload_options options = {.data = f->folder,
                                .layers = LAYERS,
                                .width = WIDTH,
                                .micro_batch_size = batch,
                                .seed = SEED};
    workload *w;
    char message[512] = "";
    ck_assert_msg(workload_create_mlp(&options, &w, message, sizeof message) == 0, "%s", message);
    for (int p = 1; p < w->parameter_count; p += 2) { /* biases start at 0: make them count */
        for (int64_t i = 0; i < w->parameters[p].cols; i++) {
            w->parameters[p].values[i] = 0.1f * test_value(3, (uint64_t)p, (uint64_t)i);
        }
    }
    return w;
}

static void reference_init(reference *r, const workload *w)
{
    double sum = 0.0, squares = 0.0, total = FIXTURE_TRAIN * FIXTURE_PIXELS;
    for (int i = 0; i < FIXTURE_TRAIN * FIXTURE_PIXELS; i++) {
        double pixel = fixture_pixel(0, i / FIXTURE_PIXELS, i % FIXTURE_PIXELS);
        sum += pixel;
        squares += pixel * pixel;
    }
    r->mean = sum / total;
    r->deviation = sqrt(squares / total - r->mean * r->mean);
    r->count = 0;
    for (int p = 0; p < w->parameter_count; p++) {
        for (int64_t i = 0; i < w->parameters[p].rows * w->parameters[p].cols; i++) {
            ck_assert_int_lt(r->count, MOST);
            r->values[r->count++] = (double)w->parameters[p].values[i];
        }
    }
}

/* output = W input + b, from values at *at on; moves *at behind them. */
static void linear(const reference *r, int *at, int inputs, int outputs, const double *input,
                   double *output)
{
    const double *weight = r->values + *at, *bias = weight + inputs * outputs;
    for (int j = 0; j < outputs; j++) {
        output[j] = bias[j];
        for (int i = 0; i < inputs; i++) {
            output[j] += weight[j * inputs + i] * input[i];
        }
    }
    *at += inputs * outputs + outputs;
}

static double image_loss(const reference *r, int set, int image)
{
    double values[FIXTURE_PIXELS], next[FIXTURE_PIXELS];
    for (int i = 0; i < FIXTURE_PIXELS; i++) {
        values[i] = (fixture_pixel(set, image, i) - r->mean) / r->deviation;
    }
    int at = 0, inputs = FIXTURE_PIXELS;
    for (int layer = 0; layer < LAYERS; layer++) {
        linear(r, &at, inputs, WIDTH, values, next);
        for (int j = 0; j < WIDTH; j++) {
            values[j] = next[j] > 0.0 ? next[j] : 0.0;
        }
        inputs = WIDTH;
    }
    linear(r, &at, WIDTH, FIXTURE_CLASSES, values, next);
    ck_assert_int_eq(at, r->count);
    double sum = 0.0;
    for (int j = 0; j < FIXTURE_CLASSES; j++) {
        sum += exp(next[j]);
    }
    return log(sum) - next[fixture_label(set, image)];
}

static int drawn(int sample)
{
    return (int)random_below(SEED, RANDOM_BATCH, STEP, MICRO_BATCH, (uint64_t)sample,
                             FIXTURE_TRAIN);
}

/* d loss(image) / d value by a central difference. */
static double derivative(reference *r, int value, int image)
{
    const double h = 1e-5;
    double kept = r->values[value];
    r->values[value] = kept + h;
    double above = image_loss(r, 0, image);
    r->values[value] = kept - h;
    double below = image_loss(r, 0, image);
    r->values[value] = kept;
    return (above - below) / (2.0 * h);
}

START_TEST(gradients_are_derivatives)
{
    fixture f;
    fixture_make(&f, true);
    workload *w = make(&f, BATCH);
    reference r;
    reference_init(&r, w);
    gradient_sink sink;
    sink_init(&sink, w);
    workload_result result;
    ck_assert_int_eq(sink_run(&sink, STEP, MICRO_BATCH, &result), 0);
    double loss = 0.0;
    for (int s = 0; s < BATCH; s++) {
        loss += image_loss(&r, 0, drawn(s));
    }
    ck_assert_int_eq(result.samples, BATCH);
    ck_assert_int_eq(result.tokens, BATCH);
    ck_assert_double_eq_tol(result.loss_sum, loss, 1e-5 * loss);
    double largest = sqrt(sink_squares(&sink));
    for (int p = 0, value = 0; p < w->parameter_count; p++) {
        for (int64_t i = 0; i < sink_count(&sink, p); i++, value++) {
            double mean = 0.0;
            for (int s = 0; s < BATCH; s++) {
                mean += derivative(&r, value, drawn(s)) / BATCH;
            }
            ck_assert_double_eq_tol((double)sink.gradients[p][i], mean, 1e-6 * largest);
        }
    }
    sink_free(&sink);
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

START_TEST(norms_are_those_of_single_images)
{
    fixture f;
    fixture_make(&f, true);
    workload *w = make(&f, BATCH);
    reference r;
    reference_init(&r, w);
    gradient_sink sink;
    sink_init(&sink, w);
    workload_result result;
    ck_assert_int_eq(sink_run(&sink, STEP, MICRO_BATCH, &result), 0);
    for (int s = 0; s < BATCH; s++) {
        double squares = 0.0;
        for (int value = 0; value < r.count; value++) {
            double d = derivative(&r, value, drawn(s));
            squares += d * d;
        }
        ck_assert_double_eq_tol((double)result.norms[s], sqrt(squares), 1e-5 * sqrt(squares));
    }
    sink_free(&sink);
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

/* A batch of one image has one norm: that of its gradient. */
START_TEST(norm_of_one_is_that_of_the_gradient)
{
    fixture f;
    fixture_make(&f, true);
    workload *w = make(&f, 1);
    gradient_sink sink;
    sink_init(&sink, w);
    for (int64_t micro_batch = 0; micro_batch < 20; micro_batch++) {
        workload_result result;
        ck_assert_int_eq(sink_run(&sink, 0, micro_batch, &result), 0);
        double norm = sqrt(sink_squares(&sink));
        ck_assert_double_eq_tol((double)result.norms[0], norm, 1e-5 * norm);
    }
    sink_free(&sink);
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

START_TEST(held_out_loss)
{
    fixture f;
    fixture_make(&f, true);
    workload *w = make(&f, BATCH);
    reference r;
    reference_init(&r, w);
    double mean = 0.0, loss, weight, correct;
    for (int image = 0; image < FIXTURE_TEST; image++) {
        mean += image_loss(&r, 1, image) / FIXTURE_TEST;
    }
    ck_assert_int_eq(w->held_out_units, 1);
    ck_assert_int_eq(w->kind->held_out(w, 0, &loss, &weight, &correct), 0);
    ck_assert_double_eq_tol(loss, mean, 1e-5 * mean);
    ck_assert_double_eq(weight, FIXTURE_TEST);
    ck_assert(correct >= 0.0 && correct <= FIXTURE_TEST);
    ck_assert_int_eq(w->kind->held_out(w, 1, &loss, &weight, &correct), 1);
    ck_assert_int_eq(w->kind->held_out(w, -1, &loss, &weight, &correct), 1);
    ck_assert_ptr_nonnull(strstr(w->message, "-1"));
    workload_destroy(&w);
    fixture_remove(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mlp gradient");
    test_add(suite, "gradients are derivatives", gradients_are_derivatives);
    test_add(suite, "norms of single images", norms_are_those_of_single_images);
    test_add(suite, "norm of one", norm_of_one_is_that_of_the_gradient);
    test_add(suite, "held-out loss", held_out_loss);
    return test_run(suite);
}
