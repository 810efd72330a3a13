/*
 * The library's warnings, which it gives on every rank that has one. People should read each once:
 * rank 0's own at once, and those that only another rank has with that rank's number.
 */
#ifndef APP_WARNINGS_H
#define APP_WARNINGS_H

#include "app/ranks.h"

#include <stdbool.h>

enum { WARNINGS_MOST = 8, WARNINGS_LENGTH = 256 };

/* Of a fixed size, so that rank 0 can gather them as bytes. */
typedef struct warnings {
    int count;
    char lines[WARNINGS_MOST][WARNINGS_LENGTH];
} warnings;

typedef void (*warnings_say)(void *context, const char *line);

/* Keeps a line; false if it was there already or there is no room. Local. */
bool warnings_add(warnings *w, const char *line);

/*
 * Calls `say` at rank 0 with each line that other ranks have and rank 0 has not, once, behind
 * "rank R: ", R the lowest that has it. These lines are rank 0's from then on. Collective.
 */
void warnings_gather(warnings *w, const ranks *r, warnings_say say, void *context);

#endif
