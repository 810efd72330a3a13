/*
 * The words and the table of the options of `plumb train`; see train_options.h.
 */
#include "app/progress.h"
#include "app/train_options.h"

#include <string.h>

static const char *const models[] = {"gpt", "mlp", NULL};
static const char *const schedules[] = {"constant", "cosine", NULL};
static const char *const nonfinite[] = {"stop", "skip", NULL};
static const char *const adaptive_rates[] = {"constant", "linear", "root", NULL};
static const char *const curvatures[] = {"gauss-newton", "hutchinson", NULL};
static const char *const no_yes[] = {"no", "yes", NULL};
static const char *const diagnostics[] = {"off", "economy", "full", NULL};

#define MOST_STEPS 1e9
#define MOST_BATCHES 1e6
#define AT(member) offsetof(train_options, member)

static const option model_entries[] = {
    {.heading = "Model and data",
     .name = "model",
     .kind = OPTION_CHOICE,
     .offset = AT(model),
     .initial = "gpt",
     .choices = models,
     .help = "What is trained: a GPT on the bytes of a text or on token shards, or a perceptron on "
             "images."},
    {.name = "data",
     .kind = OPTION_TEXT,
     .offset = AT(data),
     .unit = "PATH",
     .initial_note = "gpt: must be given; mlp: /usr/share/datasets/fashion-mnist",
     .help = "gpt: any file, whose bytes are the tokens; or token shards as llm.c has them: one "
             "FILE.bin, a folder of them, or a quoted pattern. Their last tenth is held out. mlp: "
             "the folder of IDX files."},
    {.name = "held-out-data",
     .kind = OPTION_TEXT,
     .offset = AT(held_out_data),
     .unit = "PATH",
     .initial_note = "the last tenth of --data",
     .help = "gpt: text or shards that are held out; --data is then for training as a whole."},
    {.name = "vocabulary",
     .kind = OPTION_INTEGER,
     .offset = AT(vocabulary),
     .unit = "N",
     .initial = "0",
     .initial_note = "0: a text's 256; for shards what their largest token needs, next multiple of "
                     "128, which takes reading all of them",
     .lowest = 0,
     .highest = 1048576,
     .help = "gpt: tokens are below N, 50257 for GPT-2's."},
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
     .help = "gpt: length of a sequence; a text's tokens are its bytes."},
    {.name = "noise",
     .kind = OPTION_REAL,
     .offset = AT(noise),
     .unit = "SHARE",
     .initial = "0",
     .lowest = 0,
     .highest = 1,
     .help = "gpt on text: that share of the training sequences has 20-40 % of its 64-byte blocks "
             "replaced "
             "from elsewhere in the text; held-out text stays clean."},
};

static const option schedule_entries[] = {
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
};

/* After the library's options of Sophia: where train has the curvature from. */
static const option curvature_entries[] = {
    {.name = "curvature",
     .kind = OPTION_CHOICE,
     .offset = AT(curvature),
     .initial = "gauss-newton",
     .choices = curvatures,
     .help = "Squared gradients with labels drawn from the model (Gauss-Newton-Bartlett), or "
             "products of the Hessian with random signs (mlp only)."},
    {.name = "probes",
     .kind = OPTION_INTEGER,
     .offset = AT(probes),
     .unit = "N",
     .initial = "1",
     .lowest = 1,
     .highest = 65536,
     .help = "hutchinson: products of a micro-batch, whose mean is the estimate."},
};

static const option batch_entries[] = {
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
};

static const option adaptive_entries[] = {
    {.name = "adaptive-batch",
     .kind = OPTION_TEXT,
     .offset = AT(adaptive_text),
     .unit = "MIN:MAX",
     .initial_note = "K is fixed",
     .help = "K follows the noise scale of the gradients, from --micro-batches on, within these "
             "bounds and in multiples of G, which is fixed; the same for every number of ranks. "
             "Turns --diagnostics economy on."},
    {.name = "adaptive-every",
     .kind = OPTION_INTEGER,
     .offset = AT(adaptive_every),
     .unit = "STEPS",
     .initial = "10",
     .lowest = 1,
     .highest = MOST_STEPS,
     .help = "adaptive-batch: K changes that often at most."},
    {.name = "adaptive-rate",
     .kind = OPTION_CHOICE,
     .offset = AT(adaptive_rate),
     .initial = "constant",
     .choices = adaptive_rates,
     .help = "adaptive-batch: the scheduled learning rate is multiplied by K over the first K "
             "(linear), the root of it (root), or not at all."},
};

static const option diagnostics_entries[] = {
    {.heading = "Diagnostics",
     .name = "diagnostics",
     .kind = OPTION_CHOICE,
     .offset = AT(diagnostics),
     .initial = "off",
     .choices = diagnostics,
     .help = "Measured beside the training, whose bits stay the same. economy: noise scale and "
             "plateau in every step; full: also the spectra, echo, bias and variance of updates "
             "now and then. Advice in words at the end."},
    {.name = "diagnostics-every",
     .kind = OPTION_INTEGER,
     .offset = AT(diagnostics_every),
     .unit = "STEPS",
     .initial = "20",
     .lowest = 1,
     .highest = 2147483647,
     .bound = "diagnostics_every",
     .help = "Steps from one full diagnosis, and from one advice in metrics.jsonl, to the next."},
    {.name = "diagnostics-layers",
     .kind = OPTION_FLAG,
     .offset = AT(diagnostics_layers),
     .help = "The same for every parameter in metrics.jsonl, with the echo spectra of matrices."},
    {.name = "record-gradients",
     .kind = OPTION_TEXT,
     .offset = AT(record),
     .unit = "FILE",
     .initial_note = "none",
     .help = "HDF5 file for the gradients of all micro-batches, as plumb replay and plumb diagnose "
             "read it; must not exist yet."},
    {.name = "record-every",
     .kind = OPTION_INTEGER,
     .offset = AT(record_every),
     .unit = "STEPS",
     .initial = "1",
     .lowest = 1,
     .highest = MOST_STEPS,
     .help = "Steps from one recorded step to the next, the first included."},
};

static const option run_entries[] = {
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
     .help = "Folder for config.json, metrics.jsonl, summary.json and parameters; must not exist "
             "yet."},
    {.name = "initial-parameters",
     .kind = OPTION_TEXT,
     .offset = AT(initial_parameters),
     .unit = "RUN",
     .initial_note = "random, by --seed",
     .help = "Starts from the parameters that another run of the same model saved in its folder "
             "RUN."},
    {.name = "save-parameters",
     .kind = OPTION_CHOICE,
     .offset = AT(save_parameters),
     .initial = "yes",
     .choices = no_yes,
     .help = "At the end, as NumPy files DIR/parameters/NAME.npy."},
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
    {.name = "average-weights",
     .kind = OPTION_TEXT,
     .offset = AT(average_text),
     .unit = "HOW",
     .initial = "none",
     .help =
         "ema:BETA, a moving average of the parameters after each step, or tail:N, the mean "
         "over the last N steps: its held-out loss is told beside that of the parameters, which "
         "it leaves as they are."},
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
     .help = "gpt on text: what to generate at the end."},
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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(COUNT(model_entries) + UPDATE_ENTRY_COUNT + COUNT(schedule_entries) +
                       COUNT(curvature_entries) + COUNT(batch_entries) + COUNT(adaptive_entries) +
                       COUNT(diagnostics_entries) + COUNT(run_entries) ==
                   TRAIN_ENTRY_COUNT,
               "TRAIN_ENTRY_COUNT counts all entries");

static size_t append(option *to, const option *from, size_t count)
{
    memcpy(to, from, count * sizeof *to);
    return count;
}

const option_table *train_option_table(void)
{
    static option entries[TRAIN_ENTRY_COUNT];
    static const option_table table = {
        .options = entries,
        .count = TRAIN_ENTRY_COUNT,
        .usage = "[mpirun -np P] plumb train --data PATH [options]",
        .about =
            "Trains a model on P ranks. The gradients of K micro-batches are averaged, then\n"
            "orthogonalised (muon) at their owners; the parameters are equal to the bit for every\n"
            "number of ranks. Leaves a run directory with config.json, metrics.jsonl,\n"
            "summary.json and the parameters.",
    };
    if (entries[0].name == NULL) {
        size_t n = append(entries, model_entries, COUNT(model_entries));
        n += update_options_entries(UPDATE_OPTIMIZER, entries + n, AT(update));
        n += append(entries + n, schedule_entries, COUNT(schedule_entries));
        n += update_options_entries(UPDATE_CORRECTION, entries + n, AT(update));
        n += update_options_entries(UPDATE_SOPHIA, entries + n, AT(update));
        n += append(entries + n, curvature_entries, COUNT(curvature_entries));
        n += update_options_entries(UPDATE_ROOTS, entries + n, AT(update));
        n += append(entries + n, batch_entries, COUNT(batch_entries));
        n += append(entries + n, adaptive_entries, COUNT(adaptive_entries));
        n += update_options_entries(UPDATE_EXCHANGE, entries + n, AT(update));
        n += append(entries + n, diagnostics_entries, COUNT(diagnostics_entries));
        append(entries + n, run_entries, COUNT(run_entries));
    }
    return &table;
}

const char *train_option_word(const train_options *options, const char *name)
{
    const option_table *table = train_option_table();
    const option *o = &table->options[option_index(table, name)];
    return o->choices[*(const int *)((const char *)options + o->offset)];
}
