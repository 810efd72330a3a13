/*
 * What a replay prints: a line a step while it runs, or one JSON object at the end.
 */
#include "app/command.h"
#include "app/options_json.h"
#include "app/replaying.h"

#include <inttypes.h>

static void print_line(int64_t step, const plumb_report *report, const char *hash)
{
    if (report == NULL) {
        printf("%8s  %-14s  %-11s  %s\n", "step", "gradient norm", "clip factor",
               "parameters' hash");
        printf("%8" PRId64 "  %-14s  %-11s  %s\n", step, "-", "-", hash);
    } else {
        printf("%8" PRId64 "  %-14.8g  %-11.6g  %s\n", step, report->gradient_norm,
               report->clip_factor, hash);
    }
    fflush(stdout);
}

/* The numbers of the report that mean something with these options. */
static void add_report(const replaying *r, const plumb_report *report, json_t *line)
{
    const update_options *o = &r->options->update;
    json_object_set_new(line, "gradient_norm", json_real(report->gradient_norm));
    json_object_set_new(line, "clip_factor", json_real(report->clip_factor));
    if (o->correction != PLUMB_CORRECTION_NONE) {
        json_object_set_new(line, "correction_clipped", json_real(report->correction_clipped));
    }
    if (o->optimizer == PLUMB_OPTIMIZER_SOPHIA) {
        json_object_set_new(line, "unclipped", json_real(report->unclipped));
    }
    if (o->optimizer == PLUMB_OPTIMIZER_SHAMPOO || o->optimizer == PLUMB_OPTIMIZER_SOAP) {
        json_object_set_new(line, "roots_failed", json_integer(report->roots_failed));
    }
}

void replay_report_step(replaying *r, int64_t step, const plumb_report *report, const char *hash)
{
    if (!r->options->json) {
        print_line(step, report, hash);
        return;
    }
    json_t *line = json_pack("{s:I}", "step", (json_int_t)step);
    if (report != NULL) {
        add_report(r, report, line);
    }
    json_object_set_new(line, "parameters_hash", json_string(hash));
    json_array_append_new(r->steps, line);
}

static json_t *parameters_to_json(const replaying *r)
{
    const recorded_parameter *parameters = gradient_file_parameters(r->recorded);
    json_t *array = json_array();
    for (int i = 0; i < r->parameter_count; i++) {
        const recorded_parameter *p = &parameters[i];
        plumb_parameter_options o;
        update_options_parameter(&r->options->update, replaying_is_matrix(p), &o);
        double rate = r->options->update.learning_rate * o.learning_rate_factor;
        json_t *entry =
            json_pack("{s:I, s:I, s:s, s:s, s:f}", "rows", (json_int_t)p->rows, "cols",
                      (json_int_t)p->cols, "optimizer", update_optimizer_name(o.optimizer),
                      "correction", update_correction_name(o.correction), "learning_rate", rate);
        json_object_set_new(entry, "name", json_text(p->name));
        json_array_append_new(array, entry);
    }
    return array;
}

static void print_json(const replaying *r)
{
    int64_t micro_batches = gradient_file_micro_batches(r->recorded);
    json_t *object = json_object();
    json_object_set_new(object, "program", json_string("plumb replay"));
    json_object_set_new(object, "version", json_string(command_version()));
    json_object_set_new(object, "options", options_to_json(replay_option_table(), r->options));
    json_object_set_new(object, "ranks", json_integer(r->ranks.count));
    json_object_set_new(object, "micro_batches", json_integer(micro_batches));
    json_object_set_new(object, "parameters", parameters_to_json(r));
    json_object_set(object, "steps", r->steps);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(object);
}

void replay_report_end(const replaying *r)
{
    if (r->options->json) {
        print_json(r);
    } else {
        printf("values of %d parameter%s after %" PRId64 " steps: %s\n", r->parameter_count,
               r->parameter_count == 1 ? "" : "s", gradient_file_steps(r->recorded),
               r->options->out);
    }
}
