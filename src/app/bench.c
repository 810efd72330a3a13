/*
 * `plumb bench`: finds the bench. Each measures an engine against the thing it stands on, in one
 * process and in turns: absolute times mean little on a shared machine, ratios do.
 */
#include "app/bench.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, char **all_arguments);
} benches[] = {
    {"gpt", bench_gpt_command},
    {"step", bench_step_command},
    {"scaling", bench_scaling_command},
    {"exchange", bench_exchange_command},
    {"polar", bench_polar_command},
    {"root", bench_root_command},
    {"diagnostics", bench_diagnostics_command},
};

enum { BENCH_COUNT = sizeof benches / sizeof benches[0] };

static const char *bench_name(const void *context, size_t index)
{
    (void)context;
    return benches[index].name;
}

/* Under a launcher the other ranks may be well: agree, so that all end alike. */
static int no_bench(const char *name)
{
    failure f = {0, ""};
    ranks r;
    const char *nearest = nearest_name(name, bench_name, NULL, BENCH_COUNT);
    failure_set(&f, EXIT_USAGE, "no bench '%s'; %s%s", name,
                nearest != NULL ? "did you mean " : "there are gpt, step, scaling, exchange, ",
                nearest != NULL ? nearest : "polar, root and diagnostics");
    ranks_start(&r, "command = none\n", &f);
    return ranks_finish(&r, &f);
}

/* Without a name it is the gpt's. */
int bench_command(int argc, char **argv)
{
    if (argc <= 2 || argv[2][0] == '-') {
        return bench_gpt_command(argc - 2, argv + 2, argv);
    }
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        if (strcmp(argv[2], benches[i].name) == 0) {
            return benches[i].run(argc - 3, argv + 3, argv);
        }
    }
    return no_bench(argv[2]);
}
