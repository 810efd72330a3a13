/*
 * What the BLAS library's kernel has to do with the CPU it runs on; the pure part of
 * plumb_inspect_environment, so that a test can ask about machines that are not there.
 */
#ifndef PLUMB_LINALG_BLAS_ENVIRONMENT_H
#define PLUMB_LINALG_BLAS_ENVIRONMENT_H

#include <stdbool.h>

/*
 * The OPENBLAS_CORETYPE that suits the CPU clearly better than OpenBLAS's `kernel_in_use`, or ""
 * if there is none: the kernel fits, or is not one that we know to be outdated. has_avx2 means
 * AVX2 with FMA, has_avx512 the F, DQ, BW, VL and CD parts of AVX-512. Static storage.
 */
const char *blas_kernel_advice(const char *kernel_in_use, bool has_avx2, bool has_avx512);

/*
 * Whether the BLAS library in use is an OpenBLAS that multiplies small matrices where they lie,
 * without copying them first: its AVX-512 kernels do.
 */
bool blas_has_small_kernels(void);

/* The same of a kernel by its name and a configuration as OpenBLAS describes it; either may be
 * NULL. */
bool blas_kernel_has_small(const char *kernel, const char *configuration);

#endif
