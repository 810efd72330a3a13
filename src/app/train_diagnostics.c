/*
 * Diagnoses of a run; see train_diagnostics.h.
 *
 * One step's noise scale is too noisy to act on: advice and the smoothed fields rest on averages
 * over steps. Trace and signal are averaged by the library; bias and variance of the update, which
 * only full steps have, are averaged here with the same forgetting, numerator and denominator each
 * for itself, since a mean of ratios would be biased.
 */
#include "app/train_diagnostics.h"
#include "app/train_config.h"

#include <math.h>
#include <stdlib.h>

/* Fraction kept at each step: about the last 20 steps count. */
static const double kept = 0.95;

/* The same over full diagnoses. */
typedef struct update_average {
    double weight;
    double bias, bias_squared_errors, variance; /* weighted sums */
    int64_t groups;
} update_average;

struct train_diagnostics {
    plumb_noise_average average;
    plumb_diagnosis last;  /* all parameters together, of the step before; step 0: none yet */
    int64_t micro_batches; /* of that step */
    update_average update;
};

void train_diagnostics_create(training *t)
{
    if (t->options->diagnostics == PLUMB_DIAGNOSTICS_OFF) {
        return;
    }
    train_diagnostics *d = calloc(1, sizeof *d);
    if (d == NULL) {
        failure_set(&t->failure, EXIT_LIBRARY, "no memory for diagnostics");
        return;
    }
    failure_from_library(&t->failure,
                         plumb_noise_average_init(&d->average, sizeof d->average, kept), NULL);
    t->diagnostics = d;
}

void train_diagnostics_free(training *t)
{
    free(t->diagnostics);
    t->diagnostics = NULL;
}

/* The pipeline's step is a mean of orthogonalised groups. */
static bool orthogonalises_first(int pipeline)
{
    return pipeline == PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE ||
           pipeline == PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE ||
           pipeline == PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM;
}

static bool is_orthogonalised(const training *t, int parameter)
{
    plumb_parameter_options o;
    train_config_parameter(t->options, &t->workload->parameters[parameter], &o);
    return o.optimizer == PLUMB_OPTIMIZER_MUON || orthogonalises_first((int)o.pipeline);
}

/* Bias and variance over all parameters that are orthogonalised: of the others it would tell what
 * does not happen to them. */
static plumb_update_noise sum_of_updates(const training *t)
{
    plumb_update_noise sum = {.size = sizeof sum};
    double squared_errors = 0.0;
    for (int i = 0; i < t->workload->parameter_count; i++) {
        plumb_diagnosis d = {.size = sizeof d};
        if (is_orthogonalised(t, i) && plumb_diagnose(t->plumb, t->ids[i], &d) == PLUMB_OK) {
            sum.count = d.update.count;
            sum.bias += d.update.bias;
            sum.variance += d.update.variance;
            squared_errors += d.update.bias_error * d.update.bias_error;
        }
    }
    sum.bias_error = sqrt(squared_errors);
    return sum;
}

static void add_update(update_average *a, const plumb_update_noise *update)
{
    double weight = 1.0 - kept;
    if (update->count < 1 || !isfinite(update->bias) || !isfinite(update->bias_error) ||
        !isfinite(update->variance)) {
        return;
    }
    a->weight = kept * a->weight + weight;
    a->bias = kept * a->bias + weight * update->bias;
    a->bias_squared_errors = kept * kept * a->bias_squared_errors +
                             weight * weight * update->bias_error * update->bias_error;
    a->variance = kept * a->variance + weight * update->variance;
    a->groups = update->count;
}

/* Of the diagnoses so far; without one all is NaN. */
static plumb_update_noise mean_update(const update_average *a)
{
    double n = (double)a->groups;
    double bias = a->bias / a->weight;
    double error = sqrt(a->bias_squared_errors) / a->weight;
    double variance = a->variance / a->weight;
    return (plumb_update_noise){.size = sizeof(plumb_update_noise),
                                .count = a->groups,
                                .variance = variance,
                                .variance_error = NAN,
                                .bias = bias,
                                .bias_error = error,
                                .normal_share = NAN,
                                .step_bias = bias / (n * n),
                                .step_variance = variance / n,
                                .ratio = bias / (n * variance),
                                .ratio_error = error / (n * variance),
                                .streamed_ratio = n * bias / variance};
}

void train_diagnostics_note(training *t, const plumb_report *report)
{
    train_diagnostics *d = t->diagnostics;
    plumb_diagnosis diagnosis = {.size = sizeof diagnosis};
    if (d == NULL) {
        return;
    }
    if (failure_from_library(&t->failure, plumb_diagnose(t->plumb, -1, &diagnosis), NULL) !=
            EXIT_OK ||
        diagnosis.step != report->step) {
        return;
    }
    d->last = diagnosis;
    d->micro_batches = report->micro_batches;
    bool full = diagnosis.full_step == diagnosis.step;
    /* Where owners do not form the mean gradient only the groups of a full step tell. */
    bool by_groups = isnan(diagnosis.noise.trace) && full;
    const plumb_noise *noise = by_groups ? &diagnosis.groups : &diagnosis.noise;
    failure_from_library(&t->failure, plumb_noise_average_add(&d->average, noise), NULL);
    if (full) {
        plumb_update_noise update = sum_of_updates(t);
        add_update(&d->update, &update);
    }
}

bool train_diagnostics_noise(const training *t, plumb_noise *noise)
{
    const train_diagnostics *d = t->diagnostics;
    *noise = (plumb_noise){.size = sizeof *noise};
    return d != NULL && d->last.step > 0 &&
           plumb_noise_average_result(&d->average, &d->last.noise, noise) == PLUMB_OK;
}

bool train_diagnostics_advise(const training *t, plumb_advice *advice)
{
    *advice = (plumb_advice){.size = sizeof *advice};
    const train_diagnostics *d = t->diagnostics;
    if (d == NULL) {
        return false;
    }
    bool diagnosed = d->last.step > 0;
    plumb_advice_input input = {.size = sizeof input,
                                .update = mean_update(&d->update),
                                .micro_batches = diagnosed ? d->micro_batches : t->micro_batches,
                                .groups = (int)train_options_groups(t->options),
                                .ranks = t->ranks.count,
                                .orthogonalises_first =
                                    orthogonalises_first(t->options->update.pipeline)};
    if (!train_diagnostics_noise(t, &input.noise)) {
        input.noise = (plumb_noise){.size = sizeof input.noise,
                                    .samples = NAN,
                                    .trace = NAN,
                                    .signal = NAN,
                                    .scale = NAN,
                                    .scale_error = NAN};
    }
    return plumb_advise(&input, advice) == PLUMB_OK;
}

const char *train_diagnostics_limit(plumb_limit limit)
{
    static const char *const words[] = {"unknown", "bias", "variance", "neither"};
    return words[limit];
}

static void set_number(json_t *object, const char *name, double value)
{
    json_object_set_new(object, name, isfinite(value) ? json_real(value) : json_null());
}

static void set_noise(json_t *object, const plumb_noise *noise)
{
    set_number(object, "noise_scale", noise->scale);
    set_number(object, "noise_scale_error", noise->scale_error);
    set_number(object, "noise_trace", noise->trace);
    set_number(object, "noise_trace_error", noise->trace_error);
    set_number(object, "signal", noise->signal);
    set_number(object, "signal_error", noise->signal_error);
    set_number(object, "plateau", noise->plateau);
}

/* Bias and variance are those of the step, the mean of n groups: their ratio is update_ratio. */
static void set_update(json_t *object, const plumb_update_noise *update)
{
    double n = (double)update->count;
    set_number(object, "update_bias", update->step_bias);
    set_number(object, "update_bias_error", update->bias_error / (n * n));
    set_number(object, "update_variance", update->step_variance);
    set_number(object, "update_variance_error", update->variance_error / n);
    set_number(object, "update_ratio", update->ratio);
    set_number(object, "update_ratio_error", update->ratio_error);
    set_number(object, "update_streamed_ratio", update->streamed_ratio);
}

static void set_full(json_t *object, const plumb_diagnosis *diagnosis)
{
    set_number(object, "group_noise_scale", diagnosis->groups.scale);
    set_number(object, "group_noise_scale_error", diagnosis->groups.scale_error);
    set_number(object, "top_eigenvalue", diagnosis->eigenvalue);
    set_number(object, "eigenvalue_share", diagnosis->eigenvalue_share);
    set_update(object, &diagnosis->update);
    set_number(object, "nuclear_noise_scale", diagnosis->nuclear_scale);
    set_number(object, "echo", diagnosis->echo);
    json_object_set_new(object, "directions", json_integer(diagnosis->directions));
    json_object_set_new(object, "directions_of", json_integer(diagnosis->directions_of));
}

static json_t *diagnosis_to_json(const plumb_diagnosis *diagnosis)
{
    json_t *object = json_object();
    set_noise(object, &diagnosis->noise);
    if (diagnosis->full_step == diagnosis->step) {
        set_full(object, diagnosis);
    }
    return object;
}

static void set_array(json_t *object, const char *name, const double *values, int64_t count)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < count; i++) {
        json_array_append_new(array, isfinite(values[i]) ? json_real(values[i]) : json_null());
    }
    json_object_set_new(object, name, array);
}

static void set_spectrum(json_t *object, const training *t, int parameter)
{
    const workload_parameter *p = &t->workload->parameters[parameter];
    int64_t capacity = p->rows < p->cols ? p->rows : p->cols;
    int64_t count = 0;
    double *values = calloc(3 * (size_t)capacity, sizeof *values);
    if (values != NULL &&
        plumb_diagnose_spectrum(t->plumb, t->ids[parameter], capacity, values, values + capacity,
                                values + 2 * capacity, &count) == PLUMB_OK &&
        count > 0) {
        count = count < capacity ? count : capacity;
        set_array(object, "observed", values, count);
        set_array(object, "signals", values + capacity, count);
        set_array(object, "echoes", values + 2 * capacity, count);
    }
    free(values);
}

static json_t *layers_to_json(const training *t)
{
    json_t *layers = json_object();
    for (int i = 0; i < t->workload->parameter_count; i++) {
        plumb_diagnosis diagnosis = {.size = sizeof diagnosis};
        if (plumb_diagnose(t->plumb, t->ids[i], &diagnosis) != PLUMB_OK) {
            continue;
        }
        json_t *object = diagnosis_to_json(&diagnosis);
        if (diagnosis.full_step == diagnosis.step) {
            set_spectrum(object, t, i);
        }
        json_object_set_new(layers, t->workload->parameters[i].name, object);
    }
    return layers;
}

/* Advice goes where a full diagnosis would, and to the end. */
static bool advice_is_due(const training *t, int64_t step)
{
    return (step - 1) % t->options->diagnostics_every == 0 || step == t->options->steps;
}

json_t *train_diagnostics_fields(const training *t, int64_t step)
{
    if (t->diagnostics == NULL) {
        return NULL;
    }
    plumb_noise noise;
    plumb_advice advice;
    bool averaged = train_diagnostics_noise(t, &noise);
    json_t *object = diagnosis_to_json(&t->diagnostics->last);
    set_number(object, "noise_scale_average", averaged ? noise.scale : NAN);
    set_number(object, "noise_scale_average_error", averaged ? noise.scale_error : NAN);
    if (t->options->diagnostics_layers) {
        json_object_set_new(object, "layers", layers_to_json(t));
    }
    if (advice_is_due(t, step) && train_diagnostics_advise(t, &advice)) {
        json_object_set_new(object, "limit", json_string(train_diagnostics_limit(advice.limit)));
        json_object_set_new(object, "advice", json_string(advice.text));
    }
    return object;
}
