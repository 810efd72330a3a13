/*
 * The defaults of a handle's options.
 */
#include "base/error.h"

/* Of plumb_options: grows when a field's meaning changes. */
enum { OPTIONS_VERSION = 1 };

plumb_status plumb_options_init(plumb_options *options, size_t size)
{
    REQUIRE(options != NULL, PLUMB_ERROR_ARGUMENT, "plumb_options may not be NULL");
    REQUIRE(size == sizeof *options, PLUMB_ERROR_ARGUMENT,
            "plumb_options of %zu bytes are not known; this library's have %zu", size,
            sizeof *options);
    *options = (plumb_options){
        .size = size,
        .version = OPTIONS_VERSION,
        .groups = 0,
        .owners = PLUMB_OWNERS_SHARDED,
        .exchange = PLUMB_EXCHANGE_TRANSPOSED,
        .clip_norm = 0.0,
        .nominal_samples = 1.0,
        .bucket_elements = 0,
        .chunk_elements = 0,
        .average_weights = PLUMB_AVERAGE_NONE,
        .average_beta = 0.99,
        .average_from = 0,
        .replica_check = 100,
        .shared_memory = 1,
        .spread_panels = 1,
        .diagnostics = PLUMB_DIAGNOSTICS_OFF,
        .diagnostics_every = 20,
        .population = 0.0,
        .log = NULL,
        .log_context = NULL,
        .log_level = PLUMB_LOG_WARNING,
    };
    return PLUMB_OK;
}
