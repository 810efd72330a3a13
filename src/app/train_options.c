/*
 * The options of `plumb train` and what they mean together; see train_options.h.
 */
#include "app/train_options.h"
#include "app/progress.h"

#include <inttypes.h>
#include <math.h>

static const char *const models[] = {"gpt", "mlp", NULL};
static const char *const optimizers[] = {"sgd", "adamw", "muon", NULL};
static const char *const pipelines[] = {"average-then-orthogonalise",
                                        "orthogonalise-then-average",
                                        "double-orthogonalise",
                                        "normalised-with-norm",
                                        "orthogonalised-with-norm",
                                        "orthogonalised-with-factor",
                                        NULL};
static const char *const polars[] = {"svd", "newton-schulz", "polar-express", NULL};
static const char *const schedules[] = {"constant", "cosine", NULL};
static const char *const owner_maps[] = {"rank0", "sharded", NULL};
static const char *const exchanges[] = {"transposed", "allreduce", NULL};
static const char *const nonfinite[] = {"stop", "skip", NULL};
static const char *const no_yes[] = {"no", "yes", NULL};

#define MOST_STEPS 1e9
#define MOST_BATCHES 1e6
#define AT(member) offsetof(train_options, member)

static const option entries[] = {
    {.heading = "Model and data",
     .name = "model",
     .kind = OPTION_CHOICE,
     .offset = AT(model),
     .initial = "gpt",
     .choices = models,
     .help = "What is trained: a byte-level GPT on a text file, or a perceptron on images."},
    {.name = "data",
     .kind = OPTION_TEXT,
     .offset = AT(data),
     .unit = "PATH",
     .initial_note = "gpt: must be given; mlp: /usr/share/datasets/fashion-mnist",
     .help = "gpt: any file, its last tenth is held out; mlp: the folder of IDX files."},
    {.name = "layers",
     .kind = OPTION_INTEGER,
     .offset = AT(layers),
     .unit = "N",
     .initial_note = "gpt: 4; mlp: 2",
     .lowest = 1,
     .highest = 1000,
     .help = "Transformer blocks, or hidden layers."},
    {.name = "width",
     .kind = OPTION_INTEGER,
     .offset = AT(width),
     .unit = "N",
     .initial_note = "256",
     .lowest = 1,
     .highest = 65536,
     .help = "Of the residual stream, or of a hidden layer."},
    {.name = "heads",
     .kind = OPTION_INTEGER,
     .offset = AT(heads),
     .unit = "N",
     .initial_note = "width / 64, or the nearest smaller divisor of the width",
     .lowest = 1,
     .highest = 65536,
     .help = "gpt: attention heads; must divide the width."},
    {.name = "context",
     .kind = OPTION_INTEGER,
     .offset = AT(context),
     .unit = "TOKENS",
     .initial_note = "256",
     .lowest = 1,
     .highest = 1048576,
     .help = "gpt: length of a sequence, in bytes of text."},
    {.heading = "Optimizer",
     .name = "optimizer",
     .kind = OPTION_CHOICE,
     .offset = AT(optimizer),
     .initial = "muon",
     .choices = optimizers,
     .help = "muon takes the hidden matrices and leaves vectors, embeddings and the head to AdamW; "
             "the others take everything."},
    {.name = "pipeline",
     .kind = OPTION_CHOICE,
     .offset = AT(pipeline),
     .unit = "NAME",
     .initial = "average-then-orthogonalise",
     .choices = pipelines,
     .help = "What is averaged, and when it is orthogonalised (hidden matrices only), one of"},
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
     .help = "Peak rate of --optimizer."},
    {.name = "adamw-learning-rate",
     .kind = OPTION_REAL,
     .offset = AT(adamw_learning_rate),
     .unit = "RATE",
     .initial_note = "0.003",
     .lowest = 0,
     .lowest_excluded = true,
     .highest = 1e6,
     .help = "With muon: peak rate of what AdamW updates."},
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
     .help = "Decoupled: x = x (1 - rate X); of everything but vectors (gains and biases)."},
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
    {.name = "schedule",
     .kind = OPTION_CHOICE,
     .offset = AT(schedule),
     .initial = "cosine",
     .choices = schedules,
     .help = "Course of both rates after the warm-up."},
    {.name = "warm-up",
     .kind = OPTION_INTEGER,
     .offset = AT(warm_up),
     .unit = "STEPS",
     .initial_note = "a tenth of the steps, at most 100",
     .lowest = 0,
     .highest = MOST_STEPS,
     .help = "Steps in which the rates rise to their peak."},
    {.name = "floor",
     .kind = OPTION_REAL,
     .offset = AT(floor),
     .unit = "FRACTION",
     .initial = "0.1",
     .lowest = 0,
     .highest = 1,
     .help = "Rate at the end of the cosine, as a fraction of the peak."},
    {.heading = "Batch and exchange",
     .name = "micro-batches",
     .kind = OPTION_INTEGER,
     .offset = AT(micro_batches),
     .unit = "K",
     .initial = "8",
     .lowest = 1,
     .highest = MOST_BATCHES,
     .help = "Micro-batches of a step, over all ranks; at least one for each rank."},
    {.name = "micro-batch-size",
     .kind = OPTION_INTEGER,
     .offset = AT(micro_batch_size),
     .unit = "N",
     .initial_note = "gpt: 4; mlp: 32",
     .lowest = 1,
     .highest = MOST_BATCHES,
     .help = "Sequences or images of a micro-batch."},
    {.name = "groups",
     .kind = OPTION_INTEGER,
     .offset = AT(groups),
     .unit = "G",
     .initial = "0",
     .highest = MOST_BATCHES,
     .bound = "groups",
     .help = "Groups of micro-batches, the unit of all statistics; must divide K. 0: the largest "
             "divisor of K that is at most 8."},
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
    {.heading = "Run",
     .name = "steps",
     .kind = OPTION_INTEGER,
     .offset = AT(steps),
     .unit = "N",
     .initial = "1000",
     .lowest = 1,
     .highest = MOST_STEPS,
     .help = "Updates."},
    {.name = "seed",
     .kind = OPTION_INTEGER,
     .offset = AT(seed),
     .unit = "N",
     .initial = "1",
     .lowest = 0,
     .highest = 9e15,
     .help = "Key of initial values, batches and generated text."},
    {.name = "run",
     .kind = OPTION_TEXT,
     .offset = AT(run),
     .unit = "DIR",
     .initial_note = "runs/MODEL-OPTIMIZER-N, N the first that is free",
     .help = "Folder for config.json, metrics.jsonl and summary.json; must not exist yet."},
    {.name = "evaluate-every",
     .kind = OPTION_INTEGER,
     .offset = AT(evaluate_every),
     .unit = "STEPS",
     .initial = "100",
     .lowest = 0,
     .highest = MOST_STEPS,
     .help = "Held-out loss every so many steps; always before the first and after the last."},
    {.name = "held-out-units",
     .kind = OPTION_INTEGER,
     .offset = AT(held_out_units),
     .unit = "N",
     .initial = "0",
     .lowest = 0,
     .highest = 1e9,
     .help = "Held-out windows of text or blocks of images that are evaluated, evenly spaced; 0: "
             "all."},
    {.name = "on-nonfinite",
     .kind = OPTION_CHOICE,
     .offset = AT(on_nonfinite),
     .initial = "stop",
     .choices = nonfinite,
     .help = "After NaN or Inf: stop the run, or skip the update and go on with the next batch."},
    {.name = "generate",
     .kind = OPTION_INTEGER,
     .offset = AT(generate),
     .unit = "BYTES",
     .initial = "0",
     .lowest = 0,
     .highest = 1e6,
     .help = "gpt: text to generate at the end."},
    {.name = "prompt",
     .kind = OPTION_TEXT,
     .offset = AT(prompt),
     .unit = "TEXT",
     .initial = "\n",
     .initial_note = "a newline",
     .help = "gpt: what the generated text continues."},
    {.name = "temperature",
     .kind = OPTION_REAL,
     .offset = AT(temperature),
     .unit = "X",
     .initial = "0.8",
     .lowest = 0.01,
     .highest = 100,
     .help = "gpt: of the generated text; 1 samples the model's own distribution."},
    {.name = "replica-check",
     .kind = OPTION_INTEGER,
     .offset = AT(replica_check),
     .unit = "STEPS",
     .initial = "100",
     .highest = 1e9,
     .bound = "replica_check",
     .help = "Compare the parameters of all ranks by hash that often; 0: never."},
    {.name = "blas-threads",
     .kind = OPTION_INTEGER,
     .offset = AT(blas_threads),
     .unit = "N",
     .initial = "1",
     .lowest = 1,
     .highest = 1024,
     .help = "BLAS threads a rank; bits are promised for 1."},
    {.heading = "Output",
     .name = "progress",
     .kind = OPTION_CHOICE,
     .offset = AT(progress),
     .initial = "auto",
     .choices = progress_modes,
     .help = "On standard error. auto: if rank 0's standard error is a terminal (under mpirun it "
             "seldom is: always then prints lines)."},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = AT(json),
     .help = "Print summary.json's text on standard output in place of the table."},
};

enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

const option_table train_option_table = {
    .options = entries,
    .count = ENTRY_COUNT,
    .usage = "[mpirun -np P] plumb train --data PATH [options]",
    .about =
        "Trains a model on P ranks. The gradients of K micro-batches are averaged, then\n"
        "orthogonalised (muon) at their owners; the parameters are equal to the bit for every\n"
        "number of ranks. Leaves a run directory with config.json, metrics.jsonl and\n"
        "summary.json.",
};

const char *train_option_word(const train_options *options, const char *name)
{
    const option *o = &entries[option_index(&train_option_table, name)];
    return o->choices[*(const int *)((const char *)options + o->offset)];
}

int64_t train_options_groups(const train_options *o)
{
    if (o->groups > 0) {
        return o->groups;
    }
    int64_t groups = o->micro_batches < 8 ? o->micro_batches : 8;
    while (o->micro_batches % groups != 0) {
        groups--;
    }
    return groups;
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

static void decide_optimizer(train_options *o)
{
    static const double rates[] = {0.1, 0.003, 0.02};
    plumb_parameter_options usual;
    if (plumb_parameter_options_init(&usual, sizeof usual, (plumb_optimizer)o->optimizer) !=
        PLUMB_OK) {
        return;
    }
    choose_real(&o->learning_rate, rates[o->optimizer]);
    choose_real(&o->adamw_learning_rate, rates[PLUMB_OPTIMIZER_ADAMW]);
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

static void decide_run(train_options *o)
{
    int64_t tenth = o->steps / 10;
    choose_integer(&o->warm_up, tenth < 100 ? tenth : 100);
}

static int check(const train_options *o, failure *f)
{
    if (o->data == NULL) {
        return failure_set(f, EXIT_USAGE, "--data is missing: the text file to train on");
    }
    if (o->model == MODEL_GPT && o->width % o->heads != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--width %" PRId64 " is not divisible by --heads %" PRId64, o->width,
                           o->heads);
    }
    if (o->groups > 0 && o->micro_batches % o->groups != 0) {
        return failure_set(f, EXIT_USAGE,
                           "--groups %" PRId64 " does not divide --micro-batches %" PRId64,
                           o->groups, o->micro_batches);
    }
    if (o->warm_up > o->steps) {
        return failure_set(f, EXIT_USAGE, "--warm-up %" PRId64 " is more than --steps %" PRId64,
                           o->warm_up, o->steps);
    }
    if (o->exchange == PLUMB_EXCHANGE_ALLREDUCE &&
        o->pipeline != PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE) {
        return failure_set(f, EXIT_USAGE,
                           "--exchange allreduce gives owners the mean only: no --pipeline %s",
                           pipelines[o->pipeline]);
    }
    if (o->run != NULL && o->run[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "--run '' is not a folder");
    }
    return EXIT_OK;
}

int train_options_check_ranks(const train_options *o, int ranks, failure *f)
{
    if (o->micro_batches < ranks) {
        return failure_set(f, EXIT_USAGE,
                           "--micro-batches %" PRId64 " is less than the %d ranks: every rank "
                           "needs at least one",
                           o->micro_batches, ranks);
    }
    return EXIT_OK;
}

int train_options_parse(train_options *o, int argc, char **argv, bool *help, failure *f)
{
    bool given[ENTRY_COUNT] = {false};
    options_set_defaults(&train_option_table, o);
    if (options_parse(&train_option_table, o, given, argc, argv, help, f) != EXIT_OK || *help) {
        return f->code;
    }
    decide_model(o);
    decide_optimizer(o);
    decide_run(o);
    return check(o, f);
}
