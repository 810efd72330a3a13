/*
 * Parameters from and into run directories: --initial-parameters and --save-parameters.
 */
#ifndef APP_TRAIN_PARAMETERS_H
#define APP_TRAIN_PARAMETERS_H

#include "app/training.h"

/* Every rank gets the parameters that rank 0 reads, if --initial-parameters asks for them.
 * Collective; t->failure is agreed. */
void train_parameters_load(training *t);

/* Writes them into the run directory, unless --save-parameters no. Rank 0. Returns the failure's
 * code. */
int train_parameters_save(training *t);

#endif
