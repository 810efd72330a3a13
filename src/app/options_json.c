/*
 * Options as JSON; see options_json.h.
 */
#include "app/options_json.h"

#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value == NULL) {
        char *plain = calloc(strlen(text) + 1, 1);
        for (size_t i = 0; plain != NULL && text[i] != '\0'; i++) {
            plain[i] = (char)((unsigned char)text[i] < 128 ? text[i] : '?');
        }
        value = json_string(plain != NULL ? plain : "");
        free(plain);
    }
    return value;
}

static json_t *option_to_json(const option *o, const void *values)
{
    const void *value = (const char *)values + o->offset;
    switch (o->kind) {
    case OPTION_FLAG:
        return json_boolean(*(const bool *)value);
    case OPTION_INTEGER:
        return json_integer((json_int_t) * (const int64_t *)value);
    case OPTION_REAL:
        return json_real(*(const double *)value);
    case OPTION_TEXT: {
        const char *text = *(const char *const *)value;
        return text != NULL ? json_text(text) : json_null();
    }
    case OPTION_CHOICE:
        return json_string(o->choices[*(const int *)value]);
    }
    return json_null();
}

json_t *options_to_json(const option_table *table, const void *values)
{
    json_t *object = json_object();
    for (size_t i = 0; i < table->count; i++) {
        const option *o = &table->options[i];
        json_object_set_new(object, o->name, option_to_json(o, values));
    }
    return object;
}
