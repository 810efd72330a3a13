/*
 * SIGINT and SIGTERM as a wish to stop, which the training loop reads between micro-batches and
 * the ranks agree on at the end of a step. SIGXFSZ is ignored, so that a file size limit is a
 * failed write like any other.
 */
#ifndef APP_STOP_SIGNAL_H
#define APP_STOP_SIGNAL_H

/* Installs the handlers; after MPI_Init, which may install its own. */
void stop_signal_watch(void);

/* The signal that was received, or 0. */
int stop_signal_seen(void);

/* "SIGINT" or "SIGTERM". */
const char *stop_signal_name(int number);

#endif
