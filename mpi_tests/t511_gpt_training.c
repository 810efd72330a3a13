/*
 * The GPT's loss over ten steps of AdamW and of gradient descent, against the plain reference
 * that trains in double from the same values on the same batches.
 * ranks: serial
 */
#include "support/reference_gpt_fixture.h"
#include "support/test.h"

#include <math.h>
#include <stdlib.h>

enum { STEPS = 10 };

/* AdamW's memory, in double for both sides: the optimizer is not what is tested here. */
typedef struct adamw {
    double *first[FIXTURE_MOST_PARAMETERS], *second[FIXTURE_MOST_PARAMETERS];
} adamw;

static adamw adamw_create(const fixture_reference *subject)
{
    adamw created = {0};
    for (int p = 0; p < subject->parameters; p++) {
        size_t size = (size_t)reference_gpt_size(&subject->shape, p);
        created.first[p] = calloc(size, sizeof(double));
        created.second[p] = calloc(size, sizeof(double));
    }
    return created;
}

static void adamw_destroy(adamw *subject)
{
    for (int p = 0; p < FIXTURE_MOST_PARAMETERS; p++) {
        free(subject->first[p]);
        free(subject->second[p]);
    }
}

/* What to subtract from element i of parameter p at update t = 1, 2, ... */
static double adamw_update(adamw *state, int p, int i, double gradient, double value, int t)
{
    double *m = &state->first[p][i];
    double *v = &state->second[p][i];
    *m = 0.9 * *m + 0.1 * gradient;
    *v = 0.99 * *v + 0.01 * gradient * gradient;
    double mean = *m / (1.0 - pow(0.9, t));
    double square = *v / (1.0 - pow(0.99, t));
    /* A large epsilon: where a gradient is almost zero, its sign is rounding's. */
    return 0.01 * (mean / (sqrt(square) + 1e-3) + 0.1 * value);
}

/* One update of both sides; by gradient descent where `states` is NULL. */
static void update(workload *w, fixture_gradients *fast, fixture_reference *truth, adamw *states,
                   int t)
{
    for (int p = 0; p < w->parameter_count; p++) {
        float *values = w->parameters[p].values;
        for (int i = 0; i < reference_gpt_size(&truth->shape, p); i++) {
            double mine = 0.5 * (double)fast->values[p][i];
            double its = 0.5 * truth->gradients[p][i];
            if (states != NULL) {
                mine = adamw_update(&states[0], p, i, 2.0 * mine, (double)values[i], t);
                its = adamw_update(&states[1], p, i, 2.0 * its, truth->values[p][i], t);
            }
            values[i] = (float)((double)values[i] - mine);
            truth->values[p][i] -= its;
        }
    }
}

static void train(bool use_adamw)
{
    fixture_text data = fixture_text_create(4000);
    workload *w = fixture_gpt(&data, 2, 16, 2, 20, 3, 1);
    fixture_gradients *fast = fixture_gradients_create(w);
    fixture_reference *truth = fixture_reference_create(w);
    adamw states[2] = {adamw_create(truth), adamw_create(truth)};
    double first = 0.0;
    for (int step = 0; step <= STEPS; step++) {
        double loss = fixture_reference_micro_batch(truth, w, &data, step, 0);
        ck_assert_int_eq(fixture_micro_batch(fast, step, 0), 0);
        ck_assert_msg(fabs(fast->loss - loss) <= 1e-4 * loss, "step %d: loss %.9g, reference %.9g",
                      step, fast->loss, loss);
        update(w, fast, truth, use_adamw ? states : NULL, step + 1);
        first = step == 0 ? loss : first;
        ck_assert(step < STEPS || loss < first - 0.3);
    }
    adamw_destroy(&states[0]);
    adamw_destroy(&states[1]);
    fixture_reference_destroy(truth);
    fixture_gradients_destroy(fast);
    workload_destroy(&w);
    fixture_text_remove(&data);
}

START_TEST(gradient_descent)
{
    train(false);
}
END_TEST

START_TEST(adamw_steps)
{
    train(true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_training");
    test_add(suite, "gradient_descent", gradient_descent);
    test_add(suite, "adamw_steps", adamw_steps);
    return test_run(suite);
}
