/*
 * Options as JSON, for config.json and for what a replay leaves behind.
 */
#ifndef APP_OPTIONS_JSON_H
#define APP_OPTIONS_JSON_H

#include "app/options.h"

#include <jansson.h>

/* Every option by its name, after defaults. */
json_t *options_to_json(const option_table *table, const void *values);

/* A JSON string; bytes that are no UTF-8 become '?'. */
json_t *json_text(const char *text);

#endif
