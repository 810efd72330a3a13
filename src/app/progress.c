/*
 * The progress line; see progress.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

const char *const progress_modes[] = {"auto", "always", "never", NULL};

/* Seconds between two drawings: a terminal is redrawn, other outputs grow by a line. */
static const double terminal_interval = 0.2;
static const double line_interval = 5.0;

void progress_start(progress *p, progress_mode mode, bool coordinator, int64_t steps,
                    const char *unit_name)
{
    *p = (progress){.steps = steps, .unit_name = unit_name, .held_out_loss = NAN};
    p->terminal = isatty(STDERR_FILENO) != 0;
    p->shown = coordinator && (mode == PROGRESS_ALWAYS || (mode == PROGRESS_AUTO && p->terminal));
    p->last_shown = -INFINITY;
}

void progress_duration(double seconds, char *text, size_t size)
{
    int64_t whole = seconds < 1e15 ? llround(seconds) : 0;
    if (whole >= 3600) {
        snprintf(text, size, "%" PRId64 " h %02" PRId64 " min", whole / 3600, whole / 60 % 60);
    } else if (whole >= 60) {
        snprintf(text, size, "%" PRId64 " min %02" PRId64 " s", whole / 60, whole % 60);
    } else {
        snprintf(text, size, "%" PRId64 " s", whole);
    }
}

static void write_line(const progress *p, int64_t step, double loss, double units_per_second,
                       double step_seconds)
{
    fprintf(stderr, "step %*" PRId64 "/%" PRId64, snprintf(NULL, 0, "%" PRId64, p->steps), step,
            p->steps);
    if (!isnan(loss)) {
        fprintf(stderr, "  loss %.4f", loss);
    }
    if (!isnan(p->held_out_loss)) {
        fprintf(stderr, "  held-out %.4f", p->held_out_loss);
    }
    if (step > 0) {
        char left[32];
        progress_duration(step_seconds / (double)step * (double)(p->steps - step), left,
                          sizeof left);
        fprintf(stderr, "  %.0f %ss/s  %s left", units_per_second, p->unit_name, left);
    }
}

void progress_show(progress *p, int64_t step, double loss, double units_per_second, double seconds,
                   double step_seconds)
{
    double interval = p->terminal ? terminal_interval : line_interval;
    bool edge = step <= 1 || step == p->steps;
    if (!p->shown || (seconds - p->last_shown < interval && !edge)) {
        return;
    }
    p->last_shown = seconds;
    if (p->terminal) {
        fprintf(stderr, "\r");
    }
    write_line(p, step, loss, units_per_second, step_seconds);
    fprintf(stderr, p->terminal ? "\033[K" : "\n");
    p->drawn = p->terminal;
    if (p->terminal && step == p->steps) {
        fprintf(stderr, "\n");
        p->drawn = false;
    }
    fflush(stderr);
}

void progress_clear(progress *p)
{
    if (p->drawn) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
        p->drawn = false;
    }
}
