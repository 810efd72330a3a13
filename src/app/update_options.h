/*
 * How gradients become updates: the options that every subcommand with an optimizer shares, what
 * is decided after parsing, and their translation into the library's structs. The table that
 * describes them stands in update_table.c.
 */
#ifndef APP_UPDATE_OPTIONS_H
#define APP_UPDATE_OPTIONS_H

#include "app/options.h"

/* Choices are indices into their lists, in the order of the enums of plumb.h. */
typedef struct update_options {
    int optimizer; /* plumb_optimizer */
    int pipeline;  /* plumb_pipeline */
    int polar;     /* plumb_polar_method */
    double polar_delta;
    int weights; /* plumb_weights */
    double learning_rate, adamw_learning_rate;
    double beta1, beta2, epsilon, weight_decay;
    int nesterov; /* 0 no, 1 yes */
    double clip_norm;
    int correction; /* plumb_correction */
    double noise_floor;
    int64_t folds;
    double paper_mixing, paper_support_clip;
    double rho, clip; /* these three: Sophia's */
    int64_t curvature_interval;
    double exponent, damping, relative_damping; /* from here on: Shampoo's, some SOAP's too */
    int64_t root_interval, root_failures, block_size;
    int grafting;                     /* plumb_grafting */
    int bias_correction;              /* 0 no, 1 yes */
    int64_t groups;                   /* 0: the subcommand's own default */
    int owners;                       /* plumb_owners */
    int exchange;                     /* plumb_exchange */
    int shared_memory, spread_panels; /* 0 off, 1 on */
} update_options;

/* Parts of the table, each but the last under a heading of its own. */
typedef enum update_section {
    UPDATE_OPTIMIZER,
    UPDATE_CORRECTION,
    UPDATE_SOPHIA,
    UPDATE_ROOTS,
    UPDATE_EXCHANGE
} update_section;

/* Entries of all sections together. */
enum { UPDATE_ENTRY_COUNT = 34 };

/*
 * Copies the table entries of a section to `entries`, for an update_options at `offset` of the
 * subcommand's struct. Returns the number of entries.
 */
size_t update_options_entries(update_section section, option *entries, size_t offset);

/* The word of a choice, such as "muon" or "paper-cf". */
const char *update_optimizer_name(plumb_optimizer optimizer);
const char *update_correction_name(plumb_correction correction);
const char *update_pipeline_name(plumb_pipeline pipeline);

/*
 * Fills what the user left open. `bare`: with the defaults of replay, which add nothing to what an
 * optimizer's formula says: no grafting, no bias correction, absolute damping, everything computed
 * in every step. Returns f's code.
 */
int update_options_decide(update_options *o, bool bare, failure *f);

/*
 * Options on the command line that only other optimizers than --optimizer read; `given` is of
 * `table`, as options_parse leaves it. Returns f's code.
 */
int update_options_check_given(const update_options *o, const option_table *table,
                               const bool *given, failure *f);

/* What contradicts itself. Returns f's code. */
int update_options_check(const update_options *o, failure *f);

/*
 * Rank 0: what the user should know about the chosen correction, one line into `text`, or false if
 * there is nothing to say.
 */
bool update_options_warning(const update_options *o, char *text, size_t size);

/* The library's options of a handle, as far as these options say. */
void update_options_handle(const update_options *o, plumb_options *options);

/*
 * The library's options of a parameter. `matrix`: muon, shampoo, soap and --pipeline are meant for
 * it; beside these optimizers the others are AdamW's, with its own rate and momentum. The
 * correction goes to every optimizer that has it.
 */
void update_options_parameter(const update_options *o, bool matrix,
                              plumb_parameter_options *options);

/* A correction that none of the parameters' optimizers has: `corrected` tells whether one has it.
 * Returns f's code. */
int update_options_check_corrected(const update_options *o, bool corrected, failure *f);

/* Whether the optimizer of some parameters needs plumb_accumulate_curvature. */
bool update_options_needs_curvature(const update_options *o);

#endif
