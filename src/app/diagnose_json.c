/*
 * What a diagnosis prints for machines: null where something is not available. Nothing in it
 * depends on the number of ranks.
 */
#include "app/command.h"
#include "app/diagnosing.h"
#include "app/options_json.h"

#include <math.h>
#include <string.h>

static const char *const direction_names[DIRECTION_VALUES] = {
    [DIRECTION_OBSERVED] = "observed",
    [DIRECTION_SIGNAL] = "signal",
    [DIRECTION_ECHO] = "echo",
    [DIRECTION_PLUG_SIGNAL] = "plug_in_signal",
    [DIRECTION_PLUG_ECHO] = "plug_in_echo",
    [DIRECTION_LAW] = "law",
    [DIRECTION_STRENGTH] = "strength",
    [DIRECTION_FROBENIUS] = "shrunk_frobenius",
    [DIRECTION_OPERATOR] = "shrunk_operator",
    [DIRECTION_NUCLEAR] = "shrunk_nuclear",
    [DIRECTION_HARD] = "shrunk_hard",
    [DIRECTION_HELD_OUT_SIGNAL] = "held_out_signal",
    [DIRECTION_HELD_OUT_ECHO] = "held_out_echo",
    [DIRECTION_HELD_OUT_ERROR] = "held_out_error",
};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *numbers(const double *values, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(array, number(values[i]));
    }
    return array;
}

/* The section of "section.name", made where it is not there yet. Returns the name. */
static const char *enter(json_t *object, const char *path, json_t **section)
{
    char name[64];
    const char *point = strchr(path, '.');
    snprintf(name, sizeof name, "%.*s", (int)(point - path), path);
    *section = json_object_get(object, name);
    if (*section == NULL) {
        json_object_set_new(object, name, json_object());
        *section = json_object_get(object, name);
    }
    return point + 1;
}

static json_t *directions_json(const finding *f)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < f->direction_count; i++) {
        json_t *direction = json_object();
        for (int j = 0; j < DIRECTION_VALUES; j++) {
            json_object_set_new(direction, direction_names[j],
                                number(f->directions[i * DIRECTION_VALUES + j]));
        }
        json_array_append_new(array, direction);
    }
    return array;
}

static json_t *reasons_json(const finding *f)
{
    json_t *array = json_array();
    for (int bit = 0; bit < REASON_COUNT; bit++) {
        if (finding_has(f, (finding_reason)(1 << bit))) {
            json_array_append_new(array, json_string(finding_reason_text(bit)));
        }
    }
    return array;
}

static void add_finding(json_t *object, const finding *f)
{
    json_t *section;
    for (int i = 0; i < FINDING_VALUES; i++) {
        if (finding_entries[i].name != NULL) {
            const char *name = enter(object, finding_entries[i].name, &section);
            json_object_set_new(section, name, number(f->values[i]));
        }
    }
    enter(object, "covariance.", &section);
    json_object_set_new(section, "eigenvalues", numbers(f->eigenvalues, f->eigenvalue_count));
    json_object_set_new(section, "noise_reduced", numbers(f->reduced, f->eigenvalue_count));
    json_object_set_new(object, "not_available", reasons_json(f));
    if (f->direction_count > 0) {
        json_object_set_new(object, "directions", directions_json(f));
    }
}

static json_t *parameter_json(const diagnosing *d, int index, const finding *f)
{
    const recorded_parameter *p = diagnosing_parameter(d, index);
    json_t *object = json_object();
    json_object_set_new(object, "name", json_text(p->name));
    json_object_set_new(object, "rows", json_integer((json_int_t)p->rows));
    json_object_set_new(object, "cols", json_integer((json_int_t)p->cols));
    add_finding(object, f);
    return object;
}

void diagnose_json_add_parameter(const diagnosing *d, json_t *line, int index, const finding *f)
{
    json_t *array = json_object_get(line, "parameters");
    if (array == NULL) {
        array = json_array();
        json_object_set_new(line, "parameters", array);
    }
    json_array_append_new(array, parameter_json(d, index, f));
}

void diagnose_json_step(const diagnosing *d, json_t *line, int64_t step, const finding *total)
{
    (void)d;
    json_t *object = json_object();
    add_finding(object, total);
    json_object_set_new(line, "step", json_integer((json_int_t)step + 1));
    json_object_set_new(line, "total", object);
}

static json_t *effect_json(const diagnosing *d, const diagnose_conclusion *c)
{
    const plumb_batch_effect *e = &c->effect;
    json_t *object = json_object();
    json_object_set_new(object, "samples", number(d->total_samples));
    json_object_set_new(object, "steps_over_fewest", number(e->steps));
    json_object_set_new(object, "samples_over_fewest", number(e->examples));
    json_object_set_new(object, "best_rate_over_largest", number(e->rate));
    json_object_set_new(object, "temperature", number(e->temperature));
    json_object_set_new(object, "other_samples", number(c->other_samples));
    json_object_set_new(object, "linear_rate", number(e->linear_rate));
    json_object_set_new(object, "square_root_rate", number(e->square_root_rate));
    return object;
}

static json_t *advice_json(const plumb_advice *a)
{
    static const char *const limits[] = {"unknown", "bias", "variance", "neither"};
    json_t *object = json_object();
    json_object_set_new(object, "limit", json_string(limits[a->limit]));
    json_object_set_new(object, "samples", number(a->samples));
    json_object_set_new(object, "samples_error", number(a->samples_error));
    json_object_set_new(object, "text", json_text(a->text));
    return object;
}

static json_t *parameters_json(const diagnosing *d)
{
    json_t *array = json_array();
    for (int i = 0; i < d->parameter_count; i++) {
        const finding_average *a = &d->averages[i];
        json_t *object = parameter_json(d, i, &a->mean);
        if (a->mean.direction_count > 0) {
            json_object_set_new(object, "directions_of_step",
                                a->spectrum_step >= 0
                                    ? json_integer((json_int_t)a->spectrum_step + 1)
                                    : json_null());
        }
        json_array_append_new(array, object);
    }
    return array;
}

void diagnose_print_json(const diagnosing *d, const diagnose_conclusion *c)
{
    json_t *object = json_object();
    json_t *total = json_object();
    add_finding(total, &d->total.mean);
    json_object_set_new(object, "program", json_string("plumb diagnose"));
    json_object_set_new(object, "version", json_string(command_version()));
    json_object_set_new(object, "options", options_to_json(diagnose_option_table(), d->options));
    json_object_set_new(object, "micro_batches", json_integer((json_int_t)d->micro_batches));
    json_object_set_new(object, "groups", json_integer((json_int_t)d->groups));
    json_object_set_new(object, "samples", number(d->total_samples));
    json_object_set_new(object, "equal_samples", json_boolean(d->equal));
    json_object_set_new(object, "first_step", json_integer((json_int_t)d->first_step + 1));
    json_object_set_new(object, "last_step", json_integer((json_int_t)d->last_step + 1));
    json_object_set_new(object, "total", total);
    json_object_set_new(object, "batch", effect_json(d, c));
    json_object_set_new(object, "advice", advice_json(&c->advice));
    json_object_set_new(object, "parameters", parameters_json(d));
    json_object_set(object, "steps", d->steps);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(object);
}
