/*
 * Random bytes as a text; see random_text.h.
 */
#include "workload/random_text.h"

#include "workload/gpt_model.h"
#include "workload/random.h"

#include <stdio.h>
#include <stdlib.h>

static int random_text(int64_t count, text *data)
{
    *data = (text){.bytes = malloc((size_t)count), .count = count, .training = count - count / 10};
    for (int64_t i = 0; data->bytes != NULL && i < count; i++) {
        data->bytes[i] = (unsigned char)(random_bits(1, RANDOM_BATCH, 0, 0, (uint64_t)i) & 0xff);
    }
    return data->bytes == NULL;
}

int workload_create_random_gpt(const workload_options *options, workload **w, char *message,
                               size_t message_size)
{
    text data;
    gpt *model;
    workload_options own = *options;
    own.data = NULL;
    *w = NULL;
    if (gpt_check_options(&own, message, message_size) != 0) {
        return WORKLOAD_WRONG_OPTIONS;
    }
    if (random_text(20 * (own.context + 1), &data) != 0) {
        snprintf(message, message_size, "not enough memory for the benchmark");
        return WORKLOAD_NO_MEMORY;
    }
    if (gpt_create(&own, &data, &model, message, message_size) != 0) {
        return WORKLOAD_NO_MEMORY;
    }
    *w = &model->base;
    return 0;
}
