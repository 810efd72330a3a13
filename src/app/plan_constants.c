/*
 * The constants of the cost model as a file, so that they are measured once for a machine.
 */
#include "app/options_json.h"
#include "app/plan.h"

#include <inttypes.h>
#include <string.h>

static const char format_name[] = "plumb plan constants 1";

static const char *weights_word(int weights)
{
    return weights == PLUMB_WEIGHTS_ECHO ? "echo" : "none";
}

static const char *polar_word(int polar)
{
    static const char *const words[] = {"svd",  "newton-schulz", "polar-express",
                                        "fast", "exact",         "newton-schulz-symmetric"};
    return words[polar];
}

/* Name in the file, and where it lies. */
typedef struct entry {
    const char *name;
    size_t offset;
} entry;

#define AT(member) offsetof(plan_constants, member)
static const entry entries[] = {
    {"gradient_flops_per_second", AT(gradient_rate)},
    {"product_flops_per_second", AT(product_rate)},
    {"memory_bytes_per_second", AT(memory_bandwidth)},
    {"node_bytes_per_second", AT(node_bandwidth)},
    {"node_latency_seconds", AT(node_latency)},
    {"network_bytes_per_second", AT(network_bandwidth)},
    {"network_latency_seconds", AT(network_latency)},
    {"element_seconds", AT(element.constant)},
    {"element_seconds_per_group", AT(element.by_group)},
    {"product_seconds", AT(product.constant)},
    {"product_seconds_per_group", AT(product.by_group)},
    {"cube_seconds", AT(cube.constant)},
    {"cube_seconds_per_group", AT(cube.by_group)},
};

enum { ENTRIES = sizeof entries / sizeof entries[0], FIRST_COST = 7 };

json_t *plan_constants_json(const plan_options *o, const plan_constants *c)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "format", format_name, "optimizer",
                  update_optimizer_name((plumb_optimizer)o->update.optimizer), "polar",
                  polar_word(o->update.polar), "weights", weights_word(o->update.weights),
                  "correction", update_correction_name((plumb_correction)o->update.correction),
                  "cores_per_node", (json_int_t)c->cores);
    for (int i = 0; i < ENTRIES; i++) {
        double value;
        memcpy(&value, (const char *)c + entries[i].offset, sizeof value);
        json_object_set_new(object, entries[i].name, json_real(value));
    }
    return object;
}

int plan_constants_write(const plan_options *o, const plan_constants *c, failure *f)
{
    json_t *object = plan_constants_json(o, c);
    if (json_dump_file(object, o->measure, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0) {
        failure_set(f, EXIT_DATA, "cannot write %s", o->measure);
    }
    json_decref(object);
    return f->code;
}

static void check_word(const json_t *object, const char *file, const char *name, const char *word,
                       failure *f)
{
    const char *found = json_string_value(json_object_get(object, name));
    if (found == NULL || strcmp(found, word) != 0) {
        failure_set(f, EXIT_USAGE, "%s: %s is '%s', and the options say '%s'", file, name,
                    found != NULL ? found : "missing", word);
    }
}

static void take(const plan_options *o, const json_t *object, plan_constants *c, failure *f)
{
    for (int i = 0; i < ENTRIES; i++) {
        const json_t *number = json_object_get(object, entries[i].name);
        double value = json_number_value(number);
        if (!json_is_number(number) || value < 0.0 || (i < FIRST_COST && value <= 0.0)) {
            failure_set(f, EXIT_DATA, "%s: %s is missing or not a number above 0", o->constants,
                        entries[i].name);
        }
        memcpy((char *)c + entries[i].offset, &value, sizeof value);
    }
    c->cores = json_integer_value(json_object_get(object, "cores_per_node"));
    if (c->cores < 1) {
        failure_set(f, EXIT_DATA, "%s: cores_per_node is missing or below 1", o->constants);
    }
}

int plan_constants_read(const plan_options *o, plan_constants *c, failure *f)
{
    json_error_t error;
    json_t *object = json_load_file(o->constants, 0, &error);
    if (object == NULL) {
        return failure_set(f, EXIT_DATA, "cannot read %s: %s", o->constants, error.text);
    }
    const update_options *u = &o->update;
    check_word(object, o->constants, "format", format_name, f);
    check_word(object, o->constants, "optimizer",
               update_optimizer_name((plumb_optimizer)u->optimizer), f);
    check_word(object, o->constants, "correction",
               update_correction_name((plumb_correction)u->correction), f);
    if (u->optimizer == PLUMB_OPTIMIZER_MUON) {
        check_word(object, o->constants, "polar", polar_word(u->polar), f);
        check_word(object, o->constants, "weights", weights_word(u->weights), f);
    }
    if (f->code == EXIT_OK) {
        take(o, object, c, f);
    }
    json_decref(object);
    return f->code;
}
