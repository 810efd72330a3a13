/*
 * The options that train and replay share; see update_options.h.
 */
#include "app/update_options.h"

#include <math.h>
#include <string.h>

static const char *const optimizers[] = {"sgd", "adamw", "muon", NULL};
static const char *const corrections[] = {
    "none",       "moment",        "loo",       "jackknife",        "paper-cf", "paper-inv",
    "paper-full", "paper-pre-ema", "paper-loo", "paper-loo-jensen", NULL};
static const char *const pipelines[] = {"average-then-orthogonalise",
                                        "orthogonalise-then-average",
                                        "double-orthogonalise",
                                        "normalised-with-norm",
                                        "orthogonalised-with-norm",
                                        "orthogonalised-with-factor",
                                        NULL};
static const char *const polars[] = {"svd", "newton-schulz", "polar-express", NULL};
static const char *const owner_maps[] = {"rank0", "sharded", NULL};
static const char *const exchanges[] = {"transposed", "allreduce", NULL};
static const char *const no_yes[] = {"no", "yes", NULL};

#define AT(member) offsetof(update_options, member)

static const option optimizer_entries[OPTIMIZER_ENTRY_COUNT] = {
    {.heading = "Optimizer",
     .name = "optimizer",
     .kind = OPTION_CHOICE,
     .offset = AT(optimizer),
     .initial = "muon",
     .choices = optimizers,
     .help = "muon takes matrices (in train the hidden ones) and leaves vectors, embeddings and "
             "the head to AdamW; the others take everything."},
    {.name = "correction",
     .kind = OPTION_CHOICE,
     .offset = AT(correction),
     .unit = "NAME",
     .initial = "none",
     .choices = corrections,
     .help = "Of AdamW's coupling and inversion bias, from the groups' gradients; under muon of "
             "what AdamW updates. One of"},
    {.name = "noise-floor",
     .kind = OPTION_REAL,
     .offset = AT(noise_floor),
     .unit = "C",
     .initial = "0",
     .initial_note = "0: 1/G",
     .highest = 1,
     .bound = "noise_floor",
     .help = "With --correction: the second moment aims at mean^2 + C variance of a group's "
             "gradient; 1/G is plain AdamW's own target, 1 the mean of squares."},
    {.name = "pipeline",
     .kind = OPTION_CHOICE,
     .offset = AT(pipeline),
     .unit = "NAME",
     .initial = "average-then-orthogonalise",
     .choices = pipelines,
     .help = "What is averaged, and when it is orthogonalised (what muon would take), one of"},
    {.name = "polar",
     .kind = OPTION_CHOICE,
     .offset = AT(polar),
     .initial = "newton-schulz",
     .choices = polars,
     .help = "How polar factors are computed."},
    {.name = "learning-rate",
     .kind = OPTION_REAL,
     .offset = AT(learning_rate),
     .unit = "RATE",
     .initial_note = "muon 0.02, adamw 0.003, sgd 0.1",
     .lowest = 0,
     .lowest_excluded = true,
     .highest = 1e6,
     .help = "Rate of --optimizer; in train its peak."},
    {.name = "adamw-learning-rate",
     .kind = OPTION_REAL,
     .offset = AT(adamw_learning_rate),
     .unit = "RATE",
     .initial_note = "0.003",
     .lowest = 0,
     .lowest_excluded = true,
     .highest = 1e6,
     .help = "With muon: rate of what AdamW updates."},
    {.name = "beta1",
     .kind = OPTION_REAL,
     .offset = AT(beta1),
     .unit = "FRACTION",
     .initial_note = "muon 0.95, adamw 0.9, sgd 0.9",
     .highest = 1,
     .bound = "beta1",
     .help = "Momentum of --optimizer (AdamW under muon keeps 0.9)."},
    {.name = "beta2",
     .kind = OPTION_REAL,
     .offset = AT(beta2),
     .unit = "FRACTION",
     .initial_note = "0.95",
     .highest = 1,
     .bound = "beta2",
     .help = "AdamW, also under muon: decay of the second moment."},
    {.name = "epsilon",
     .kind = OPTION_REAL,
     .offset = AT(epsilon),
     .unit = "X",
     .initial_note = "1e-8",
     .highest = 1,
     .bound = "epsilon",
     .help = "AdamW, also under muon: added to the root of the second moment."},
    {.name = "weight-decay",
     .kind = OPTION_REAL,
     .offset = AT(weight_decay),
     .unit = "X",
     .initial_note = "muon 0.1, adamw 0.1, sgd 0",
     .highest = 1e6,
     .bound = "weight_decay",
     .help = "Decoupled: x = x (1 - rate X); in train of everything but vectors (gains and "
             "biases)."},
    {.name = "nesterov",
     .kind = OPTION_CHOICE,
     .offset = AT(nesterov),
     .initial_note = "muon yes, sgd no",
     .choices = no_yes,
     .help = "Nesterov's form of the momentum (muon, sgd)."},
    {.name = "clip-norm",
     .kind = OPTION_REAL,
     .offset = AT(clip_norm),
     .unit = "NORM",
     .initial = "0",
     .highest = 1e30,
     .bound = "clip_norm",
     .help = "Largest norm of the mean gradient, all parameters together; 0: not clipped."},
};

static const option exchange_entries[EXCHANGE_ENTRY_COUNT] = {
    {.name = "groups",
     .kind = OPTION_INTEGER,
     .offset = AT(groups),
     .unit = "G",
     .initial = "0",
     .highest = 1e6,
     .bound = "groups",
     .help = "Groups of micro-batches, the unit of all statistics; must divide K. 0: in train the "
             "largest divisor of K that is at most 8, in replay K."},
    {.name = "owners",
     .kind = OPTION_CHOICE,
     .offset = AT(owners),
     .initial = "sharded",
     .choices = owner_maps,
     .help = "Who holds optimizer state and computes updates; changes no bit."},
    {.name = "exchange",
     .kind = OPTION_CHOICE,
     .offset = AT(exchange),
     .initial = "transposed",
     .choices = exchanges,
     .help = "allreduce: MPI_Allreduce of the mean, whose bits depend on the number of ranks."},
};

static size_t copy_entries(option *entries, const option *from, size_t count, size_t offset)
{
    memcpy(entries, from, count * sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        entries[i].offset += offset;
    }
    return count;
}

size_t update_options_optimizer_entries(option *entries, size_t offset)
{
    return copy_entries(entries, optimizer_entries, OPTIMIZER_ENTRY_COUNT, offset);
}

size_t update_options_exchange_entries(option *entries, size_t offset)
{
    return copy_entries(entries, exchange_entries, EXCHANGE_ENTRY_COUNT, offset);
}

static void choose_real(double *value, double chosen)
{
    if (isnan(*value)) {
        *value = chosen;
    }
}

void update_options_decide(update_options *o)
{
    static const double rates[] = {0.1, 0.003, 0.02};
    plumb_parameter_options usual;
    if (plumb_parameter_options_init(&usual, sizeof usual, (plumb_optimizer)o->optimizer) !=
        PLUMB_OK) {
        return;
    }
    choose_real(&o->learning_rate, rates[o->optimizer]);
    choose_real(&o->adamw_learning_rate, 0.003);
    choose_real(&o->beta1, usual.beta1);
    choose_real(&o->weight_decay, usual.weight_decay);
    if (o->nesterov < 0) {
        o->nesterov = usual.nesterov;
    }
    if (plumb_parameter_options_init(&usual, sizeof usual, PLUMB_OPTIMIZER_ADAMW) == PLUMB_OK) {
        choose_real(&o->beta2, usual.beta2);
        choose_real(&o->epsilon, usual.epsilon);
    }
}

static int check_correction(const update_options *o, failure *f)
{
    const char *name = corrections[o->correction];
    if (o->correction == PLUMB_CORRECTION_NONE) {
        return o->noise_floor > 0 ? failure_set(f, EXIT_USAGE, "--noise-floor needs --correction")
                                  : EXIT_OK;
    }
    if (o->optimizer == PLUMB_OPTIMIZER_SGD) {
        return failure_set(f, EXIT_USAGE, "--correction %s corrects AdamW, not --optimizer sgd",
                           name);
    }
    if (o->exchange == PLUMB_EXCHANGE_ALLREDUCE) {
        return failure_set(f, EXIT_USAGE,
                           "--exchange allreduce gives owners the mean only: no --correction %s",
                           name);
    }
    return EXIT_OK;
}

int update_options_check(const update_options *o, failure *f)
{
    if (o->exchange == PLUMB_EXCHANGE_ALLREDUCE &&
        o->pipeline != PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE) {
        return failure_set(f, EXIT_USAGE,
                           "--exchange allreduce gives owners the mean only: no --pipeline %s",
                           pipelines[o->pipeline]);
    }
    return check_correction(o, f);
}

void update_options_handle(const update_options *o, plumb_options *options)
{
    plumb_options_init(options, sizeof *options);
    options->groups = (int)o->groups;
    options->owners = (plumb_owners)o->owners;
    options->exchange = (plumb_exchange)o->exchange;
    options->clip_norm = o->clip_norm;
}

void update_options_parameter(const update_options *o, bool matrix,
                              plumb_parameter_options *options)
{
    bool aside = o->optimizer == PLUMB_OPTIMIZER_MUON && !matrix;
    plumb_optimizer optimizer = aside ? PLUMB_OPTIMIZER_ADAMW : (plumb_optimizer)o->optimizer;
    plumb_parameter_options_init(options, sizeof *options, optimizer);
    options->polar = (plumb_polar_method)o->polar;
    options->beta2 = o->beta2;
    options->epsilon = o->epsilon;
    options->weight_decay = o->weight_decay;
    if (optimizer == PLUMB_OPTIMIZER_ADAMW) {
        options->correction = (plumb_correction)o->correction;
        options->noise_floor = o->noise_floor;
    }
    if (matrix) {
        options->pipeline = (plumb_pipeline)o->pipeline;
    }
    if (aside) {
        options->learning_rate_factor = o->adamw_learning_rate / o->learning_rate;
    } else {
        options->beta1 = o->beta1;
        options->nesterov = o->nesterov;
    }
}

const char *update_optimizer_name(plumb_optimizer optimizer)
{
    return optimizers[optimizer];
}
