/*
 * `plumb claims [NAME...]`: what the sources say, measured by Monte Carlo through the library's
 * public interface, beside what the source and the theory predict. `plumb claims correction` has a
 * table of estimators; the other topics have verdicts on statements.
 */
#include "app/claims_covariance.h"
#include "app/claims_hessian.h"
#include "app/claims_run.h"
#include "app/command.h"
#include "app/options.h"

#include <stdlib.h>
#include <string.h>

typedef struct claims_options {
    const char *names; /* joined by commas; NULL: none */
    bool quick, json;
    int64_t seed;
    int only; /* 0: all, else index into `only_words` */
    int progress;
    const char *images; /* a folder; NULL: none */
} claims_options;

static const char *const only_words[] = {"all", "adamw", "curvature", "roots", "shampoo", NULL};

#define AT(member) offsetof(claims_options, member)

static const option entries[] = {
    {.name = "names",
     .kind = OPTION_TEXT,
     .offset = AT(names),
     .unit = "NAME,...",
     .initial_note = "orthogonal, echo and covariance; --names may be left out",
     .help =
         "What is measured: topics (correction, orthogonal, echo, covariance), single claims of "
         "them (claim1 to claim8), or all."},
    {.name = "only",
     .kind = OPTION_CHOICE,
     .offset = AT(only),
     .initial = "all",
     .choices = only_words,
     .help = "Of correction: measure one subject alone."},
    {.name = "quick",
     .kind = OPTION_FLAG,
     .offset = AT(quick),
     .help = "A small part of the repetitions, and no verdicts."},
    {.name = "seed",
     .kind = OPTION_INTEGER,
     .offset = AT(seed),
     .unit = "N",
     .initial = "1",
     .lowest = 0,
     .highest = 9e15,
     .help = "Key of all random numbers."},
    {.name = "images",
     .kind = OPTION_TEXT,
     .offset = AT(images),
     .unit = "FOLDER",
     .initial_note = "drawn data",
     .help =
         "Of hessian: measure it on the images of four IDX files, as the mlp reads them, pooled "
         "to half their sides."},
    {.name = "progress",
     .kind = OPTION_CHOICE,
     .offset = AT(progress),
     .initial = "auto",
     .choices = progress_modes,
     .help = "On standard error. auto: if rank 0's standard error is a terminal."},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = AT(json),
     .help = "Print JSON in place of text; of correction, numbers are fractions there."},
};

enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

static const option_table table = {
    .options = entries,
    .count = ENTRY_COUNT,
    .usage = "[mpirun -np P] plumb claims [NAME...] [options]",
    .about =
        "Measures by Monte Carlo what the sources claim, beside what they and theory predict.\n"
        "correction: the bias of every correction, as a fraction of the target. orthogonal: the\n"
        "eight claims on orthogonalised gradients. echo: the echo law and its draft. covariance:\n"
        "gradient covariance, noise scale and scaling rules. Of the last three every claim gets a\n"
        "verdict by its measured numbers: holds, holds as corrected, false as stated. The same\n"
        "numbers for every number of ranks. Exit code 1 if a goal was missed: a correction with\n"
        "too much bias, or a claim whose corrected statement the measurement contradicts or\n"
        "cannot decide. correction takes half a minute on two cores, the rest three minutes.",
    .argument = "names",
};

static bool is_correction(const claims_options *o)
{
    return o->names != NULL && strcmp(o->names, claims_topics[0].name) == 0;
}

/* The next name of the list into name[size]; NULL at its end. */
static const char *next_name(const char *list, char *name, size_t size)
{
    size_t length = strcspn(list, ",");
    if (*list == '\0') {
        return NULL;
    }
    snprintf(name, size, "%.*s", (int)length, list);
    return list + length + (list[length] == ',');
}

static bool subject_wanted(const claims_options *o, const char *name, const claims_topic *topic,
                           const claims_subject *subject)
{
    if (is_correction(o)) {
        return topic == claims_topics &&
               (o->only == 0 || strcmp(only_words[o->only], subject->name) == 0);
    }
    return topic != claims_topics && (strcmp(name, "all") == 0 || strcmp(name, topic->name) == 0 ||
                                      strcmp(name, subject->name) == 0);
}

/* Adds what a name stands for; false if it stands for nothing. `run` may be NULL. */
static bool select_name(const claims_options *o, const char *name, claims_run *run)
{
    bool found = strcmp(name, "all") == 0;
    for (const claims_topic *topic = claims_topics; topic->name != NULL; topic++) {
        found = found || (topic != claims_topics && strcmp(name, topic->name) == 0);
        for (int i = 0; topic->subjects[i] != NULL; i++) {
            if (subject_wanted(o, name, topic, topic->subjects[i])) {
                found = true;
                if (run != NULL) {
                    claims_run_add(run, topic->name, topic->subjects[i]);
                }
            }
        }
    }
    return found;
}

static void print_table(const claims_options *o, const claims_table *result)
{
    if (!o->json) {
        claims_table_print(result);
        printf(
            "\nPredicted: to second order; of paper-* modes that take a half of the groups for the "
            "second\nmoment, how that changes the target. Goals: of adamw, 5 %% of |inversion| + "
            "|coupling| as\npredicted, with a standard error of 1 %%; of roots, 15 %% of the plain "
            "bias, with one of 2 %%.\n");
        return;
    }
    json_t *object =
        json_pack("{s:s, s:I, s:b, s:i, s:i, s:o}", "claims", o->names, "seed", (json_int_t)o->seed,
                  "quick", o->quick, "goals", claims_table_goals(result), "missed",
                  claims_table_missed(result), "rows", claims_table_json(result));
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

static void report(const claims_options *o, const claims_run *run, failure *f)
{
    claims_table result = {.judged = !o->quick};
    claims_run_report(run, &result);
    if (run->ranks->rank == 0) {
        print_table(o, &result);
    }
    int missed = claims_table_missed(&result);
    if (missed > 0) {
        failure_set(f, EXIT_GOAL, "%d of %d goals missed", missed, claims_table_goals(&result));
    }
}

static void print_findings(const claims_options *o, const claims_findings *findings)
{
    if (!o->json) {
        claims_findings_print(findings);
        return;
    }
    json_t *object = json_pack(
        "{s:s, s:I, s:b, s:i, s:i, s:o}", "claims", o->names != NULL ? o->names : "all", "seed",
        (json_int_t)o->seed, "quick", o->quick, "goals", claims_findings_goals(findings), "missed",
        claims_findings_missed(findings), "verdicts", claims_findings_json(findings));
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

static void conclude(const claims_options *o, const claims_run *run, failure *f)
{
    claims_findings *findings = calloc(1, sizeof *findings);
    if (findings == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return;
    }
    findings->judged = !o->quick;
    claims_run_conclude(run, findings, f);
    if (run->ranks->rank == 0 && f->code == EXIT_OK) {
        print_findings(o, findings);
    }
    int missed = claims_findings_missed(findings);
    if (missed > 0) {
        failure_set(f, EXIT_GOAL, "%d of %d claims contradict the theory or are undecided", missed,
                    claims_findings_goals(findings));
    }
    free(findings);
}

/* Where the claim is among those of the run; -1: nowhere. */
static int hessian_of(const claims_run *run)
{
    int place = run->count - 1;
    while (place >= 0 && run->subjects[place] != &claims_hessian) {
        place--;
    }
    return place;
}

static void read_images(const claims_options *o, claims_images *images, failure *f)
{
    if (claims_images_read(o->images, images, f) == EXIT_OK && images->count < PERCEPTRON_IMAGES) {
        failure_set(f, EXIT_DATA, "%s: %d images needed, %d found", o->images, PERCEPTRON_IMAGES,
                    (int)images->count);
    }
}

static void measure(const ranks *r, const void *options, failure *f)
{
    const claims_options *o = options;
    claims_run run = {.ranks = r,
                      .seed = (uint64_t)o->seed,
                      .quick = o->quick,
                      .progress_mode = (progress_mode)o->progress};
    char name[64];
    const char *rest = o->names != NULL ? o->names : "all";
    while ((rest = next_name(rest, name, sizeof name)) != NULL) {
        select_name(o, name, &run);
    }
    claims_images images = {.count = 0};
    claims_subject on_images = claims_hessian_on(&images);
    if (o->images != NULL) {
        read_images(o, &images, f);
        run.subjects[hessian_of(&run)] = &on_images;
    }
    if (ranks_agree(r, f) == EXIT_OK && claims_run_measure(&run, f) == EXIT_OK) {
        if (is_correction(o)) {
            report(o, &run, f);
        } else {
            conclude(o, &run, f);
        }
    }
    claims_run_free(&run);
    claims_images_free(&images);
}

static int check(const void *options, failure *f)
{
    const claims_options *o = options;
    char name[64];
    const char *rest = o->names != NULL ? o->names : "all";
    claims_run chosen = {.count = 0};
    if (is_correction(o)) {
        return o->images == NULL
                   ? EXIT_OK
                   : failure_set(f, EXIT_USAGE, "--images belongs to plumb claims hessian");
    }
    while ((rest = next_name(rest, name, sizeof name)) != NULL) {
        if (strcmp(name, claims_topics[0].name) == 0) {
            return failure_set(f, EXIT_USAGE, "correction has a table of its own: give it alone");
        }
        if (!select_name(o, name, &chosen)) {
            return failure_set(f, EXIT_USAGE,
                               "no claims about '%s'; there are correction, orthogonal, claim1 to "
                               "claim8, echo, covariance, all",
                               name);
        }
    }
    if (o->names != NULL && o->names[0] == '\0') {
        return failure_set(f, EXIT_USAGE, "which claims?");
    }
    if (o->images != NULL && hessian_of(&chosen) < 0) {
        return failure_set(f, EXIT_USAGE, "--images belongs to plumb claims hessian");
    }
    if (o->only != 0) {
        return failure_set(f, EXIT_USAGE, "--only belongs to plumb claims correction");
    }
    return EXIT_OK;
}

/* Names before the first option become one, so that `claims echo claim3` needs no commas.
 * arguments[2 + count]: how many of them were joined into joined[size]. */
static int join_names(int count, char **arguments, char *joined, size_t size)
{
    int names = 0;
    size_t length = 0;
    while (names < count && arguments[names][0] != '-') {
        int written = snprintf(joined + length, size - length, "%s%s", names > 0 ? "," : "",
                               arguments[names]);
        length += (size_t)written < size - length ? (size_t)written : size - length - 1;
        names++;
    }
    return names;
}

int claims_command(int argc, char **argv)
{
    static char joined[1024]; /* outlives the options that point to it */
    claims_options options;
    const command_task task = {"claims", &table, &options, check, measure};
    int names = join_names(argc - 2, argv + 2, joined, sizeof joined);
    if (names < 2) {
        return command_run(&task, argc - 2, argv + 2, argv);
    }
    char **rest = argv + 1 + names; /* the last name's place takes all of them */
    char *last = rest[0];
    rest[0] = joined;
    char **all = calloc((size_t)argc + 1, sizeof *all);
    if (all == NULL) {
        return EXIT_LIBRARY;
    }
    memcpy(all, argv, (size_t)argc * sizeof *all);
    all[1 + names] = last;
    int code = command_run(&task, argc - 1 - names, rest, all);
    free(all);
    return code;
}
