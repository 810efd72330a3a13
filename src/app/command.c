/*
 * What all subcommands need beside their table; see command.h.
 */
#include "app/command.h"
#include "app/ranks.h"

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
