/*
 * Progress of a run on rank 0's standard error: redrawn in place on a terminal, plain lines now
 * and then elsewhere.
 */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum progress_mode {
    PROGRESS_AUTO = 0,
    PROGRESS_ALWAYS = 1,
    PROGRESS_NEVER = 2
} progress_mode;

extern const char *const progress_modes[]; /* their names, NULL at the end */

typedef struct progress {
    bool shown;
    bool terminal;
    bool drawn;            /* an unfinished line stands on the terminal */
    int64_t steps;         /* in all */
    const char *unit_name; /* "token" or "image" */
    double held_out_loss;  /* the last one; NaN before */
    double last_shown;     /* seconds of the run when it was last drawn */
} progress;

void progress_start(progress *p, progress_mode mode, bool coordinator, int64_t steps,
                    const char *unit_name);

/* After update `step` (0: before the first): loss (NaN: none), seconds since the run's start, and
 * those of them that went into steps, by which the time that is left is estimated. */
void progress_show(progress *p, int64_t step, double loss, double units_per_second, double seconds,
                   double step_seconds);

/* Removes the line that is being redrawn, so that others can write. */
void progress_clear(progress *p);

/* Seconds as "1 h 02 min", "3 min 04 s" or "5 s". */
void progress_duration(double seconds, char *text, size_t size);

#endif
