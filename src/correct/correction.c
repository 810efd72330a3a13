/*
 * The table of corrections and what can be read off it.
 */
#include "correct/correction.h"

#include "base/error.h"

#define MOMENTS "first_moment", "second_moment"

/* Of a paper mode that divides the groups in two halves. */
#define HALVES(least)                                                                              \
    .tracks.shared = {MOMENTS}, .split = {.least_groups = (least), .halves = true},                \
    .has_support_clip = true

static const correction_kind kinds[] = {
    [PLUMB_CORRECTION_MOMENT] = {.tracks.shared = {MOMENTS, "second_moment_deviation",
                                                   "moment_covariance_root"},
                                 .split = {.least_groups = 2},
                                 .has_noise_floor = true,
                                 .cost = {6.0, 1.0, 0.0},
                                 .direct = correction_moment},
    [PLUMB_CORRECTION_LOO] = {.tracks = {{"second_moment"},
                                         {"first_moment", "second_moment_of_others",
                                          "second_moment_deviation"}},
                              .split = {.least_groups = 2, .has_folds = true},
                              .has_noise_floor = true,
                              .cost = {2.0, 1.0, 4.0},
                              .direct = correction_leave_one_out},
    [PLUMB_CORRECTION_JACKKNIFE] = {.tracks.by_fold = {MOMENTS},
                                    .split = {.least_groups = 2, .has_folds = true},
                                    .has_noise_floor = true,
                                    .only_noise_floor = 1.0,
                                    .cost = {1.0, 1.0, 3.0},
                                    .direct = correction_jackknife},
    [PLUMB_CORRECTION_PAPER_CF] = {HALVES(2), .has_mixing = true, .cost = {2.0, 1.2, 0.0},
                                   .direct = correction_paper_cross_fit},
    [PLUMB_CORRECTION_PAPER_INV] = {HALVES(4), .cost = {2.0, 1.2, 0.0},
                                    .direct = correction_paper_inverse},
    [PLUMB_CORRECTION_PAPER_FULL] = {HALVES(4), .has_mixing = true, .cost = {2.0, 1.2, 0.0},
                                     .direct = correction_paper_full},
    [PLUMB_CORRECTION_PAPER_PRE_EMA] = {HALVES(4), .has_mixing = true, .cost = {2.0, 1.2, 0.0},
                                        .direct = correction_paper_pre_ema},
    [PLUMB_CORRECTION_PAPER_SYM] = {HALVES(4), .has_mixing = true, .cost = {2.0, 2.5, 0.0},
                                    .direct = correction_paper_symmetric},
    [PLUMB_CORRECTION_PAPER_LOO] = {.tracks.shared = {MOMENTS},
                                    .split = {.least_groups = 2},
                                    .cost = {2.0, 2.5, 0.0},
                                    .direct = correction_paper_leave_one_out},
    [PLUMB_CORRECTION_PAPER_LOO_JENSEN] = {.tracks.shared = {MOMENTS},
                                           .split = {.least_groups = 2},
                                           .cost = {2.0, 2.5, 0.0},
                                           .direct = correction_paper_jensen},
};

static const char *const names[] = {
    [PLUMB_CORRECTION_NONE] = "none",
    [PLUMB_CORRECTION_MOMENT] = "moment",
    [PLUMB_CORRECTION_LOO] = "loo",
    [PLUMB_CORRECTION_JACKKNIFE] = "jackknife",
    [PLUMB_CORRECTION_PAPER_CF] = "paper-cf",
    [PLUMB_CORRECTION_PAPER_INV] = "paper-inv",
    [PLUMB_CORRECTION_PAPER_FULL] = "paper-full",
    [PLUMB_CORRECTION_PAPER_PRE_EMA] = "paper-pre-ema",
    [PLUMB_CORRECTION_PAPER_LOO] = "paper-loo",
    [PLUMB_CORRECTION_PAPER_LOO_JENSEN] = "paper-loo-jensen",
    [PLUMB_CORRECTION_PAPER_SYM] = "paper-sym",
    [PLUMB_CORRECTION_SECOND_ORDER] = "second-order",
    [PLUMB_CORRECTION_WISHART] = "wishart",
    [PLUMB_CORRECTION_HALF_SAMPLE] = "half-sample",
    [PLUMB_CORRECTION_PAPER_DIAGONAL] = "paper-diagonal",
};

const char *correction_name(plumb_correction correction)
{
    size_t number = (size_t)correction;
    return number < sizeof names / sizeof names[0] ? names[number] : "unknown";
}

const correction_kind *correction_find(plumb_correction correction)
{
    size_t number = (size_t)correction;
    bool known = number < sizeof kinds / sizeof kinds[0] && kinds[number].direct != NULL;
    return known ? &kinds[number] : NULL;
}

int correction_states(const plumb_parameter_options *options, int groups)
{
    const correction_kind *kind = correction_find(options->correction);
    return tracks_count(&kind->tracks, correction_folds(options, groups));
}

const char *correction_state_name(const plumb_parameter_options *options, int groups, int state,
                                  int *fold)
{
    const correction_kind *kind = correction_find(options->correction);
    return tracks_name(&kind->tracks, correction_folds(options, groups), state, fold);
}

static plumb_status validate_noise_floor(const correction_kind *kind,
                                         const plumb_parameter_options *options)
{
    REQUIRE(kind->has_noise_floor || options->noise_floor == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s is as published and has no noise floor: noise_floor must be 0",
            correction_name(options->correction));
    REQUIRE(kind->only_noise_floor == 0.0 || options->noise_floor == kind->only_noise_floor,
            PLUMB_ERROR_ARGUMENT, "correction %s needs noise_floor %g; it is %g",
            correction_name(options->correction), kind->only_noise_floor, options->noise_floor);
    return PLUMB_OK;
}

plumb_status correction_validate(const plumb_parameter_options *options)
{
    static const correction_kind none = {.has_noise_floor = true};
    const correction_kind *found = correction_find(options->correction);
    const correction_kind *kind = found != NULL ? found : &none;
    const char *name = correction_name(options->correction);
    PROPAGATE(correction_validate_folds(&kind->split, options));
    REQUIRE(kind->has_mixing || options->paper_mixing == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no two second moments to mix: paper_mixing must be 0", name);
    REQUIRE(kind->has_support_clip || options->paper_support_clip == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no support clip: paper_support_clip must be 0", name);
    return validate_noise_floor(kind, options);
}

/* A fold's complement of one group has no spread from which to make up its noise floor. */
static plumb_status check_complement(const plumb_parameter_options *options, int groups)
{
    int others = groups - groups / correction_folds(options, groups);
    REQUIRE(others >= 2 || options->noise_floor == 1.0, PLUMB_ERROR_ARGUMENT,
            "correction %s with %d groups leaves %d, and the target of the second moment would "
            "change: take more groups, or pass noise_floor 1",
            correction_name(options->correction), groups, others);
    return PLUMB_OK;
}

plumb_status correction_check_groups(const plumb_parameter_options *options, int groups)
{
    const correction_kind *kind = correction_find(options->correction);
    double noise_floor = options->noise_floor;
    PROPAGATE(correction_check_split(&kind->split, options, groups));
    REQUIRE(noise_floor == 0.0 || noise_floor * (double)groups >= 1.0, PLUMB_ERROR_ARGUMENT,
            "noise_floor is %g, below 1/%d, the inverse of the number of groups: second moments "
            "could be negative",
            noise_floor, groups);
    return kind->split.has_folds ? check_complement(options, groups) : PLUMB_OK;
}

double correction_cost(const plumb_parameter_options *options, int groups)
{
    const correction_nanoseconds *cost = &correction_find(options->correction)->cost;
    double folds = (double)correction_folds(options, groups);
    return 1e-9 * (cost->fixed + cost->group * (double)groups + cost->fold * folds);
}

correction_input correction_input_of(const plumb_parameter_options *options, int groups)
{
    return (correction_input){
        .beta1 = options->beta1,
        .beta2 = options->beta2,
        .epsilon = options->epsilon,
        .family = statistics_family_of(groups, options->noise_floor),
        .folds = correction_folds(options, groups),
        .mixing = options->paper_mixing,
        .support_clip = options->paper_support_clip,
    };
}
