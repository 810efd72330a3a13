/*
 * Starting again with the right BLAS kernel; see blas_restart.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/blas_restart.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Holds the kernel that the program was started again with; there is no second time. */
static const char guard[] = "PLUMB_BLAS_RESTARTED";

/* OpenBLAS's own; absent from other BLAS libraries. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));

bool blas_restarted(const char **kernel)
{
    const char *value = getenv(guard);
    if (value == NULL || value[0] == '\0') {
        return false;
    }
    *kernel = value;
    return true;
}

static void choose_kernel(char *kernel, size_t size)
{
    plumb_environment environment = {.size = sizeof environment};
    kernel[0] = '\0';
    if (plumb_inspect_environment(&environment) == PLUMB_OK) {
        snprintf(kernel, size, "%s", environment.blas_kernel_best);
    }
    const char *pretended = getenv("PLUMB_TEST_BLAS_FALLBACK");
    if (pretended != NULL) {
        snprintf(kernel, size, "%s", pretended);
    }
}

void blas_prepare(int threads, char **argv)
{
    char text[16];
    snprintf(text, sizeof text, "%d", threads);
    setenv("OPENBLAS_NUM_THREADS", text, 1);
    if (openblas_set_num_threads != NULL) {
        openblas_set_num_threads(threads);
    }
    const char *unused;
    if (getenv("OPENBLAS_CORETYPE") != NULL || blas_restarted(&unused)) {
        return;
    }
    char kernel[32];
    choose_kernel(kernel, sizeof kernel);
    if (kernel[0] != '\0') {
        setenv("OPENBLAS_CORETYPE", kernel, 1);
        setenv(guard, kernel, 1);
        execv("/proc/self/exe", argv);
        /* No second process image: go on with the slow kernel, and warn. */
        unsetenv("OPENBLAS_CORETYPE");
    }
}

void blas_warning(const plumb_environment *environment, char *text, size_t size)
{
    text[0] = '\0';
    if (environment->blas_kernel_best[0] == '\0') {
        return;
    }
    const char *unused;
    const char *type = getenv("OPENBLAS_CORETYPE");
    if (type != NULL && !blas_restarted(&unused)) {
        snprintf(text, size,
                 "OPENBLAS_CORETYPE=%s chooses BLAS kernel %s, which leaves this CPU's %s unused; "
                 "unset it, or set it to %s",
                 type, environment->blas_kernel, environment->vector_unit,
                 environment->blas_kernel_best);
    } else {
        snprintf(text, size,
                 "BLAS kernel %s leaves this CPU's %s unused, and OPENBLAS_CORETYPE=%s did not "
                 "help; this OpenBLAS has no better one",
                 environment->blas_kernel, environment->vector_unit, environment->blas_kernel_best);
    }
}
