/*
 * Warnings over ranks: each is said once, at rank 0, and with the rank's number if rank 0 has not
 * got it itself.
 *
 * ranks: 1 2 4
 */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "app/warnings.h"
#include "support/test.h"

typedef struct sayings {
    int count;
    char lines[16][WARNINGS_LENGTH + 32];
} sayings;

static void note(void *context, const char *line)
{
    sayings *s = context;
    snprintf(s->lines[s->count % 16], sizeof s->lines[0], "%s", line);
    s->count++;
}

static ranks world(void)
{
    ranks r = {.communicator = MPI_COMM_WORLD};
    MPI_Comm_rank(MPI_COMM_WORLD, &r.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &r.count);
    return r;
}

START_TEST(everybodys_is_said_once)
{
    ranks r = world();
    warnings w = {0};
    sayings s = {0};
    test_all(warnings_add(&w, "the same on every rank"));
    test_all(!warnings_add(&w, "the same on every rank"));
    warnings_gather(&w, &r, note, &s);
    test_all(s.count == 0); /* rank 0's own is said when it comes up */
}
END_TEST

START_TEST(others_have_their_rank)
{
    ranks r = world();
    warnings w = {0};
    sayings s = {0};
    if (r.rank >= 1) {
        warnings_add(&w, "not on rank 0");
    }
    if (r.rank == r.count - 1 && r.rank > 0) {
        warnings_add(&w, "on the last");
    }
    warnings_gather(&w, &r, note, &s);
    test_all(s.count == (r.rank == 0 && r.count > 1 ? 2 : 0));
    char last[64];
    snprintf(last, sizeof last, "rank %d: on the last", r.count - 1);
    test_all(s.count == 0 || strcmp(s.lines[0], "rank 1: not on rank 0") == 0);
    test_all(s.count == 0 || strcmp(s.lines[1], last) == 0);

    warnings_gather(&w, &r, note, &s);
    test_all(s.count <= 2); /* nothing again */
}
END_TEST

START_TEST(many_and_long_ones)
{
    ranks r = world();
    warnings w = {0};
    sayings s = {0};
    char line[2 * WARNINGS_LENGTH];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    for (int i = 0; i < WARNINGS_MOST + 3; i++) {
        line[0] = (char)('a' + i);
        bool kept = warnings_add(&w, line);
        test_all(kept == (i < WARNINGS_MOST));
    }
    warnings_gather(&w, &r, note, &s);
    test_all(s.count == 0 && w.count == WARNINGS_MOST);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("warnings");
    test_add(suite, "everybody's is said once", everybodys_is_said_once);
    test_add(suite, "others have their rank", others_have_their_rank);
    test_add(suite, "many and long ones", many_and_long_ones);
    return test_run_mpi(suite, &argc, &argv);
}
