/*
 * What all subcommands need beside their table; see command.h.
 */
#include "app/command.h"
#include "app/blas_restart.h"

#include <stdlib.h>

FILE *command_help_stream(void)
{
    return launcher_rank() <= 0 ? stdout : NULL;
}

const char *command_version(void)
{
    static char text[48];
    int major, minor, patch;
    plumb_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

/* Returns true if the help was asked for, and printed. */
static bool parse(const command_task *task, int argc, char **argv, failure *f)
{
    bool help = false;
    bool *given = calloc(task->table->count, sizeof *given);
    options_set_defaults(task->table, task->options);
    if (given == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return false;
    }
    options_parse(task->table, task->options, given, argc, argv, &help, f);
    free(given);
    FILE *stream = f->code == EXIT_OK && help ? command_help_stream() : NULL;
    if (stream != NULL) {
        options_help(task->table, stream);
    }
    return f->code == EXIT_OK && help;
}

int command_run(const command_task *task, int argc, char **argv, char **all_arguments)
{
    failure f = {0, ""};
    if (parse(task, argc, argv, &f)) {
        return EXIT_OK;
    }
    if (f.code == EXIT_OK && (task->check == NULL || task->check(task->options, &f) == EXIT_OK)) {
        blas_prepare(1, all_arguments);
    }
    char *text = options_text(task->table, task->name, task->options);
    ranks r;
    if (ranks_start(&r, text, &f) == EXIT_OK) {
        task->run(&r, task->options, &f);
    }
    free(text);
    return ranks_finish(&r, &f);
}
