/*
 * The options of `plumb train` and what they mean together; see train_options.h.
 */
#include "app/train_options.h"
#include "workload/token_shards.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int64_t train_options_groups(const train_options *o)
{
    if (o->update.groups > 0) {
        return o->update.groups;
    }
    int64_t groups = o->micro_batches < 8 ? o->micro_batches : 8;
    while (o->micro_batches % groups != 0) {
        groups--;
    }
    return groups;
}

static void choose_integer(int64_t *value, int64_t chosen)
{
    if (*value < 0) {
        *value = chosen;
    }
}

static int64_t usual_heads(int64_t width)
{
    int64_t heads = width >= 64 ? width / 64 : 1;
    while (width % heads != 0) {
        heads--;
    }
    return heads;
}

static void decide_model(train_options *o)
{
    bool gpt = o->model == MODEL_GPT;
    choose_integer(&o->layers, gpt ? 4 : 2);
    choose_integer(&o->width, 256);
    choose_integer(&o->heads, usual_heads(o->width));
    choose_integer(&o->context, 256);
    choose_integer(&o->micro_batch_size, gpt ? 4 : 32);
    if (o->data == NULL && !gpt) {
        o->data = "/usr/share/datasets/fashion-mnist";
    }
}

static void decide_run(train_options *o)
{
    int64_t tenth = o->steps / 10;
    choose_integer(&o->warm_up, tenth < 100 ? tenth : 100);
}

/* ema:BETA */
static int decide_moving_average(train_options *o, const char *text, failure *f)
{
    plumb_bounds bounds = {0, 1, 0, 1};
    char *end;
    double beta = strtod(text, &end);
    plumb_option_bounds("average_beta", &bounds);
    if (end == text || *end != '\0' || !(beta >= bounds.lowest && beta < bounds.highest)) {
        return failure_set(f, EXIT_USAGE,
                           "--average-weights ema:%s: BETA must be a number from %g, below %g",
                           text, bounds.lowest, bounds.highest);
    }
    o->average = PLUMB_AVERAGE_EMA;
    o->average_beta = beta;
    return EXIT_OK;
}

/* tail:N */
static int decide_tail(train_options *o, const char *text, failure *f)
{
    char *end;
    long long steps = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || steps < 1 || steps > o->steps) {
        return failure_set(f, EXIT_USAGE,
                           "--average-weights tail:%s: N must be a whole number from 1 to the "
                           "%" PRId64 " --steps",
                           text, o->steps);
    }
    o->average = PLUMB_AVERAGE_TAIL;
    o->average_from = o->steps - steps;
    return EXIT_OK;
}

static int decide_average(train_options *o, failure *f)
{
    const char *text = o->average_text;
    o->average = PLUMB_AVERAGE_NONE;
    o->average_beta = 0.0;
    o->average_from = 0;
    if (strncmp(text, "ema:", 4) == 0) {
        return decide_moving_average(o, text + 4, f);
    }
    if (strncmp(text, "tail:", 5) == 0) {
        return decide_tail(o, text + 5, f);
    }
    return strcmp(text, "none") == 0
               ? EXIT_OK
               : failure_set(f, EXIT_USAGE,
                             "--average-weights '%s' is none of none, ema:BETA, tail:N", text);
}

/* MIN:MAX */
static int decide_bounds(train_options *o, failure *f)
{
    long long lowest, highest;
    int end = 0;
    if (sscanf(o->adaptive_text, "%lld:%lld%n", &lowest, &highest, &end) != 2 ||
        o->adaptive_text[end] != '\0' || lowest < 1 || highest < lowest || highest > 1000000) {
        return failure_set(f, EXIT_USAGE,
                           "--adaptive-batch %s: MIN:MAX must be whole numbers of micro-batches "
                           "from 1 to 1000000, MAX no less than MIN",
                           o->adaptive_text);
    }
    o->adaptive_lowest = lowest;
    o->adaptive_highest = highest;
    return EXIT_OK;
}

/* Whether owners form the mean of the gradients, of which economy needs the norm. */
static bool forms_mean_gradient(const train_options *o)
{
    return o->update.pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE ||
           o->update.pipeline == PLUMB_PIPELINE_NORMALISED_WITH_NORM;
}

static int decide_adaptive(train_options *o, failure *f)
{
    int64_t groups = train_options_groups(o);
    o->adaptive_lowest = o->adaptive_highest = 0;
    if (o->adaptive_text == NULL || decide_bounds(o, f) != EXIT_OK) {
        return f->code;
    }
    if (o->adaptive_lowest % groups != 0 || o->adaptive_highest % groups != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--adaptive-batch %s: MIN and MAX must be multiples of the %" PRId64
                           " groups (--groups)",
                           o->adaptive_text, groups);
    }
    if (o->micro_batches < o->adaptive_lowest || o->micro_batches > o->adaptive_highest) {
        return failure_set(f, EXIT_USAGE,
                           "--adaptive-batch %s: --micro-batches %" PRId64
                           ", where it begins, is outside",
                           o->adaptive_text, o->micro_batches);
    }
    if (!forms_mean_gradient(o) && o->diagnostics != PLUMB_DIAGNOSTICS_FULL) {
        return failure_set(f, EXIT_USAGE,
                           "--adaptive-batch with --pipeline %s needs --diagnostics full: no owner "
                           "has the mean gradient otherwise",
                           update_pipeline_name((plumb_pipeline)o->update.pipeline));
    }
    if (o->diagnostics == PLUMB_DIAGNOSTICS_OFF) {
        o->diagnostics = PLUMB_DIAGNOSTICS_ECONOMY;
    }
    return EXIT_OK;
}

/* What belongs to the other model, or to the other kind of data. */
static int check_data(const train_options *o, failure *f)
{
    if (o->data == NULL) {
        return failure_set(f, EXIT_USAGE, "--data is missing: the text file to train on");
    }
    if (o->model == MODEL_MLP) {
        const char *name = o->held_out_data != NULL ? "held-out-data"
                           : o->vocabulary > 0      ? "vocabulary"
                                                    : NULL;
        return name != NULL ? failure_set(f, EXIT_USAGE, "--%s is of --model gpt alone", name)
                            : EXIT_OK;
    }
    if (!token_shards_named(o->data)) {
        return EXIT_OK;
    }
    if (o->noise > 0) {
        return failure_set(f, EXIT_USAGE, "--noise is of text: token shards have none");
    }
    if (o->generate > 0) {
        return failure_set(f, EXIT_USAGE,
                           "--generate is of text: token shards do not tell what text their tokens "
                           "stand for");
    }
    return EXIT_OK;
}

static int check_model(const train_options *o, failure *f)
{
    if (check_data(o, f) != EXIT_OK) {
        return f->code;
    }
    if (o->model == MODEL_GPT && o->width % o->heads != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--width %" PRId64 " is not divisible by --heads %" PRId64, o->width,
                           o->heads);
    }
    if (o->model == MODEL_GPT && o->curvature == CURVATURE_HUTCHINSON) {
        return failure_set(f, EXIT_USAGE,
                           "--curvature hutchinson needs --model mlp: gpt has no products with its "
                           "Hessian");
    }
    if (o->model == MODEL_MLP && o->noise > 0) {
        return failure_set(f, EXIT_USAGE, "--noise is of text: --model mlp has none");
    }
    if (o->model == MODEL_MLP && o->generate > 0) {
        return failure_set(f, EXIT_USAGE, "--generate is of text: --model mlp has none");
    }
    return EXIT_OK;
}

static int check_folds(const train_options *o, failure *f)
{
    int64_t groups = train_options_groups(o);
    if (o->update.folds > 0 && groups % o->update.folds != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--folds %" PRId64 " does not divide the %" PRId64 " --groups",
                           o->update.folds, groups);
    }
    return EXIT_OK;
}

static int check(const train_options *o, failure *f)
{
    if (check_model(o, f) != EXIT_OK) {
        return f->code;
    }
    if (o->update.groups > 0 && o->micro_batches % o->update.groups != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--groups %" PRId64 " does not divide --micro-batches %" PRId64,
                           o->update.groups, o->micro_batches);
    }
    if (o->warm_up > o->steps) {
        return failure_set(f, EXIT_USAGE, "--warm-up %" PRId64 " is more than --steps %" PRId64,
                           o->warm_up, o->steps);
    }
    if (o->run != NULL && o->run[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "--run '' is not a folder");
    }
    if (o->record != NULL && o->record[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "--record-gradients '' is not a file");
    }
    if (o->record != NULL && o->adaptive_text != NULL) {
        return failure_set(f, EXIT_USAGE,
                           "--record-gradients and --adaptive-batch exclude each other: a file of "
                           "gradients has the same micro-batches in all steps");
    }
    if (o->initial_parameters != NULL && o->initial_parameters[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "--initial-parameters '' is not a run");
    }
    return update_options_check(&o->update, f) == EXIT_OK ? check_folds(o, f) : f->code;
}

int train_options_check_ranks(const train_options *o, int ranks, failure *f)
{
    if (o->adaptive_text != NULL && o->adaptive_lowest < ranks) {
        return failure_set(
            f, EXIT_USAGE,
            "--adaptive-batch %s: MIN is less than the %d ranks: every rank needs at "
            "least one micro-batch",
            o->adaptive_text, ranks);
    }
    if (o->micro_batches < ranks) {
        return failure_set(f, EXIT_USAGE,
                           "--micro-batches %" PRId64 " is less than the %d ranks: every rank "
                           "needs at least one",
                           o->micro_batches, ranks);
    }
    return EXIT_OK;
}

/* The same of options about diagnostics. */
static int check_given_diagnostics(const train_options *o, const bool *given, failure *f)
{
    const option_table *table = train_option_table();
    bool off = o->diagnostics == PLUMB_DIAGNOSTICS_OFF && o->adaptive_text == NULL;
    const struct {
        const char *name, *needed;
        bool unread;
    } options[] = {{"diagnostics-every", "--diagnostics economy or full", off},
                   {"diagnostics-layers", "--diagnostics economy or full", off},
                   {"adaptive-every", "--adaptive-batch MIN:MAX", o->adaptive_text == NULL},
                   {"adaptive-rate", "--adaptive-batch MIN:MAX", o->adaptive_text == NULL},
                   {"record-every", "--record-gradients FILE", o->record == NULL}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (given[option_index(table, options[i].name)] && options[i].unread) {
            return failure_set(f, EXIT_USAGE, "--%s needs %s", options[i].name, options[i].needed);
        }
    }
    return EXIT_OK;
}

/* What was given although nothing reads it. */
static int check_given(const train_options *o, const bool *given, failure *f)
{
    const option_table *table = train_option_table();
    bool probes = given[option_index(table, "probes")];
    if (given[option_index(table, "curvature")] && !update_options_needs_curvature(&o->update)) {
        return failure_set(f, EXIT_USAGE, "--curvature is of sophia: --optimizer %s has none",
                           update_optimizer_name((plumb_optimizer)o->update.optimizer));
    }
    if (probes && o->curvature != CURVATURE_HUTCHINSON) {
        return failure_set(f, EXIT_USAGE, "--probes needs --curvature hutchinson");
    }
    if (check_given_diagnostics(o, given, f) != EXIT_OK) {
        return f->code;
    }
    return update_options_check_given(&o->update, table, given, f);
}

int train_options_parse(train_options *o, int argc, char **argv, bool *help, failure *f)
{
    bool given[TRAIN_ENTRY_COUNT] = {false};
    options_set_defaults(train_option_table(), o);
    if (options_parse(train_option_table(), o, given, argc, argv, help, f) != EXIT_OK || *help) {
        return f->code;
    }
    if (check_given(o, given, f) != EXIT_OK) {
        return f->code;
    }
    decide_model(o);
    decide_run(o);
    if (update_options_decide(&o->update, false, f) != EXIT_OK || decide_average(o, f) != EXIT_OK) {
        return f->code;
    }
    return check(o, f) == EXIT_OK ? decide_adaptive(o, f) : f->code;
}
