/*
 * MPI as the program uses it; see ranks.h.
 */
#include "app/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int launcher_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = getenv(names[i]);
        if (text != NULL && text[0] != '\0') {
            return atoi(text);
        }
    }
    return -1;
}

void ranks_abort(const failure *f)
{
    fprintf(stderr, "plumb: %s\n", f->message);
    MPI_Abort(MPI_COMM_WORLD, f->code);
    exit(f->code);
}

static void check(int code, const char *call)
{
    if (code != MPI_SUCCESS) {
        char text[MPI_MAX_ERROR_STRING] = "";
        int length = 0;
        MPI_Error_string(code, text, &length);
        failure f = {0, ""};
        failure_set(&f, EXIT_LIBRARY, "%s failed: %s", call, text);
        ranks_abort(&f);
    }
}

static void initialise(ranks *r)
{
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &r->thread_level);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    r->communicator = MPI_COMM_WORLD;
    check(MPI_Comm_rank(r->communicator, &r->rank), "MPI_Comm_rank");
    check(MPI_Comm_size(r->communicator, &r->count), "MPI_Comm_size");
}

int ranks_start(ranks *r, const char *setup, failure *f)
{
    *r = (ranks){.communicator = MPI_COMM_NULL, .rank = 0, .count = 1, .thread_level = 0};
    if (f->code != EXIT_OK && launcher_rank() < 0) {
        return f->code;
    }
    initialise(r);
    if (r->thread_level < MPI_THREAD_FUNNELED) {
        failure_set(f, EXIT_LIBRARY, "this MPI library does not give MPI_THREAD_FUNNELED");
    }
    if (ranks_agree(r, f) != EXIT_OK) {
        return f->code;
    }
    return ranks_compare(r, setup, f);
}

int ranks_compare(const ranks *r, const char *text, failure *f)
{
    if (text == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(r, f) == EXIT_OK) {
        failure_from_library(f, plumb_compare_setup(r->communicator, text), NULL);
    }
    return f->code;
}

int ranks_agree_largest(const ranks *r, failure *f, int *number)
{
    int mine[2] = {f->code != EXIT_OK ? r->count - r->rank : 0, *number};
    int all[2];
    check(MPI_Allreduce(mine, all, 2, MPI_INT, MPI_MAX, r->communicator), "MPI_Allreduce");
    *number = all[1];
    if (all[0] != 0) {
        check(MPI_Bcast(f, (int)sizeof *f, MPI_BYTE, r->count - all[0], r->communicator),
              "MPI_Bcast");
    }
    return f->code;
}

int ranks_agree(const ranks *r, failure *f)
{
    int unused = 0;
    return ranks_agree_largest(r, f, &unused);
}

void ranks_add(const ranks *r, double *values, int64_t count)
{
    enum { MOST = 1 << 20 };
    for (int64_t first = 0; first < count; first += MOST) {
        int length = (int)(count - first < MOST ? count - first : MOST);
        check(MPI_Allreduce(MPI_IN_PLACE, values + first, length, MPI_DOUBLE, MPI_SUM,
                            r->communicator),
              "MPI_Allreduce");
    }
}

void ranks_gather(const ranks *r, const void *mine, size_t size, void *all)
{
    check(MPI_Gather(mine, (int)size, MPI_BYTE, all, (int)size, MPI_BYTE, 0, r->communicator),
          "MPI_Gather");
}

void ranks_broadcast(const ranks *r, void *bytes, size_t size)
{
    check(MPI_Bcast(bytes, (int)size, MPI_BYTE, 0, r->communicator), "MPI_Bcast");
}

int ranks_node(const ranks *r)
{
    MPI_Comm node;
    int lowest;
    check(MPI_Comm_split_type(r->communicator, MPI_COMM_TYPE_SHARED, r->rank, MPI_INFO_NULL, &node),
          "MPI_Comm_split_type");
    check(MPI_Allreduce(&r->rank, &lowest, 1, MPI_INT, MPI_MIN, node), "MPI_Allreduce");
    check(MPI_Comm_free(&node), "MPI_Comm_free");
    return lowest;
}

int ranks_finish(ranks *r, const failure *f)
{
    bool started = r->communicator != MPI_COMM_NULL;
    if (f->message[0] != '\0' && r->rank == 0) {
        fprintf(stderr, "plumb: %s\n", f->message);
    }
    /* What was printed is the result of most commands: not to get it out is a failure. */
    int lost = fflush(stdout) != 0 || ferror(stdout) != 0 ? EXIT_DATA : EXIT_OK;
    if (lost != EXIT_OK && f->code == EXIT_OK) {
        fprintf(stderr, "plumb: cannot write to standard output\n");
    }
    fflush(stderr);
    if (started) {
        /* Every line is out before the first rank ends: mpirun kills the others then. */
        MPI_Allreduce(MPI_IN_PLACE, &lost, 1, MPI_INT, MPI_MAX, r->communicator);
        MPI_Finalize();
    }
    return f->code != EXIT_OK ? f->code : lost;
}
