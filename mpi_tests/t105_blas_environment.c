/*
 * The advice on OpenBLAS's kernel for machines of every kind, and what plumb_inspect_environment
 * says about this one.
 *
 * ranks: serial
 */
#include <string.h>

#include "linalg/blas_environment.h"
#include "plumb.h"
#include "support/test.h"

/* kernel in use, the CPU's AVX2 and AVX-512, the advice */
static const struct {
    const char *kernel;
    bool avx2, avx512;
    const char *advice;
} cases[] = {
    {"Prescott", true, true, "SkylakeX"},
    {"Prescott", true, false, "Haswell"},
    {"Prescott", false, false, ""},
    {"PRESCOTT", true, true, "SkylakeX"},
    {"Core2", true, true, "SkylakeX"},
    {"Nehalem", true, false, "Haswell"},
    {"Atom", true, false, "Haswell"},
    {"Barcelona", true, true, "SkylakeX"},
    {"Generic", true, false, "Haswell"},
    {"Generic", false, false, ""},
    {"Sandybridge", true, false, "Haswell"},
    {"Sandybridge", true, true, "SkylakeX"},
    {"Sandybridge", false, false, ""},
    {"Opteron_SSE3", true, false, "Haswell"},
    {"Haswell", true, false, ""},
    {"Haswell", true, true, "SkylakeX"},
    {"haswell", true, true, "SkylakeX"},
    {"Zen", true, false, ""},
    {"Zen", true, true, "SkylakeX"},
    {"Excavator", true, false, ""},
    {"SkylakeX", true, true, ""},
    {"Cooperlake", true, true, ""},
    {"SapphireRapids", true, true, ""},
    {"AKernelOfTheFuture", true, true, ""},
    {"neoversen1", false, false, ""},
    {"unknown", true, true, ""},
    {"", true, true, ""},
    {NULL, true, true, ""},
};

START_TEST(advice)
{
    const char *given = blas_kernel_advice(cases[_i].kernel, cases[_i].avx2, cases[_i].avx512);
    ck_assert_str_eq(given, cases[_i].advice);
}
END_TEST

/* kernel, configuration, whether small matrices have kernels */
static const struct {
    const char *kernel, *configuration;
    bool small;
} small_cases[] = {
    {"Cooperlake", "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY Cooperlake MAX_THREADS=64", true},
    {"SkylakeX", "OpenBLAS 0.3.17 ", true},
    {"skylakex", "OpenBLAS 0.4.0", true},
    {"SapphireRapids", "OpenBLAS 1.0.2", true},
    {"SkylakeX", "OpenBLAS 0.3.16 DYNAMIC_ARCH", false},
    {"SkylakeX", "OpenBLAS 0.2.20 DYNAMIC_ARCH", false},
    {"Haswell", "OpenBLAS 0.3.21 DYNAMIC_ARCH", false},
    {"Zen", "OpenBLAS 0.3.21 DYNAMIC_ARCH", false},
    {"SkylakeX", "BLAS of another kind", false},
    {"", "", false},
    {NULL, "OpenBLAS 0.3.21", false},
    {"SkylakeX", NULL, false},
};

START_TEST(small_kernels)
{
    ck_assert(blas_kernel_has_small(small_cases[_i].kernel, small_cases[_i].configuration) ==
              small_cases[_i].small);
}
END_TEST

static bool ends_within(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

START_TEST(this_machine)
{
    plumb_environment found;
    memset(&found, 0x5a, sizeof found);
    found.size = sizeof found;
    ck_assert_int_eq(plumb_inspect_environment(&found), PLUMB_OK);
    ck_assert_uint_eq(found.size, sizeof found);
    ck_assert(ends_within(found.blas_library, sizeof found.blas_library));
    ck_assert(ends_within(found.blas_kernel, sizeof found.blas_kernel));
    ck_assert(ends_within(found.blas_kernel_best, sizeof found.blas_kernel_best));
    ck_assert(ends_within(found.vector_unit, sizeof found.vector_unit));
    ck_assert(found.blas_library[0] != '\0' && found.blas_kernel[0] != '\0');
    ck_assert(found.blas_threads >= 0);
    ck_assert(strcmp(found.blas_kernel_best, found.blas_kernel) != 0);
}
END_TEST

#ifdef __x86_64__
START_TEST(vector_unit_of_this_machine)
{
    plumb_environment found = {.size = sizeof found};
    ck_assert_int_eq(plumb_inspect_environment(&found), PLUMB_OK);
    const char *expected = "sse2";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        expected = __builtin_cpu_supports("avx512dq") ? "avx512" : "avx2";
    }
    ck_assert_str_eq(found.vector_unit, expected);
}
END_TEST
#endif

START_TEST(wrong_arguments)
{
    plumb_environment found = {.size = sizeof found - 1, .blas_threads = 123};
    ck_assert_int_eq(plumb_inspect_environment(NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_inspect_environment(&found), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(found.blas_threads, 123);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("BLAS environment");
    TCase *tcase = tcase_create("advice");
    tcase_add_loop_test(tcase, advice, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_loop_test(tcase, small_kernels, 0, (int)(sizeof small_cases / sizeof *small_cases));
    suite_add_tcase(suite, tcase);
    test_add(suite, "this machine", this_machine);
#ifdef __x86_64__
    test_add(suite, "vector unit", vector_unit_of_this_machine);
#endif
    test_add(suite, "wrong arguments", wrong_arguments);
    return test_run(suite);
}
