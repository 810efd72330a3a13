/*
 * `plumb plan`: what a training step would take on 1 to 100,000 ranks, by phase and owner map.
 */
#include "app/bench.h"
#include "app/command.h"
#include "app/plan.h"
#include "app/plan_bench.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 64, MOST_RANKS = 1000000, MAPS = 2 };

static const char *const map_names[MAPS] = {"rank0", "sharded"};

#define AT(member) offsetof(plan_options, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(word, field, word_unit, note, text)                                                   \
    {                                                                                              \
        .name = (word), .kind = OPTION_TEXT, .offset = AT(field), .unit = (word_unit),             \
        .initial_note = (note), .help = (text)                                                     \
    }
#define REAL(word, field, word_unit, note, most, text)                                             \
    {                                                                                              \
        .name = (word), .kind = OPTION_REAL, .offset = AT(field), .unit = (word_unit),             \
        .initial = "0", .initial_note = (note), .lowest = 0.0, .highest = (most), .help = (text)   \
    }

static const option model_entries[] = {
    TEXT("shapes", shapes, "FILE", "a gpt",
         "Lines 'name rows cols optimizer', the last word that of --optimizer or adamw."),
    BENCH_MODEL(plan_options, "128", "128"),
    BENCH_INTEGER(plan_options, "micro-batches", micro_batches, "K", "8", 1, 100000000,
                  "Micro-batches of a step, over all ranks (strong scaling); for more ranks than "
                  "K one a rank, the least that a step needs."),
    BENCH_INTEGER(plan_options, "micro-batches-per-rank", micro_batches_per_rank, "N", "0", 0,
                  100000, "Above 0: K is N times the ranks (weak scaling)."),
    REAL("gradient-seconds", gradient_seconds, "S", "0: from the constants", 1e6,
         "One rank's seconds for the gradient of one micro-batch."),
};

static const option machine_entries[] = {
    {.heading = "Machine",
     .name = "ranks",
     .kind = OPTION_TEXT,
     .offset = AT(ranks),
     .unit = "LIST",
     .initial = "1,2,4,8,16,32,64,128,256,512,1024,4096,16384,65536,100000",
     .help = "Numbers of ranks, up to 1000000 each."},
    BENCH_INTEGER(plan_options, "ranks-per-node", ranks_per_node, "N", "0", 0, 4096,
                  "0: one a core."),
    BENCH_INTEGER(plan_options, "cores-per-node", cores_per_node, "N", "0", 0, 4096,
                  "0: this machine's, or the constants'."),
    REAL("network-bandwidth", network_bandwidth, "GBIT", "0: measured between nodes, else 10", 1e5,
         "Of a node's card, each direction, in Gbit/s."),
    REAL("network-latency", network_latency, "US", "0: measured between nodes, else 20", 1e6,
         "Of a message between nodes, in microseconds."),
    REAL("overlap", overlap, "SHARE", "0", 1.0,
         "Share of the first leg that is hidden behind the gradients; plumb train reports it."),
    TEXT("constants", constants, "FILE", "measured now", "Constants that --measure wrote."),
    TEXT("measure", measure, "FILE", "not written",
         "Write the constants. Under mpirun -np 2 and more the exchange is measured too."),
    TEXT("bench", bench, "LIST", "none",
         "Files with commas between that plumb bench gpt, exchange or polar wrote with --json: "
         "what they tell goes before the other constants."),
    TEXT("plot", plot, "FILE", "not written", "Write columns for scripts/plot-plan."),
    BENCH_JSON(plan_options),
};

/* Options of updates that change what they cost. */
static const char *const costly[] = {"optimizer",   "polar",         "polar-delta", "correction",
                                     "noise-floor", "root-interval", "groups",      "weights"};

enum {
    ENTRY_COUNT = COUNT(model_entries) + COUNT(costly) + COUNT(machine_entries),
    ALL_ENTRIES = UPDATE_ENTRY_COUNT
};

static size_t all_update_entries(option *entries)
{
    size_t n = 0;
    for (int section = UPDATE_OPTIMIZER; section <= UPDATE_EXCHANGE; section++) {
        n += update_options_entries((update_section)section, entries + n, AT(update));
    }
    return n;
}

static size_t pick_costly(option *entries)
{
    option all[ALL_ENTRIES];
    size_t count = all_update_entries(all);
    for (size_t i = 0; i < COUNT(costly); i++) {
        for (size_t k = 0; k < count; k++) {
            if (strcmp(all[k].name, costly[i]) == 0) {
                entries[i] = all[k];
            }
        }
        entries[i].heading = i == 0 ? "Updates" : NULL;
        if (strcmp(costly[i], "groups") == 0) {
            entries[i].initial_note = "0: chosen, and printed";
            entries[i].help = "Groups of micro-batches, the unit of all statistics; must divide K.";
        }
    }
    return COUNT(costly);
}

static const option_table *plan_table(void)
{
    static option entries[ENTRY_COUNT];
    static const option_table table = {
        .options = entries,
        .count = ENTRY_COUNT,
        .usage = "[mpirun -np P] plumb plan [options]",
        .about =
            "Predicts the seconds of a training step by phase for both owner maps, from a cost\n"
            "model with constants measured on this machine (some seconds) or read from a file.\n"
            "Times are seconds, sizes bytes. The model knows no contention in the network and no\n"
            "stragglers: real steps are longer. docs/how-to/plan-a-run.md has the formulas.",
    };
    if (entries[0].name == NULL) {
        memcpy(entries, model_entries, sizeof model_entries);
        size_t n = COUNT(model_entries);
        n += pick_costly(entries + n);
        memcpy(entries + n, machine_entries, sizeof machine_entries);
    }
    return &table;
}

/* Every other option of updates: as plumb train has it. */
static int complete_update(plan_options *o, failure *f)
{
    option all[ALL_ENTRIES];
    const option_table table = {.options = all, .count = all_update_entries(all)};
    update_options given = o->update;
    options_set_defaults(&table, o);
    o->update.optimizer = given.optimizer;
    o->update.polar = given.polar;
    o->update.polar_delta = given.polar_delta;
    o->update.correction = given.correction;
    o->update.weights = given.weights;
    o->update.noise_floor = given.noise_floor;
    o->update.root_interval = given.root_interval;
    o->update.groups = given.groups;
    if (update_options_decide(&o->update, false, f) == EXIT_OK) {
        update_options_check(&o->update, f);
    }
    return f->code;
}

static int parse_ranks(const char *text, int64_t *list, failure *f)
{
    int count = 0;
    for (const char *at = text; count == 0 || *at == ','; count++) {
        char *end;
        at += count > 0;
        errno = 0;
        long long number = strtoll(at, &end, 10);
        if (end == at || number < 1 || number > MOST_RANKS || errno != 0 || count == MOST_ROWS ||
            (*end != ',' && *end != '\0')) {
            failure_set(f, EXIT_USAGE,
                        "--ranks '%s': expected up to %d numbers from 1 to %d such as 1,2,4", text,
                        MOST_ROWS, MOST_RANKS);
            return 0;
        }
        list[count] = number;
        at = end;
    }
    return count;
}

static int check(const void *options, failure *f)
{
    const plan_options *o = options;
    int64_t list[MOST_ROWS];
    plan_options complete = *o;
    parse_ranks(o->ranks, list, f);
    if (o->constants != NULL && o->measure != NULL) {
        failure_set(f, EXIT_USAGE, "--constants are not measured: no --measure beside it");
    }
    return complete_update(&complete, f);
}

typedef struct plan_result {
    int count;
    plan_step one; /* on one rank: what efficiency is against */
    plan_step rows[MOST_ROWS][MAPS];
    plan_constants constants;
    plan_model model;
    json_t *sources; /* of constants from --bench */
} plan_result;

static int best_map(const plan_result *p, int row)
{
    return p->rows[row][0].seconds < p->rows[row][1].seconds ? 0 : 1;
}

/* Micro-batches a second and rank, over those of one rank. */
static double efficiency(const plan_result *p, const plan_step *s)
{
    double alone = (double)p->one.micro_batches / p->one.seconds;
    return (double)s->micro_batches / s->seconds / (double)s->ranks / alone;
}

static void predict(const plan_options *o, plan_result *p, failure *f)
{
    int64_t list[MOST_ROWS];
    p->count = parse_ranks(o->ranks, list, f);
    plan_choose(o, &p->model, &p->constants, PLUMB_OWNERS_SHARDED, 1, &p->one, f);
    for (int i = 0; i < p->count && f->code == EXIT_OK; i++) {
        for (int map = 0; map < MAPS && f->code == EXIT_OK; map++) {
            plan_choose(o, &p->model, &p->constants, (plumb_owners)map, list[i], &p->rows[i][map],
                        f);
        }
    }
}

static void print_row(const plan_result *p, const plan_step *s, int map, bool best, FILE *stream)
{
    fprintf(stream,
            "%8" PRId64 " %-8s %8" PRId64
            " %6d %11.4e %11.4e %11.4e %11.4e %11.4e %11.4e %10.3f %11.4e %s\n",
            s->ranks, map_names[map], s->micro_batches, s->groups, s->seconds, s->gradient,
            s->first_leg, s->update, s->second_leg, s->agreement, efficiency(p, s),
            s->exchange_bytes, best ? "best" : "-");
}

static void print_table(const plan_result *p, FILE *stream)
{
    fprintf(stream, "%8s %-8s %8s %6s %11s %11s %11s %11s %11s %11s %10s %11s %s\n", "ranks",
            "owners", "K", "groups", "seconds", "gradient", "leg 1", "update", "leg 2", "agreement",
            "efficiency", "bytes", "map");
    for (int i = 0; i < p->count; i++) {
        for (int map = 0; map < MAPS; map++) {
            print_row(p, &p->rows[i][map], map, best_map(p, i) == map, stream);
        }
    }
}

/* Why these groups. */
static const char *groups_reason(const plan_options *o, const plan_result *p)
{
    return o->update.groups > 0 ? "as --groups says"
           : p->model.by_groups_elements > 0
               ? "the most, up to 64, that cost at most 1 % more than the fastest"
               : "without a correction or echo weights every number costs the same: the largest "
                 "divisor up to 8";
}

/* What came from --bench. */
static void print_sources(const plan_result *p)
{
    for (size_t i = 0; i < json_array_size(p->sources); i++) {
        const json_t *source = json_array_get(p->sources, i);
        const json_t *names = json_object_get(source, "constants");
        printf("bench      %s:", json_string_value(json_object_get(source, "file")));
        for (size_t k = 0; k < json_array_size(names); k++) {
            printf("%s %s", k > 0 ? "," : "", json_string_value(json_array_get(names, k)));
        }
        printf("\n");
    }
}

static void print_text(const plan_options *o, const plan_result *p)
{
    const plan_constants *c = &p->constants;
    printf("model      %" PRId64 " parameters, %.4g flop a micro-batch\n", p->model.elements,
           p->model.flops);
    printf("rates      gradient %.4g flop/s, sgemm %.4g flop/s, %" PRId64 " cores a node\n",
           c->gradient_rate, c->product_rate, c->cores);
    printf("links      node %.4g bytes/s, %.3g s; network %.4g bytes/s, %.3g s\n",
           c->node_bandwidth, c->node_latency,
           o->network_bandwidth > 0.0 ? o->network_bandwidth * 1e9 / 8.0 : c->network_bandwidth,
           o->network_latency > 0.0 ? o->network_latency * 1e-6 : c->network_latency);
    int64_t per_node = plan_ranks_per_node(o, c), cores = plan_cores(o, c);
    if (per_node > cores) {
        printf("warning    %" PRId64 " ranks a node share %" PRId64
               " cores: --cores-per-node says how many there are\n",
               per_node, cores);
    }
    print_sources(p);
    printf("groups     %s\n\nseconds a step of K micro-batches\n", groups_reason(o, p));
    print_table(p, stdout);
}

static json_t *step_json(const plan_result *p, int row, int map)
{
    const plan_step *s = &p->rows[row][map];
    return json_pack(
        "{s:I, s:s, s:I, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b}", "ranks",
        (json_int_t)s->ranks, "owners", map_names[map], "nodes", (json_int_t)s->nodes,
        "micro_batches", (json_int_t)s->micro_batches, "groups", s->groups, "seconds", s->seconds,
        "gradient_seconds", s->gradient, "first_leg_seconds", s->first_leg, "update_seconds",
        s->update, "second_leg_seconds", s->second_leg, "agreement_seconds", s->agreement,
        "imbalance", s->imbalance, "efficiency", efficiency(p, s), "exchange_bytes",
        s->exchange_bytes, "first_leg_ratio", s->first_leg_ratio, "best", best_map(p, row) == map);
}

static void print_json(const plan_options *o, const plan_result *p)
{
    json_t *rows = json_array();
    for (int i = 0; i < p->count; i++) {
        for (int map = 0; map < MAPS; map++) {
            json_array_append_new(rows, step_json(p, i, map));
        }
    }
    bench_print_json(json_pack(
        "{s:s, s:I, s:f, s:s, s:I, s:I, s:s, s:o, s:O, s:o}", "command", "plan", "parameters",
        (json_int_t)p->model.elements, "flops_per_micro_batch", p->model.flops, "scaling",
        o->micro_batches_per_rank > 0 ? "weak" : "strong", "ranks_per_node",
        (json_int_t)plan_ranks_per_node(o, &p->constants), "cores_per_node",
        (json_int_t)plan_cores(o, &p->constants), "groups_reason", groups_reason(o, p), "constants",
        plan_constants_json(o, &p->constants), "sources", p->sources, "rows", rows));
}

static int write_plot(const plan_options *o, const plan_result *p, failure *f)
{
    FILE *file = fopen(o->plot, "w");
    if (file == NULL) {
        return failure_set(f, EXIT_DATA, "cannot write %s: %s", o->plot, strerror(errno));
    }
    fprintf(file, "# plumb plan, seconds a step\n# ");
    print_table(p, file);
    /* An error on the way leaves nothing for fclose to fail at. */
    int lost = ferror(file);
    if (fclose(file) != 0 || lost) {
        failure_set(f, EXIT_DATA, "cannot write %s: %s", o->plot, strerror(errno));
    }
    return f->code;
}

static void deliver(const plan_options *o, plan_result *p, failure *f)
{
    predict(o, p, f);
    if (f->code == EXIT_OK && o->measure != NULL) {
        plan_constants_write(o, &p->constants, f);
    }
    if (f->code == EXIT_OK && o->plot != NULL) {
        write_plot(o, p, f);
    }
    if (f->code == EXIT_OK) {
        (o->json ? print_json : print_text)(o, p);
    }
}

static void run(const ranks *r, const void *options, failure *f)
{
    plan_options o = *(const plan_options *)options;
    plan_result *p = calloc(1, sizeof *p);
    if (p == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    } else if (complete_update(&o, f) == EXIT_OK) {
        plan_model_make(&o, &p->model, f);
    }
    if (ranks_agree(r, f) == EXIT_OK && p != NULL) {
        if (o.constants != NULL && r->rank == 0) {
            plan_constants_read(&o, &p->constants, f);
        } else if (o.constants == NULL) {
            plan_measure(r, &o, &p->model, &p->constants, f);
        }
        if (r->rank == 0 && f->code == EXIT_OK &&
            plan_bench_read(&o, o.bench, &p->constants, &p->sources, f) == EXIT_OK) {
            deliver(&o, p, f);
        }
        ranks_agree(r, f);
    }
    if (p != NULL) {
        plan_model_free(&p->model);
        json_decref(p->sources);
    }
    free(p);
}

int plan_command(int argc, char **argv)
{
    plan_options options;
    const command_task task = {"plan", plan_table(), &options, check, run};
    return command_run(&task, argc - 2, argv + 2, argv);
}
