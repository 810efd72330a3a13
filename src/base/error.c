/*
 * The thread-local message behind plumb_error_message(NULL) and the names of the statuses.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char message[ERROR_MESSAGE_SIZE];

plumb_status error_raise(plumb_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}

const char *error_text(void)
{
    return message;
}

const char *plumb_status_name(plumb_status status)
{
    switch (status) {
    case PLUMB_OK:
        return "ok";
    case PLUMB_ERROR_ARGUMENT:
        return "argument";
    case PLUMB_ERROR_ORDER:
        return "order of calls";
    case PLUMB_ERROR_MEMORY:
        return "out of memory";
    case PLUMB_ERROR_MPI:
        return "MPI";
    case PLUMB_ERROR_MISMATCH:
        return "mismatch between ranks";
    case PLUMB_ERROR_NONFINITE:
        return "not finite";
    case PLUMB_ERROR_COVERAGE:
        return "micro-batch coverage";
    case PLUMB_ERROR_NUMERICAL:
        return "numerical failure";
    case PLUMB_ERROR_UNSUPPORTED:
        return "unsupported combination";
    case PLUMB_ERROR_INTERNAL:
        return "internal error";
    }
    return "unknown status";
}
