/*
 * Faults that tests inject on purpose: a correct library never sets them. They exist so that the
 * promises about bits and errors are tested by breaking them.
 */
#ifndef PLUMB_EXCHANGE_FAULT_H
#define PLUMB_EXCHANGE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "plumb.h"

typedef struct fault_settings {
    bool order_depends_on_ranks; /* the summation tree's splits follow the rank count */
    int fail_message_after;      /* that many messages from now the next one fails; 0: never */
    int64_t window_bytes;        /* memory for arriving messages; 0: the default */
    bool no_windows;             /* no window can be had */
    int pretended_nodes; /* ranks are dealt over that many hosts in turn; 0: the real ones */
} fault_settings;

/* All zero unless a test writes to it. */
extern fault_settings fault;

/* The injected failure of a message or a signal, when its turn has come. MPI. */
plumb_status fault_of_message(void);

#endif
