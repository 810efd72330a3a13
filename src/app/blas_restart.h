/*
 * The OpenBLAS trap: OpenBLAS chooses its kernel by CPU model, and one that is older than the CPU
 * falls back, silently, to a kernel without the CPU's vector unit, several times slower. The
 * program notices and starts itself again with the kernel that fits, before MPI_Init.
 *
 * For tests, PLUMB_TEST_BLAS_FALLBACK=NAME makes a process that has not been started again believe
 * that NAME is the kernel it should have.
 */
#ifndef APP_BLAS_RESTART_H
#define APP_BLAS_RESTART_H

#include "plumb.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Sets the number of BLAS threads, and starts the program again with OPENBLAS_CORETYPE if that
 * gives a better kernel and the user has not set it himself. Returns if there is nothing to do.
 */
void blas_prepare(int threads, char **argv);

/* True if this process was started again; `kernel` then is what it was started with. */
bool blas_restarted(const char **kernel);

/* What the user should know about the kernel in use, one line; "" if it fits the CPU. */
void blas_warning(const plumb_environment *environment, char *text, size_t size);

#endif
