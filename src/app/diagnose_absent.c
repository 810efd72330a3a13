/*
 * `plumb diagnose` in a build without HDF5 (WITH_HDF5=0): says so, on every rank with the same
 * code.
 */
#include "app/command.h"
#include "app/ranks.h"

int diagnose_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    failure f = {0, ""};
    failure_set(&f, EXIT_USAGE,
                "diagnose is not in this build, which was made with WITH_HDF5=0: it needs HDF5");
    ranks r;
    ranks_start(&r, "command = diagnose\n", &f);
    return ranks_finish(&r, &f);
}
