/*
 * The table of curvature's corrections, what can be read off it, and the averages they share.
 */
#include "correct/curvature_correction.h"

#include <string.h>

#include "base/error.h"
#include "correct/correction.h"

#define MOMENTS "first_moment", "curvature"

/* The published form before the moving average is the one after it: the denominator is linear. */
static const curvature_correction kinds[] = {
    [PLUMB_CORRECTION_MOMENT] = {.shared_states = {MOMENTS, "curvature_deviation"},
                                 .least_groups = 2,
                                 .direct = curvature_moment},
    [PLUMB_CORRECTION_LOO] = {.shared_states = {"curvature_deviation"},
                              .fold_states = {MOMENTS},
                              .least_groups = 2,
                              .wants_gradients = true,
                              .has_folds = true,
                              .direct = curvature_leave_one_out},
    [PLUMB_CORRECTION_JACKKNIFE] = {.fold_states = {MOMENTS},
                                    .least_groups = 2,
                                    .wants_gradients = true,
                                    .has_folds = true,
                                    .direct = curvature_jackknife},
    [PLUMB_CORRECTION_PAPER_CF] = {.shared_states = {MOMENTS},
                                   .least_groups = 2,
                                   .wants_gradients = true,
                                   .halves = true,
                                   .direct = curvature_paper_cross_fit},
    [PLUMB_CORRECTION_PAPER_INV] = {.shared_states = {MOMENTS, "curvature_deviation"},
                                    .least_groups = 4,
                                    .halves = true,
                                    .direct = curvature_paper_inverse},
    [PLUMB_CORRECTION_PAPER_FULL] = {.shared_states = {MOMENTS, "curvature_deviation"},
                                     .least_groups = 4,
                                     .wants_gradients = true,
                                     .halves = true,
                                     .direct = curvature_paper_full},
    [PLUMB_CORRECTION_PAPER_PRE_EMA] = {.shared_states = {MOMENTS, "curvature_deviation"},
                                        .least_groups = 4,
                                        .wants_gradients = true,
                                        .halves = true,
                                        .direct = curvature_paper_full},
};

const curvature_correction *curvature_correction_find(plumb_correction correction)
{
    size_t number = (size_t)correction;
    bool known = number < sizeof kinds / sizeof kinds[0] && kinds[number].direct != NULL;
    return known ? &kinds[number] : NULL;
}

int curvature_correction_folds(const plumb_parameter_options *options, int groups)
{
    return options->folds > 0 ? options->folds : groups;
}

static int names_in(const char *const *list, size_t most)
{
    int count = 0;
    while ((size_t)count < most && list[count] != NULL) {
        count++;
    }
    return count;
}

static int shared_states(const curvature_correction *kind)
{
    return names_in(kind->shared_states,
                    sizeof kind->shared_states / sizeof kind->shared_states[0]);
}

int curvature_correction_states(const curvature_correction *kind, int folds)
{
    int kept_by_folds =
        names_in(kind->fold_states, sizeof kind->fold_states / sizeof kind->fold_states[0]);
    return shared_states(kind) + folds * kept_by_folds;
}

const char *curvature_correction_state_name(const curvature_correction *kind, int folds, int state,
                                            int *fold)
{
    int shared = shared_states(kind);
    if (state < shared) {
        *fold = -1;
        return kind->shared_states[state];
    }
    *fold = (state - shared) % folds;
    return kind->fold_states[(state - shared) / folds];
}

plumb_status curvature_correction_check(const plumb_parameter_options *options)
{
    const curvature_correction *kind = curvature_correction_find(options->correction);
    REQUIRE(options->noise_floor == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "curvature has no noise floor: noise_floor must be 0");
    REQUIRE(options->folds == 0 || (kind != NULL && kind->has_folds), PLUMB_ERROR_UNSUPPORTED,
            "correction %s has no folds to choose: folds must be 0",
            correction_name(options->correction));
    REQUIRE(options->folds != 1, PLUMB_ERROR_ARGUMENT,
            "folds is 1; must be 2 or more, or 0 for one a group");
    return PLUMB_OK;
}

plumb_status curvature_correction_check_groups(const plumb_parameter_options *options, int groups)
{
    const curvature_correction *kind = curvature_correction_find(options->correction);
    if (kind == NULL) {
        return PLUMB_OK;
    }
    const char *name = correction_name(options->correction);
    REQUIRE(groups >= kind->least_groups, PLUMB_ERROR_ARGUMENT,
            "correction %s needs %d groups or more; there %s %d", name, kind->least_groups,
            groups == 1 ? "is" : "are", groups);
    REQUIRE(!kind->halves || groups % 2 == 0, PLUMB_ERROR_ARGUMENT,
            "correction %s splits the groups in two halves: %d groups do not divide", name, groups);
    REQUIRE(groups % curvature_correction_folds(options, groups) == 0, PLUMB_ERROR_ARGUMENT,
            "%d folds do not divide %d groups", options->folds, groups);
    return PLUMB_OK;
}

void curvature_follow(const curvature_input *input, int state, average a, const double *samples,
                      int64_t first, int64_t count)
{
    const float *old = input->states[state] + first;
    float *updated = input->new_states[state] + first;
    if (samples == NULL) {
        memcpy(updated, old, (size_t)count * sizeof *updated);
    } else {
        average_doubles(count, a, samples, old, updated);
    }
}

/* A mean of G independent samples has the variance sum (c_k - c)^2 / (G (G-1)). */
void curvature_follow_deviation(const curvature_input *input, int state, int64_t first,
                                int64_t count)
{
    if (input->curvature == NULL) {
        curvature_follow(input, state, (average){0}, NULL, first, count);
        return;
    }
    double n = (double)input->groups;
    average two = average_of(input->beta2, 1);
    statistics_sums sums;
    statistics_sums_of(first, count, statistics_family_of(input->groups, 0.0), input->curvatures,
                       input->curvature, &sums);
    for (int64_t i = 0; i < count; i++) {
        sums.second[i] /= n * (n - 1.0);
    }
    average_roots(count, average_product(two, two), sums.second, input->states[state] + first,
                  input->new_states[state] + first);
}
