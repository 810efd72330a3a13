/*
 * How gradients become updates: the options that every subcommand with an optimizer shares, their
 * table entries, what is decided after parsing, and their translation into the library's structs.
 */
#ifndef APP_UPDATE_OPTIONS_H
#define APP_UPDATE_OPTIONS_H

#include "app/options.h"

/* Choices are indices into their lists, in the order of the enums of plumb.h. */
typedef struct update_options {
    int optimizer;  /* plumb_optimizer */
    int correction; /* plumb_correction */
    double noise_floor;
    int pipeline; /* plumb_pipeline */
    int polar;    /* plumb_polar_method */
    double learning_rate, adamw_learning_rate;
    double beta1, beta2, epsilon, weight_decay;
    int nesterov; /* 0 no, 1 yes */
    double clip_norm;
    int64_t groups; /* 0: the subcommand's own default */
    int owners;     /* plumb_owners */
    int exchange;   /* plumb_exchange */
} update_options;

enum { OPTIMIZER_ENTRY_COUNT = 13, EXCHANGE_ENTRY_COUNT = 3 };

/*
 * Copies the table entries of the optimizer (under a heading of their own) or of groups, owners
 * and exchange (under the heading before) to `entries`, for an update_options at `offset` of the
 * subcommand's struct. Returns the number of entries.
 */
size_t update_options_optimizer_entries(option *entries, size_t offset);
size_t update_options_exchange_entries(option *entries, size_t offset);

/* Fills what the user left open. */
void update_options_decide(update_options *o);

/* What contradicts itself. Returns f's code. */
int update_options_check(const update_options *o, failure *f);

/* The library's options of a handle, as far as these options say. */
void update_options_handle(const update_options *o, plumb_options *options);

/*
 * The library's options of a parameter. `matrix`: --optimizer muon and --pipeline are meant for
 * it; beside Muon the others are AdamW's, with its own rate and momentum.
 */
void update_options_parameter(const update_options *o, bool matrix,
                              plumb_parameter_options *options);

/* The word of an optimizer, such as "muon". */
const char *update_optimizer_name(plumb_optimizer optimizer);

#endif
