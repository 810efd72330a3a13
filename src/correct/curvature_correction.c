/*
 * The table of curvature's corrections, what can be read off it, and the averages they share.
 */
#include "correct/curvature_correction.h"

#include <string.h>

#include "base/error.h"

#define MOMENTS "first_moment", "curvature"

/* The published form before the moving average is the one after it: the denominator is linear. */
static const curvature_correction kinds[] = {
    [PLUMB_CORRECTION_MOMENT] = {.tracks.shared = {MOMENTS, "curvature_deviation"},
                                 .split = {.least_groups = 2},
                                 .direct = curvature_moment},
    [PLUMB_CORRECTION_LOO] = {.tracks = {{"curvature_deviation"}, {MOMENTS}},
                              .split = {.least_groups = 2, .has_folds = true},
                              .wants_gradients = true,
                              .direct = curvature_leave_one_out},
    [PLUMB_CORRECTION_JACKKNIFE] = {.tracks.by_fold = {MOMENTS},
                                    .split = {.least_groups = 2, .has_folds = true},
                                    .wants_gradients = true,
                                    .direct = curvature_jackknife},
    [PLUMB_CORRECTION_PAPER_CF] = {.tracks.shared = {MOMENTS},
                                   .split = {.least_groups = 2, .halves = true},
                                   .wants_gradients = true,
                                   .direct = curvature_paper_cross_fit},
    [PLUMB_CORRECTION_PAPER_INV] = {.tracks.shared = {MOMENTS, "curvature_deviation"},
                                    .split = {.least_groups = 4, .halves = true},
                                    .direct = curvature_paper_inverse},
    [PLUMB_CORRECTION_PAPER_FULL] = {.tracks.shared = {MOMENTS, "curvature_deviation"},
                                     .split = {.least_groups = 4, .halves = true},
                                     .wants_gradients = true,
                                     .direct = curvature_paper_full},
    [PLUMB_CORRECTION_PAPER_PRE_EMA] = {.tracks.shared = {MOMENTS, "curvature_deviation"},
                                        .split = {.least_groups = 4, .halves = true},
                                        .wants_gradients = true,
                                        .direct = curvature_paper_full},
};

const curvature_correction *curvature_correction_find(plumb_correction correction)
{
    size_t number = (size_t)correction;
    bool known = number < sizeof kinds / sizeof kinds[0] && kinds[number].direct != NULL;
    return known ? &kinds[number] : NULL;
}

plumb_status curvature_correction_check(const plumb_parameter_options *options)
{
    static const correction_split none = {0};
    const curvature_correction *kind = curvature_correction_find(options->correction);
    REQUIRE(options->noise_floor == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "curvature has no noise floor: noise_floor must be 0");
    return correction_validate_folds(kind != NULL ? &kind->split : &none, options);
}

plumb_status curvature_correction_check_groups(const plumb_parameter_options *options, int groups)
{
    const curvature_correction *kind = curvature_correction_find(options->correction);
    return kind == NULL ? PLUMB_OK : correction_check_split(&kind->split, options, groups);
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
