/*
 * All optimizers by their number, their defaults, and the check of a parameter's options.
 */
#include <stddef.h>

#include "base/error.h"
#include "correct/correction.h"
#include "linalg/polar.h"
#include "optim/bounds.h"
#include "optim/optimizer.h"

/* Of plumb_parameter_options: grows when a field's meaning changes. */
enum { PARAMETER_OPTIONS_VERSION = 1 };

static const optimizer_kind *const kinds[] = {
    [PLUMB_OPTIMIZER_SGD] = &optimizer_sgd,         [PLUMB_OPTIMIZER_ADAMW] = &optimizer_adamw,
    [PLUMB_OPTIMIZER_MUON] = &optimizer_muon,       [PLUMB_OPTIMIZER_SOPHIA] = &optimizer_sophia,
    [PLUMB_OPTIMIZER_SHAMPOO] = &optimizer_shampoo, [PLUMB_OPTIMIZER_SOAP] = &optimizer_soap,
    [PLUMB_OPTIMIZER_NONE] = &optimizer_none,
};

const optimizer_kind *optimizer_find(plumb_optimizer optimizer)
{
    size_t number = (size_t)optimizer;
    return number < sizeof kinds / sizeof kinds[0] ? kinds[number] : NULL;
}

bool optimizer_wants_groups(const plumb_parameter_options *options)
{
    const optimizer_kind *kind = optimizer_find(options->optimizer);
    return kind->wants_groups != NULL && kind->wants_groups(options);
}

bool optimizer_wants_curvature_groups(const plumb_parameter_options *options)
{
    const optimizer_kind *kind = optimizer_find(options->optimizer);
    return kind->wants_curvature_groups != NULL && kind->wants_curvature_groups(options);
}

int optimizer_curvature_interval(const plumb_parameter_options *options)
{
    const optimizer_kind *kind = optimizer_find(options->optimizer);
    return kind->curvature_interval == NULL ? 0 : kind->curvature_interval(options);
}

plumb_status plumb_parameter_options_init(plumb_parameter_options *options, size_t size,
                                          plumb_optimizer optimizer)
{
    REQUIRE(options != NULL, PLUMB_ERROR_ARGUMENT, "plumb_parameter_options may not be NULL");
    REQUIRE(size == sizeof *options, PLUMB_ERROR_ARGUMENT,
            "plumb_parameter_options of %zu bytes are not known; this library's have %zu", size,
            sizeof *options);
    const optimizer_kind *kind = optimizer_find(optimizer);
    REQUIRE(kind != NULL, PLUMB_ERROR_ARGUMENT, "there is no optimizer number %d", (int)optimizer);
    *options = (plumb_parameter_options){
        .size = size,
        .version = PARAMETER_OPTIONS_VERSION,
        .optimizer = optimizer,
        .pipeline = PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE,
        .polar = PLUMB_POLAR_NEWTON_SCHULZ,
        .learning_rate_factor = 1.0,
        .beta2 = 0.95,
        .epsilon = 1e-8,
        .rho = 0.05,
        .clip = 1.0,
        .curvature_interval = 10,
        .exponent = 0.25,
        .damping = 1e-12,
        .relative_damping = 1e-6,
        .root_interval = 10,
        .root_failures = 3,
        .root_method = PLUMB_ROOT_EIGEN,
        .block_size = 1024,
        .grafting = PLUMB_GRAFTING_ADAMW,
        .bias_correction = 1,
    };
    kind->defaults(options);
    return PLUMB_OK;
}

/* What belongs to corrections only, or to corrections that another optimizer has. */
static plumb_status validate_correction(const optimizer_kind *kind,
                                        const plumb_parameter_options *options)
{
    if (options->correction != PLUMB_CORRECTION_NONE) {
        REQUIRE((kind->corrections >> options->correction & 1U) != 0, PLUMB_ERROR_UNSUPPORTED,
                "%s has no correction \"%s\"", kind->name, correction_name(options->correction));
        REQUIRE(options->pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE,
                PLUMB_ERROR_UNSUPPORTED,
                "correction %s needs the groups' own gradients: pipeline must be the default",
                correction_name(options->correction));
        return PLUMB_OK;
    }
    REQUIRE(options->noise_floor == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "noise_floor belongs to a correction: without one it must be 0");
    REQUIRE(options->folds == 0, PLUMB_ERROR_UNSUPPORTED,
            "folds belong to a correction: without one they must be 0");
    REQUIRE(options->paper_mixing == 0.0 && options->paper_support_clip == 0.0,
            PLUMB_ERROR_UNSUPPORTED,
            "paper_mixing and paper_support_clip belong to a paper mode: without one they must be "
            "0");
    return PLUMB_OK;
}

static plumb_status validate_weights(const plumb_parameter_options *options)
{
    if (options->weights == PLUMB_WEIGHTS_NONE) {
        return PLUMB_OK;
    }
    REQUIRE(options->optimizer == PLUMB_OPTIMIZER_MUON, PLUMB_ERROR_UNSUPPORTED,
            "weights are of Muon's singular directions: %s has none",
            optimizer_find(options->optimizer)->name);
    REQUIRE(options->pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, PLUMB_ERROR_UNSUPPORTED,
            "weights need the groups' own gradients: pipeline must be the default");
    REQUIRE(options->correction == PLUMB_CORRECTION_NONE, PLUMB_ERROR_UNSUPPORTED,
            "weights and correction %s are two answers to the same errors: choose one",
            correction_name(options->correction));
    return PLUMB_OK;
}

plumb_status optimizer_validate(const plumb_parameter_options *options, int64_t rows, int64_t cols)
{
    PROPAGATE(bounds_check_parameter_options(options));
    PROPAGATE(polar_check(options->polar, options->polar_steps, options->polar_delta));
    const optimizer_kind *kind = optimizer_find(options->optimizer);
    PROPAGATE(validate_correction(kind, options));
    PROPAGATE(validate_weights(options));
    return kind->validate == NULL ? PLUMB_OK : kind->validate(options, rows, cols);
}
