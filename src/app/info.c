/*
 * `plumb info`: what this build is, what it runs on, and what is likely to make it slow. Alone or
 * under mpirun, where it shows every rank.
 */
#include "app/blas_restart.h"
#include "app/command.h"
#include "app/machine.h"
#include "app/options.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The compiler's flags but for warnings, from the Makefile. */
#ifndef PLUMB_BUILD_FLAGS
#define PLUMB_BUILD_FLAGS "flags unknown"
#endif

#ifdef __OPTIMIZE__
#define OPTIMISED "optimised"
#else
#define OPTIMISED "not optimised"
#endif

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

typedef struct info_options {
    int64_t blas_threads;
    bool json;
} info_options;

static const option entries[] = {
    {.name = "blas-threads",
     .kind = OPTION_INTEGER,
     .offset = offsetof(info_options, blas_threads),
     .unit = "N",
     .initial = "1",
     .lowest = 1,
     .highest = 1024,
     .help = "BLAS threads a rank, as plumb train would use."},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(info_options, json),
     .help = "Print JSON in place of the table."},
};

enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

static const option_table table = {
    .options = entries,
    .count = ENTRY_COUNT,
    .usage = "[mpirun -np P] plumb info [options]",
    .about = "Shows version, build, BLAS kernel, MPI, where ranks run, and warnings.",
};

static const char *mpi_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n")] = '\0';
    char *comma = strchr(text, ',');
    if (comma != NULL) {
        *comma = '\0';
    }
    return text;
}

static const char *thread_level_name(int level)
{
    switch (level) {
    case MPI_THREAD_SINGLE:
        return "single";
    case MPI_THREAD_FUNNELED:
        return "funneled";
    case MPI_THREAD_SERIALIZED:
        return "serialized";
    default:
        return "multiple";
    }
}

static const char *build_kind(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return OPTIMISED ", address sanitizer";
#else
    return OPTIMISED;
#endif
}

static void append_warning(void *context, const char *line)
{
    json_array_append_new(context, json_string(line));
}

static json_t *rank_to_json(const machine *m, int index)
{
    const rank_facts *facts = &m->ranks[index];
    return json_pack("{s:i, s:s, s:s, s:i, s:i, s:s, s:i}", "rank", index, "host", facts->host,
                     "cores", facts->cores, "core_count", facts->core_count, "ranks_on_node",
                     machine_ranks_on_node(m, index), "blas_kernel", facts->environment.blas_kernel,
                     "online_cores", facts->online_cores);
}

static json_t *blas_to_json(const rank_facts *facts)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:s}", "library", facts->environment.blas_library,
                     "kernel", facts->environment.blas_kernel, "better_kernel",
                     facts->environment.blas_kernel_best, "threads",
                     facts->environment.blas_threads, "started_again_with", facts->restarted_with);
}

static json_t *info_to_json(const machine *m)
{
    const rank_facts *first = &m->ranks[0];
    json_t *pinning = json_array();
    json_t *warnings = json_array();
    for (int i = 0; i < m->count; i++) {
        json_array_append_new(pinning, rank_to_json(m, i));
    }
    machine_warnings(m, true, append_warning, warnings);
    json_t *object =
        json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:s, s:s}}", "version", command_version(),
                  "build", "compiler", COMPILER, "kind", build_kind(), "flags", PLUMB_BUILD_FLAGS,
                  "blas", blas_to_json(first), "mpi", "library", mpi_library(), "threads",
                  thread_level_name(m->thread_level));
    json_t *machine_object =
        json_pack("{s:s, s:s, s:I, s:I}", "cpu", first->cpu, "vector_unit",
                  first->environment.vector_unit, "memory_bytes", (json_int_t)first->memory_bytes,
                  "shared_memory_free_bytes", (json_int_t)first->shared_memory_free);
    json_object_set_new(object, "machine", machine_object);
    json_object_set_new(object, "ranks", json_integer(m->count));
    json_object_set_new(object, "nodes", json_integer(m->nodes));
    json_object_set_new(object, "pinning", pinning);
    json_object_set_new(object, "warnings", warnings);
    return object;
}

static void print_json(const machine *m)
{
    json_t *object = info_to_json(m);
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

static void print_warning(void *context, const char *line)
{
    bool *any = context;
    *any = true;
    printf("warning         %s\n", line);
}

static void print_memory(const rank_facts *facts)
{
    printf("memory          %.1f GiB", (double)facts->memory_bytes / 1073741824.0);
    if (facts->shared_memory_free >= 0) {
        printf(", %.1f GiB free in /dev/shm\n", (double)facts->shared_memory_free / 1073741824.0);
    } else {
        printf(", no /dev/shm\n");
    }
}

static void print_table(const machine *m)
{
    const rank_facts *first = &m->ranks[0];
    const plumb_environment *e = &first->environment;
    printf("plumb           %s\n", command_version());
    printf("build           %s, %s: %s\n", COMPILER, build_kind(), PLUMB_BUILD_FLAGS);
    printf("blas            %s, kernel %s, %d thread%s a rank%s%s\n", e->blas_library,
           e->blas_kernel, e->blas_threads, e->blas_threads == 1 ? "" : "s",
           first->restarted_with[0] != '\0' ? ", started again with " : "", first->restarted_with);
    printf("cpu             %s, %s\n", first->cpu, e->vector_unit);
    print_memory(first);
    printf("mpi             %s, threads %s\n", mpi_library(), thread_level_name(m->thread_level));
    printf("ranks           %d on %d node%s\n", m->count, m->nodes, m->nodes == 1 ? "" : "s");
    for (int i = 0; i < m->count; i++) {
        const rank_facts *facts = &m->ranks[i];
        printf("  rank %-8d %s, cores %s of %d, kernel %s, %d rank%s on the node\n", i, facts->host,
               facts->cores, facts->online_cores, facts->environment.blas_kernel,
               machine_ranks_on_node(m, i), machine_ranks_on_node(m, i) == 1 ? "" : "s");
    }
    bool any = false;
    machine_warnings(m, true, print_warning, &any);
    if (!any) {
        printf("warnings        none\n");
    }
}

static void show(const ranks *r, const info_options *options, failure *f)
{
    machine m;
    if (machine_gather(&m, r) != 0) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return;
    }
    if (r->rank == 0 && options->json) {
        print_json(&m);
    } else if (r->rank == 0) {
        print_table(&m);
    }
    machine_free(&m);
}

int info_command(int argc, char **argv)
{
    info_options options;
    bool given[ENTRY_COUNT] = {false};
    bool help = false;
    failure f = {0, ""};
    options_set_defaults(&table, &options);
    options_parse(&table, &options, given, argc - 2, argv + 2, &help, &f);
    if (help) {
        FILE *stream = command_help_stream();
        if (stream != NULL) {
            options_help(&table, stream);
        }
        return EXIT_OK;
    }
    if (f.code == EXIT_OK) {
        blas_prepare((int)options.blas_threads, argv);
    }
    ranks r;
    char *setup = options_text(&table, "info", &options);
    if (ranks_start(&r, setup, &f) == EXIT_OK) {
        show(&r, &options, &f);
    }
    free(setup);
    return ranks_finish(&r, &f);
}
