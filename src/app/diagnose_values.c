/*
 * Findings as rows of doubles: their names and rules, their layout, and what of the library's
 * structs goes where. See diagnosing.h.
 */
#include "app/diagnosing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const finding_entry finding_entries[FINDING_VALUES] = {
    [NOISE_SQUARED_NORM] = {"noise.squared_norm", AVERAGE_MEAN, TOTAL_NONE},
    [NOISE_SMALL_SQUARED_NORM] = {"noise.small_squared_norm", AVERAGE_MEAN, TOTAL_NONE},
    [NOISE_TRACE] = {"noise.trace", AVERAGE_OWN, TOTAL_NONE},
    [NOISE_TRACE_ERROR] = {"noise.trace_error", AVERAGE_OWN, TOTAL_NONE},
    [NOISE_SIGNAL] = {"noise.signal", AVERAGE_OWN, TOTAL_NONE},
    [NOISE_SIGNAL_ERROR] = {"noise.signal_error", AVERAGE_OWN, TOTAL_NONE},
    [NOISE_SCALE] = {"noise.scale", AVERAGE_OWN, TOTAL_NONE},
    [NOISE_SCALE_ERROR] = {"noise.scale_error", AVERAGE_OWN, TOTAL_NONE},
    [NOISE_PLATEAU] = {"noise.plateau", AVERAGE_OWN, TOTAL_NONE},
    [NORM_TEST] = {"noise.norm_test_samples", AVERAGE_OWN, TOTAL_NONE},
    [EIGENVALUE_SHARE] = {"covariance.largest_share", AVERAGE_OWN, TOTAL_NONE},
    [VARIANCE_MEAN] = {"variance.mean", AVERAGE_MEAN, TOTAL_NONE},
    [VARIANCE_PAIRWISE] = {"variance.pairwise", AVERAGE_MEAN, TOTAL_NONE},
    [NUCLEAR_SCALE] = {"nuclear.scale", AVERAGE_STRICT, TOTAL_NONE},
    [NUCLEAR_SCALE_ERROR] = {"nuclear.scale_error", AVERAGE_ERROR, TOTAL_NONE},
    [UPDATE_VARIANCE] = {"update.variance", AVERAGE_MEAN, TOTAL_SUM},
    [UPDATE_VARIANCE_ERROR] = {"update.variance_error", AVERAGE_ERROR, TOTAL_ROOT},
    [UPDATE_BIAS] = {"update.bias", AVERAGE_MEAN, TOTAL_SUM},
    [UPDATE_BIAS_ERROR] = {"update.bias_error", AVERAGE_ERROR, TOTAL_ROOT},
    [UPDATE_NORMAL_SHARE] = {"update.normal_share", AVERAGE_OWN, TOTAL_NONE},
    [UPDATE_NORMAL_BIAS] = {NULL, AVERAGE_MEAN, TOTAL_SUM},
    [UPDATE_STEP_BIAS] = {"update.step_bias", AVERAGE_MEAN, TOTAL_SUM},
    [UPDATE_STEP_VARIANCE] = {"update.step_variance", AVERAGE_MEAN, TOTAL_SUM},
    [UPDATE_RATIO] = {"update.ratio", AVERAGE_OWN, TOTAL_NONE},
    [UPDATE_RATIO_ERROR] = {"update.ratio_error", AVERAGE_OWN, TOTAL_NONE},
    [UPDATE_STREAMED_RATIO] = {"update.streamed_ratio", AVERAGE_OWN, TOTAL_NONE},
    [POLAR_BIAS] = {"expansion.squared_bias", AVERAGE_STRICT, TOTAL_SUM},
    [POLAR_TANGENT] = {"expansion.squared_tangent", AVERAGE_STRICT, TOTAL_SUM},
    [ISOTROPIC_BIAS] = {"isotropic.squared_bias", AVERAGE_STRICT, TOTAL_SUM},
    [ISOTROPIC_DISTANCE] = {"isotropic.squared_distance", AVERAGE_STRICT, TOTAL_SUM},
    [RICHARDSON] = {"richardson.norm", AVERAGE_MEAN, TOTAL_ROOT},
    [RICHARDSON_ALONG] = {"richardson.along_update", AVERAGE_MEAN, TOTAL_DIRECTIONS},
    [ECHO_MEAN] = {"echo.mean", AVERAGE_MEAN, TOTAL_DIRECTIONS},
    [ECHO_MEAN_SQUARE] = {"echo.mean_square", AVERAGE_MEAN, TOTAL_DIRECTIONS},
    [ECHO_DIRECTIONS] = {"echo.above_half", AVERAGE_MEAN, TOTAL_SUM},
    [ECHO_DIRECTIONS_OF] = {"echo.directions", AVERAGE_MEAN, TOTAL_SUM},
    [ECHO_THRESHOLD] = {"echo.threshold", AVERAGE_MEAN, TOTAL_NONE},
    [ECHO_EDGE] = {"echo.edge", AVERAGE_MEAN, TOTAL_NONE},
    [ECHO_GROUP_VARIANCE] = {"echo.group_variance", AVERAGE_MEAN, TOTAL_NONE},
    [FINDING_REASONS] = {NULL, AVERAGE_BITS, TOTAL_NONE},
};

static const char *const reason_texts[REASON_COUNT] = {
    "one gradient a step has no spread: nothing but its norm",
    "the gradients are zero",
    "the gradients of a step are all the same: no noise to measure",
    "a single row or column: no spectra of a matrix",
    "larger than --memory, or a short side above 4096: no spectra of the matrix",
    "groups differ in samples: no echo, and no bias of the update",
    "too few groups for the bias of the update: at least four",
    "a decomposition failed, or the mean has not full rank",
    "the signal is not above twice its error: noise scale undetermined",
    "the noise is too large for the expansion of the update's bias to second order",
};

const char *finding_reason_text(int bit)
{
    return reason_texts[bit];
}

int64_t finding_length(const finding *f)
{
    return FINDING_VALUES + 2 * f->eigenvalue_count + f->direction_count * DIRECTION_VALUES +
           f->gram_count * f->gram_count;
}

void finding_place(finding *f, double *row)
{
    f->values = row;
    f->eigenvalues = f->values + FINDING_VALUES;
    f->reduced = f->eigenvalues + f->eigenvalue_count;
    f->directions = f->reduced + f->eigenvalue_count;
    f->gram = f->directions + f->direction_count * DIRECTION_VALUES;
}

void finding_clear(finding *f)
{
    int64_t numbers = f->gram - f->values;
    for (int64_t i = 0; i < numbers; i++) {
        f->values[i] = NAN;
    }
    f->values[FINDING_REASONS] = 0.0;
    memset(f->gram, 0, (size_t)(f->gram_count * f->gram_count) * sizeof *f->gram);
}

bool finding_allocate(finding *f)
{
    double *row = malloc((size_t)finding_length(f) * sizeof *row);
    if (row == NULL) {
        f->values = NULL;
        return false;
    }
    finding_place(f, row);
    finding_clear(f);
    return true;
}

void finding_free(finding *f)
{
    free(f->values);
    f->values = NULL;
}

void finding_add_reason(finding *f, finding_reason reason)
{
    f->values[FINDING_REASONS] = (double)((int)f->values[FINDING_REASONS] | (int)reason);
}

bool finding_has(const finding *f, finding_reason reason)
{
    return ((int)f->values[FINDING_REASONS] & (int)reason) != 0;
}

void finding_set_noise(finding *f, const plumb_noise *n)
{
    double *v = f->values;
    v[NOISE_SQUARED_NORM] = n->squared_norm;
    v[NOISE_SMALL_SQUARED_NORM] = n->small_squared_norm;
    v[NOISE_TRACE] = n->trace;
    v[NOISE_TRACE_ERROR] = n->trace_error;
    v[NOISE_SIGNAL] = n->signal;
    v[NOISE_SIGNAL_ERROR] = n->signal_error;
    v[NOISE_SCALE] = n->scale;
    v[NOISE_SCALE_ERROR] = n->scale_error;
    v[NOISE_PLATEAU] = n->plateau;
}

void finding_set_norm_test(diagnosing *d, finding *f, const plumb_noise *n)
{
    double samples = NAN;
    if (!isnan(n->scale)) {
        plumb_status status = plumb_norm_test(n, d->options->theta, &samples);
        failure_from_library(&d->failure, status, NULL);
    }
    f->values[NORM_TEST] = samples;
}

plumb_noise finding_noise(const diagnosing *d, const finding *f)
{
    const double *v = f->values;
    return (plumb_noise){
        .size = sizeof(plumb_noise),
        .count = d->groups,
        .samples = d->total_samples,
        .squared_norm = v[NOISE_SQUARED_NORM],
        .small_squared_norm = v[NOISE_SMALL_SQUARED_NORM],
        .trace = v[NOISE_TRACE],
        .trace_error = v[NOISE_TRACE_ERROR],
        .signal = v[NOISE_SIGNAL],
        .signal_error = v[NOISE_SIGNAL_ERROR],
        .scale = v[NOISE_SCALE],
        .scale_error = v[NOISE_SCALE_ERROR],
        .plateau = v[NOISE_PLATEAU],
    };
}

void finding_set_update(finding *f, const plumb_update_noise *u)
{
    double *v = f->values;
    v[UPDATE_VARIANCE] = u->variance;
    v[UPDATE_VARIANCE_ERROR] = u->variance_error;
    v[UPDATE_BIAS] = u->bias;
    v[UPDATE_BIAS_ERROR] = u->bias_error;
    v[UPDATE_NORMAL_BIAS] = u->normal_share * u->bias;
    v[UPDATE_STEP_BIAS] = u->step_bias;
    v[UPDATE_STEP_VARIANCE] = u->step_variance;
    v[UPDATE_RATIO] = u->ratio;
    v[UPDATE_RATIO_ERROR] = u->ratio_error;
    v[UPDATE_STREAMED_RATIO] = u->streamed_ratio;
    finding_share_bias(f);
}

void finding_share_bias(finding *f)
{
    double *v = f->values;
    bool clear = v[UPDATE_BIAS] > 2.0 * v[UPDATE_BIAS_ERROR];
    double share = clear ? v[UPDATE_NORMAL_BIAS] / v[UPDATE_BIAS] : NAN;
    v[UPDATE_NORMAL_SHARE] = share < 1.1 ? share : NAN;
}

plumb_update_noise finding_update(const diagnosing *d, const finding *f)
{
    const double *v = f->values;
    return (plumb_update_noise){
        .size = sizeof(plumb_update_noise),
        .count = d->groups,
        .variance = v[UPDATE_VARIANCE],
        .variance_error = v[UPDATE_VARIANCE_ERROR],
        .bias = v[UPDATE_BIAS],
        .bias_error = v[UPDATE_BIAS_ERROR],
        .normal_share = v[UPDATE_NORMAL_SHARE],
        .step_bias = v[UPDATE_STEP_BIAS],
        .step_variance = v[UPDATE_STEP_VARIANCE],
        .ratio = v[UPDATE_RATIO],
        .ratio_error = v[UPDATE_RATIO_ERROR],
        .streamed_ratio = v[UPDATE_STREAMED_RATIO],
    };
}
