/*
 * Parsing of options by table; see options.h. The help stands in options_help.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "app/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Typed access to the field of an option in the caller's struct. */
static void *field(const option *o, void *values)
{
    return (char *)values + o->offset;
}

static const void *constant_field(const option *o, const void *values)
{
    return (const char *)values + o->offset;
}

static plumb_bounds bounds_of(const option *o)
{
    plumb_bounds bounds = {o->lowest, o->highest, o->lowest_excluded, 0};
    if (o->bound != NULL) {
        plumb_bounds library;
        if (plumb_option_bounds(o->bound, &library) == PLUMB_OK) {
            bounds = library;
        }
    }
    return bounds;
}

static int check_bounds(const option *o, const char *text, double value, failure *f)
{
    plumb_bounds b = bounds_of(o);
    bool low = b.lowest_excluded ? value > b.lowest : value >= b.lowest;
    bool high = b.highest_excluded ? value < b.highest : value <= b.highest;
    if (low && high) {
        return EXIT_OK;
    }
    return failure_set(f, EXIT_USAGE, "--%s %s is out of range: %s %.16g, %s %.16g", o->name, text,
                       b.lowest_excluded ? "above" : "from", b.lowest,
                       b.highest_excluded ? "below" : "to", b.highest);
}

/* The factor of a size suffix: k, M, G are thousands, Ki, Mi, Gi are 1024s; 0 if unknown. */
static double suffix_factor(const char *suffix)
{
    static const struct {
        const char *text;
        double factor;
    } suffixes[] = {{"", 1.0},  {"k", 1e3},     {"K", 1e3},        {"M", 1e6},
                    {"G", 1e9}, {"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0}};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcmp(suffix, suffixes[i].text) == 0) {
            return suffixes[i].factor;
        }
    }
    return 0.0;
}

static int parse_integer(const option *o, const char *text, void *values, failure *f)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    double factor = suffix_factor(end);
    if (end == text || factor == 0.0) {
        return failure_set(f, EXIT_USAGE, "--%s '%s' is not a whole number", o->name, text);
    }
    double value = (double)number * factor;
    if (errno == ERANGE || fabs(value) > 9.0e15) {
        value = number < 0 ? -INFINITY : INFINITY;
    }
    if (check_bounds(o, text, value, f) != EXIT_OK) {
        return f->code;
    }
    *(int64_t *)field(o, values) = (int64_t)number * (int64_t)factor;
    return EXIT_OK;
}

static int parse_real(const option *o, const char *text, void *values, failure *f)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || isnan(value)) {
        return failure_set(f, EXIT_USAGE, "--%s '%s' is not a number", o->name, text);
    }
    if (check_bounds(o, text, value, f) != EXIT_OK) {
        return f->code;
    }
    *(double *)field(o, values) = value;
    return EXIT_OK;
}

static int parse_choice(const option *o, const char *text, void *values, failure *f)
{
    char list[256] = "";
    for (int i = 0; o->choices[i] != NULL; i++) {
        if (strcmp(text, o->choices[i]) == 0) {
            *(int *)field(o, values) = i;
            return EXIT_OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", o->choices[i]);
    }
    return failure_set(f, EXIT_USAGE, "--%s '%s' is none of %s", o->name, text, list);
}

static int parse_value(const option *o, const char *text, void *values, failure *f)
{
    switch (o->kind) {
    case OPTION_INTEGER:
        return parse_integer(o, text, values, f);
    case OPTION_REAL:
        return parse_real(o, text, values, f);
    case OPTION_CHOICE:
        return parse_choice(o, text, values, f);
    case OPTION_TEXT:
        *(const char **)field(o, values) = text;
        return EXIT_OK;
    case OPTION_FLAG:
        *(bool *)field(o, values) = true;
        return EXIT_OK;
    }
    return EXIT_OK;
}

static void set_undecided(const option *o, void *values)
{
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)field(o, values) = false;
        break;
    case OPTION_INTEGER:
        *(int64_t *)field(o, values) = -1;
        break;
    case OPTION_REAL:
        *(double *)field(o, values) = NAN;
        break;
    case OPTION_TEXT:
        *(const char **)field(o, values) = NULL;
        break;
    case OPTION_CHOICE:
        *(int *)field(o, values) = -1;
        break;
    }
}

void options_set_defaults(const option_table *table, void *values)
{
    for (size_t i = 0; i < table->count; i++) {
        const option *o = &table->options[i];
        set_undecided(o, values);
        if (o->initial != NULL) {
            failure ignored = {0, ""};
            parse_value(o, o->initial, values, &ignored);
        }
    }
}

static const char *table_name(const void *context, size_t index)
{
    const option_table *table = context;
    return index < table->count ? table->options[index].name : "help";
}

/* Finds the option whose name is the first `length` characters of `text`; count if none. */
static size_t find_option(const option_table *table, const char *text, size_t length)
{
    size_t i = 0;
    while (i < table->count && (strncmp(table->options[i].name, text, length) != 0 ||
                                table->options[i].name[length] != '\0')) {
        i++;
    }
    return i;
}

size_t option_index(const option_table *table, const char *name)
{
    return find_option(table, name, strlen(name));
}

static int unknown_option(const option_table *table, const char *typed, size_t length, failure *f)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(length < 127 ? length : 127), typed);
    const char *nearest = nearest_name(name, table_name, table, table->count + 1);
    if (nearest != NULL) {
        return failure_set(f, EXIT_USAGE, "unknown option --%s; did you mean --%s?", name, nearest);
    }
    return failure_set(f, EXIT_USAGE, "unknown option --%s; --help lists the options", name);
}

/* Parses the option at argv[*position], which starts with two dashes, and moves on past it. */
static int parse_one(const option_table *table, void *values, bool *given, int argc, char **argv,
                     int *position, failure *f)
{
    const char *text = argv[*position] + 2;
    size_t length = strcspn(text, "=");
    size_t index = find_option(table, text, length);
    if (index == table->count) {
        return unknown_option(table, text, length, f);
    }
    const option *o = &table->options[index];
    const char *value = text[length] == '=' ? text + length + 1 : NULL;
    if (o->kind == OPTION_FLAG && value != NULL) {
        return failure_set(f, EXIT_USAGE, "--%s takes no value", o->name);
    }
    if (o->kind != OPTION_FLAG && value == NULL) {
        if (*position + 1 >= argc || strncmp(argv[*position + 1], "--", 2) == 0) {
            return failure_set(f, EXIT_USAGE, "--%s needs a value", o->name);
        }
        value = argv[++*position];
    }
    given[index] = true;
    return parse_value(o, value, values, f);
}

/* An argument without dashes: at most one, for tables that take one. */
static int parse_argument(const option_table *table, void *values, bool *given, const char *text,
                          failure *f)
{
    size_t index = table->argument != NULL ? option_index(table, table->argument) : table->count;
    if (index == table->count || given[index]) {
        return failure_set(f, EXIT_USAGE, "unexpected argument '%s'; --help lists the options",
                           text);
    }
    given[index] = true;
    return parse_value(&table->options[index], text, values, f);
}

int options_parse(const option_table *table, void *values, bool *given, int argc, char **argv,
                  bool *help, failure *f)
{
    for (int i = 0; i < argc && f->code == EXIT_OK; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *help = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            parse_one(table, values, given, argc, argv, &i, f);
        } else {
            parse_argument(table, values, given, argv[i], f);
        }
    }
    return f->code;
}

void option_value_text(const option *o, const void *values, char *text, size_t size)
{
    const void *value = constant_field(o, values);
    switch (o->kind) {
    case OPTION_FLAG:
        snprintf(text, size, "%s", *(const bool *)value ? "yes" : "no");
        break;
    case OPTION_INTEGER:
        snprintf(text, size, "%" PRId64, *(const int64_t *)value);
        break;
    case OPTION_REAL:
        snprintf(text, size, "%.17g", *(const double *)value);
        break;
    case OPTION_TEXT: {
        const char *string = *(const char *const *)value;
        snprintf(text, size, "%s", string != NULL ? string : "");
        failure_make_line(text);
        break;
    }
    case OPTION_CHOICE: {
        int choice = *(const int *)value;
        snprintf(text, size, "%s", choice >= 0 ? o->choices[choice] : "");
        break;
    }
    }
}

char *options_text(const option_table *table, const char *command, const void *values)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return NULL;
    }
    fprintf(stream, "command = %s\n", command);
    for (size_t i = 0; i < table->count; i++) {
        char value[4096];
        option_value_text(&table->options[i], values, value, sizeof value);
        fprintf(stream, "--%s = %s\n", table->options[i].name, value);
    }
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
