/*
 * The options of `plumb train`: the struct, its table, and what is decided after parsing because
 * it depends on model, optimizer or number of steps.
 */
#ifndef APP_TRAIN_OPTIONS_H
#define APP_TRAIN_OPTIONS_H

#include "app/update_options.h"

typedef enum train_model { MODEL_GPT = 0, MODEL_MLP = 1 } train_model;
typedef enum train_nonfinite { NONFINITE_STOP = 0, NONFINITE_SKIP = 1 } train_nonfinite;
typedef enum train_curvature {
    CURVATURE_GAUSS_NEWTON = 0,
    CURVATURE_HUTCHINSON = 1
} train_curvature;

/* How the learning rate follows a batch that changes. */
typedef enum adaptive_rate {
    ADAPTIVE_RATE_CONSTANT = 0, /* not at all */
    ADAPTIVE_RATE_LINEAR = 1,   /* noise of equal temperature: SGD */
    ADAPTIVE_RATE_ROOT = 2      /* steps of equal covariance: updates of fixed size */
} adaptive_rate;

/* Choices are indices into their lists, in the order of the enums of plumb.h where it has one. */
typedef struct train_options {
    int model;                        /* train_model */
    const char *data, *held_out_data; /* held_out_data NULL: part of data */
    int64_t vocabulary;               /* 0: by the data */
    int64_t layers, width, heads, context;
    double noise;
    update_options update;
    int curvature; /* train_curvature */
    int64_t probes;
    int schedule; /* plumb_schedule_shape */
    int64_t warm_up;
    double floor;
    int64_t steps, micro_batches, micro_batch_size;
    int64_t seed;
    const char *run, *initial_parameters;
    int save_parameters; /* 0 no, 1 yes */
    int64_t evaluate_every, held_out_units;
    const char *average_text; /* as typed, and what it means: */
    plumb_average_weights average;
    double average_beta;
    int64_t average_from;
    int on_nonfinite; /* train_nonfinite */
    int64_t generate;
    const char *prompt;
    double temperature;
    int diagnostics; /* plumb_diagnostics */
    int64_t diagnostics_every;
    bool diagnostics_layers;
    const char *adaptive_text;                 /* as typed, and what it means: */
    int64_t adaptive_lowest, adaptive_highest; /* bounds of K; 0: K is fixed */
    int64_t adaptive_every;
    int adaptive_rate;  /* adaptive_rate */
    const char *record; /* file of gradients; NULL: none */
    int64_t record_every;
    int64_t replica_check, blas_threads;
    int progress; /* progress_mode */
    bool json;
} train_options;

/* Entries of the table, which stands in train_table.c. */
enum { TRAIN_ENTRY_COUNT = UPDATE_ENTRY_COUNT + 40 };

const option_table *train_option_table(void);

/* Parses and decides. *help: the help is wanted, nothing else counts. Returns f's code. */
int train_options_parse(train_options *options, int argc, char **argv, bool *help, failure *f);

/* What only makes sense with the number of ranks. Returns f's code. */
int train_options_check_ranks(const train_options *options, int ranks, failure *f);

/* G: --groups, or the largest divisor of K that is at most 8. */
int64_t train_options_groups(const train_options *options);

/* The word of a choice, such as "muon" for train_option_word(&o, "optimizer"). */
const char *train_option_word(const train_options *options, const char *name);

#endif
