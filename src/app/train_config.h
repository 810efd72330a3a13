/*
 * config.json: everything that decided a run, and what it ran on.
 */
#ifndef APP_TRAIN_CONFIG_H
#define APP_TRAIN_CONFIG_H

#include "app/training.h"

/* Writes it. Rank 0. 0, or 1 with a line in `message`. */
int train_config_write(const training *t, char *message, size_t message_size);

/* The library's options for one of the workload's parameters. */
void train_config_parameter(const train_options *o, const workload_parameter *parameter,
                            plumb_parameter_options *options);

/* Its handle's options. */
void train_config_handle(const train_options *o, plumb_options *options);

#endif
