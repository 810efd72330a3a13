/*
 * Sophia (Liu et al. 2023, arXiv 2305.14342), clipped element by element:
 *
 *     x = (1 - rate decay) x;   m = lerp(m, g, 1 - beta1);
 *     h = beta2 h + (1 - beta2) c     in steps that have a curvature c, or else h stays;
 *     x = x - rate clip(m / max(rho h, epsilon), -clip, clip).
 *
 * Neither average is divided by the sum of its weights: h begins small, and most of the first
 * updates are clipped to the sign. Negative averages, of Hutchinson's estimates, count as 0. The
 * authors' program divides by rho h + 1e-15 instead, which differs by rounding. With a correction,
 * what is clipped comes from src/correct, which then also owns the states: the inverse is
 * corrected, then multiplied, then clipped.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/vector.h"
#include "correct/curvature_correction.h"
#include "optim/elementwise.h"
#include "optim/optimizer.h"

typedef struct sophia_scalars {
    elementwise_weight first;     /* 1 - beta1 and beta1 */
    elementwise_weight curvature; /* 1 - beta2 and beta2 */
    float keep;                   /* 1 - rate decay */
    float rate, rho, epsilon, clip;
} sophia_scalars;

static sophia_scalars sophia_scalars_of(const optimizer_input *input)
{
    const plumb_parameter_options *options = input->options;
    return (sophia_scalars){
        .first = elementwise_weight_of_new(options->beta1),
        .curvature = elementwise_weight_of_new(options->beta2),
        .keep = (float)(1.0 - input->learning_rate * options->weight_decay),
        .rate = (float)input->learning_rate,
        .rho = (float)options->rho,
        .epsilon = (float)options->epsilon,
        .clip = (float)options->clip,
    };
}

VECTOR_CLONES
static void follow_curvature(int64_t count, elementwise_weight w, const float *restrict sample,
                             const float *restrict old, float *restrict updated)
{
    for (int64_t i = 0; i < count; i++) {
        updated[i] = w.complement * old[i] + w.weight * sample[i];
    }
}

/* Returns how many elements' updates stayed within the clip. */
VECTOR_CLONES
static int64_t sophia_elements(int64_t count, sophia_scalars s, const float *restrict gradient,
                               const float *restrict values, const float *restrict first,
                               const float *restrict curvature, float *restrict new_values,
                               float *restrict new_first)
{
    int64_t unclipped = 0;
    for (int64_t i = 0; i < count; i++) {
        float m = elementwise_lerp(first[i], gradient[i], s.first);
        float scaled = s.rho * curvature[i];
        float update = m / (scaled > s.epsilon ? scaled : s.epsilon);
        float lower = update < -s.clip ? -s.clip : update;
        unclipped += fabsf(update) <= s.clip;
        new_first[i] = m;
        new_values[i] = s.keep * values[i] - s.rate * (lower > s.clip ? s.clip : lower);
    }
    return unclipped;
}

/* Counting and clipping in one loop would keep the compiler from vectorising either. */
VECTOR_CLONES
static int64_t count_within(int64_t count, double clip, const double *direction)
{
    int64_t within = 0;
    for (int64_t i = 0; i < count; i++) {
        within += fabs(direction[i]) <= clip;
    }
    return within;
}

VECTOR_CLONES
static void sophia_apply(int64_t count, float keep, float rate, double clip,
                         const double *restrict direction, const float *restrict values,
                         float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        double lower = direction[i] < -clip ? -clip : direction[i];
        new_values[i] = keep * values[i] - rate * (float)(lower > clip ? clip : lower);
    }
}

static void sophia_corrected(const optimizer_input *input, const curvature_correction *kind)
{
    const plumb_parameter_options *options = input->options;
    curvature_input correction = {
        .groups = input->group_count,
        .folds = correction_folds(options, input->group_count),
        .beta1 = options->beta1,
        .beta2 = options->beta2,
        .rho = options->rho,
        .epsilon = options->epsilon,
        .gradients = input->groups,
        .mean = input->gradient,
        .curvature = input->curvature,
        .curvatures = input->curvature_groups,
        .states = input->states,
        .new_states = input->new_states,
    };
    sophia_scalars scalars = sophia_scalars_of(input);
    double direction[STATISTICS_BLOCK];
    for (int64_t first = 0; first < input->count; first += STATISTICS_BLOCK) {
        int64_t count = statistics_block(input->count, first);
        input->counts->clipped += kind->direct(&correction, first, count, direction);
        input->counts->unclipped += count_within(count, options->clip, direction);
        sophia_apply(count, scalars.keep, scalars.rate, options->clip, direction,
                     input->values + first, input->new_values + first);
    }
    input->counts->corrected += input->count;
}

static void sophia_plain(const optimizer_input *input)
{
    sophia_scalars scalars = sophia_scalars_of(input);
    if (input->curvature == NULL) {
        memcpy(input->new_states[1], input->states[1], (size_t)input->count * sizeof(float));
    } else {
        follow_curvature(input->count, scalars.curvature, input->curvature, input->states[1],
                         input->new_states[1]);
    }
    input->counts->unclipped +=
        sophia_elements(input->count, scalars, input->gradient, input->values, input->states[0],
                        input->new_states[1], input->new_values, input->new_states[0]);
}

static plumb_status sophia_update(const optimizer_input *input)
{
    const curvature_correction *kind = curvature_correction_find(input->options->correction);
    if (kind != NULL) {
        sophia_corrected(input, kind);
    } else {
        sophia_plain(input);
    }
    input->counts->clippable += input->count;
    return PLUMB_OK;
}

static int sophia_curvature_interval(const plumb_parameter_options *options)
{
    return options->curvature_interval;
}

static bool sophia_wants_groups(const plumb_parameter_options *options)
{
    const curvature_correction *kind = curvature_correction_find(options->correction);
    return kind != NULL && kind->wants_gradients;
}

static bool sophia_wants_curvature_groups(const plumb_parameter_options *options)
{
    return curvature_correction_find(options->correction) != NULL;
}

static int sophia_state_count(const plumb_parameter_options *options, int groups)
{
    const curvature_correction *kind = curvature_correction_find(options->correction);
    return kind == NULL ? 2 : tracks_count(&kind->tracks, correction_folds(options, groups));
}

static const char *sophia_state_name(const plumb_parameter_options *options, int groups, int state,
                                     int *group)
{
    const curvature_correction *kind = curvature_correction_find(options->correction);
    if (kind != NULL) {
        return tracks_name(&kind->tracks, correction_folds(options, groups), state, group);
    }
    *group = -1;
    return state == 0 ? "first_moment" : "curvature";
}

static void sophia_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.965;
    options->beta2 = 0.99;
    options->epsilon = 1e-12;
    options->weight_decay = 0.1;
}

static plumb_status sophia_validate(const plumb_parameter_options *options, int64_t rows,
                                    int64_t cols)
{
    (void)rows;
    (void)cols;
    REQUIRE(options->nesterov == 0, PLUMB_ERROR_UNSUPPORTED,
            "Sophia has no Nesterov form: nesterov must be 0");
    REQUIRE(
        options->pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, PLUMB_ERROR_UNSUPPORTED,
        "Sophia divides the gradient by the curvature of the loss, not of what a pipeline makes "
        "of it: pipeline must be the default");
    REQUIRE(options->paper_mixing == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "Sophia has no mixing of curvature with squared gradients: paper_mixing must be 0");
    REQUIRE(options->paper_support_clip == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "Sophia has no support clip: paper_support_clip must be 0");
    return curvature_correction_check(options);
}

/* Corrections work in double; those by folds pass over the states of each. */
static const double corrected_passes = 5.0, passes_of_fold = 6.0;

static double sophia_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                          int64_t cols, int64_t count)
{
    (void)rows;
    (void)cols;
    const curvature_correction *kind = curvature_correction_find(options->correction);
    double passes = kind == NULL ? 1.0 : corrected_passes;
    if (kind != NULL && kind->split.has_folds) {
        passes += passes_of_fold * (double)correction_folds(options, groups);
    }
    return (double)count * elementwise_seconds * passes;
}

const optimizer_kind optimizer_sophia = {
    .name = "sophia",
    .element_wise = true,
    .counts = true,
    .corrections = CORRECTIONS_OF_CURVATURE,
    .state_count = sophia_state_count,
    .state_name = sophia_state_name,
    .wants_groups = sophia_wants_groups,
    .curvature_interval = sophia_curvature_interval,
    .wants_curvature_groups = sophia_wants_curvature_groups,
    .defaults = sophia_defaults,
    .validate = sophia_validate,
    .validate_groups = curvature_correction_check_groups,
    .update = sophia_update,
    .cost = sophia_cost,
};
