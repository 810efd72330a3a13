/*
 * Exit codes and the one line that explains them; see failure.h.
 */
#include "app/failure.h"

#include <stdarg.h>
#include <stdio.h>

const char *const failure_exit_codes =
    "Exit codes, the same on all ranks:\n"
    "  0    done\n"
    "  1    plumb claims, plumb bench: done, and a goal was missed\n"
    "  2    usage: unknown option, value out of range, options that differ between ranks\n"
    "  3    data or files: missing, unreadable, too short; run directory exists; full disk\n"
    "  4    NaN or Inf in a gradient or a loss, and --on-nonfinite is stop\n"
    "  5    the library or MPI failed, or memory ran out\n"
    "  130  ended by SIGINT;  143  ended by SIGTERM: the run directory is complete so far\n";

void failure_make_line(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 127) {
            *c = ' ';
        }
    }
}

int failure_set(failure *f, int code, const char *format, ...)
{
    if (f->code == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(f->message, sizeof f->message, format, arguments);
        va_end(arguments);
        failure_make_line(f->message);
        f->code = code;
    }
    return f->code;
}

static int code_of(plumb_status status)
{
    switch (status) {
    case PLUMB_OK:
        return EXIT_OK;
    case PLUMB_ERROR_ARGUMENT:
    case PLUMB_ERROR_MISMATCH:
    case PLUMB_ERROR_UNSUPPORTED:
        return EXIT_USAGE;
    case PLUMB_ERROR_NONFINITE:
        return EXIT_NONFINITE;
    default:
        return EXIT_LIBRARY;
    }
}

int failure_from_library(failure *f, plumb_status status, const plumb *p)
{
    int code = code_of(status);
    if (code == EXIT_OK) {
        return EXIT_OK;
    }
    const char *message = plumb_error_message(p);
    if (message[0] == '\0') {
        message = plumb_status_name(status);
    }
    return failure_set(f, code, "%s", message);
}
