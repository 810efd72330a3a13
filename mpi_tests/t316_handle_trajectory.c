/*
 * What a handle does with an optimizer over several steps is what the optimizer does by itself with
 * the mean gradient of each step and the states of the step before: the same bits.
 * ranks: 1 2 4
 */
#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"
#include "support/test.h"

#include "plumb.h"

enum { ROWS = 24, COLS = 17, COUNT = ROWS * COLS, TOTAL = 8, STEPS = 4, MOST_STATES = 8 };

static const plumb_optimizer optimizers[] = {PLUMB_OPTIMIZER_SGD, PLUMB_OPTIMIZER_ADAMW,
                                             PLUMB_OPTIMIZER_MUON, PLUMB_OPTIMIZER_SHAMPOO,
                                             PLUMB_OPTIMIZER_SOAP};
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

/* The optimizer by itself: two sets of states that take turns. */
typedef struct alone {
    const optimizer_kind *kind;
    plumb_parameter_options options;
    float *values, *new_values, *scratch;
    int states, matrices;
    float *state[2][MOST_STATES];
    double *matrix[2][MOST_STATES];
} alone;

static void make_alone(plumb_optimizer optimizer, int groups, alone *a)
{
    *a = (alone){.kind = optimizer_find(optimizer)};
    plumb_parameter_options_init(&a->options, sizeof a->options, optimizer);
    a->options.root_interval = 2;
    a->values = calloc(COUNT, sizeof(float));
    a->new_values = calloc(COUNT, sizeof(float));
    a->scratch = calloc(COUNT, sizeof(float));
    a->states = a->kind->state_count(&a->options, groups);
    a->matrices = a->kind->matrix_state_count == NULL
                      ? 0
                      : a->kind->matrix_state_count(&a->options, groups, ROWS, COLS);
    ck_assert(a->states <= MOST_STATES && a->matrices <= MOST_STATES);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < a->states; i++) {
            a->state[turn][i] = calloc(COUNT, sizeof(float));
        }
        for (int i = 0; i < a->matrices; i++) {
            int64_t size = a->kind->matrix_state_size(&a->options, groups, ROWS, COLS, i);
            a->matrix[turn][i] = calloc((size_t)size, sizeof(double));
        }
    }
}

static void free_alone(alone *a)
{
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < MOST_STATES; i++) {
            free(a->state[turn][i]);
            free(a->matrix[turn][i]);
        }
    }
    free(a->scratch);
    free(a->new_values);
    free(a->values);
}

static void step_alone(alone *a, int step, const float *mean, double rate)
{
    optimizer_counts counts = {0};
    int now = step % 2;
    optimizer_input input = {.options = &a->options,
                             .rows = ROWS,
                             .cols = COLS,
                             .count = COUNT,
                             .update = step + 1,
                             .learning_rate = rate,
                             .gradient = mean,
                             .values = a->values,
                             .new_values = a->new_values,
                             .states = (const float *const *)a->state[now],
                             .new_states = a->state[1 - now],
                             .matrix_states = (const double *const *)a->matrix[now],
                             .new_matrix_states = a->matrix[1 - now],
                             .counts = &counts,
                             .scratch = a->scratch};
    ck_assert_int_eq(a->kind->update(&input), PLUMB_OK);
    memcpy(a->values, a->new_values, COUNT * sizeof(float));
}

static void write_gradient(int step, int64_t k, float *gradient)
{
    for (int e = 0; e < COUNT; e++) {
        gradient[e] = test_value((uint64_t)(step * TOTAL + k), 5, (uint64_t)e) / 3.0f;
    }
}

static void find_mean(int step, float *mean)
{
    static float vectors[TOTAL][COUNT];
    for (int64_t k = 0; k < TOTAL; k++) {
        write_gradient(step, k, vectors[k]);
    }
    ck_assert_int_eq(plumb_average(MPI_COMM_SELF, TOTAL, COUNT, vectors[0], NULL, mean), PLUMB_OK);
}

static void step_handle(plumb *p, int step, double rate)
{
    static float gradient[COUNT];
    int64_t first, count;
    test_all(plumb_share(p, TOTAL, &first, &count) == PLUMB_OK);
    test_all(plumb_begin_step(p, TOTAL) == PLUMB_OK);
    for (int64_t k = first; k < first + count; k++) {
        write_gradient(step, k, gradient);
        for (int i = 0; i < OPTIMIZERS; i++) {
            ck_assert_int_eq(plumb_accumulate(p, i, k, gradient), PLUMB_OK);
        }
    }
    test_all(plumb_end_step(p, rate, NULL) == PLUMB_OK);
}

START_TEST(several_steps)
{
    static float values[OPTIMIZERS][COUNT], mean[COUNT];
    alone a[OPTIMIZERS];
    plumb *p = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    for (int i = 0; i < OPTIMIZERS; i++) {
        int id;
        make_alone(optimizers[i], TOTAL, &a[i]);
        for (int e = 0; e < COUNT; e++) {
            values[i][e] = a[i].values[e] = test_value(9, (uint64_t)i, (uint64_t)e);
        }
        test_all(plumb_add_parameter(p, a[i].kind->name, ROWS, COLS, values[i], &a[i].options,
                                     &id) == PLUMB_OK);
    }
    for (int step = 0; step < STEPS; step++) {
        double rate = 0.02 / (1 + step);
        step_handle(p, step, rate);
        find_mean(step, mean);
        for (int i = 0; i < OPTIMIZERS; i++) {
            step_alone(&a[i], step, mean, rate);
            bool same = memcmp(values[i], a[i].values, sizeof values[i]) == 0;
            ck_assert_msg(test_agree(same), "%s, step %d", a[i].kind->name, step + 1);
        }
    }
    for (int i = 0; i < OPTIMIZERS; i++) {
        free_alone(&a[i]);
    }
    plumb_destroy(&p);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("handle trajectory");
    test_add(suite, "steps", several_steps);
    return test_run_mpi(suite, &argc, &argv);
}
