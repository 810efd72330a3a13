/*
 * Linked into everything of a sanitizer build, and into nothing else: tells LeakSanitizer which
 * leaks are not ours, by the library that made them. Leaks of Plumb and of the tests are reported.
 */

const char *__asan_default_options(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);
const char *__ubsan_default_options(void);
int dlclose(void *handle);

/*
 * Other people's libraries are built without frame pointers: only the slow unwinder finds them.
 * An allocation that is too large fails as it does without sanitizers.
 */
const char *__asan_default_options(void)
{
    return "detect_leaks=1:fast_unwind_on_malloc=0:allocator_may_return_null=1";
}

/*
 * MPI's helper threads may be ending just when leaks are looked for; the checker then reads their
 * thread-local memory at an address near zero and dies of it. No leak check depends on that memory.
 */
const char *__lsan_default_options(void)
{
    return "print_suppressions=0:use_tls=0";
}

const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1";
}

/* Third-party libraries only. Open MPI keeps tables until the process ends. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libmpi.so\n"
           "leak:libopen-pal.so\n"
           "leak:libopen-rte.so\n"
           "leak:/openmpi/lib/openmpi3/\n"
           "leak:libpmix.so\n"
           "leak:/pmix2/lib/\n"
           "leak:libhwloc.so\n"
           "leak:libucs.so\n"
           "leak:libucm.so\n"
           "leak:libevent\n";
}

/*
 * Open MPI unloads its components in MPI_Finalize, after which the addresses in their leaks name
 * no library. Nothing is unloaded here.
 */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
