/*
 * The states that a correction keeps between steps, by name: some once, the others once for every
 * fold of the groups. And what splitting groups into folds or halves asks of their number.
 */
#ifndef PLUMB_CORRECT_TRACKS_H
#define PLUMB_CORRECT_TRACKS_H

#include <stdbool.h>

#include "plumb.h"

enum { TRACKS_SHARED = 4, TRACKS_BY_FOLD = 3 };

typedef struct correction_tracks {
    const char *shared[TRACKS_SHARED];   /* one of each ... */
    const char *by_fold[TRACKS_BY_FOLD]; /* ... and then F of each, fold by fold; NULL: no more */
} correction_tracks;

/* States of one float an element, and the name of one with its fold, or -1. */
int tracks_count(const correction_tracks *tracks, int folds);
const char *tracks_name(const correction_tracks *tracks, int folds, int state, int *fold);

/* How a correction splits the groups. */
typedef struct correction_split {
    int least_groups;
    bool has_folds; /* takes the option folds */
    bool halves;    /* needs two of them */
} correction_split;

/* Folds that the options mean: one a group unless they say otherwise. */
int correction_folds(const plumb_parameter_options *options, int groups);

/* UNSUPPORTED if the options give folds to what has none, ARGUMENT for a single one. */
plumb_status correction_validate_folds(const correction_split *split,
                                       const plumb_parameter_options *options);

/* ARGUMENT unless the folds of the options divide the groups. */
plumb_status correction_check_folds(const plumb_parameter_options *options, int groups);

/* The same, or if the groups are too few or no two halves. */
plumb_status correction_check_split(const correction_split *split,
                                    const plumb_parameter_options *options, int groups);

#endif
