/*
 * A handle's life leaves no memory behind: after whole steps, after a step that failed, after one
 * that was begun and dropped, and when nothing was ever registered. Small enough for valgrind.
 *
 * ranks: 1 2 3
 */
#include <math.h>
#include <mpi.h>
#include <string.h>

#include "plumb.h"
#include "support/test.h"

enum { ROWS = 6, COLS = 4, MICRO_BATCHES = 6, OPTIMIZERS = 3 };

static float values[OPTIMIZERS][ROWS * COLS];

static bool nothing_in_use(void)
{
    int64_t allocations = -1;
    int64_t bytes = -1;
    return plumb_memory_in_use(&allocations, &bytes) == PLUMB_OK && allocations == 0 && bytes == 0;
}

static bool add_parameters(plumb *p)
{
    static const char *const names[OPTIMIZERS] = {"sgd", "adamw", "muon"};
    bool added = true;
    for (int i = 0; i < OPTIMIZERS; i++) {
        plumb_parameter_options options;
        int id = -1;
        for (int j = 0; j < ROWS * COLS; j++) {
            values[i][j] = test_value(1, (uint64_t)i, (uint64_t)j);
        }
        added =
            plumb_parameter_options_init(&options, sizeof options, (plumb_optimizer)i) ==
                PLUMB_OK &&
            plumb_add_parameter(p, names[i], ROWS, COLS, values[i], &options, &id) == PLUMB_OK &&
            id == i && added;
    }
    return added;
}

/* Gives this rank's micro-batches from the `skipped`-th on; `spoil` puts a NaN into one. */
static bool accumulate(plumb *p, int64_t step, int64_t skipped, bool spoil)
{
    int64_t first = 0;
    int64_t count = 0;
    bool given = plumb_share(p, MICRO_BATCHES, &first, &count) == PLUMB_OK;
    for (int64_t k = first + skipped; k < first + count; k++) {
        for (int i = 0; i < OPTIMIZERS; i++) {
            float gradient[ROWS * COLS];
            for (int j = 0; j < ROWS * COLS; j++) {
                gradient[j] =
                    test_value((uint64_t)(step * MICRO_BATCHES + k), (uint64_t)i + 9, (uint64_t)j);
            }
            if (spoil && k == 0 && i == 1) {
                gradient[5] = NAN;
            }
            given = plumb_accumulate(p, i, k, gradient) == PLUMB_OK && given;
        }
    }
    return given;
}

START_TEST(test_whole_steps)
{
    plumb *p = NULL;
    test_all(nothing_in_use());
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    test_all(!nothing_in_use());
    test_all(add_parameters(p));
    for (int64_t step = 0; step < 3; step++) {
        test_all(plumb_begin_step(p, MICRO_BATCHES) == PLUMB_OK);
        test_all(accumulate(p, step, 0, false));
        test_all(plumb_end_step(p, 0.01, NULL) == PLUMB_OK);
    }
    test_all(plumb_check_replicas(p) == PLUMB_OK);
    test_all(plumb_destroy(&p) == PLUMB_OK && p == NULL);
    test_all(nothing_in_use());
}
END_TEST

START_TEST(test_failed_step)
{
    plumb *p = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK && add_parameters(p));
    test_all(plumb_begin_step(p, MICRO_BATCHES) == PLUMB_OK);
    test_all(accumulate(p, 0, 0, true));
    test_all(plumb_end_step(p, 0.01, NULL) == PLUMB_ERROR_NONFINITE);
    test_all(strstr(plumb_error_message(p), "adamw") != NULL);
    test_all(plumb_begin_step(p, MICRO_BATCHES) == PLUMB_OK);
    test_all(accumulate(p, 1, 1, false));
    test_all(plumb_end_step(p, 0.01, NULL) == PLUMB_ERROR_COVERAGE);
    test_all(plumb_destroy(&p) == PLUMB_OK && p == NULL);
    test_all(nothing_in_use());
}
END_TEST

START_TEST(test_dropped_step)
{
    plumb *p = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK && add_parameters(p));
    test_all(plumb_begin_step(p, MICRO_BATCHES) == PLUMB_OK);
    test_all(plumb_destroy(&p) == PLUMB_OK && p == NULL);
    test_all(nothing_in_use());
}
END_TEST

START_TEST(test_empty_handles)
{
    plumb *none = NULL;
    test_all(plumb_destroy(&none) == PLUMB_OK);
    plumb *several[4] = {NULL};
    for (int i = 0; i < 4; i++) {
        test_all(plumb_create(MPI_COMM_WORLD, NULL, &several[i]) == PLUMB_OK);
    }
    for (int i = 0; i < 4; i++) {
        test_all(plumb_destroy(&several[i]) == PLUMB_OK && several[i] == NULL);
    }
    plumb_options options;
    test_all(plumb_options_init(&options, sizeof options) == PLUMB_OK);
    options.groups = -3;
    plumb *refused = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, &options, &refused) == PLUMB_ERROR_ARGUMENT);
    test_all(refused == NULL && strstr(plumb_error_message(NULL), "groups") != NULL);
    test_all(nothing_in_use());
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("lifetime");
    test_add(suite, "whole steps", test_whole_steps);
    test_add(suite, "failed step", test_failed_step);
    test_add(suite, "dropped step", test_dropped_step);
    test_add(suite, "empty handles", test_empty_handles);
    return test_run_mpi(suite, &argc, &argv);
}
