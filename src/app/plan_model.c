/*
 * What is trained, as `plumb plan` sees it: shapes, from a file or from the gpt itself.
 */
#include "app/bench_side.h"
#include "app/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NORM_BLOCK = 4096, FLOPS_OF_ELEMENT = 6 };

static bool has_roots(const plumb_parameter_options *own, int64_t rows, int64_t cols)
{
    bool kind = own->optimizer == PLUMB_OPTIMIZER_MUON ||
                own->optimizer == PLUMB_OPTIMIZER_SHAMPOO || own->optimizer == PLUMB_OPTIMIZER_SOAP;
    return kind && rows > 1 && cols > 1;
}

static int add_shape(const plan_options *o, plan_model *m, int64_t rows, int64_t cols, bool matrix,
                     failure *f)
{
    plumb_parameter_options own;
    update_options_parameter(&o->update, matrix, &own);
    if (m->count == m->capacity) {
        int64_t capacity = 2 * m->capacity + 64;
        plan_shape *larger = realloc(m->shapes, (size_t)capacity * sizeof *larger);
        if (larger == NULL) {
            return failure_set(f, EXIT_LIBRARY, "no memory");
        }
        m->shapes = larger;
        m->capacity = capacity;
    }
    plan_shape *s = &m->shapes[m->count++];
    *s = (plan_shape){.rows = rows, .cols = cols, .matrix = matrix};
    s->by_groups = own.correction != PLUMB_CORRECTION_NONE || own.weights != PLUMB_WEIGHTS_NONE;
    s->roots = has_roots(&own, rows, cols);
    s->spread = own.optimizer == PLUMB_OPTIMIZER_MUON && own.polar == PLUMB_POLAR_FAST &&
                own.pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE && !s->by_groups &&
                (own.polar_delta == 0.0 || own.polar_delta >= 2.5e-3);
    int64_t elements = rows * cols;
    m->elements += elements;
    m->by_groups_elements += s->by_groups ? elements : 0;
    m->blocks += (elements + NORM_BLOCK - 1) / NORM_BLOCK;
    int64_t side = rows < cols ? rows : cols;
    if (s->roots && (double)side > m->widest) {
        m->widest = (double)side;
    }
    return f->code;
}

static int model_of_gpt(const plan_options *o, plan_model *m, failure *f)
{
    const workload_options options = {.layers = o->layers,
                                      .width = o->width,
                                      .heads = o->heads,
                                      .context = o->context,
                                      .micro_batch_size = o->micro_batch_size,
                                      .seed = 1};
    bench_side side;
    bench_side_create(&side, &options, f);
    for (int i = 0; f->code == EXIT_OK && i < side.workload->parameter_count; i++) {
        const workload_parameter *p = &side.workload->parameters[i];
        add_shape(o, m, p->rows, p->cols, p->role == WORKLOAD_MATRIX, f);
    }
    if (f->code == EXIT_OK) {
        m->flops = side.workload->flops_per_token * (double)(o->micro_batch_size * o->context);
    }
    bench_side_destroy(&side);
    return f->code;
}

/* "name rows cols optimizer"; "#" begins a comment. */
static int read_line(const plan_options *o, plan_model *m, char *line, int number, failure *f)
{
    char name[64], optimizer[64], rest[2];
    int64_t rows, cols;
    line[strcspn(line, "#\n")] = '\0';
    if (line[strspn(line, " \t\r")] == '\0') {
        return f->code;
    }
    int fields =
        sscanf(line, "%63s %" SCNd64 " %" SCNd64 " %63s %1s", name, &rows, &cols, optimizer, rest);
    bool whole = fields == 4 && rows > 0 && cols > 0 && rows <= INT32_MAX && cols <= INT32_MAX;
    const char *chosen = update_optimizer_name((plumb_optimizer)o->update.optimizer);
    if (!whole) {
        return failure_set(f, EXIT_DATA, "%s, line %d: expected 'name rows cols optimizer'",
                           o->shapes, number);
    }
    bool matrix = strcmp(optimizer, chosen) == 0;
    if (!matrix && strcmp(optimizer, "adamw") != 0) {
        return failure_set(f, EXIT_DATA,
                           "%s, line %d: optimizer '%s' is neither %s (--optimizer) nor adamw",
                           o->shapes, number, optimizer, chosen);
    }
    return add_shape(o, m, rows, cols, matrix, f);
}

static int model_of_file(const plan_options *o, plan_model *m, failure *f)
{
    FILE *file = fopen(o->shapes, "r");
    if (file == NULL) {
        return failure_set(f, EXIT_DATA, "cannot read %s: %s", o->shapes, strerror(errno));
    }
    char line[512];
    for (int number = 1; f->code == EXIT_OK && fgets(line, sizeof line, file) != NULL; number++) {
        read_line(o, m, line, number, f);
    }
    fclose(file);
    if (f->code == EXIT_OK && m->count == 0) {
        failure_set(f, EXIT_DATA, "%s has no shapes", o->shapes);
    }
    m->flops = FLOPS_OF_ELEMENT * (double)m->elements * (double)(o->micro_batch_size * o->context);
    return f->code;
}

int plan_model_make(const plan_options *o, plan_model *m, failure *f)
{
    *m = (plan_model){.count = 0};
    return o->shapes != NULL ? model_of_file(o, m, f) : model_of_gpt(o, m, f);
}

void plan_model_free(plan_model *m)
{
    free(m->shapes);
    *m = (plan_model){.count = 0};
}
