/*
 * The options of `plumb replay`: those of train that make updates, without norm clip, schedule or
 * anything else by default, so that another implementation's steps can be compared.
 */
#ifndef APP_REPLAY_OPTIONS_H
#define APP_REPLAY_OPTIONS_H

#include "app/update_options.h"

typedef struct replay_options {
    const char *gradients; /* the file, given without dashes or with */
    update_options update; /* groups 0: K */
    const char *out;
    bool json;
} replay_options;

const option_table *replay_option_table(void);

/* Parses and decides. *help: the help is wanted, nothing else counts. Returns f's code. */
int replay_options_parse(replay_options *options, int argc, char **argv, bool *help, failure *f);

#endif
