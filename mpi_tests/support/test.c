/*
 * Runs Check suites for the test programs; see test.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "support/test.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "plumb.h"

/* What a failure of test_all starts with: the same on every rank, so one rank tells it. */
#define AGREED "on some rank not: "

static void print_failures(SRunner *runner, int rank)
{
    TestResult **failures = srunner_failures(runner);
    for (int i = 0; i < srunner_ntests_failed(runner); i++) {
        const char *text = tr_msg(failures[i]);
        if (rank > 0 && strstr(text, AGREED) != NULL) {
            continue;
        }
        fprintf(stderr, "%s:%d: %s: ", tr_lfile(failures[i]), tr_lno(failures[i]),
                tr_tcname(failures[i]));
        if (rank >= 0) {
            fprintf(stderr, "rank %d: ", rank);
        }
        fprintf(stderr, "%s\n", text);
    }
    free(failures);
}

void test_with_best_kernel(void)
{
    static const char guard[] = "PLUMB_TEST_STARTED_AGAIN";
    plumb_environment environment = {.size = sizeof environment};
    if (plumb_inspect_environment(&environment) == PLUMB_OK &&
        environment.blas_kernel_best[0] != '\0' && getenv(guard) == NULL) {
        setenv("OPENBLAS_CORETYPE", environment.blas_kernel_best, 1);
        setenv(guard, "yes", 1);
        execl("/proc/self/exe", "test", (char *)NULL);
    }
}

/* rank: -1 without MPI. */
static int run(Suite *suite, enum fork_status fork_status, int rank)
{
    memory_poisoned = true;
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, fork_status);
    srunner_run_all(runner, CK_SILENT);
    print_failures(runner, rank);
    int failed = srunner_ntests_failed(runner);
    int done = srunner_ntests_run(runner);
    srunner_free(runner);
    if (done == 0) {
        fprintf(stderr, "no test ran\n");
    }
    return failed == 0 && done > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int test_run(Suite *suite)
{
    return run(suite, CK_FORK_GETENV, -1);
}

int test_run_mpi(Suite *suite, int *argc, char ***argv)
{
    int provided;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    int mine = run(suite, CK_NOFORK, rank);
    int worst;
    MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    MPI_Finalize();
    return worst;
}

bool test_agree(bool mine)
{
    int verdict = mine ? 1 : 0;
    int all;
    MPI_Allreduce(&verdict, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all == 1;
}

void test_require(bool mine, const char *condition, const char *file, int line)
{
    if (!mine) {
        int rank;
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        fprintf(stderr, "%s:%d: rank %d: not: %s\n", file, line, rank, condition);
    }
    ck_assert_msg(test_agree(mine), "%s:%d: " AGREED "%s", file, line, condition);
}

void test_add(Suite *suite, const char *name, const TTest *test)
{
    TCase *tcase = tcase_create(name);
    /* The runner of all tests sets its own limit by CK_DEFAULT_TIMEOUT. */
    if (getenv("CK_DEFAULT_TIMEOUT") == NULL) {
        tcase_set_timeout(tcase, 300);
    }
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x632be59bd9b4e019));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9) + c * UINT64_C(0x94d049bb133111eb);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

float test_value(uint64_t a, uint64_t b, uint64_t c)
{
    return (float)((int64_t)(mix(a, b, c) % 1048577) - 524288) / 524288.0f;
}

float test_integer(uint64_t a, uint64_t b, uint64_t c, int limit)
{
    return (float)((int64_t)(mix(a, b, c) % (2 * (uint64_t)limit + 1)) - limit);
}
