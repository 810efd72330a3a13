/*
 * Before the first step of a diagnosis: the file is opened, the options are held against what it
 * has, and memory is provided. See diagnosing.h.
 */
#include "app/diagnosing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const recorded_parameter *diagnosing_parameter(const diagnosing *d, int index)
{
    return &gradient_file_parameters(d->recorded)[d->selected[index]];
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

finding diagnosing_finding(const diagnosing *d, int index)
{
    int64_t most = d->options->most > 0 ? d->options->most : INT64_MAX;
    finding f = {.gram_count = d->groups};
    f.eigenvalue_count = (int)smaller(most, d->groups - 1);
    if (index >= 0) {
        const recorded_parameter *p = diagnosing_parameter(d, index);
        int64_t shorter = smaller(p->rows, p->cols);
        bool spectra = diagnosing_fits(d, index) && shorter > 1 && shorter <= LONGEST_SHORT_SIDE;
        f.direction_count = spectra ? smaller(most, shorter) : 0;
    }
    return f;
}

bool diagnosing_fits(const diagnosing *d, int index)
{
    const recorded_parameter *p = diagnosing_parameter(d, index);
    double bytes = (double)d->groups * (double)p->rows * (double)p->cols * sizeof(float);
    return bytes <= (double)d->options->memory * 0x1p20;
}

static void open_recorded(diagnosing *d)
{
    shared_error e = {0, ""};
    gradient_file_open(&d->recorded, d->ranks.communicator, d->options->gradients, false, &e);
    if (e.kind != SHARED_OK) {
        failure_set(&d->failure, e.kind == SHARED_FILE ? EXIT_DATA : EXIT_LIBRARY, "%s", e.message);
    }
}

static int find_parameter(const diagnosing *d, const char *name, size_t length)
{
    const recorded_parameter *all = gradient_file_parameters(d->recorded);
    for (int i = 0; i < gradient_file_parameter_count(d->recorded); i++) {
        if (strlen(all[i].name) == length && memcmp(all[i].name, name, length) == 0) {
            return i;
        }
    }
    return -1;
}

/* The named ones, in the order of the file whatever the order of the names. */
static void mark_named(diagnosing *d, bool *wanted)
{
    const char *name = d->options->parameters;
    while (d->failure.code == EXIT_OK) {
        size_t length = strcspn(name, ",");
        int index = find_parameter(d, name, length);
        if (index < 0) {
            failure_set(&d->failure, EXIT_USAGE, "--parameters: %s has no parameter '%.*s'",
                        d->options->gradients, (int)length, name);
            return;
        }
        wanted[index] = true;
        if (name[length] == '\0') {
            return;
        }
        name += length + 1;
    }
}

static void select_parameters(diagnosing *d)
{
    int count = gradient_file_parameter_count(d->recorded);
    bool *wanted = calloc((size_t)count, sizeof *wanted);
    d->selected = calloc((size_t)count, sizeof *d->selected);
    if (wanted == NULL || d->selected == NULL) {
        failure_set(&d->failure, EXIT_LIBRARY, "no memory for the list of parameters");
    } else if (d->options->parameters != NULL) {
        mark_named(d, wanted);
    }
    for (int i = 0; i < count && d->failure.code == EXIT_OK; i++) {
        if (d->options->parameters == NULL || wanted[i]) {
            d->selected[d->parameter_count++] = i;
        }
    }
    free(wanted);
}

static void choose_steps(diagnosing *d)
{
    const diagnose_options *o = d->options;
    int64_t steps = gradient_file_steps(d->recorded);
    int64_t last = o->last_step > 0 ? o->last_step : steps;
    if (o->first_step > steps || last > steps) {
        failure_set(&d->failure, EXIT_USAGE, "--%s-step %" PRId64 ": %s has %" PRId64 " step%s",
                    o->first_step > steps ? "first" : "last",
                    o->first_step > steps ? o->first_step : last, o->gradients, steps,
                    steps == 1 ? "" : "s");
    }
    d->first_step = o->first_step - 1;
    d->last_step = last - 1;
}

/* The largest divisor of `number` that is at most `most` and at least 2; 0: none. */
static int64_t divisor(int64_t number, int64_t most)
{
    int64_t result = smaller(number, most);
    while (result > 1 && number % result != 0) {
        result--;
    }
    return result > 1 ? result : 0;
}

static void choose_groups(diagnosing *d)
{
    const int64_t usual = 512;
    int64_t k = gradient_file_micro_batches(d->recorded);
    d->micro_batches = k;
    d->groups = d->options->groups;
    if (d->groups == 0 && k > 1) {
        d->groups = divisor(k, usual) > 0 ? divisor(k, usual) : divisor(k, MOST_GROUPS);
        if (d->groups == 0) {
            failure_set(&d->failure, EXIT_USAGE,
                        "%s has %" PRId64 " micro-batches a step, more than %d and without a "
                        "divisor below: they cannot be merged to equal groups",
                        d->options->gradients, k, MOST_GROUPS);
        }
    }
    d->groups = k == 1 ? 1 : d->groups;
    if (d->groups > 0 && k % d->groups != 0) {
        failure_set(&d->failure, EXIT_USAGE,
                    "--groups %" PRId64 " does not divide the %" PRId64 " micro-batches of %s",
                    d->groups, k, d->options->gradients);
    }
}

static void choose_folds(diagnosing *d)
{
    const int64_t usual = 16;
    int64_t folds = d->options->folds;
    if (folds == 1 || (folds > 0 && d->groups % folds != 0)) {
        failure_set(&d->failure, EXIT_USAGE,
                    "--folds %" PRId64 " is no divisor of the %" PRId64 " groups, or is 1", folds,
                    d->groups);
    }
    d->folds = (int)(folds > 0 ? folds : divisor(d->groups, usual));
}

static void add_samples(diagnosing *d)
{
    const double *samples = gradient_file_samples(d->recorded);
    int64_t members = d->micro_batches / d->groups;
    d->samples = calloc((size_t)d->groups, sizeof *d->samples);
    d->equal = true;
    if (d->samples == NULL) {
        failure_set(&d->failure, EXIT_LIBRARY, "no memory for the samples of groups");
        return;
    }
    for (int64_t k = 0; k < d->micro_batches; k++) {
        d->samples[k / members] += samples[k];
        d->total_samples += samples[k];
    }
    for (int64_t g = 0; g < d->groups; g++) {
        d->equal = d->equal && d->samples[g] == d->samples[0];
    }
    double population = d->options->population;
    if (population > 0.0 && population < d->total_samples) {
        failure_set(&d->failure, EXIT_USAGE,
                    "--population %g is less than the %g samples of a step", population,
                    d->total_samples);
    }
}

static void choose(diagnosing *d)
{
    static void (*const parts[])(diagnosing *) = {select_parameters, choose_steps, choose_groups,
                                                  choose_folds, add_samples};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && d->failure.code == EXIT_OK; i++) {
        parts[i](d);
    }
    ranks_agree(&d->ranks, &d->failure);
}

/* Room for the largest parameter that fits, or for a stretch of those that do not. */
static void choose_memory(diagnosing *d)
{
    int64_t budget = d->options->memory << 18; /* floats */
    int64_t needed = 0;
    if (budget < d->groups * GRAM_BLOCK) {
        failure_set(&d->failure, EXIT_USAGE,
                    "--memory %" PRId64 " MiB holds no block of %d values of %" PRId64 " groups",
                    d->options->memory, GRAM_BLOCK, d->groups);
    }
    for (int i = 0; i < d->parameter_count; i++) {
        const recorded_parameter *p = diagnosing_parameter(d, i);
        int64_t wanted = diagnosing_fits(d, i)
                             ? d->groups * p->rows * p->cols
                             : smaller(budget, d->groups * (int64_t)STRETCH_ELEMENTS);
        needed = wanted > needed ? wanted : needed;
    }
    d->memory_elements = needed;
}

static void allocate(diagnosing *d)
{
    choose_memory(d);
    d->averages = calloc((size_t)d->parameter_count, sizeof *d->averages);
    d->memory = malloc((size_t)d->memory_elements * sizeof *d->memory);
    d->stretch = malloc(STRETCH_ELEMENTS * sizeof *d->stretch);
    d->sums = malloc(STRETCH_ELEMENTS * sizeof *d->sums);
    bool good = d->averages != NULL && d->memory != NULL && d->stretch != NULL && d->sums != NULL &&
                finding_total_allocate(d, &d->step_total) &&
                finding_average_start(&d->total, diagnosing_finding(d, -1));
    for (int i = 0; i < d->parameter_count && good; i++) {
        good = finding_average_start(&d->averages[i], diagnosing_finding(d, i));
    }
    if (!good) {
        failure_set(&d->failure, EXIT_LIBRARY, "no memory for gradients and findings");
    }
    d->steps = d->ranks.rank == 0 && d->options->json ? json_array() : NULL;
    ranks_agree(&d->ranks, &d->failure);
}

/* Each part agrees on its failures before it returns. */
void diagnosing_set_up(diagnosing *d)
{
    static void (*const parts[])(diagnosing *) = {open_recorded, choose, allocate};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (d->failure.code == EXIT_OK) {
            parts[i](d);
        }
    }
}

void diagnosing_take_down(diagnosing *d)
{
    gradient_file_close(&d->recorded);
    for (int i = 0; i < d->parameter_count && d->averages != NULL; i++) {
        finding_average_free(&d->averages[i]);
    }
    finding_average_free(&d->total);
    finding_total_free(&d->step_total);
    free(d->averages);
    free(d->memory);
    free(d->stretch);
    free(d->sums);
    free(d->samples);
    free(d->selected);
    json_decref(d->steps);
}
