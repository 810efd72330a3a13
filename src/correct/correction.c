/*
 * The table of corrections and what can be read off it.
 */
#include "correct/correction.h"

#include "base/error.h"

#define MOMENTS "first_moment", "second_moment"

static const correction_kind kinds[] = {
    [PLUMB_CORRECTION_MOMENT] = {.name = "moment",
                                 .shared_states = {MOMENTS, "second_moment_deviation",
                                                   "moment_covariance_root"},
                                 .has_noise_floor = true,
                                 .least_groups = 2,
                                 .direct = correction_moment},
    [PLUMB_CORRECTION_LOO] = {.name = "loo",
                              .shared_states = {"second_moment_deviation"},
                              .group_states = {"first_moment", "second_moment_of_others"},
                              .has_noise_floor = true,
                              .least_groups = 3,
                              .direct = correction_leave_one_out},
    [PLUMB_CORRECTION_JACKKNIFE] = {.name = "jackknife",
                                    .group_states = {MOMENTS},
                                    .has_noise_floor = true,
                                    .only_noise_floor = 1.0,
                                    .least_groups = 2,
                                    .direct = correction_jackknife},
    [PLUMB_CORRECTION_PAPER_CF] = {.name = "paper-cf",
                                   .shared_states = {MOMENTS},
                                   .halves = true,
                                   .least_groups = 2,
                                   .direct = correction_paper_cross_fit},
    [PLUMB_CORRECTION_PAPER_INV] = {.name = "paper-inv",
                                    .shared_states = {MOMENTS},
                                    .halves = true,
                                    .least_groups = 4,
                                    .direct = correction_paper_inverse},
    [PLUMB_CORRECTION_PAPER_FULL] = {.name = "paper-full",
                                     .shared_states = {MOMENTS},
                                     .halves = true,
                                     .least_groups = 4,
                                     .direct = correction_paper_full},
    [PLUMB_CORRECTION_PAPER_PRE_EMA] = {.name = "paper-pre-ema",
                                        .shared_states = {MOMENTS},
                                        .halves = true,
                                        .least_groups = 4,
                                        .direct = correction_paper_pre_ema},
    [PLUMB_CORRECTION_PAPER_LOO] = {.name = "paper-loo",
                                    .shared_states = {MOMENTS},
                                    .least_groups = 2,
                                    .direct = correction_paper_leave_one_out},
    [PLUMB_CORRECTION_PAPER_LOO_JENSEN] = {.name = "paper-loo-jensen",
                                           .shared_states = {MOMENTS},
                                           .least_groups = 2,
                                           .direct = correction_paper_jensen},
};

const correction_kind *correction_find(plumb_correction correction)
{
    size_t number = (size_t)correction;
    bool known = number < sizeof kinds / sizeof kinds[0] && kinds[number].direct != NULL;
    return known ? &kinds[number] : NULL;
}

static int names_in(const char *const *names, int most)
{
    int count = 0;
    while (count < most && names[count] != NULL) {
        count++;
    }
    return count;
}

static int shared_states(const correction_kind *kind)
{
    return names_in(kind->shared_states,
                    (int)(sizeof kind->shared_states / sizeof kind->shared_states[0]));
}

int correction_states(const correction_kind *kind, int groups)
{
    int kept_by_groups = names_in(kind->group_states,
                                  (int)(sizeof kind->group_states / sizeof kind->group_states[0]));
    return shared_states(kind) + groups * kept_by_groups;
}

const char *correction_state_name(const correction_kind *kind, int groups, int state, int *group)
{
    int shared = shared_states(kind);
    if (state < shared) {
        *group = -1;
        return kind->shared_states[state];
    }
    *group = (state - shared) % groups;
    return kind->group_states[(state - shared) / groups];
}

plumb_status correction_check_groups(const correction_kind *kind, int groups, double noise_floor)
{
    REQUIRE(groups >= kind->least_groups, PLUMB_ERROR_ARGUMENT,
            "correction %s needs %d groups or more; there %s %d", kind->name, kind->least_groups,
            groups == 1 ? "is" : "are", groups);
    REQUIRE(!kind->halves || groups % 2 == 0, PLUMB_ERROR_ARGUMENT,
            "correction %s splits the groups in two halves: %d groups do not divide", kind->name,
            groups);
    REQUIRE(noise_floor == 0.0 || noise_floor * (double)groups >= 1.0, PLUMB_ERROR_ARGUMENT,
            "noise_floor is %g, below 1/%d, the inverse of the number of groups: second moments "
            "could be negative",
            noise_floor, groups);
    return PLUMB_OK;
}
