/*
 * Typed errors with a message. Every internal function that can fail returns a plumb_status;
 * the message of the last failure stands in a thread-local buffer, from where the public calls
 * copy it to the handle.
 */
#ifndef PLUMB_BASE_ERROR_H
#define PLUMB_BASE_ERROR_H

#include "plumb.h"

enum { ERROR_MESSAGE_SIZE = 512 };

/* Sets this thread's message (printf format, one line, no newline) and returns `status`. */
plumb_status error_raise(plumb_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* This thread's message: at most ERROR_MESSAGE_SIZE - 1 bytes, "" if nothing failed. */
const char *error_text(void);

/* Returns from the calling function with the status of `call` if it failed. */
#define PROPAGATE(call)                                                                            \
    do {                                                                                           \
        plumb_status propagated = (call);                                                          \
        if (propagated != PLUMB_OK) {                                                              \
            return propagated;                                                                     \
        }                                                                                          \
    } while (0)

/* Returns from the calling function with `status` and the message unless `condition` holds. */
#define REQUIRE(condition, status, ...)                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return error_raise(status, __VA_ARGS__);                                               \
        }                                                                                          \
    } while (0)

#endif
