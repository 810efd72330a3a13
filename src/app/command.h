/*
 * The subcommands of plumb. Each has a file of its own and an entry in main.c's table.
 */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include "app/options.h"
#include "app/ranks.h"

#include <stdio.h>

typedef struct command {
    const char *name;
    const char *summary; /* one line for `plumb --help` */
    /* Runs it; argv[0] is the program, argv[2] the first argument after the name. Returns the
     * exit code, the same on all ranks. */
    int (*run)(int argc, char **argv);
} command;

int train_command(int argc, char **argv);
int replay_command(int argc, char **argv);
int diagnose_command(int argc, char **argv);
int info_command(int argc, char **argv);
int bench_command(int argc, char **argv);
int claims_command(int argc, char **argv);
int plan_command(int argc, char **argv);

/* What a command with one BLAS thread a rank does with its arguments. */
typedef struct command_task {
    const char *name; /* as the ranks compare it: "bench step" */
    const option_table *table;
    void *options; /* what the table fills */
    /* Looks at the options before MPI starts; may be NULL. Returns f's code. */
    int (*check)(const void *options, failure *f);
    /* The work; collective. */
    void (*run)(const ranks *r, const void *options, failure *f);
} command_task;

/*
 * Parses the arguments, or prints the help; sees to the BLAS kernel, starts MPI, compares options
 * over the ranks, runs, and ends MPI. argv: the arguments after the command's words;
 * all_arguments: those of main. Returns the exit code.
 */
int command_run(const command_task *task, int argc, char **argv, char **all_arguments);

/* Where help, which every rank could print, is printed: once. NULL on other ranks. */
FILE *command_help_stream(void);

/* "0.1.0" of the library that is linked. Static storage. */
const char *command_version(void);

#endif
