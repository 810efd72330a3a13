/*
 * The options of `plumb diagnose`.
 */
#ifndef APP_DIAGNOSE_OPTIONS_H
#define APP_DIAGNOSE_OPTIONS_H

#include "app/options.h"

/* How the recorded run makes its updates: what the advice is about. */
typedef enum diagnose_update {
    DIAGNOSE_ORTHOGONALISED, /* averages gradients, then orthogonalises */
    DIAGNOSE_STREAMED,       /* averages orthogonalised gradients */
    DIAGNOSE_PLAIN           /* does not orthogonalise */
} diagnose_update;

typedef struct diagnose_options {
    const char *gradients;  /* the file, given without dashes or with */
    const char *parameters; /* names with commas; NULL: all */
    int64_t first_step;     /* from 1 */
    int64_t last_step;      /* 0: the file's */
    int64_t groups;         /* 0: micro-batches, merged where there are very many */
    int64_t memory;         /* MiB a rank for gradients */
    int echo_method;        /* plumb_echo_method */
    int64_t folds;          /* 0: chosen */
    int64_t most;           /* directions and eigenvalues that are shown; 0: all */
    bool whiten;
    bool held_out;
    bool whiten_covariance;
    double population;
    double theta;
    int update; /* diagnose_update */
    int64_t ranks;
    double learning_rate; /* 0: not given */
    double beta1;
    double other_samples; /* 0: twice the file's */
    bool json, layers, each_step;
} diagnose_options;

const option_table *diagnose_option_table(void);

/* Parses and checks. *help: the help is wanted, nothing else counts. Returns f's code. */
int diagnose_options_parse(diagnose_options *options, int argc, char **argv, bool *help,
                           failure *f);

#endif
