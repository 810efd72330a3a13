/*
 * What the options of train and replay mean together; see update_options.h.
 */
#include "app/update_options.h"

#include <math.h>
#include <string.h>

enum { OPTIMIZER_COUNT = PLUMB_OPTIMIZER_SOAP + 1 };

#define WORD(name) (1U << PLUMB_CORRECTION_##name)
#define WORDS_OF_HALVES (WORD(PAPER_CF) | WORD(PAPER_INV) | WORD(PAPER_FULL) | WORD(PAPER_PRE_EMA))
#define WORDS_OF_SOPHIA (WORD(MOMENT) | WORD(LOO) | WORD(JACKKNIFE) | WORDS_OF_HALVES)
#define WORDS_OF_MOMENTS                                                                           \
    (WORDS_OF_SOPHIA | WORD(PAPER_LOO) | WORD(PAPER_LOO_JENSEN) | WORD(PAPER_SYM))

/* The corrections that plumb.h says an optimizer has, as bits. */
static const unsigned corrections_of[OPTIMIZER_COUNT] = {
    [PLUMB_OPTIMIZER_SGD] = 0,
    [PLUMB_OPTIMIZER_ADAMW] = WORDS_OF_MOMENTS,
    [PLUMB_OPTIMIZER_MUON] = WORD(JACKKNIFE) | WORD(SECOND_ORDER),
    [PLUMB_OPTIMIZER_SOPHIA] = WORDS_OF_SOPHIA,
    [PLUMB_OPTIMIZER_SHAMPOO] = WORD(JACKKNIFE) | WORD(SECOND_ORDER) | WORD(WISHART) |
                                WORD(HALF_SAMPLE) | WORD(PAPER_DIAGONAL),
    [PLUMB_OPTIMIZER_SOAP] = WORDS_OF_MOMENTS,
};

static bool has_correction(plumb_optimizer optimizer, int correction)
{
    return (corrections_of[optimizer] >> correction & 1U) != 0;
}

/* Takes matrices and leaves the rest to AdamW. */
static bool leaves_the_rest(int optimizer)
{
    return optimizer == PLUMB_OPTIMIZER_MUON || optimizer == PLUMB_OPTIMIZER_SHAMPOO ||
           optimizer == PLUMB_OPTIMIZER_SOAP;
}

static void choose_real(double *value, double chosen)
{
    if (isnan(*value)) {
        *value = chosen;
    }
}

static void choose_integer(int64_t *value, int64_t chosen)
{
    if (*value < 0) {
        *value = chosen;
    }
}

static void choose_word(int *value, int chosen)
{
    if (*value < 0) {
        *value = chosen;
    }
}

/* Of Sophia, Shampoo and SOAP: what replay has otherwise than the library. */
static void make_bare(plumb_parameter_options *usual)
{
    usual->curvature_interval = 1;
    usual->root_interval = 1;
    usual->damping = 1e-6;
    usual->relative_damping = 0.0;
    usual->grafting = PLUMB_GRAFTING_NONE;
    usual->bias_correction = 0;
}

int update_options_decide(update_options *o, bool bare, failure *f)
{
    static const double rates[OPTIMIZER_COUNT] = {0.1, 0.003, 0.02, 0.001, 0.003, 0.003};
    plumb_parameter_options usual;
    plumb_status status =
        plumb_parameter_options_init(&usual, sizeof usual, (plumb_optimizer)o->optimizer);
    if (failure_from_library(f, status, NULL) != EXIT_OK) {
        return f->code;
    }
    if (bare) {
        make_bare(&usual);
    }
    choose_real(&o->learning_rate, rates[o->optimizer]);
    choose_real(&o->adamw_learning_rate, rates[PLUMB_OPTIMIZER_ADAMW]);
    choose_real(&o->beta1, usual.beta1);
    choose_real(&o->beta2, usual.beta2);
    choose_real(&o->epsilon, usual.epsilon);
    choose_real(&o->weight_decay, usual.weight_decay);
    choose_word(&o->nesterov, usual.nesterov);
    choose_integer(&o->curvature_interval, usual.curvature_interval);
    choose_real(&o->damping, usual.damping);
    choose_real(&o->relative_damping, usual.relative_damping);
    choose_integer(&o->root_interval, usual.root_interval);
    choose_word(&o->grafting, (int)usual.grafting);
    choose_word(&o->bias_correction, usual.bias_correction);
    return EXIT_OK;
}

#define OPTIMIZER(name) (1U << PLUMB_OPTIMIZER_##name)

/*
 * Options that some optimizers have to themselves. AdamW's rate beside another is not among them:
 * what compares optimizers gives it to all.
 */
static const struct {
    const char *name;
    unsigned optimizers;
} own_options[] = {
    {"weights", OPTIMIZER(MUON)},
    {"rho", OPTIMIZER(SOPHIA)},
    {"clip", OPTIMIZER(SOPHIA)},
    {"curvature-interval", OPTIMIZER(SOPHIA)},
    {"exponent", OPTIMIZER(SHAMPOO)},
    {"damping", OPTIMIZER(SHAMPOO)},
    {"relative-damping", OPTIMIZER(SHAMPOO)},
    {"grafting", OPTIMIZER(SHAMPOO)},
    {"bias-correction", OPTIMIZER(SHAMPOO)},
    {"root-interval", OPTIMIZER(SHAMPOO) | OPTIMIZER(SOAP)},
    {"root-failures", OPTIMIZER(SHAMPOO) | OPTIMIZER(SOAP)},
    {"block-size", OPTIMIZER(SHAMPOO) | OPTIMIZER(SOAP)},
};

int update_options_check_given(const update_options *o, const option_table *table,
                               const bool *given, failure *f)
{
    if (given[option_index(table, "polar-delta")] && o->polar != PLUMB_POLAR_FAST) {
        return failure_set(f, EXIT_USAGE, "--polar-delta is of --polar fast alone");
    }
    for (size_t i = 0; i < sizeof own_options / sizeof own_options[0]; i++) {
        bool used = (own_options[i].optimizers >> o->optimizer & 1U) != 0;
        if (given[option_index(table, own_options[i].name)] && !used) {
            return failure_set(f, EXIT_USAGE, "--%s: --optimizer %s does not use it",
                               own_options[i].name,
                               update_optimizer_name((plumb_optimizer)o->optimizer));
        }
    }
    return EXIT_OK;
}

/* What belongs to a correction was given without one. */
static int check_without_correction(const update_options *o, failure *f)
{
    const char *name = o->noise_floor > 0          ? "noise-floor"
                       : o->folds > 0              ? "folds"
                       : o->paper_mixing > 0       ? "paper-mixing"
                       : o->paper_support_clip > 0 ? "paper-support-clip"
                                                   : NULL;
    return name != NULL ? failure_set(f, EXIT_USAGE, "--%s needs --correction", name) : EXIT_OK;
}

static int no_such_correction(const update_options *o, failure *f)
{
    const char *word = update_correction_name((plumb_correction)o->correction);
    const char *optimizer = update_optimizer_name((plumb_optimizer)o->optimizer);
    if (leaves_the_rest(o->optimizer)) {
        return failure_set(f, EXIT_USAGE,
                           "--correction %s: neither %s nor adamw, which updates what %s leaves, "
                           "has it",
                           word, optimizer, optimizer);
    }
    return failure_set(f, EXIT_USAGE, "--correction %s: %s does not have it", word, optimizer);
}

static int check_correction(const update_options *o, failure *f)
{
    if (o->correction == PLUMB_CORRECTION_NONE) {
        return check_without_correction(o, f);
    }
    bool own = has_correction((plumb_optimizer)o->optimizer, o->correction);
    bool aside =
        leaves_the_rest(o->optimizer) && has_correction(PLUMB_OPTIMIZER_ADAMW, o->correction);
    if (!own && !aside) {
        return no_such_correction(o, f);
    }
    if (o->exchange == PLUMB_EXCHANGE_ALLREDUCE) {
        return failure_set(f, EXIT_USAGE,
                           "--exchange allreduce gives owners the mean only: no --correction %s",
                           update_correction_name((plumb_correction)o->correction));
    }
    return EXIT_OK;
}

/* What echo weights cannot go with: they need the groups' own gradients. */
static int check_weights(const update_options *o, failure *f)
{
    if (o->weights == PLUMB_WEIGHTS_NONE || o->optimizer != PLUMB_OPTIMIZER_MUON) {
        return EXIT_OK;
    }
    if (o->exchange == PLUMB_EXCHANGE_ALLREDUCE) {
        return failure_set(f, EXIT_USAGE,
                           "--exchange allreduce gives owners the mean only: no --weights echo");
    }
    if (o->pipeline != PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE) {
        return failure_set(f, EXIT_USAGE,
                           "--weights echo needs the groups' own gradients: no --pipeline %s",
                           update_pipeline_name((plumb_pipeline)o->pipeline));
    }
    if (has_correction(PLUMB_OPTIMIZER_MUON, o->correction)) {
        return failure_set(f, EXIT_USAGE, "--weights echo: no --correction %s of the same errors",
                           update_correction_name((plumb_correction)o->correction));
    }
    return EXIT_OK;
}

int update_options_check(const update_options *o, failure *f)
{
    if (check_weights(o, f) != EXIT_OK) {
        return f->code;
    }
    if (o->exchange == PLUMB_EXCHANGE_ALLREDUCE &&
        o->pipeline != PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE) {
        return failure_set(f, EXIT_USAGE,
                           "--exchange allreduce gives owners the mean only: no --pipeline %s",
                           update_pipeline_name((plumb_pipeline)o->pipeline));
    }
    return check_correction(o, f);
}

/* How the target of a published mode differs from the optimizer's own; NULL: it does not. */
static const char *changed_target(const update_options *o)
{
    if (o->optimizer == PLUMB_OPTIMIZER_SOPHIA) {
        return NULL; /* the curvature is a mean in either case */
    }
    switch (o->correction) {
    case PLUMB_CORRECTION_PAPER_CF:
    case PLUMB_CORRECTION_PAPER_FULL:
    case PLUMB_CORRECTION_PAPER_PRE_EMA:
    case PLUMB_CORRECTION_PAPER_SYM:
        return "the mean of the groups' squares, not the square of their mean";
    case PLUMB_CORRECTION_PAPER_LOO:
    case PLUMB_CORRECTION_PAPER_LOO_JENSEN:
        return "the square of a mean that leaves one group out";
    case PLUMB_CORRECTION_PAPER_DIAGONAL:
        return "the mean of the groups' products, not the product of their mean";
    default:
        return NULL;
    }
}

bool update_options_warning(const update_options *o, char *text, size_t size)
{
    const char *word = update_correction_name((plumb_correction)o->correction);
    if (strncmp(word, "paper-", 6) != 0) {
        return false;
    }
    const char *target = changed_target(o);
    snprintf(text, size, "--correction %s is a published estimator, for comparison: %s%s", word,
             target != NULL ? "it changes the target of the second moment to " : "",
             target != NULL ? target : "its statistics are those of half of the groups");
    return true;
}

void update_options_handle(const update_options *o, plumb_options *options)
{
    plumb_options_init(options, sizeof *options);
    options->groups = (int)o->groups;
    options->owners = (plumb_owners)o->owners;
    options->exchange = (plumb_exchange)o->exchange;
    options->clip_norm = o->clip_norm;
    options->shared_memory = o->shared_memory;
    options->spread_panels = o->spread_panels;
}

/*
 * Muon and Sophia have no noise floor, and say so; but beside AdamW, which has one with the same
 * correction, Muon is not meant by it.
 */
static bool is_meant_by_noise_floor(const update_options *o, plumb_optimizer optimizer)
{
    return optimizer != PLUMB_OPTIMIZER_MUON ||
           !has_correction(PLUMB_OPTIMIZER_ADAMW, o->correction);
}

static void set_correction(const update_options *o, plumb_parameter_options *options)
{
    if (!has_correction(options->optimizer, o->correction)) {
        return;
    }
    options->correction = (plumb_correction)o->correction;
    options->folds = (int)o->folds;
    options->paper_mixing = o->paper_mixing;
    options->paper_support_clip = o->paper_support_clip;
    if (is_meant_by_noise_floor(o, options->optimizer)) {
        options->noise_floor = o->noise_floor;
    }
}

/* Of --optimizer itself; what an optimizer does not use it ignores. */
static void set_own(const update_options *o, plumb_parameter_options *options)
{
    options->beta1 = o->beta1;
    options->nesterov = o->nesterov;
    options->weights = (plumb_weights)o->weights;
    options->rho = o->rho;
    options->clip = o->clip;
    options->curvature_interval = (int)o->curvature_interval;
    options->exponent = o->exponent;
    options->damping = o->damping;
    options->relative_damping = o->relative_damping;
    options->root_interval = (int)o->root_interval;
    options->root_failures = (int)o->root_failures;
    options->block_size = o->block_size;
    options->grafting = (plumb_grafting)o->grafting;
    options->bias_correction = o->bias_correction;
}

void update_options_parameter(const update_options *o, bool matrix,
                              plumb_parameter_options *options)
{
    bool aside = leaves_the_rest(o->optimizer) && !matrix;
    plumb_optimizer optimizer = aside ? PLUMB_OPTIMIZER_ADAMW : (plumb_optimizer)o->optimizer;
    plumb_parameter_options_init(options, sizeof *options, optimizer);
    options->polar = (plumb_polar_method)o->polar;
    options->polar_delta = o->polar_delta;
    options->beta2 = o->beta2;
    options->epsilon = o->epsilon;
    options->weight_decay = o->weight_decay;
    set_correction(o, options);
    if (matrix) {
        options->pipeline = (plumb_pipeline)o->pipeline;
    }
    if (aside) {
        options->learning_rate_factor = o->adamw_learning_rate / o->learning_rate;
    } else {
        set_own(o, options);
    }
}

int update_options_check_corrected(const update_options *o, bool corrected, failure *f)
{
    if (o->correction == PLUMB_CORRECTION_NONE || corrected) {
        return EXIT_OK;
    }
    return failure_set(f, EXIT_USAGE, "--correction %s: no parameter's optimizer has it",
                       update_correction_name((plumb_correction)o->correction));
}

bool update_options_needs_curvature(const update_options *o)
{
    return o->optimizer == PLUMB_OPTIMIZER_SOPHIA;
}
