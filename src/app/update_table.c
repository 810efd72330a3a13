/*
 * The words and the table of the options that train and replay share; see update_options.h.
 */
#include "app/update_options.h"

#include <string.h>

static const char *const optimizers[] = {"sgd", "adamw", "muon", "sophia", "shampoo", "soap", NULL};
static const char *const corrections[] = {
    "none",      "moment",       "loo",           "jackknife",   "paper-cf",
    "paper-inv", "paper-full",   "paper-pre-ema", "paper-loo",   "paper-loo-jensen",
    "paper-sym", "second-order", "wishart",       "half-sample", "paper-diagonal",
    NULL};
static const char *const pipelines[] = {"average-then-orthogonalise",
                                        "orthogonalise-then-average",
                                        "double-orthogonalise",
                                        "normalised-with-norm",
                                        "orthogonalised-with-norm",
                                        "orthogonalised-with-factor",
                                        NULL};
static const char *const polars[] = {
    "svd", "newton-schulz", "polar-express", "fast", "exact", "newton-schulz-symmetric", NULL};
static const char *const weightings[] = {"none", "echo", NULL};
static const char *const graftings[] = {"none", "adamw", "sgd", NULL};
static const char *const owner_maps[] = {"rank0", "sharded", NULL};
static const char *const exchanges[] = {"transposed", "allreduce", NULL};
static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const off_on[] = {"off", "on", NULL};

#define AT(member) offsetof(update_options, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const option optimizer_entries[] = {
    {.heading = "Optimizer",
     .name = "optimizer",
     .kind = OPTION_CHOICE,
     .offset = AT(optimizer),
     .unit = "NAME",
     .initial = "muon",
     .choices = optimizers,
     .help = "muon, shampoo and soap take matrices (in train the hidden ones) and leave vectors, "
             "embeddings and the head to AdamW; the others take everything. One of"},
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
     .unit = "NAME",
     .help = "How polar factors are computed, one of"},
    {.name = "polar-delta",
     .kind = OPTION_REAL,
     .offset = AT(polar_delta),
     .unit = "X",
     .initial = "0",
     .initial_note = "0: 0.01",
     .highest = 1,
     .bound = "polar_delta",
     .help = "--polar fast: singular values much below X times the largest stay small, those above "
             "become 1."},
    {.name = "weights",
     .kind = OPTION_CHOICE,
     .offset = AT(weights),
     .initial = "none",
     .choices = weightings,
     .help = "muon: of the singular directions of an update. echo: by how much the groups agree on "
             "each, by a decomposition for every group (--polar is not used); none: 1 each."},
    {.name = "learning-rate",
     .kind = OPTION_REAL,
     .offset = AT(learning_rate),
     .unit = "RATE",
     .initial_note = "muon 0.02, adamw, shampoo, soap 0.003, sophia 0.001, sgd 0.1",
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
     .help = "With muon, shampoo and soap: rate of what AdamW updates."},
    {.name = "beta1",
     .kind = OPTION_REAL,
     .offset = AT(beta1),
     .unit = "FRACTION",
     .initial_note = "sophia 0.965, muon 0.95, others 0.9",
     .highest = 1,
     .bound = "beta1",
     .help = "Momentum of --optimizer (AdamW beside another keeps 0.9)."},
    {.name = "beta2",
     .kind = OPTION_REAL,
     .offset = AT(beta2),
     .unit = "FRACTION",
     .initial_note = "sophia 0.99, others 0.95",
     .highest = 1,
     .bound = "beta2",
     .help = "Decay of second moments, also of AdamW beside another; of sophia's curvature and of "
             "shampoo's and soap's L and R."},
    {.name = "epsilon",
     .kind = OPTION_REAL,
     .offset = AT(epsilon),
     .unit = "X",
     .initial_note = "sophia 1e-12, others 1e-8",
     .highest = 1,
     .bound = "epsilon",
     .help = "AdamW, also beside another, and soap: added to the root of the second moment. "
             "sophia: smallest denominator."},
    {.name = "weight-decay",
     .kind = OPTION_REAL,
     .offset = AT(weight_decay),
     .unit = "X",
     .initial_note = "sgd 0, others 0.1",
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

static const option correction_entries[] = {
    {.heading = "Correction",
     .name = "correction",
     .kind = OPTION_CHOICE,
     .offset = AT(correction),
     .unit = "NAME",
     .initial = "none",
     .choices = corrections,
     .help = "Of the update's coupling and inversion bias, from the groups' gradients. It goes to "
             "--optimizer and to AdamW beside it, to whichever of them has it: adamw and soap "
             "moment to paper-sym; sophia moment to paper-pre-ema; shampoo jackknife, second-order "
             "to paper-diagonal; muon jackknife, second-order. One of"},
    {.name = "noise-floor",
     .kind = OPTION_REAL,
     .offset = AT(noise_floor),
     .unit = "C",
     .initial = "0",
     .initial_note = "0: 1/G",
     .highest = 1,
     .bound = "noise_floor",
     .help = "With --correction: the second moment aims at mean^2 + C variance of a group's "
             "gradient; 1/G is the optimizers' own target, 1 the mean of squares."},
    {.name = "folds",
     .kind = OPTION_INTEGER,
     .offset = AT(folds),
     .unit = "F",
     .initial = "0",
     .initial_note = "0: G",
     .highest = 1e6,
     .bound = "folds",
     .help = "With loo and jackknife: folds of G/F consecutive groups; must divide G. 2 with loo "
             "is the symmetric two-fold."},
    {.name = "paper-mixing",
     .kind = OPTION_REAL,
     .offset = AT(paper_mixing),
     .unit = "A",
     .initial = "0",
     .highest = 1,
     .bound = "paper_mixing",
     .help = "With the paper-... modes of adamw and soap that split the groups in halves: share of "
             "the numerator's half in the second moment."},
    {.name = "paper-support-clip",
     .kind = OPTION_REAL,
     .offset = AT(paper_support_clip),
     .unit = "T",
     .initial = "0",
     .initial_note = "0: off",
     .highest = 1e30,
     .bound = "paper_support_clip",
     .help = "The same: every element times min(1, sqrt(T s_B / s_A)), s_A and s_B the halves' "
             "second moments."},
};

static const option sophia_entries[] = {
    {.heading = "Sophia",
     .name = "rho",
     .kind = OPTION_REAL,
     .offset = AT(rho),
     .unit = "X",
     .initial = "0.05",
     .highest = 1e30,
     .bound = "rho",
     .help =
         "The update is m / max(X h, epsilon). In train h is the curvature of the mean loss per "
         "token or image: it holds the factor tokens by which published code multiplies rho; "
         "in replay h is as recorded."},
    {.name = "clip",
     .kind = OPTION_REAL,
     .offset = AT(clip),
     .unit = "X",
     .initial = "1",
     .highest = 1e30,
     .bound = "clip",
     .help = "Largest magnitude of an element of the update, before the learning rate."},
    {.name = "curvature-interval",
     .kind = OPTION_INTEGER,
     .offset = AT(curvature_interval),
     .unit = "STEPS",
     .initial_note = "10, in replay 1",
     .highest = 1e9,
     .bound = "curvature_interval",
     .help = "From one estimate of the curvature to the next; the first step has one."},
};

static const option root_entries[] = {
    {.heading = "Shampoo and SOAP",
     .name = "exponent",
     .kind = OPTION_REAL,
     .offset = AT(exponent),
     .unit = "P",
     .initial = "0.25",
     .highest = 1,
     .bound = "exponent",
     .help = "shampoo: P of L^-P M R^-P, 0.25 or 0.5."},
    {.name = "damping",
     .kind = OPTION_REAL,
     .offset = AT(damping),
     .unit = "X",
     .initial_note = "1e-12, in replay 1e-6",
     .highest = 1e30,
     .bound = "damping",
     .help = "shampoo: added to every eigenvalue of L and R."},
    {.name = "relative-damping",
     .kind = OPTION_REAL,
     .offset = AT(relative_damping),
     .unit = "X",
     .initial_note = "1e-6, in replay 0",
     .highest = 1,
     .bound = "relative_damping",
     .help = "shampoo: the same, times the largest eigenvalue."},
    {.name = "root-interval",
     .kind = OPTION_INTEGER,
     .offset = AT(root_interval),
     .unit = "STEPS",
     .initial_note = "10, in replay 1",
     .highest = 1e9,
     .bound = "root_interval",
     .help = "From one decomposition of L and R to the next."},
    {.name = "root-failures",
     .kind = OPTION_INTEGER,
     .offset = AT(root_failures),
     .unit = "N",
     .initial = "3",
     .highest = 1e9,
     .bound = "root_failures",
     .help = "Decompositions in a row that may fail before the run does; until then the last good "
             "one serves."},
    {.name = "block-size",
     .kind = OPTION_INTEGER,
     .offset = AT(block_size),
     .unit = "N",
     .initial = "1024",
     .highest = 1e9,
     .bound = "block_size",
     .help = "Larger dimensions are cut into equal pieces of at most N."},
    {.name = "grafting",
     .kind = OPTION_CHOICE,
     .offset = AT(grafting),
     .initial_note = "adamw, in replay none",
     .choices = graftings,
     .help = "shampoo: whose norm an update takes over."},
    {.name = "bias-correction",
     .kind = OPTION_CHOICE,
     .offset = AT(bias_correction),
     .initial_note = "yes, in replay no",
     .choices = no_yes,
     .help = "shampoo: averages are divided by the sum of their weights."},
};

static const option exchange_entries[] = {
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
    {.name = "shared-memory",
     .kind = OPTION_CHOICE,
     .offset = AT(shared_memory),
     .initial = "on",
     .choices = off_on,
     .help = "Ranks of one node read each other's sums and values in a shared window; off: by "
             "messages. Changes no bit."},
    {.name = "spread-panels",
     .kind = OPTION_CHOICE,
     .offset = AT(spread_panels),
     .initial = "on",
     .choices = off_on,
     .help = "The row panels of a large matrix may have different owners; off: one owner has them "
             "all. Changes no bit."},
};

/* In the order of update_section. */
static const struct {
    const option *entries;
    size_t count;
} sections[] = {
    {optimizer_entries, COUNT(optimizer_entries)}, {correction_entries, COUNT(correction_entries)},
    {sophia_entries, COUNT(sophia_entries)},       {root_entries, COUNT(root_entries)},
    {exchange_entries, COUNT(exchange_entries)},
};

_Static_assert(COUNT(optimizer_entries) + COUNT(correction_entries) + COUNT(sophia_entries) +
                       COUNT(root_entries) + COUNT(exchange_entries) ==
                   UPDATE_ENTRY_COUNT,
               "UPDATE_ENTRY_COUNT counts all entries");

size_t update_options_entries(update_section section, option *entries, size_t offset)
{
    size_t count = sections[section].count;
    memcpy(entries, sections[section].entries, count * sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        entries[i].offset += offset;
    }
    return count;
}

const char *update_optimizer_name(plumb_optimizer optimizer)
{
    return optimizers[optimizer];
}

const char *update_correction_name(plumb_correction correction)
{
    return corrections[correction];
}

const char *update_pipeline_name(plumb_pipeline pipeline)
{
    return pipelines[pipeline];
}
