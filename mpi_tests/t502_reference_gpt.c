/*
 * The plain reference's own backward pass against central differences of its loss, in double.
 * ranks: serial
 */
#include "support/reference_gpt.h"
#include "support/test.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_PARAMETERS = 32, LENGTH = 5 };

typedef struct problem {
    reference_gpt shape;
    int parameters;
    double *values[MOST_PARAMETERS], *gradients[MOST_PARAMETERS];
    unsigned char bytes[LENGTH + 1];
} problem;

static void make(problem *p, int layers, int width, int heads, int context)
{
    *p = (problem){.shape = {layers, width, heads, context}, .bytes = {7, 200, 7, 0, 255, 31}};
    p->parameters = reference_gpt_parameters(&p->shape);
    ck_assert_int_le(p->parameters, MOST_PARAMETERS);
    for (int i = 0; i < p->parameters; i++) {
        int size = reference_gpt_size(&p->shape, i);
        p->values[i] = malloc((size_t)size * sizeof(double));
        p->gradients[i] = calloc((size_t)size, sizeof(double));
        for (int j = 0; j < size; j++) {
            p->values[i][j] = (double)test_value(1, (uint64_t)i, (uint64_t)j);
        }
    }
}

static void release(problem *p)
{
    for (int i = 0; i < p->parameters; i++) {
        free(p->values[i]);
        free(p->gradients[i]);
    }
}

static double loss(const problem *p)
{
    return reference_gpt_loss(&p->shape, p->values, LENGTH, p->bytes, 1.0, NULL, NULL);
}

static double central_difference(const problem *p, double *value)
{
    const double step = 1e-5;
    double kept = *value;
    *value = kept + step;
    double above = loss(p);
    *value = kept - step;
    double below = loss(p);
    *value = kept;
    return (above - below) / (2.0 * step);
}

/* All elements of small parameters, a stride through the large ones; 1e-6 of the largest. */
static void check(problem *p)
{
    reference_gpt_loss(&p->shape, p->values, LENGTH, p->bytes, 1.0, p->gradients, NULL);
    for (int i = 0; i < p->parameters; i++) {
        int size = reference_gpt_size(&p->shape, i);
        double largest = 0.0;
        for (int j = 0; j < size; j++) {
            largest = fmax(largest, fabs(p->gradients[i][j]));
        }
        ck_assert_double_gt(largest, 1e-6);
        for (int j = 0; j<size; j += size> 200 ? 7 : 1) {
            double difference = central_difference(p, &p->values[i][j]);
            ck_assert_msg(fabs(difference - p->gradients[i][j]) <= 1e-6 * fmax(largest, 1e-2),
                          "parameter %d element %d: %.12g, by differences %.12g", i, j,
                          p->gradients[i][j], difference);
        }
    }
}

START_TEST(two_layers_two_heads)
{
    problem p;
    make(&p, 2, 6, 2, LENGTH);
    check(&p);
    release(&p);
}
END_TEST

START_TEST(one_layer_shorter_than_the_context)
{
    problem p;
    make(&p, 1, 4, 1, LENGTH + 2);
    check(&p);
    release(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reference_gpt");
    test_add(suite, "two_layers_two_heads", two_layers_two_heads);
    test_add(suite, "one_layer_shorter_than_the_context", one_layer_shorter_than_the_context);
    return test_run(suite);
}
