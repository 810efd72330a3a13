/*
 * plumb_inspect_environment. OpenBLAS picks its kernel by the CPU's model number, and a release
 * that is older than the CPU falls back to one without AVX, several times slower, or without
 * AVX-512, at half the speed where the CPU's vectors have 512 bits, without a word
 * (OpenMathLib/OpenBLAS issues 4267 and 6029). Here the kernel's name is held against what the CPU
 * can do.
 */
#define _POSIX_C_SOURCE 200809L

#include "linalg/blas_environment.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

/* Weak, so that the library also links with a BLAS that is not OpenBLAS: they are NULL then. */
extern char *openblas_get_corename(void) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));

/*
 * Kernels without AVX2, by the names of OpenBLAS. Excavator's is missing on purpose: it is tuned
 * for the one CPU on which it is chosen. Unknown names are later than this list.
 */
static const char *const kernels_without_avx2[] = {
    "Generic",     "Katmai",     "Coppermine",  "Northwood",  "Prescott",     "Banias",
    "Core",        "Core2",      "Penryn",      "Dunnington", "Atom",         "Nehalem",
    "Sandybridge", "Athlon",     "Opteron",     "Barcelona",  "Opteron_SSE3", "Bobcat",
    "Bulldozer",   "Piledriver", "Steamroller", "Nano",       NULL,
};

/* Those with AVX2 and no AVX-512. A release that knows a CPU with AVX-512 gives it none of them. */
static const char *const kernels_without_avx512[] = {"Haswell", "Zen", NULL};

static bool is_one_of(const char *kernel, const char *const *names)
{
    while (*names != NULL && strcasecmp(kernel, *names) != 0) {
        names++;
    }
    return *names != NULL;
}

const char *blas_kernel_advice(const char *kernel_in_use, bool has_avx2, bool has_avx512)
{
    if (kernel_in_use == NULL) {
        return "";
    }
    bool no_avx2 = is_one_of(kernel_in_use, kernels_without_avx2);
    if (has_avx512 && (no_avx2 || is_one_of(kernel_in_use, kernels_without_avx512))) {
        return "SkylakeX";
    }
    return has_avx2 && no_avx2 ? "Haswell" : "";
}

/* Small matrices have kernels of their own since release 0.3.17. */
bool blas_kernel_has_small(const char *kernel, const char *configuration)
{
    static const char *const kernels[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    int major = 0, minor = 0, patch = 0;
    if (kernel == NULL || configuration == NULL ||
        sscanf(configuration, "OpenBLAS %d.%d.%d", &major, &minor, &patch) != 3 ||
        (major == 0 && (minor < 3 || (minor == 3 && patch < 17)))) {
        return false;
    }
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (strcasecmp(kernel, kernels[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Asked for every product, so it is remembered; two threads that find out find the same. */
bool blas_has_small_kernels(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_int answer = UNKNOWN;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == UNKNOWN) {
        bool has = openblas_get_corename != NULL && openblas_get_config != NULL &&
                   blas_kernel_has_small(openblas_get_corename(), openblas_get_config());
        known = has ? YES : NO;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == YES;
}

#if defined(__x86_64__) || defined(__i386__)

/* The compiler's run-time library asks CPUID, and the operating system by XGETBV. */
static bool cpu_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}

static bool cpu_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
           __builtin_cpu_supports("avx512cd") != 0;
}

static const char *const base_vector_unit = "sse2";

#else

static bool cpu_has_avx2(void)
{
    return false;
}

static bool cpu_has_avx512(void)
{
    return false;
}

static const char *const base_vector_unit = "unknown";

#endif

static const char *vector_unit(bool avx2, bool avx512)
{
    if (avx512) {
        return "avx512";
    }
    return avx2 ? "avx2" : base_vector_unit;
}

/* OpenBLAS describes itself as "OpenBLAS 0.3.21 DYNAMIC_ARCH ...": keeps the first two words. */
static void describe_library(const char *configuration, char *text, size_t size)
{
    const char *space = strchr(configuration, ' ');
    const char *end = space == NULL ? NULL : strchr(space + 1, ' ');
    size_t length = end == NULL ? strlen(configuration) : (size_t)(end - configuration);
    length = length < size ? length : size - 1;
    memcpy(text, configuration, length);
    text[length] = '\0';
}

/* OPENBLAS_CORETYPE is heard only by a library that has the kernels of several CPUs. */
static bool kernel_can_be_chosen(void)
{
    return openblas_get_config != NULL && strstr(openblas_get_config(), "DYNAMIC_ARCH") != NULL;
}

static void inspect_blas(plumb_environment *found)
{
    const char *library = openblas_get_config != NULL ? openblas_get_config() : "unknown";
    const char *kernel = openblas_get_corename != NULL ? openblas_get_corename() : "unknown";
    describe_library(library, found->blas_library, sizeof found->blas_library);
    snprintf(found->blas_kernel, sizeof found->blas_kernel, "%s", kernel);
    if (openblas_get_num_threads != NULL) {
        found->blas_threads = openblas_get_num_threads();
    }
}

plumb_status plumb_inspect_environment(plumb_environment *environment)
{
    REQUIRE(environment != NULL, PLUMB_ERROR_ARGUMENT, "environment is NULL");
    REQUIRE(environment->size == sizeof *environment, PLUMB_ERROR_ARGUMENT,
            "plumb_environment.size is %zu, this library's is %zu", environment->size,
            sizeof *environment);
    bool avx2 = cpu_has_avx2();
    bool avx512 = cpu_has_avx512();
    plumb_environment found = {.size = sizeof found};
    inspect_blas(&found);
    if (kernel_can_be_chosen()) {
        snprintf(found.blas_kernel_best, sizeof found.blas_kernel_best, "%s",
                 blas_kernel_advice(found.blas_kernel, avx2, avx512));
    }
    snprintf(found.vector_unit, sizeof found.vector_unit, "%s", vector_unit(avx2, avx512));
    *environment = found;
    return PLUMB_OK;
}
