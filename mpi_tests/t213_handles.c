/*
 * Handles on other communicators than the obvious one: ranks in reverse, parts of the ranks, the
 * integer handle of Fortran, two handles at once with steps that interleave, freed originals.
 * ranks: 1 2 3 4 8
 */
#include <string.h>

#include "exchange/fault.h"
#include "support/exact_run.h"
#include "support/miniature.h"
#include "support/test.h"

static int rank_of(MPI_Comm communicator)
{
    int rank;
    MPI_Comm_rank(communicator, &rank);
    return rank;
}

START_TEST(reversed_ranks)
{
    MPI_Comm reversed;
    MPI_Comm_split(MPI_COMM_WORLD, 0, -rank_of(MPI_COMM_WORLD), &reversed);
    exact_run r;
    exact_run_init(&r);
    r.steps = 2;
    r.totals[1] = 9;
    r.unequal_samples = true;
    r.norms = true;
    test_all(exact_run_holds(reversed, &r, NULL));
    miniature m;
    miniature_init(&m);
    miniature_result straight;
    miniature_result mirrored;
    miniature_run(MPI_COMM_WORLD, &m, &straight);
    miniature_run(reversed, &m, &mirrored);
    test_all(straight.status == PLUMB_OK && strcmp(straight.hash, mirrored.hash) == 0);
    MPI_Comm_free(&reversed);
}
END_TEST

/* Ranks dealt over two and three hosts: micro-batches then do not lie in order of ranks. */
START_TEST(several_hosts)
{
    miniature m;
    miniature_init(&m);
    m.unequal_samples = true;
    m.pipeline = PLUMB_PIPELINE_NORMALISED_WITH_NORM;
    m.options.groups = 4;
    miniature_result one;
    miniature_run(MPI_COMM_WORLD, &m, &one);
    test_all(one.status == PLUMB_OK);
    for (int nodes = 2; nodes <= 3; nodes++) {
        fault.pretended_nodes = nodes;
        exact_run r;
        exact_run_init(&r);
        r.steps = 2;
        r.totals[1] = 13;
        r.unequal_samples = true;
        r.norms = true;
        bool held = exact_run_holds(MPI_COMM_WORLD, &r, NULL);
        miniature_result several;
        miniature_run(MPI_COMM_WORLD, &m, &several);
        fault.pretended_nodes = 0;
        test_all(held);
        test_all(strcmp(one.hash, several.hash) == 0);
    }
}
END_TEST

/* Even and odd ranks train apart at the same time, with different numbers of micro-batches. */
START_TEST(parts_of_the_ranks)
{
    int rank = rank_of(MPI_COMM_WORLD);
    MPI_Comm half;
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
    exact_run r;
    exact_run_init(&r);
    r.steps = 2;
    r.totals[0] = r.totals[1] = 8 + rank % 2;
    test_all(exact_run_holds(half, &r, NULL));
    MPI_Comm_free(&half);
}
END_TEST

typedef struct session {
    exact_run run;
    exact_model model;
    plumb *p;
} session;

static bool session_open(session *s, plumb_status created)
{
    exact_model_make(&s->model);
    return created == PLUMB_OK && exact_model_register(&s->model, s->p) == PLUMB_OK;
}

static bool session_begin(session *s, int step)
{
    return plumb_begin_step(s->p, s->run.totals[step]) == PLUMB_OK;
}

static bool session_end(session *s, int step)
{
    bool good = plumb_end_step(s->p, 1.0, NULL) == PLUMB_OK;
    exact_model_step(&s->run, step, &s->model);
    return good && exact_model_equal(&s->model);
}

static void session_close(session *s)
{
    plumb_destroy(&s->p);
    exact_model_free(&s->model);
}

START_TEST(two_handles)
{
    static session a;
    static session b;
    exact_run_init(&a.run);
    exact_run_init(&b.run);
    b.run.options.owners = PLUMB_OWNERS_RANK0;
    b.run.totals[0] = b.run.totals[1] = 12;
    b.run.unequal_samples = true;
    test_all(session_open(&a, plumb_create(MPI_COMM_WORLD, &a.run.options, &a.p)));
    test_all(session_open(&b, plumb_create(MPI_COMM_WORLD, &b.run.options, &b.p)));
    for (int step = 0; step < 2; step++) {
        test_all(session_begin(&a, step) && session_begin(&b, step));
        test_all(exact_model_give(&b.run, step, b.p) == PLUMB_OK);
        test_all(exact_model_give(&a.run, step, a.p) == PLUMB_OK);
        test_all(session_end(&a, step) && session_end(&b, step));
    }
    session_close(&a);
    test_all(a.p == NULL);
    session_close(&b);
}
END_TEST

START_TEST(fortran)
{
    static session s;
    exact_run_init(&s.run);
    MPI_Comm own;
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    plumb_status status = plumb_create_f(MPI_Comm_c2f(own), &s.run.options, &s.p);
    /* The caller's communicator may go at once. */
    MPI_Comm_free(&own);
    test_all(session_open(&s, status));
    test_all(session_begin(&s, 0) && exact_model_give(&s.run, 0, s.p) == PLUMB_OK);
    test_all(session_end(&s, 0));
    session_close(&s);
    plumb *p = NULL;
    test_all(plumb_create_f(MPI_Comm_c2f(MPI_COMM_NULL), NULL, &p) == PLUMB_ERROR_ARGUMENT);
    test_all(p == NULL);
}
END_TEST

START_TEST(options_may_be_missing)
{
    plumb *p = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    int64_t first = -1;
    int64_t count = -1;
    test_all(plumb_share(p, 24, &first, &count) == PLUMB_OK);
    int64_t sum = 0;
    MPI_Allreduce(&count, &sum, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    test_all(sum == 24 && first >= 0);
    test_all(plumb_destroy(&p) == PLUMB_OK && p == NULL);
    test_all(plumb_destroy(&p) == PLUMB_OK);
}
END_TEST

/* The caller's own error handler stays what it was. */
START_TEST(manners)
{
    MPI_Errhandler before;
    MPI_Errhandler after;
    MPI_Comm_get_errhandler(MPI_COMM_WORLD, &before);
    plumb *p = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    MPI_Comm_get_errhandler(MPI_COMM_WORLD, &after);
    test_all(before == after);
    plumb_destroy(&p);
    MPI_Errhandler_free(&before);
    MPI_Errhandler_free(&after);
    int64_t allocations = -1;
    plumb_memory_in_use(&allocations, NULL);
    test_all(allocations == 0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("handles");
    test_add(suite, "reversed ranks", reversed_ranks);
    test_add(suite, "several hosts", several_hosts);
    test_add(suite, "parts of the ranks", parts_of_the_ranks);
    test_add(suite, "two handles", two_handles);
    test_add(suite, "fortran", fortran);
    test_add(suite, "options may be missing", options_may_be_missing);
    test_add(suite, "manners", manners);
    return test_run_mpi(suite, &argc, &argv);
}
