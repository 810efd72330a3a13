/*
 * The bounds of every numeric option, in one table, which both plumb_option_bounds and the
 * library's own checks read.
 */
#include "optim/bounds.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "linalg/polar.h"

typedef struct named_bounds {
    const char *name;
    plumb_bounds bounds;
} named_bounds;

/*
 * Norms above 1e30 are beyond what polar factors promise. epsilon must stay a normal float, so that
 * 0 / epsilon is 0. 64-bit fields are compared as doubles, which count exactly up to 2^53.
 */
static const named_bounds table[] = {
    {"groups", {0, INT_MAX, 0, 0}},
    {"owners", {PLUMB_OWNERS_RANK0, PLUMB_OWNERS_SHARDED, 0, 0}},
    {"exchange", {PLUMB_EXCHANGE_TRANSPOSED, PLUMB_EXCHANGE_ALLREDUCE, 0, 0}},
    {"clip_norm", {0, 1e30, 0, 0}},
    {"nominal_samples", {1, 0x1p30, 0, 0}},
    {"bucket_elements", {0, 0x1p52, 0, 0}},
    {"chunk_elements", {0, INT_MAX, 0, 0}},
    {"average_weights", {PLUMB_AVERAGE_NONE, PLUMB_AVERAGE_TAIL, 0, 0}},
    {"average_beta", {0, 1, 0, 1}},
    {"average_from", {0, 0x1p52, 0, 0}},
    {"replica_check", {0, INT_MAX, 0, 0}},
    {"shared_memory", {0, 1, 0, 0}},
    {"spread_panels", {0, 1, 0, 0}},
    {"diagnostics", {PLUMB_DIAGNOSTICS_OFF, PLUMB_DIAGNOSTICS_FULL, 0, 0}},
    {"diagnostics_every", {1, INT_MAX, 0, 0}},
    {"population", {0, 0x1p60, 0, 0}},
    {"log_level", {PLUMB_LOG_WARNING, PLUMB_LOG_DEBUG, 0, 0}},
    {"optimizer", {PLUMB_OPTIMIZER_SGD, PLUMB_OPTIMIZER_NONE, 0, 0}},
    {"pipeline",
     {PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, 0, 0}},
    {"polar", {PLUMB_POLAR_SVD, PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC, 0, 0}},
    {"polar_steps", {0, POLAR_MAX_STEPS, 0, 0}},
    {"polar_delta", {0, 1, 0, 0}},
    {"learning_rate_factor", {0, 1e6, 0, 0}},
    {"beta1", {0, 1, 0, 1}},
    {"beta2", {0, 1, 0, 1}},
    {"epsilon", {1e-30, 1e6, 0, 0}},
    {"weight_decay", {0, 1e6, 0, 0}},
    {"nesterov", {0, 1, 0, 0}},
    {"correction", {PLUMB_CORRECTION_NONE, PLUMB_CORRECTION_PAPER_DIAGONAL, 0, 0}},
    {"noise_floor", {0, 1, 0, 0}},
    {"folds", {0, INT_MAX, 0, 0}},
    {"paper_mixing", {0, 1, 0, 0}},
    {"paper_support_clip", {0, 1e30, 0, 0}},
    {"rho", {0, 1e30, 0, 0}},
    {"clip", {0, 1e30, 1, 0}},
    {"curvature_interval", {1, INT_MAX, 0, 0}},
    {"exponent", {0.25, 0.5, 0, 0}},
    {"damping", {0, 1e30, 0, 0}},
    {"relative_damping", {0, 1, 0, 0}},
    {"root_interval", {1, INT_MAX, 0, 0}},
    {"root_failures", {0, INT_MAX, 0, 0}},
    {"root_method", {PLUMB_ROOT_EIGEN, PLUMB_ROOT_RATIONAL, 0, 0}},
    {"block_size", {1, 0x1p30, 0, 0}},
    {"grafting", {PLUMB_GRAFTING_NONE, PLUMB_GRAFTING_SGD, 0, 0}},
    {"bias_correction", {0, 1, 0, 0}},
    {"weights", {PLUMB_WEIGHTS_NONE, PLUMB_WEIGHTS_ECHO, 0, 0}},
    {"cost_seconds", {0, 1e30, 0, 0}},
};

/* NULL if no option has that name. */
static const plumb_bounds *find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i].bounds;
        }
    }
    return NULL;
}

plumb_status plumb_option_bounds(const char *name, plumb_bounds *bounds)
{
    REQUIRE(name != NULL && bounds != NULL, PLUMB_ERROR_ARGUMENT,
            "plumb_option_bounds: name and bounds may not be NULL");
    const plumb_bounds *found = find(name);
    REQUIRE(found != NULL, PLUMB_ERROR_ARGUMENT, "no option is called \"%.100s\"", name);
    *bounds = *found;
    return PLUMB_OK;
}

/* False for NaN. */
static int within(const plumb_bounds *bounds, double value)
{
    int above = bounds->lowest_excluded ? value > bounds->lowest : value >= bounds->lowest;
    int below = bounds->highest_excluded ? value < bounds->highest : value <= bounds->highest;
    return above && below;
}

plumb_status bounds_check(const char *name, double value)
{
    const plumb_bounds *bounds = find(name);
    REQUIRE(bounds != NULL, PLUMB_ERROR_INTERNAL, "no option is called \"%.100s\"", name);
    REQUIRE(within(bounds, value), PLUMB_ERROR_ARGUMENT, "%s is %g, must be in %c%g, %g%c", name,
            value, bounds->lowest_excluded ? '(' : '[', bounds->lowest, bounds->highest,
            bounds->highest_excluded ? ')' : ']');
    return PLUMB_OK;
}

plumb_status bounds_check_options(const plumb_options *options)
{
    plumb_options known;
    PROPAGATE(plumb_options_init(&known, sizeof known));
    REQUIRE(options->size == known.size && options->version == known.version, PLUMB_ERROR_ARGUMENT,
            "plumb_options were not made by plumb_options_init");
    PROPAGATE(bounds_check("groups", (double)options->groups));
    PROPAGATE(bounds_check("owners", (double)options->owners));
    PROPAGATE(bounds_check("exchange", (double)options->exchange));
    PROPAGATE(bounds_check("clip_norm", options->clip_norm));
    PROPAGATE(bounds_check("nominal_samples", options->nominal_samples));
    REQUIRE(options->nominal_samples == floor(options->nominal_samples), PLUMB_ERROR_ARGUMENT,
            "nominal_samples is %g, must be a whole number", options->nominal_samples);
    PROPAGATE(bounds_check("bucket_elements", (double)options->bucket_elements));
    PROPAGATE(bounds_check("chunk_elements", (double)options->chunk_elements));
    PROPAGATE(bounds_check("average_weights", (double)options->average_weights));
    PROPAGATE(bounds_check("average_beta", options->average_beta));
    PROPAGATE(bounds_check("average_from", (double)options->average_from));
    PROPAGATE(bounds_check("replica_check", (double)options->replica_check));
    PROPAGATE(bounds_check("shared_memory", (double)options->shared_memory));
    PROPAGATE(bounds_check("spread_panels", (double)options->spread_panels));
    PROPAGATE(bounds_check("diagnostics", (double)options->diagnostics));
    PROPAGATE(bounds_check("diagnostics_every", (double)options->diagnostics_every));
    PROPAGATE(bounds_check("population", options->population));
    return bounds_check("log_level", (double)options->log_level);
}

/* Of what Shampoo and SOAP decompose. */
static plumb_status bounds_check_roots(const plumb_parameter_options *options)
{
    PROPAGATE(bounds_check("exponent", options->exponent));
    REQUIRE(options->exponent == 0.25 || options->exponent == 0.5, PLUMB_ERROR_ARGUMENT,
            "exponent is %g, must be 0.25 or 0.5", options->exponent);
    PROPAGATE(bounds_check("damping", options->damping));
    PROPAGATE(bounds_check("relative_damping", options->relative_damping));
    PROPAGATE(bounds_check("root_interval", (double)options->root_interval));
    PROPAGATE(bounds_check("root_failures", (double)options->root_failures));
    PROPAGATE(bounds_check("root_method", (double)options->root_method));
    PROPAGATE(bounds_check("block_size", (double)options->block_size));
    PROPAGATE(bounds_check("grafting", (double)options->grafting));
    return bounds_check("bias_correction", (double)options->bias_correction);
}

plumb_status bounds_check_parameter_options(const plumb_parameter_options *options)
{
    PROPAGATE(bounds_check("optimizer", (double)options->optimizer));
    plumb_parameter_options known;
    PROPAGATE(plumb_parameter_options_init(&known, sizeof known, options->optimizer));
    REQUIRE(options->size == known.size && options->version == known.version, PLUMB_ERROR_ARGUMENT,
            "plumb_parameter_options were not made by plumb_parameter_options_init");
    PROPAGATE(bounds_check("pipeline", (double)options->pipeline));
    PROPAGATE(bounds_check("polar", (double)options->polar));
    PROPAGATE(bounds_check("polar_steps", (double)options->polar_steps));
    PROPAGATE(bounds_check("polar_delta", options->polar_delta));
    PROPAGATE(bounds_check("learning_rate_factor", options->learning_rate_factor));
    PROPAGATE(bounds_check("beta1", options->beta1));
    PROPAGATE(bounds_check("beta2", options->beta2));
    PROPAGATE(bounds_check("epsilon", options->epsilon));
    PROPAGATE(bounds_check("weight_decay", options->weight_decay));
    PROPAGATE(bounds_check("nesterov", (double)options->nesterov));
    PROPAGATE(bounds_check("correction", (double)options->correction));
    PROPAGATE(bounds_check("noise_floor", options->noise_floor));
    PROPAGATE(bounds_check("folds", (double)options->folds));
    PROPAGATE(bounds_check("paper_mixing", options->paper_mixing));
    PROPAGATE(bounds_check("paper_support_clip", options->paper_support_clip));
    PROPAGATE(bounds_check("rho", options->rho));
    PROPAGATE(bounds_check("clip", options->clip));
    PROPAGATE(bounds_check("curvature_interval", (double)options->curvature_interval));
    PROPAGATE(bounds_check("weights", (double)options->weights));
    PROPAGATE(bounds_check("cost_seconds", options->cost_seconds));
    return bounds_check_roots(options);
}
