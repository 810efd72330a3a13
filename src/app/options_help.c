/*
 * What options say about themselves: the help text, wrapped for a terminal of 96 columns, and the
 * name that a mistyped one probably meant.
 */
#include "app/options.h"

#include <string.h>

enum { TEXT_COLUMN = 36, LAST_COLUMN = 96, LONGEST_NAME = 64 };

/* Writes `text` in words from the current column on, continued at TEXT_COLUMN. */
static void write_wrapped(FILE *stream, const char *text, size_t column)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > TEXT_COLUMN && column + 1 + length > LAST_COLUMN) {
            fprintf(stream, "\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
        } else if (column > TEXT_COLUMN) {
            fputc(' ', stream);
            column++;
        }
        fwrite(text, 1, length, stream);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

/* "--name UNIT" or "--name a|b|c" */
static void usage_of(const option *o, char *text, size_t size)
{
    snprintf(text, size, "  --%s%s%s", o->name, o->unit != NULL ? " " : "",
             o->unit != NULL ? o->unit : "");
    if (o->kind == OPTION_CHOICE && o->unit == NULL) {
        for (int i = 0; o->choices[i] != NULL; i++) {
            size_t used = strlen(text);
            snprintf(text + used, size - used, "%s%s", i == 0 ? " " : "|", o->choices[i]);
        }
    }
}

static void describe(const option *o, char *text, size_t size)
{
    snprintf(text, size, "%s", o->help);
    if (o->kind == OPTION_CHOICE && o->unit != NULL) {
        for (int i = 0; o->choices[i] != NULL; i++) {
            size_t used = strlen(text);
            snprintf(text + used, size - used, "%s%s", i == 0 ? ": " : ", ", o->choices[i]);
        }
    }
    const char *initial = o->initial_note != NULL ? o->initial_note : o->initial;
    if (initial != NULL) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, " [%s]", initial);
    }
}

void options_help(const option_table *table, FILE *stream)
{
    fprintf(stream, "Usage: %s\n\n%s\n", table->usage, table->about);
    for (size_t i = 0; i < table->count; i++) {
        const option *o = &table->options[i];
        if (o->heading != NULL) {
            fprintf(stream, "\n%s\n", o->heading);
        }
        char usage[256];
        char text[1024];
        usage_of(o, usage, sizeof usage);
        describe(o, text, sizeof text);
        if (strlen(usage) + 2 > TEXT_COLUMN) {
            fprintf(stream, "%s\n%*s", usage, TEXT_COLUMN, "");
        } else {
            fprintf(stream, "%-*s", TEXT_COLUMN, usage);
        }
        write_wrapped(stream, text, TEXT_COLUMN);
    }
    fprintf(stream, "\n  %-*s%s\n", TEXT_COLUMN - 2, "--help", "This text.");
    fprintf(stream, "\nValues follow as --name VALUE or --name=VALUE; the last of several wins. "
                    "[ ] holds the default.\nWhole numbers may end in k, M, G (thousands) or "
                    "Ki, Mi, Gi (1024s).\n");
}

/* Edit distance (Levenshtein 1966): insertions, deletions and substitutions. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[LONGEST_NAME + 1];
    size_t width = strlen(b);
    if (width > LONGEST_NAME) {
        return LONGEST_NAME;
    }
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t best = diagonal + (a[i] != b[j] ? 1 : 0);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (diagonal + 1 < best) {
                best = diagonal + 1;
            }
            row[j + 1] = best;
        }
    }
    return row[width];
}

const char *nearest_name(const char *typed, const char *(*name)(const void *context, size_t index),
                         const void *context, size_t count)
{
    const char *nearest = NULL;
    size_t shortest = 2 + strlen(typed) / 4;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(typed, name(context, i));
        if (distance < shortest) {
            shortest = distance;
            nearest = name(context, i);
        }
    }
    return nearest;
}
