/*
 * The options of `plumb replay`; see replay_options.h.
 */
#include "app/replay_options.h"

#include <string.h>

#define AT(member) offsetof(replay_options, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const option file_entries[] = {
    {.heading = "Files",
     .name = "gradients",
     .kind = OPTION_TEXT,
     .offset = AT(gradients),
     .unit = "FILE",
     .initial_note = "must be given; --gradients may be left out",
     .help = "HDF5 file of recorded gradients: /parameters/NAME/gradients [steps, K, rows, cols], "
             "or [K, rows, cols] for one step. sophia also needs /parameters/NAME/curvature of the "
             "same shape: estimates of the Hessian's diagonal, read every --curvature-interval "
             "steps; others ignore it."},
    {.name = "out",
     .kind = OPTION_TEXT,
     .offset = AT(out),
     .unit = "FILE",
     .initial_note = "must be given",
     .help = "HDF5 file to write: /parameters/NAME/values [steps, rows, cols]; must not exist yet, "
             "and is there only when it is complete."},
};

/* The entries of exchange have no heading of their own. */
static const char exchange_heading[] = "Exchange";

static const option output_entries[] = {
    {.heading = "Output",
     .name = "json",
     .kind = OPTION_FLAG,
     .offset = AT(json),
     .help = "Print JSON on standard output in place of the table."},
};

enum { ENTRY_COUNT = COUNT(file_entries) + UPDATE_ENTRY_COUNT + COUNT(output_entries) };

const option_table *replay_option_table(void)
{
    static option entries[ENTRY_COUNT];
    static const option_table table = {
        .options = entries,
        .count = ENTRY_COUNT,
        .usage = "[mpirun -np P] plumb replay GRADIENTS.h5 --out VALUES.h5 [options]",
        .about =
            "Feeds recorded micro-batch gradients through an optimizer, on P ranks that share the\n"
            "micro-batches, and writes every parameter after every step. The rate is constant, "
            "and\n"
            "all parameters start at initial_values, or zero. The values are equal to the bit for\n"
            "every number of ranks.",
        .argument = "gradients",
    };
    if (entries[0].name == NULL) {
        memcpy(entries, file_entries, sizeof file_entries);
        size_t n = COUNT(file_entries);
        for (int section = UPDATE_OPTIMIZER; section < UPDATE_EXCHANGE; section++) {
            n += update_options_entries((update_section)section, entries + n, AT(update));
        }
        option *exchange = entries + n;
        n += update_options_entries(UPDATE_EXCHANGE, entries + n, AT(update));
        exchange->heading = exchange_heading;
        memcpy(entries + n, output_entries, sizeof output_entries);
    }
    return &table;
}

static int check(const replay_options *o, failure *f)
{
    if (o->gradients == NULL || o->gradients[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "no file of gradients: plumb replay GRADIENTS.h5");
    }
    if (o->out == NULL || o->out[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "--out is missing: the file to write");
    }
    return update_options_check(&o->update, f);
}

int replay_options_parse(replay_options *o, int argc, char **argv, bool *help, failure *f)
{
    bool given[ENTRY_COUNT] = {false};
    const option_table *table = replay_option_table();
    options_set_defaults(table, o);
    if (options_parse(table, o, given, argc, argv, help, f) != EXIT_OK || *help) {
        return f->code;
    }
    if (update_options_check_given(&o->update, table, given, f) != EXIT_OK) {
        return f->code;
    }
    return update_options_decide(&o->update, true, f) == EXIT_OK ? check(o, f) : f->code;
}
