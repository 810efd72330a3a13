/*
 * Destructors of other languages run late: plumb_destroy after MPI_Finalize frees its memory and
 * touches nothing of MPI, and plumb_create then refuses.
 * ranks: 1 2
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "plumb.h"

static float values[6];

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, plumb_error_message(NULL));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    plumb *p = NULL;
    int id;
    int64_t allocations = -1;
    MPI_Init(&argc, &argv);
    if (plumb_create(MPI_COMM_WORLD, NULL, &p) != PLUMB_OK ||
        plumb_add_parameter(p, "w", 2, 3, values, NULL, &id) != PLUMB_OK ||
        plumb_begin_step(p, 4) != PLUMB_OK || plumb_end_step(p, 0.1, NULL) == PLUMB_OK) {
        return fail("step");
    }
    MPI_Finalize();
    if (plumb_destroy(&p) != PLUMB_OK || p != NULL) {
        return fail("plumb_destroy");
    }
    plumb_memory_in_use(&allocations, NULL);
    if (allocations != 0) {
        return fail("memory is left");
    }
    return plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_ERROR_ORDER && p == NULL
               ? EXIT_SUCCESS
               : fail("plumb_create");
}
