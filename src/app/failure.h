/*
 * What ended a run: an exit code and one line. Every part of the program that can fail fills one
 * of these and returns; only main's last act prints it, so that there is one line and one code.
 *
 * Exit codes of build/plumb, on all ranks the same:
 *
 *     0    done
 *     1    plumb claims, plumb bench: done, and a goal was missed
 *     2    usage: an unknown option, a value out of range, options that contradict each other or
 *          differ between ranks
 *     3    data or files: missing, unreadable, too short; the run directory exists; a full disk
 *     4    NaN or Inf in a gradient or a loss, and --on-nonfinite is stop
 *     5    the library or MPI failed, or memory ran out
 *     130  ended by SIGINT, the run directory complete up to the last step
 *     143  ended by SIGTERM, likewise
 */
#ifndef APP_FAILURE_H
#define APP_FAILURE_H

#include "plumb.h"

typedef enum exit_status {
    EXIT_OK = 0,
    EXIT_GOAL = 1,
    EXIT_USAGE = 2,
    EXIT_DATA = 3,
    EXIT_NONFINITE = 4,
    EXIT_LIBRARY = 5,
    EXIT_INTERRUPTED = 128 /* plus the signal's number */
} exit_status;

typedef struct failure {
    int code; /* 0: nothing failed */
    char message[1024];
} failure;

/* Records a failure; the first one stays. Always returns the recorded code. */
int failure_set(failure *f, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Records what a call of the library that failed left behind; `p` may be NULL. 0 if PLUMB_OK. */
int failure_from_library(failure *f, plumb_status status, const plumb *p);

/* Removes control characters, so that a message is one line whatever the user typed. */
void failure_make_line(char *text);

/* The table of exit codes as help text. */
extern const char *const failure_exit_codes;

#endif
