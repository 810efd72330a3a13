/*
 * Counting tracks and checking splits; see the header.
 */
#include "correct/tracks.h"

#include "base/error.h"
#include "correct/correction.h"

static int names_in(const char *const *list, int most)
{
    int count = 0;
    while (count < most && list[count] != NULL) {
        count++;
    }
    return count;
}

int tracks_count(const correction_tracks *tracks, int folds)
{
    return names_in(tracks->shared, TRACKS_SHARED) +
           folds * names_in(tracks->by_fold, TRACKS_BY_FOLD);
}

const char *tracks_name(const correction_tracks *tracks, int folds, int state, int *fold)
{
    int shared = names_in(tracks->shared, TRACKS_SHARED);
    if (state < shared) {
        *fold = -1;
        return tracks->shared[state];
    }
    *fold = (state - shared) % folds;
    return tracks->by_fold[(state - shared) / folds];
}

int correction_folds(const plumb_parameter_options *options, int groups)
{
    return options->folds > 0 ? options->folds : groups;
}

plumb_status correction_validate_folds(const correction_split *split,
                                       const plumb_parameter_options *options)
{
    REQUIRE(split->has_folds || options->folds == 0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no folds to choose: folds must be 0",
            correction_name(options->correction));
    REQUIRE(options->folds != 1, PLUMB_ERROR_ARGUMENT,
            "folds is 1: there must be 2 or more, or 0 for one fold a group");
    return PLUMB_OK;
}

plumb_status correction_check_folds(const plumb_parameter_options *options, int groups)
{
    REQUIRE(options->folds == 0 || groups % options->folds == 0, PLUMB_ERROR_ARGUMENT,
            "%d folds do not divide %d groups", options->folds, groups);
    return PLUMB_OK;
}

plumb_status correction_check_split(const correction_split *split,
                                    const plumb_parameter_options *options, int groups)
{
    const char *name = correction_name(options->correction);
    REQUIRE(groups >= split->least_groups, PLUMB_ERROR_ARGUMENT,
            "correction %s needs %d groups or more; there %s %d", name, split->least_groups,
            groups == 1 ? "is" : "are", groups);
    REQUIRE(!split->halves || groups % 2 == 0, PLUMB_ERROR_ARGUMENT,
            "correction %s splits the groups in two halves: %d groups do not divide", name, groups);
    return correction_check_folds(options, groups);
}
