/*
 * The steps of a run: gradients, update, held-out loss, a line of metrics, and the ranks'
 * agreement on how to go on.
 */
#ifndef APP_TRAIN_LOOP_H
#define APP_TRAIN_LOOP_H

#include "app/training.h"

/* Trains. Leaves what ended it early in t->failure or t->stop_signal, agreed over ranks. */
void train_loop(training *t);

#endif
