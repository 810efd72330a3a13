/*
 * How a run went: summary.json, and the table for people.
 */
#ifndef APP_SUMMARY_H
#define APP_SUMMARY_H

#include "app/training.h"

/* Writes summary.json: status "completed", "interrupted" or "failed". Rank 0. 0, or 1 with a line
 * in `message`. */
int summary_write(const training *t, const char *status, const char *reason, char *message,
                  size_t message_size);

/* Rank 0 writes that the run is being interrupted, before anything else can happen to it: the
 * launcher may kill the job a second after the signal. Does nothing the second time. */
void summary_note_interruption(training *t);

/* Prints the table, or with --json the text of summary.json, on standard output. Rank 0. */
void summary_print(const training *t, const char *status, const char *reason);

#endif
