/*
 * All optimizers by their number, their defaults, and the check of a parameter's options.
 */
#include <stddef.h>

#include "base/error.h"
#include "optim/bounds.h"
#include "optim/optimizer.h"

/* Of plumb_parameter_options: grows when a field's meaning changes. */
enum { PARAMETER_OPTIONS_VERSION = 1 };

static const optimizer_kind *const kinds[] = {
    [PLUMB_OPTIMIZER_SGD] = &optimizer_sgd,
    [PLUMB_OPTIMIZER_ADAMW] = &optimizer_adamw,
    [PLUMB_OPTIMIZER_MUON] = &optimizer_muon,
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
    };
    kind->defaults(options);
    return PLUMB_OK;
}

plumb_status optimizer_validate(const plumb_parameter_options *options, int64_t rows, int64_t cols)
{
    PROPAGATE(bounds_check_parameter_options(options));
    const optimizer_kind *kind = optimizer_find(options->optimizer);
    REQUIRE(kind->wants_groups != NULL || options->correction == PLUMB_CORRECTION_NONE,
            PLUMB_ERROR_UNSUPPORTED, "%s has no corrections: correction must be none", kind->name);
    REQUIRE(kind->wants_groups != NULL || options->noise_floor == 0.0, PLUMB_ERROR_UNSUPPORTED,
            "%s has no corrections: noise_floor must be 0", kind->name);
    return kind->validate == NULL ? PLUMB_OK : kind->validate(options, rows, cols);
}
