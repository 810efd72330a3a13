/*
 * SIGINT and SIGTERM as a wish to stop, which the training loop reads between micro-batches and
 * the ranks agree on at the end of a step. If a rank has died, that end never comes: the others
 * wait for it inside MPI. mpirun kills them within seconds, but srun sends them SIGTERM and
 * SIGKILL only KillWait later (30 seconds and more). So a rank that was told to stop and comes
 * nowhere ends itself: ten seconds after the signal, or twice the longest time between two looks
 * at it so far, or what the loop says it may take (stop_signal_expect), if that is longer. SIGXFSZ is ignored, so that a file size limit is a failed write
 * like any other.
 */
#ifndef APP_STOP_SIGNAL_H
#define APP_STOP_SIGNAL_H

/* Installs the handlers; after MPI_Init, which may install its own. */
void stop_signal_watch(void);

/* The signal that was received, or 0. From one thread alone: it also measures the looks. */
int stop_signal_seen(void);

/* What has begun may take that long, whatever was seen so far. */
void stop_signal_expect(double seconds);

/* The last step has ended on all ranks: what is left may take its time, signal or not. */
void stop_signal_settle(void);

/* "SIGINT" or "SIGTERM". */
const char *stop_signal_name(int number);

#endif
