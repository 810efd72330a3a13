/*
 * Looking at the machine; see machine.h.
 */
#define _GNU_SOURCE
#include "app/machine.h"
#include "app/blas_restart.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Windows for the groups' sums live in /dev/shm; containers often give it 64 MiB only. */
static const int64_t small_shared_memory = 256 * INT64_C(1048576);

static void add_range(char *text, size_t size, int first, int last)
{
    size_t used = strlen(text);
    const char *comma = used > 0 ? "," : "";
    if (first == last) {
        snprintf(text + used, size - used, "%s%d", comma, first);
    } else {
        snprintf(text + used, size - used, "%s%d-%d", comma, first, last);
    }
}

static void find_cores(rank_facts *facts)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    facts->online_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return;
    }
    facts->core_count = CPU_COUNT(&set);
    facts->first_core = -1;
    int first = -1;
    for (int core = 0; core <= CPU_SETSIZE; core++) {
        bool allowed = core < CPU_SETSIZE && CPU_ISSET((size_t)core, &set);
        if (allowed && first < 0) {
            first = core;
            facts->first_core = facts->first_core < 0 ? core : facts->first_core;
        } else if (!allowed && first >= 0) {
            add_range(facts->cores, sizeof facts->cores, first, core - 1);
            first = -1;
        }
    }
}

static void find_cpu(rank_facts *facts)
{
    char line[512];
    snprintf(facts->cpu, sizeof facts->cpu, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            snprintf(facts->cpu, sizeof facts->cpu, "%.*s", (int)strcspn(colon + 2, "\n"),
                     colon + 2);
            break;
        }
    }
    fclose(file);
}

static void find_memory(rank_facts *facts)
{
    facts->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    struct statvfs state;
    facts->shared_memory_free = -1;
    if (statvfs("/dev/shm", &state) == 0) {
        facts->shared_memory_free = (int64_t)state.f_bavail * (int64_t)state.f_frsize;
    }
}

static void find_facts(rank_facts *facts)
{
    *facts = (rank_facts){.environment = {.size = sizeof facts->environment}};
    plumb_inspect_environment(&facts->environment);
    blas_warning(&facts->environment, facts->blas_warning, sizeof facts->blas_warning);
    const char *kernel;
    if (blas_restarted(&kernel)) {
        snprintf(facts->restarted_with, sizeof facts->restarted_with, "%s", kernel);
    }
    gethostname(facts->host, sizeof facts->host - 1);
    find_cpu(facts);
    find_cores(facts);
    find_memory(facts);
}

int machine_gather(machine *m, const ranks *r)
{
    rank_facts mine;
    failure f = {0, ""};
    find_facts(&mine);
    mine.node = ranks_node(r);
    *m = (machine){.count = r->rank == 0 ? r->count : 0, .thread_level = r->thread_level};
    if (r->rank == 0) {
        m->ranks = calloc((size_t)r->count, sizeof *m->ranks);
        if (m->ranks == NULL) {
            failure_set(&f, EXIT_LIBRARY, "no memory");
        }
    }
    if (ranks_agree(r, &f) != EXIT_OK || (r->rank == 0 && m->ranks == NULL)) {
        return 1;
    }
    ranks_gather(r, &mine, sizeof mine, m->ranks);
    for (int i = 0; i < m->count; i++) {
        m->nodes += m->ranks[i].node == i ? 1 : 0;
    }
    return 0;
}

void machine_free(machine *m)
{
    free(m->ranks);
    m->ranks = NULL;
}

int machine_ranks_on_node(const machine *m, int index)
{
    int count = 0;
    for (int i = 0; i < m->count; i++) {
        count += m->ranks[i].node == m->ranks[index].node ? 1 : 0;
    }
    return count;
}

typedef void (*say_function)(void *context, const char *line);

static void warn_of_kernels(const machine *m, say_function say, void *context)
{
    char line[512];
    const rank_facts *first = &m->ranks[0];
    if (first->blas_warning[0] != '\0') {
        say(context, first->blas_warning);
    }
    for (int i = 1; i < m->count; i++) {
        const rank_facts *other = &m->ranks[i];
        if (strcmp(other->environment.blas_kernel, first->environment.blas_kernel) != 0) {
            snprintf(line, sizeof line,
                     "rank %d uses BLAS kernel %s, rank 0 %s: bits may depend on who computes what",
                     i, other->environment.blas_kernel, first->environment.blas_kernel);
            say(context, line);
            return;
        }
    }
}

/* More threads than cores on the node of rank `index`, which is its node's first. */
static void warn_of_load(const machine *m, int index, say_function say, void *context)
{
    char line[512];
    const rank_facts *facts = &m->ranks[index];
    int neighbours = machine_ranks_on_node(m, index);
    int threads = facts->environment.blas_threads > 0 ? facts->environment.blas_threads : 1;
    if (neighbours * threads > facts->online_cores) {
        snprintf(line, sizeof line, "%s: %d ranks x %d BLAS threads on %d cores", facts->host,
                 neighbours, threads, facts->online_cores);
        say(context, line);
    }
}

static void warn_of_sharing(const machine *m, say_function say, void *context)
{
    for (int i = 0; i < m->count; i++) {
        for (int j = 0; j < i; j++) {
            const rank_facts *a = &m->ranks[j];
            const rank_facts *b = &m->ranks[i];
            if (a->node == b->node && a->core_count == 1 && b->core_count == 1 &&
                a->first_core == b->first_core) {
                char line[512];
                snprintf(line, sizeof line, "ranks %d and %d are both pinned to core %d of %s", j,
                         i, a->first_core, a->host);
                say(context, line);
                return;
            }
        }
    }
}

static void warn_of_node(const machine *m, int index, say_function say, void *context)
{
    char line[512];
    const rank_facts *facts = &m->ranks[index];
    int neighbours = machine_ranks_on_node(m, index);
    if (neighbours > 1 && facts->core_count >= facts->online_cores && facts->online_cores > 1) {
        snprintf(line, sizeof line,
                 "%s: ranks are not pinned to cores; mpirun --bind-to core keeps them in place",
                 facts->host);
        say(context, line);
    }
    if (neighbours > 1 && facts->shared_memory_free < small_shared_memory) {
        snprintf(line, sizeof line,
                 "%s: %" PRId64 " MiB free in /dev/shm; larger models exchange by messages there",
                 facts->host,
                 facts->shared_memory_free < 0 ? 0 : facts->shared_memory_free / 1048576);
        say(context, line);
    }
}

void machine_warnings(const machine *m, bool all, say_function say, void *context)
{
    if (m->count == 0) {
        return;
    }
    warn_of_kernels(m, say, context);
    for (int i = 0; i < m->count; i++) {
        if (m->ranks[i].node == i) {
            warn_of_load(m, i, say, context);
            if (all) {
                warn_of_node(m, i, say, context);
            }
        }
    }
    warn_of_sharing(m, say, context);
}
