/*
 * The options of `plumb diagnose`; see diagnose_options.h.
 */
#include "app/diagnose_options.h"

#define AT(member) offsetof(diagnose_options, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INTEGER(word, field, word_unit, default_text, note, least, largest, text)                  \
    {                                                                                              \
        .name = (word), .kind = OPTION_INTEGER, .offset = AT(field), .unit = (word_unit),          \
        .initial = (default_text), .initial_note = (note), .lowest = (least),                      \
        .highest = (largest), .help = (text)                                                       \
    }
#define REAL(word, field, word_unit, default_text, note, least, largest, text)                     \
    {                                                                                              \
        .name = (word), .kind = OPTION_REAL, .offset = AT(field), .unit = (word_unit),             \
        .initial = (default_text), .initial_note = (note), .lowest = (least),                      \
        .highest = (largest), .help = (text)                                                       \
    }
#define FLAG(word, field, text)                                                                    \
    {                                                                                              \
        .name = (word), .kind = OPTION_FLAG, .offset = AT(field), .help = (text)                   \
    }

static const char *const echo_methods[] = {"cv", "plug-in", "reverb", NULL};
static const char *const updates[] = {"orthogonalised", "streamed", "plain", NULL};

static const option entries[] = {
    {.heading = "What is looked at",
     .name = "gradients",
     .kind = OPTION_TEXT,
     .offset = AT(gradients),
     .unit = "FILE",
     .initial_note = "must be given; --gradients may be left out",
     .help = "HDF5 file of recorded gradients: /parameters/NAME/gradients [steps, K, rows, cols], "
             "or [K, rows, cols] for one step, as plumb replay reads it."},
    {.name = "parameters",
     .kind = OPTION_TEXT,
     .offset = AT(parameters),
     .unit = "NAME,...",
     .initial_note = "all",
     .help = "These parameters alone; the total is of them."},
    INTEGER("first-step", first_step, "N", "1", NULL, 1, 1e12, "First step, counted from 1."),
    INTEGER("last-step", last_step, "N", "0", "0: the last one of the file", 0, 1e12, "Last step."),
    INTEGER("groups", groups, "G", "0", "0: every micro-batch by itself, up to 512", 0, 4096,
            "Merge micro-batches to so many groups first, neighbours together; a divisor of K."),
    INTEGER("memory", memory, "MIB", "2048", NULL, 1, 1e9,
            "A rank's memory for gradients of one parameter in one step. What needs more is read "
            "in stretches, and gets no spectra of its matrices."),
    {.heading = "How",
     .name = "echo-method",
     .kind = OPTION_CHOICE,
     .offset = AT(echo_method),
     .initial = "cv",
     .choices = echo_methods,
     .help = "cv: by cross-validation, without a model of the noise. plug-in: by the exact law. "
             "reverb: from overlaps between groups. The law stands beside each."},
    INTEGER("folds", folds, "N", "0", "0: groups, or their largest divisor up to 16", 0, 4096,
            "Of --echo-method cv; a divisor of the groups."),
    FLAG("whiten", whiten,
         "Echo in the basis in which rows and columns of the noise have equal variance."),
    FLAG("held-out", held_out,
         "Measure the echo in every single group of the directions of all others, which stand in "
         "for the true gradient: in --json, as held_out_*."),
    FLAG("whiten-covariance", whiten_covariance,
         "Of --held-out: in the basis in which the noise's rows are uncorrelated too, and its "
         "columns. Takes many groups."),
    REAL("population", population, "N", "0", "0: endless", 0, 1e18,
         "Samples of the data set, if steps draw without replacement."),
    REAL("theta", theta, "X", "0.5", NULL, 1e-6, 1e6,
         "The norm test wants an error of at most theta times the gradient."),
    {.heading = "The run that was recorded, for its advice",
     .name = "update",
     .kind = OPTION_CHOICE,
     .offset = AT(update),
     .initial = "orthogonalised",
     .choices = updates,
     .help = "orthogonalised: averages, then orthogonalises. streamed: averages orthogonalised "
             "gradients. plain: does not orthogonalise."},
    INTEGER("ranks", ranks, "P", "1", NULL, 1, 1e9, "Its ranks or workers."),
    REAL("learning-rate", learning_rate, "X", "0", "not given: no temperature", 0, 1e6,
         "Its learning rate."),
    REAL("beta1", beta1, "X", "0", NULL, 0, 0.999999999, "Its momentum."),
    REAL("other-samples", other_samples, "B", "0", "twice the file's", 0, 1e18,
         "Samples of another step, for the learning rate that scaling rules give it."),
    {.heading = "Output",
     .name = "most",
     .kind = OPTION_INTEGER,
     .offset = AT(most),
     .unit = "N",
     .initial = "16",
     .lowest = 0,
     .highest = 1000000,
     .help = "Directions and eigenvalues that are shown; 0: all. Means are over all."},
    FLAG("layers", layers, "Show every parameter's eigenvalues and directions in the table too."),
    FLAG("each-step", each_step, "Show every step, not only the averages over the steps."),
    FLAG("json", json, "Print JSON on standard output in place of the table."),
};

const option_table *diagnose_option_table(void)
{
    static const option_table table = {
        .options = entries,
        .count = COUNT(entries),
        .usage = "[mpirun -np P] plumb diagnose GRADIENTS.h5 [options]",
        .about = "Tells from recorded micro-batch gradients whether steps are limited by bias or "
                 "variance,\nwhich batch would be large enough, and which directions of each layer "
                 "are signal.\nParameters are dealt to the P ranks; the numbers are equal to the "
                 "bit for every P.",
        .argument = "gradients",
    };
    return &table;
}

int diagnose_options_parse(diagnose_options *o, int argc, char **argv, bool *help, failure *f)
{
    bool given[COUNT(entries)] = {false};
    const option_table *table = diagnose_option_table();
    options_set_defaults(table, o);
    if (options_parse(table, o, given, argc, argv, help, f) != EXIT_OK || *help) {
        return f->code;
    }
    if (o->gradients == NULL || o->gradients[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "no file of gradients: plumb diagnose GRADIENTS.h5");
    }
    if (o->last_step > 0 && o->last_step < o->first_step) {
        return failure_set(f, EXIT_USAGE, "--last-step is before --first-step");
    }
    if (o->whiten_covariance && !o->held_out) {
        return failure_set(f, EXIT_USAGE, "--whiten-covariance needs --held-out");
    }
    if (o->groups == 1) {
        return failure_set(f, EXIT_USAGE, "--groups 1 has no spread: at least 2");
    }
    return f->code;
}
