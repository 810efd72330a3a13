/*
 * A GPT over bytes without order, for benches: how long a pass takes does not depend on what the
 * text says.
 */
#ifndef WORKLOAD_RANDOM_TEXT_H
#define WORKLOAD_RANDOM_TEXT_H

#include "workload/workload.h"

/* As workload_create_gpt, on random bytes; options->data is not used. */
int workload_create_random_gpt(const workload_options *options, workload **w, char *message,
                               size_t message_size);

#endif
