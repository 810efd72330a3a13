/*
 * The table of corrections and what can be read off it.
 */
#include "correct/correction.h"

#include "base/error.h"

#define MOMENTS "first_moment", "second_moment"

/* Of a paper mode that divides the groups in two halves. */
#define HALVES .shared_states = {MOMENTS}, .halves = true, .has_support_clip = true

static const correction_kind kinds[] = {
    [PLUMB_CORRECTION_MOMENT] = {.shared_states = {MOMENTS, "second_moment_deviation",
                                                   "moment_covariance_root"},
                                 .has_noise_floor = true,
                                 .least_groups = 2,
                                 .cost = {6.0, 1.0, 0.0},
                                 .direct = correction_moment},
    [PLUMB_CORRECTION_LOO] = {.shared_states = {"second_moment"},
                              .fold_states = {"first_moment", "second_moment_of_others",
                                              "second_moment_deviation"},
                              .has_noise_floor = true,
                              .has_folds = true,
                              .least_groups = 2,
                              .cost = {2.0, 1.0, 4.0},
                              .direct = correction_leave_one_out},
    [PLUMB_CORRECTION_JACKKNIFE] = {.fold_states = {MOMENTS},
                                    .has_noise_floor = true,
                                    .only_noise_floor = 1.0,
                                    .has_folds = true,
                                    .least_groups = 2,
                                    .cost = {1.0, 1.0, 3.0},
                                    .direct = correction_jackknife},
    [PLUMB_CORRECTION_PAPER_CF] = {HALVES, .has_mixing = true, .least_groups = 2,
                                   .cost = {2.0, 1.2, 0.0}, .direct = correction_paper_cross_fit},
    [PLUMB_CORRECTION_PAPER_INV] = {HALVES, .least_groups = 4, .cost = {2.0, 1.2, 0.0},
                                    .direct = correction_paper_inverse},
    [PLUMB_CORRECTION_PAPER_FULL] = {HALVES, .has_mixing = true, .least_groups = 4,
                                     .cost = {2.0, 1.2, 0.0}, .direct = correction_paper_full},
    [PLUMB_CORRECTION_PAPER_PRE_EMA] = {HALVES, .has_mixing = true, .least_groups = 4,
                                        .cost = {2.0, 1.2, 0.0},
                                        .direct = correction_paper_pre_ema},
    [PLUMB_CORRECTION_PAPER_SYM] = {HALVES, .has_mixing = true, .least_groups = 4,
                                    .cost = {2.0, 2.5, 0.0}, .direct = correction_paper_symmetric},
    [PLUMB_CORRECTION_PAPER_LOO] = {.shared_states = {MOMENTS},
                                    .least_groups = 2,
                                    .cost = {2.0, 2.5, 0.0},
                                    .direct = correction_paper_leave_one_out},
    [PLUMB_CORRECTION_PAPER_LOO_JENSEN] = {.shared_states = {MOMENTS},
                                           .least_groups = 2,
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

static int names_in(const char *const *list, int most)
{
    int count = 0;
    while (count < most && list[count] != NULL) {
        count++;
    }
    return count;
}

static int shared_states(const correction_kind *kind)
{
    return names_in(kind->shared_states,
                    (int)(sizeof kind->shared_states / sizeof kind->shared_states[0]));
}

int correction_folds(const plumb_parameter_options *options, int groups)
{
    return options->folds > 0 ? options->folds : groups;
}

int correction_states(const plumb_parameter_options *options, int groups)
{
    const correction_kind *kind = correction_find(options->correction);
    int kept_by_folds =
        names_in(kind->fold_states, (int)(sizeof kind->fold_states / sizeof kind->fold_states[0]));
    return shared_states(kind) + correction_folds(options, groups) * kept_by_folds;
}

const char *correction_state_name(const plumb_parameter_options *options, int groups, int state,
                                  int *fold)
{
    const correction_kind *kind = correction_find(options->correction);
    int shared = shared_states(kind);
    if (state < shared) {
        *fold = -1;
        return kind->shared_states[state];
    }
    int folds = correction_folds(options, groups);
    *fold = (state - shared) % folds;
    return kind->fold_states[(state - shared) / folds];
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
    REQUIRE(kind->has_folds || options->folds == 0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no folds to choose: folds must be 0", name);
    REQUIRE(options->folds != 1, PLUMB_ERROR_ARGUMENT,
            "folds is 1: there must be 2 or more, or 0 for one fold a group");
    REQUIRE(kind->has_mixing || options->paper_mixing == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no two second moments to mix: paper_mixing must be 0", name);
    REQUIRE(kind->has_support_clip || options->paper_support_clip == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no support clip: paper_support_clip must be 0", name);
    return validate_noise_floor(kind, options);
}

plumb_status correction_check_folds(const plumb_parameter_options *options, int groups)
{
    REQUIRE(options->folds == 0 || groups % options->folds == 0, PLUMB_ERROR_ARGUMENT,
            "%d folds do not divide %d groups", options->folds, groups);
    return PLUMB_OK;
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
    const char *name = correction_name(options->correction);
    double noise_floor = options->noise_floor;
    REQUIRE(groups >= kind->least_groups, PLUMB_ERROR_ARGUMENT,
            "correction %s needs %d groups or more; there %s %d", name, kind->least_groups,
            groups == 1 ? "is" : "are", groups);
    REQUIRE(!kind->halves || groups % 2 == 0, PLUMB_ERROR_ARGUMENT,
            "correction %s splits the groups in two halves: %d groups do not divide", name, groups);
    PROPAGATE(correction_check_folds(options, groups));
    REQUIRE(noise_floor == 0.0 || noise_floor * (double)groups >= 1.0, PLUMB_ERROR_ARGUMENT,
            "noise_floor is %g, below 1/%d, the inverse of the number of groups: second moments "
            "could be negative",
            noise_floor, groups);
    return kind->has_folds ? check_complement(options, groups) : PLUMB_OK;
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
