/*
 * Signals as a flag, and the alarm that ends a rank whose step does not; see stop_signal.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/stop_signal.h"

#include <math.h>
#include <stddef.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { LEAST_PATIENCE = 10, LONGEST_PATIENCE = 1000000 }; /* seconds */

static volatile sig_atomic_t seen;
static volatile sig_atomic_t patience; /* seconds from the signal to the end; 0: for ever */
static double last_look;               /* seconds, of a clock that begins anywhere */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void note(int signal_number)
{
    seen = signal_number;
    if (patience > 0) {
        alarm((unsigned)patience);
    }
}

static void lose_patience(int signal_number)
{
    static const char text[] = "plumb: told to stop, but the step does not end: has another rank "
                               "died? This one leaves it unfinished\n";
    (void)signal_number;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written; /* there is nobody else to tell */
    _exit(128 + (int)seen);
}

static void handle(int signal_number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}

void stop_signal_watch(void)
{
    last_look = now();
    patience = LEAST_PATIENCE;
    handle(SIGALRM, lose_patience);
    handle(SIGINT, note);
    handle(SIGTERM, note);
    handle(SIGXFSZ, SIG_IGN);
}

void stop_signal_expect(double seconds)
{
    double wanted = fmin(ceil(seconds), LONGEST_PATIENCE);
    if (patience > 0 && wanted > (double)patience) {
        patience = (sig_atomic_t)wanted;
    }
}

int stop_signal_seen(void)
{
    double time = now();
    stop_signal_expect(2.0 * (time - last_look));
    last_look = time;
    return (int)seen;
}

void stop_signal_settle(void)
{
    patience = 0;
    alarm(0);
}

const char *stop_signal_name(int number)
{
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}
