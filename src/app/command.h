/*
 * The subcommands of plumb. Each has a file of its own and an entry in main.c's table.
 */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

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
int info_command(int argc, char **argv);
int bench_command(int argc, char **argv);
int claims_command(int argc, char **argv);

/* Where help, which every rank could print, is printed: once. NULL on other ranks. */
FILE *command_help_stream(void);

/* "0.1.0" of the library that is linked. Static storage. */
const char *command_version(void);

#endif
