/*
 * Sends one payload again and again from all ranks to all, by the library or by MPI_Allreduce and
 * nothing else, so that scripts/experiments/two-hosts can count the bytes that one round puts on
 * the wire: two runs that differ in their rounds alone.
 *   mpirun -np 2 two-hosts plumb|mpi BYTES ROUNDS
 */
#include <plumb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != PLUMB_OK) {                                                                  \
            fprintf(stderr, "%s: %s\n", #call, plumb_error_message(p));                            \
            MPI_Abort(MPI_COMM_WORLD, 1);                                                          \
        }                                                                                          \
    } while (0)

/* Micro-batch r is rank r's; sharded owners, plain SGD. */
static void by_plumb(float *values, int64_t count, long rounds, int ranks)
{
    plumb *p = NULL;
    plumb_options options;
    plumb_parameter_options sgd;
    plumb_report report = {.size = sizeof report};
    int id;
    CHECK(plumb_options_init(&options, sizeof options));
    CHECK(plumb_parameter_options_init(&sgd, sizeof sgd, PLUMB_OPTIMIZER_SGD));
    options.owners = PLUMB_OWNERS_SHARDED;
    options.replica_check = 0;
    sgd.beta1 = 0.0;
    sgd.weight_decay = 0.0;
    CHECK(plumb_create(MPI_COMM_WORLD, &options, &p));
    CHECK(plumb_add_parameter(p, "payload", 1, count, values, &sgd, &id));
    for (long round = 0; round < rounds; round++) {
        float *gradient;
        int64_t first, mine;
        CHECK(plumb_begin_step(p, ranks));
        CHECK(plumb_share(p, ranks, &first, &mine));
        CHECK(plumb_gradient_buffer(p, id, &gradient));
        for (int64_t i = 0; i < count; i++) {
            gradient[i] = (float)(i % 7 + first);
        }
        CHECK(plumb_accumulate(p, id, first, gradient));
        CHECK(plumb_end_step(p, 0.5, &report));
    }
    plumb_destroy(&p);
}

int main(int argc, char **argv)
{
    int ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int64_t count = argc == 4 ? strtoll(argv[2], NULL, 10) / (int64_t)sizeof(float) : 0;
    long rounds = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    float *values = count > 0 ? calloc((size_t)count, sizeof *values) : NULL;
    if (values == NULL || rounds < 1) {
        fprintf(stderr, "usage: two-hosts plumb|mpi BYTES ROUNDS\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    } else if (strcmp(argv[1], "plumb") == 0) {
        by_plumb(values, count, rounds, ranks);
    } else {
        for (long round = 0; round < rounds; round++) {
            MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        }
    }
    free(values);
    MPI_Finalize();
    return 0;
}
