/*
 * Muon (K. Jordan et al. 2024): the polar factor of the momentum instead of the momentum itself,
 * scaled to the element-wise size of an AdamW update (Liu et al. 2025, arXiv 2502.16982):
 *
 *     m = beta1 m + (1 - beta1) g;   u = m  or, with Nesterov,  beta1 m + (1 - beta1) g;
 *     x = (1 - rate decay) x - rate 0.2 sqrt(max(rows, cols)) Ortho(u).
 *
 * Under orthogonalise-then-average the groups' polar factors were taken before the average, and
 * u itself takes Ortho(u)'s place.
 *
 * Corrected, Ortho(u) is that of correct/polar_correction.h. For its second order the error of u is
 * a sum of those of all gradients so far, each with the weight that it has in u; for its jackknife
 * each fold of the groups owns a momentum, whose mean over the folds is m.
 *
 * With weights, Ortho(u) is U diag(w) V' of correct/echo_weights.h, and the scale above stays: the
 * update is shorter by what the groups do not agree on.
 */
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "correct/correction.h"
#include "correct/echo_weights.h"
#include "correct/folds.h"
#include "correct/polar_correction.h"
#include "linalg/polar.h"
#include "linalg/polar_expansion.h"
#include "linalg/polar_panels.h"
#include "optim/elementwise.h"
#include "optim/optimizer.h"
#include "optim/pipeline.h"

/* Root mean square over the elements of the updates AdamW makes in practice (arXiv 2502.16982). */
static const double adamw_update_size = 0.2;

VECTOR_CLONES
static void muon_momentum(int64_t count, elementwise_weight weight, const float *restrict gradient,
                          const float *restrict momentum, float *restrict new_momentum,
                          float *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        new_momentum[i] = elementwise_lerp(momentum[i], gradient[i], weight);
        direction[i] = new_momentum[i];
    }
}

VECTOR_CLONES
static void muon_look_ahead(int64_t count, elementwise_weight weight,
                            const float *restrict gradient, const float *restrict momentum,
                            float *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        direction[i] = elementwise_lerp(momentum[i], gradient[i], weight);
    }
}

VECTOR_CLONES
static void muon_apply(int64_t count, float keep, float step_size, const float *restrict values,
                       const float *restrict direction, float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        new_values[i] = keep * values[i] - step_size * direction[i];
    }
}

/* u, by one momentum. */
static void muon_direction(const optimizer_input *input, const float *gradient,
                           const float *momentum, float *new_momentum, float *direction)
{
    elementwise_weight weight = elementwise_weight_of_new(input->options->beta1);
    muon_momentum(input->count, weight, gradient, momentum, new_momentum, direction);
    if (input->options->nesterov) {
        muon_look_ahead(input->count, weight, gradient, new_momentum, direction);
    }
}

/*
 * The sum of the squares of the weights that the gradients of steps 1 .. t have in u: at age j
 * (1-beta) beta^j; with Nesterov 1 - beta^2 at age 0 and (1-beta) beta^(j+1) before.
 */
static double muon_squared_weights(const plumb_parameter_options *options, int64_t update)
{
    double beta = options->beta1;
    double steps = (double)update;
    if (!options->nesterov) {
        return (1.0 - beta) / (1.0 + beta) * (1.0 - pow(beta, 2.0 * steps));
    }
    double newest = 1.0 - beta * beta;
    double older = (1.0 - beta) / (1.0 + beta) * (1.0 - pow(beta, 2.0 * (steps - 1.0)));
    return newest * newest + pow(beta, 4.0) * older;
}

/* The weight of the newest gradient in u. */
static double muon_newest_weight(const plumb_parameter_options *options)
{
    double beta = options->beta1;
    return options->nesterov ? 1.0 - beta * beta : 1.0 - beta;
}

static polar_correction muon_polar_correction(const optimizer_input *input)
{
    return (polar_correction){input->rows,
                              input->cols,
                              input->options->polar,
                              input->options->polar_steps,
                              input->options->polar_delta,
                              &input->counts->clipped};
}

static plumb_status muon_second_order(const optimizer_input *input)
{
    polar_correction correction = muon_polar_correction(input);
    muon_direction(input, input->gradient, input->states[0], input->new_states[0], input->scratch);
    return polar_correction_second_order(
        &correction, input->group_count, input->groups, input->gradient,
        muon_squared_weights(input->options, input->update), input->scratch);
}

/* `memory`: folds + 1 times [count]; `mean`: [count]. */
static plumb_status muon_jackknife_in(const optimizer_input *input, int folds, float *memory,
                                      double *mean, const float **directions)
{
    int64_t count = input->count;
    polar_correction correction = muon_polar_correction(input);
    float *gradient = memory + folds * count;
    for (int f = 0; f < folds; f++) {
        float *direction = memory + f * count;
        folds_mean(0, count, input->group_count / folds, f, input->groups, mean);
        for (int64_t i = 0; i < count; i++) {
            gradient[i] = (float)mean[i];
        }
        muon_direction(input, gradient, input->states[f], input->new_states[f], direction);
        directions[f] = direction;
    }
    return polar_correction_jackknife(&correction, folds, directions, input->scratch);
}

static plumb_status muon_jackknife(const optimizer_input *input)
{
    int folds = correction_folds(input->options, input->group_count);
    float *memory = NULL;
    double *mean = NULL;
    const float **directions = NULL;
    plumb_status status = memory_allocate((folds + 1) * input->count, sizeof(float), &memory);
    if (status == PLUMB_OK) {
        status = memory_allocate(input->count, sizeof(double), &mean);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(folds, sizeof *directions, &directions);
    }
    if (status == PLUMB_OK) {
        status = muon_jackknife_in(input, folds, memory, mean, directions);
    }
    memory_free(&directions);
    memory_free(&mean);
    memory_free(&memory);
    return status;
}

static plumb_status muon_echo(const optimizer_input *input)
{
    echo_weights problem = {input->rows,
                            input->cols,
                            input->group_count,
                            input->groups,
                            input->gradient,
                            muon_newest_weight(input->options),
                            muon_squared_weights(input->options, input->update)};
    muon_direction(input, input->gradient, input->states[0], input->new_states[0], input->scratch);
    return echo_weights_apply(&problem, input->scratch, NULL);
}

/* What takes the gradient's place, into scratch. */
static plumb_status muon_orthogonal(const optimizer_input *input)
{
    const plumb_parameter_options *options = input->options;
    if (options->weights == PLUMB_WEIGHTS_ECHO) {
        return muon_echo(input);
    }
    if (options->correction != PLUMB_CORRECTION_NONE) {
        input->counts->corrected += input->count;
        return options->correction == PLUMB_CORRECTION_JACKKNIFE ? muon_jackknife(input)
                                                                 : muon_second_order(input);
    }
    muon_direction(input, input->gradient, input->states[0], input->new_states[0], input->scratch);
    if (!pipeline_orthogonalises_last(options->pipeline)) {
        return PLUMB_OK;
    }
    return pipeline_polar(options, input->rows, input->cols, input->scratch, input->scratch);
}

static void muon_step(const optimizer_input *input, const float *orthogonal)
{
    double longest = (double)(input->rows > input->cols ? input->rows : input->cols);
    double step_size = input->learning_rate * adamw_update_size * sqrt(longest);
    double keep = 1.0 - input->learning_rate * input->options->weight_decay;
    muon_apply(input->count, (float)keep, (float)step_size, input->values, orthogonal,
               input->new_values);
}

static plumb_status muon_update(const optimizer_input *input)
{
    PROPAGATE(muon_orthogonal(input));
    muon_step(input, input->scratch);
    return PLUMB_OK;
}

/* The fast polar factor of the plain pipeline. */
static int muon_panel_count(const plumb_parameter_options *options, int64_t rows, int64_t cols)
{
    bool single = options->polar_delta == 0.0 || options->polar_delta >= POLAR_PANELS_LEAST_DELTA;
    bool fast = options->polar == PLUMB_POLAR_FAST && single &&
                options->correction == PLUMB_CORRECTION_NONE &&
                options->weights == PLUMB_WEIGHTS_NONE &&
                options->pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE;
    return fast ? polar_panel_count(rows, cols, VECTOR_BLOCK) : 1;
}

static void muon_panel_direction(const optimizer_input *input, float *direction)
{
    muon_direction(input, input->gradient, input->states[0], input->new_states[0], direction);
}

static const optimizer_panels muon_panels = {
    .count = muon_panel_count,
    .direction = muon_panel_direction,
    .apply = muon_step,
};

static bool muon_wants_groups(const plumb_parameter_options *options)
{
    return options->correction != PLUMB_CORRECTION_NONE || options->weights != PLUMB_WEIGHTS_NONE;
}

/* One momentum, or one a fold. */
static int muon_state_count(const plumb_parameter_options *options, int groups)
{
    bool by_folds = options->correction == PLUMB_CORRECTION_JACKKNIFE;
    return by_folds ? correction_folds(options, groups) : 1;
}

static const char *muon_state_name(const plumb_parameter_options *options, int groups, int state,
                                   int *group)
{
    (void)groups;
    *group = options->correction == PLUMB_CORRECTION_JACKKNIFE ? state : -1;
    return "momentum";
}

/* What each correction asks of the groups. */
static const correction_split *muon_split(const plumb_parameter_options *options)
{
    static const correction_split none = {0};
    static const correction_split of_all = {.least_groups = 2};
    static const correction_split by_folds = {.least_groups = 2, .has_folds = true};
    switch (options->correction) {
    case PLUMB_CORRECTION_NONE:
        return &none;
    case PLUMB_CORRECTION_JACKKNIFE:
        return &by_folds;
    default:
        return &of_all;
    }
}

static plumb_status muon_validate(const plumb_parameter_options *options, int64_t rows,
                                  int64_t cols)
{
    (void)rows;
    (void)cols;
    const char *name = correction_name(options->correction);
    REQUIRE(options->correction != PLUMB_CORRECTION_SECOND_ORDER ||
                options->polar == PLUMB_POLAR_SVD,
            PLUMB_ERROR_UNSUPPORTED,
            "correction %s expands the exact polar factor, which iterative methods only "
            "approximate: polar must be the SVD",
            name);
    REQUIRE(options->noise_floor == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "Muon has no second moment: noise_floor must be 0");
    REQUIRE(options->paper_mixing == 0.0 && options->paper_support_clip == 0.0,
            PLUMB_ERROR_UNSUPPORTED,
            "Muon has no paper modes: paper_mixing and paper_support_clip must be 0");
    return correction_validate_folds(muon_split(options), options);
}

static plumb_status muon_validate_groups(const plumb_parameter_options *options, int groups)
{
    REQUIRE(options->weights == PLUMB_WEIGHTS_NONE || groups >= 2, PLUMB_ERROR_ARGUMENT,
            "weights compare groups: they need at least 2, and there is %d", groups);
    return correction_check_split(muon_split(options), options, groups);
}

static void muon_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.95;
    options->weight_decay = 0.1;
    options->nesterov = 1;
}

static double muon_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                        int64_t cols, int64_t count)
{
    double seconds = (double)count * elementwise_seconds;
    double polar = polar_cost(options->polar, options->polar_steps, rows, cols);
    int folds = correction_folds(options, groups);
    if (options->weights == PLUMB_WEIGHTS_ECHO) {
        return seconds + echo_weights_cost(rows, cols, groups);
    }
    switch (options->correction) {
    case PLUMB_CORRECTION_SECOND_ORDER:
        return seconds + polar_expansion_cost(rows, cols, groups);
    case PLUMB_CORRECTION_JACKKNIFE:
        return (double)(folds + 1) * (seconds + polar);
    default:
        return pipeline_orthogonalises_last(options->pipeline) ? seconds + polar : seconds;
    }
}

const optimizer_kind optimizer_muon = {
    .name = "muon",
    .orthogonalises = true,
    .needs_scratch = true,
    .corrections = 1U << PLUMB_CORRECTION_SECOND_ORDER | 1U << PLUMB_CORRECTION_JACKKNIFE,
    .state_count = muon_state_count,
    .state_name = muon_state_name,
    .wants_groups = muon_wants_groups,
    .defaults = muon_defaults,
    .validate = muon_validate,
    .validate_groups = muon_validate_groups,
    .update = muon_update,
    .panels = &muon_panels,
    .cost = muon_cost,
};
