/*
 * `plumb diagnose`: what recorded gradients tell about bias, variance and the batch. Every step of
 * the file is looked at parameter by parameter: these are dealt to the ranks by their cost, each
 * is measured by one rank alone, and all ranks then hold all findings and add them up in the same
 * order. So the numbers do not depend on how many ranks there are.
 */
#include "app/blas_restart.h"
#include "app/command.h"
#include "app/diagnosing.h"
#include "app/stop_signal.h"

#include <inttypes.h>
#include <stdlib.h>

/* Doubles of findings that are handed around at once. */
static const int64_t most_chunk = (int64_t)1 << 23;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Floating-point operations, roughly: reading and the Gram matrix, decompositions. */
static double cost(const diagnosing *d, int index)
{
    const recorded_parameter *p = diagnosing_parameter(d, index);
    double elements = (double)p->rows * (double)p->cols;
    double reading =
        elements * (20.0 * (double)d->micro_batches + 2.0 * (double)d->groups * (double)d->groups);
    bool spectra = diagnosing_finding(d, index).direction_count > 0;
    return reading + (spectra
                          ? 60.0 * (double)d->groups * elements * (double)smaller(p->rows, p->cols)
                          : 0.0);
}

typedef struct dealt {
    int index;
    double cost;
} dealt;

static int by_cost(const void *a, const void *b)
{
    const dealt *x = a, *y = b;
    int order = (x->cost < y->cost) - (x->cost > y->cost);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* owners[count] of parameters from `first` on: the dearest first, each to the rank with least to
 * do. */
static bool deal(const diagnosing *d, int first, int count, int *owners)
{
    dealt *list = malloc((size_t)count * sizeof *list);
    double *load = calloc((size_t)d->ranks.count, sizeof *load);
    bool good = list != NULL && load != NULL;
    for (int i = 0; i < count && good; i++) {
        list[i] = (dealt){i, cost(d, first + i)};
    }
    if (good) {
        qsort(list, (size_t)count, sizeof *list, by_cost);
    }
    for (int i = 0; i < count && good; i++) {
        int least = 0;
        for (int rank = 1; rank < d->ranks.count; rank++) {
            least = load[rank] < load[least] ? rank : least;
        }
        load[least] += list[i].cost;
        owners[list[i].index] = least;
    }
    free(load);
    free(list);
    return good;
}

/* Adds what was found to the total, the averages and the report. */
static void take(diagnosing *d, int64_t step, int index, const finding *f, json_t *line)
{
    finding_total_add(&d->step_total, f);
    finding_average_add(d, &d->averages[index], step, f);
    if (d->ranks.rank == 0 && d->options->each_step) {
        if (line != NULL) {
            diagnose_json_add_parameter(d, line, index, f);
        } else {
            diagnose_print_step(d, step, index, f);
        }
    }
}

/* Parameters from `first` on whose findings fill a chunk, at least one. */
static int chunk_of(const diagnosing *d, int first, int64_t *length)
{
    int count = 0;
    *length = 0;
    while (first + count < d->parameter_count) {
        finding f = diagnosing_finding(d, first + count);
        int64_t more = finding_length(&f);
        if (count > 0 && *length + more > most_chunk) {
            break;
        }
        *length += more;
        count++;
    }
    return count;
}

/* Measures a rank's own parameters of a chunk into its rows, which are 0 elsewhere. */
static void measure(diagnosing *d, int64_t step, int first, int count, const int *owners,
                    double *rows)
{
    double *row = rows;
    for (int i = 0; i < count && d->failure.code == EXIT_OK; i++) {
        finding f = diagnosing_finding(d, first + i);
        int64_t length = finding_length(&f);
        if (owners[i] == d->ranks.rank) {
            finding_place(&f, row);
            finding_clear(&f);
            diagnose_parameter(d, first + i, step, &f);
            for (int64_t j = 0; j < length; j++) {
                row[j] += 0.0; /* as the sum over ranks: no -0 */
            }
        }
        row += length;
    }
}

static void measure_chunk(diagnosing *d, int64_t step, int first, int count, int64_t length,
                          json_t *line)
{
    double *rows = calloc((size_t)length, sizeof *rows);
    int *owners = calloc((size_t)count, sizeof *owners);
    if (rows == NULL || owners == NULL || !deal(d, first, count, owners)) {
        failure_set(&d->failure, EXIT_LIBRARY, "no memory for findings");
    } else {
        measure(d, step, first, count, owners, rows);
    }
    if (ranks_agree(&d->ranks, &d->failure) == EXIT_OK) {
        double *row = rows;
        ranks_add(&d->ranks, rows, length);
        for (int i = 0; i < count; i++) {
            finding f = diagnosing_finding(d, first + i);
            finding_place(&f, row);
            take(d, step, first + i, &f, line);
            row += finding_length(&f);
        }
    }
    free(owners);
    free(rows);
}

static void run_step(diagnosing *d, int64_t step)
{
    json_t *line = d->steps != NULL ? json_object() : NULL;
    int64_t length;
    finding_total_clear(&d->step_total);
    for (int first = 0; first < d->parameter_count && d->failure.code == EXIT_OK;) {
        int count = chunk_of(d, first, &length);
        measure_chunk(d, step, first, count, length, line);
        first += count;
    }
    if (d->failure.code == EXIT_OK) {
        finding_total_finish(d, &d->step_total);
        finding_average_add(d, &d->total, step, &d->step_total.f);
    }
    if (d->failure.code == EXIT_OK && line != NULL) {
        diagnose_json_step(d, line, step, &d->step_total.f);
        json_array_append(d->steps, line);
    } else if (d->failure.code == EXIT_OK && d->ranks.rank == 0 && d->options->each_step) {
        diagnose_print_step(d, step, -1, &d->step_total.f);
    }
    json_decref(line);
}

static void run_steps(diagnosing *d)
{
    for (int64_t step = d->first_step; step <= d->last_step; step++) {
        run_step(d, step);
        d->stop_signal = stop_signal_seen();
        ranks_agree_largest(&d->ranks, &d->failure, &d->stop_signal);
        if (d->stop_signal != 0) {
            failure_set(&d->failure, EXIT_INTERRUPTED + d->stop_signal, "stopped by a signal");
        }
        if (d->failure.code != EXIT_OK) {
            break;
        }
    }
    stop_signal_settle();
}

static void finish(diagnosing *d)
{
    diagnose_conclusion conclusion;
    for (int i = 0; i < d->parameter_count; i++) {
        finding_average_finish(d, &d->averages[i]);
    }
    finding_average_finish(d, &d->total);
    diagnose_conclude(d, &conclusion);
    if (ranks_agree(&d->ranks, &d->failure) != EXIT_OK || d->ranks.rank != 0) {
        return;
    }
    if (d->options->json) {
        diagnose_print_json(d, &conclusion);
    } else {
        diagnose_print_table(d, &conclusion);
    }
}

/* Each part agrees on its failures before it returns. */
static int diagnose(const diagnose_options *options, failure *f)
{
    static void (*const parts[])(diagnosing *) = {diagnosing_set_up, run_steps, finish};
    diagnosing d = {.options = options, .failure = *f};
    char *setup = options_text(diagnose_option_table(), "diagnose", options);
    if (ranks_start(&d.ranks, setup, &d.failure) == EXIT_OK) {
        stop_signal_watch();
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            if (d.failure.code == EXIT_OK) {
                parts[i](&d);
            }
        }
        diagnosing_take_down(&d);
    }
    free(setup);
    return ranks_finish(&d.ranks, &d.failure);
}

int diagnose_command(int argc, char **argv)
{
    diagnose_options options;
    bool help = false;
    failure f = {0, ""};
    diagnose_options_parse(&options, argc - 2, argv + 2, &help, &f);
    if (help) {
        FILE *stream = command_help_stream();
        if (stream != NULL) {
            options_help(diagnose_option_table(), stream);
            fprintf(stream, "\n%s", failure_exit_codes);
        }
        return EXIT_OK;
    }
    if (f.code == EXIT_OK) {
        blas_prepare(1, argv);
    }
    return diagnose(&options, &f);
}
