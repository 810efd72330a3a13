/*
 * Command line options as a table: one entry says an option's name, type, unit, default, bounds
 * and meaning, and parsing, help, the comparison between ranks and config.json all come from it.
 */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "app/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a value is, and which type its field in the caller's struct has. */
typedef enum option_kind {
    OPTION_FLAG,    /* bool; takes no value */
    OPTION_INTEGER, /* int64_t; -1 while undecided */
    OPTION_REAL,    /* double; NaN while undecided */
    OPTION_TEXT,    /* const char *; NULL while undecided */
    OPTION_CHOICE   /* int, index into choices; -1 while undecided */
} option_kind;

typedef struct option {
    const char *heading; /* starts a section of the help; or NULL */
    const char *name;    /* without the dashes */
    option_kind kind;
    size_t offset;              /* of the field in the caller's struct */
    const char *unit;           /* placeholder in the help; NULL for flags and choices */
    const char *initial;        /* default, as typed; NULL: decided after parsing */
    const char *initial_note;   /* how the help describes the default; NULL: by initial */
    const char *const *choices; /* ends with NULL */
    double lowest, highest;     /* numbers; used when the library does not know `bound` */
    bool lowest_excluded;       /* values must be above `lowest` */
    const char *bound;          /* name for plumb_option_bounds; or NULL */
    const char *help;
} option;

typedef struct option_table {
    const option *options;
    size_t count;
    const char *usage; /* for the help: "plumb train --data PATH [options]" */
    const char *about; /* paragraph under it */
    /* Name of the text option that an argument without dashes sets; NULL: none is taken. */
    const char *argument;
} option_table;

/* Sets every field to its default. */
void options_set_defaults(const option_table *table, void *values);

/*
 * Parses `--name value` and `--name=value` into `values`; the last of several wins. given[i] tells
 * whether option i was on the command line. *help: --help was. Returns the failure's code.
 */
int options_parse(const option_table *table, void *values, bool *given, int argc, char **argv,
                  bool *help, failure *f);

/* The effective value as text. */
void option_value_text(const option *o, const void *values, char *text, size_t size);

/* "name = value" lines of all options, allocated; NULL without memory. */
char *options_text(const option_table *table, const char *command, const void *values);

/* Index of an option; the table must have it. */
size_t option_index(const option_table *table, const char *name);

/* The nearest of `count` names to `typed` if it is near enough for a typing error, or NULL. */
const char *nearest_name(const char *typed, const char *(*name)(const void *context, size_t index),
                         const void *context, size_t count);

/* The help text. */
void options_help(const option_table *table, FILE *stream);

#endif
