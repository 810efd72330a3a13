/*
 * The program plumb: finds the subcommand and runs it. Help and version need no MPI.
 *
 * Exit codes are listed in failure.h and in the help.
 */
#include "app/command.h"
#include "app/options.h"
#include "app/ranks.h"

#include <string.h>

#ifdef PLUMB_WITHOUT_HDF5
#define REPLAY_SUMMARY "not in this build, which was made with WITH_HDF5=0"
#define DIAGNOSE_SUMMARY REPLAY_SUMMARY
#else
#define REPLAY_SUMMARY "feed recorded gradients through an optimizer"
#define DIAGNOSE_SUMMARY "noise, bias, variance and echo of recorded gradients"
#endif

static const command commands[] = {
    {"train", "train a model on real data, averaged, then orthogonalised", train_command},
    {"replay", REPLAY_SUMMARY, replay_command},
    {"diagnose", DIAGNOSE_SUMMARY, diagnose_command},
    {"info", "show build, BLAS kernel, MPI, pinning, and warnings", info_command},
    {"bench", "measure engines against what they stand on", bench_command},
    {"claims", "measure what the corrections do against what theory predicts", claims_command},
    {"plan", "predict a step's seconds by phase for 1 to 100,000 ranks", plan_command},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *stream)
{
    fprintf(stream,
            "plumb %s: gradients over MPI ranks, averaged, then orthogonalised, with the "
            "same bits\non any number of ranks.\n\n"
            "Usage: [mpirun -np P] plumb COMMAND [options]\n\nCommands:\n",
            command_version());
    for (int i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    fprintf(stream, "  %-8s %s\n", "help", "this text, or that of a command: plumb help train");
    fprintf(stream,
            "\nplumb COMMAND --help describes its options. plumb --version prints the "
            "version.\n\n%s",
            failure_exit_codes);
}

static const command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static const char *command_name(const void *context, size_t index)
{
    (void)context;
    return index < COMMAND_COUNT ? commands[index].name : "help";
}

/* Under a launcher the other ranks may be well: agree, so that all end alike. */
static int end_with_usage(failure *f)
{
    ranks r;
    ranks_start(&r, "command = none\n", f);
    return ranks_finish(&r, f);
}

static int no_command(const char *name)
{
    failure f = {0, ""};
    if (name == NULL) {
        failure_set(&f, EXIT_USAGE, "no command; plumb --help lists them");
        return end_with_usage(&f);
    }
    const char *nearest = nearest_name(name, command_name, NULL, COMMAND_COUNT + 1);
    if (nearest != NULL) {
        failure_set(&f, EXIT_USAGE, "unknown command '%s'; did you mean %s?", name, nearest);
    } else {
        failure_set(&f, EXIT_USAGE, "unknown command '%s'; plumb --help lists them", name);
    }
    return end_with_usage(&f);
}

/* `plumb help [COMMAND]` */
static int help_command(const char *name, char *program)
{
    if (name == NULL) {
        FILE *stream = command_help_stream();
        if (stream != NULL) {
            print_help(stream);
        }
        return EXIT_OK;
    }
    const command *c = find_command(name);
    char help[] = "--help";
    char *arguments[] = {program, help, help, NULL};
    return c != NULL ? c->run(3, arguments) : no_command(name);
}

static int print_version(void)
{
    FILE *stream = command_help_stream();
    if (stream != NULL) {
        fprintf(stream, "plumb %s\n", command_version());
    }
    return EXIT_OK;
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        return no_command(NULL);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        return print_version();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return help_command(NULL, argv[0]);
    }
    if (strcmp(name, "help") == 0) {
        return help_command(argc > 2 ? argv[2] : NULL, argv[0]);
    }
    const command *c = find_command(name);
    return c != NULL ? c->run(argc, argv) : no_command(name);
}

int main(int argc, char **argv)
{
    int code = run_command(argc, argv);
    /* Commands under MPI have looked by themselves and agreed; help and version have not. */
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == EXIT_OK) {
        fprintf(stderr, "plumb: cannot write to standard output\n");
        return EXIT_DATA;
    }
    return code;
}
