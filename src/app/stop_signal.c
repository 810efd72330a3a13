/*
 * Signals as a flag; see stop_signal.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/stop_signal.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void note(int signal_number)
{
    seen = signal_number;
}

void stop_signal_watch(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

int stop_signal_seen(void)
{
    return (int)seen;
}

const char *stop_signal_name(int number)
{
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}
