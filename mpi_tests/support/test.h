/*
 * What every test program shares: running a Check suite alone or under MPI, and verdicts that all
 * ranks agree on before anyone asserts.
 */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

/* Under sanitizers everything is ten times slower: long loops over cases leave out what the plain
 * build has tried and memory errors would not depend on. */
#ifdef __SANITIZE_ADDRESS__
enum { TEST_SANITIZED = 1 };
#else
enum { TEST_SANITIZED = 0 };
#endif

/* Runs a serial suite; the exit code of main. Frees the suite. */
int test_run(Suite *suite);

/*
 * For the tests of what depends on the BLAS kernel: starts the program again with the kernel that
 * fits the CPU, if the environment chose a lesser one. First in main, without MPI.
 */
void test_with_best_kernel(void);

/*
 * Runs a suite on every rank of MPI_COMM_WORLD without forking; the exit code is non-zero on all
 * ranks if a check failed on any. Inits and finalizes MPI. Prints failures only.
 */
int test_run_mpi(Suite *suite, int *argc, char ***argv);

/* True if `mine` is true on every rank of MPI_COMM_WORLD. Collective. */
bool test_agree(bool mine);

/*
 * Asserts on every rank what every rank must find true, and says which rank did not. Collective,
 * so that no rank leaves a test that the others are still in.
 */
#define test_all(condition) test_require((condition), #condition, __FILE__, __LINE__)
void test_require(bool mine, const char *condition, const char *file, int line);

/* Adds a test case with one test, 300 s at most (under MPI nothing but the runner limits it). */
void test_add(Suite *suite, const char *name, const TTest *test);

/* A number in [-1, 1] that depends on all three keys, with 20 significant bits or fewer. */
float test_value(uint64_t a, uint64_t b, uint64_t c);

/* An integer in [-limit, limit] as a float: sums of these are exact. */
float test_integer(uint64_t a, uint64_t b, uint64_t c, int limit);

#endif
