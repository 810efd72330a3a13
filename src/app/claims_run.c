/*
 * Dealing units and adding what they measured; see claims_run.h.
 */
#include "app/claims_run.h"

#include <math.h>
#include <stdlib.h>

void claims_run_add(claims_run *run, const char *topic, const claims_subject *subject)
{
    for (int i = 0; i < run->count; i++) {
        if (run->subjects[i] == subject) {
            return;
        }
    }
    if (run->count < CLAIMS_MOST_SUBJECTS) {
        run->topics[run->count] = topic;
        run->subjects[run->count++] = subject;
    }
}

int claims_run_units(const claims_run *run, int subject)
{
    return run->quick ? run->subjects[subject]->quick_units : run->subjects[subject]->units;
}

static int64_t count_units(const claims_run *run)
{
    int64_t count = 0;
    for (int i = 0; i < run->count; i++) {
        count += claims_run_units(run, i);
    }
    return count;
}

static void show_progress(claims_run *run)
{
    double seconds = MPI_Wtime() - run->start;
    progress_show(&run->progress, run->done, NAN, (double)run->done / (seconds + 1e-9), seconds,
                  seconds);
}

/* This rank's units of the subject into its sums. */
static void run_units(claims_run *run, int number, failure *f)
{
    const claims_subject *subject = run->subjects[number];
    int units = claims_run_units(run, number);
    for (int unit = 0; unit < units; unit++) {
        bool mine = run->dealt++ % run->ranks->count == run->ranks->rank;
        if (mine && f->code == EXIT_OK) {
            subject->run(subject, run->seed, (uint32_t)unit,
                         run->sums[number] + unit * subject->width, f);
            run->done++;
            show_progress(run);
        }
    }
}

static bool allocate(claims_run *run)
{
    bool enough = true;
    for (int i = 0; i < run->count; i++) {
        int64_t size = claims_run_units(run, i) * run->subjects[i]->width;
        run->sums[i] = calloc((size_t)size, sizeof *run->sums[i]);
        enough = enough && run->sums[i] != NULL;
    }
    return enough;
}

int claims_run_measure(claims_run *run, failure *f)
{
    const ranks *r = run->ranks;
    int64_t mine = (count_units(run) + r->count - 1 - r->rank) / r->count;
    run->start = MPI_Wtime();
    progress_start(&run->progress, run->progress_mode, r->rank == 0, mine, "unit");
    if (!allocate(run)) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    for (int i = 0; i < run->count && f->code == EXIT_OK; i++) {
        run_units(run, i, f);
    }
    progress_clear(&run->progress);
    if (ranks_agree(r, f) == EXIT_OK) {
        for (int i = 0; i < run->count; i++) {
            ranks_add(r, run->sums[i], claims_run_units(run, i) * run->subjects[i]->width);
        }
    }
    return f->code;
}

/* All units of a subject, added in their order, into total[width], which may be sums. */
static void add_units(const claims_subject *subject, int units, const double *sums, double *total)
{
    for (int64_t i = 0; i < subject->width; i++) {
        double sum = 0.0;
        for (int unit = 0; unit < units; unit++) {
            sum += sums[unit * subject->width + i];
        }
        total[i] = sum;
    }
}

void claims_run_report(const claims_run *run, claims_table *table)
{
    for (int i = 0; i < run->count; i++) {
        const claims_subject *subject = run->subjects[i];
        int units = claims_run_units(run, i);
        add_units(subject, units, run->sums[i], run->sums[i]);
        subject->report(subject, run->sums[i], units, table);
    }
}

typedef struct jackknife {
    double *total, *rest;             /* sums[width]: of all units, and of all but one */
    double *all, *one, *sum, *square; /* values: of all, without one, and over those */
    claims_estimate *estimates;
} jackknife;

static void leave_out(const claims_subject *subject, int units, const double *unit, jackknife *j)
{
    for (int64_t i = 0; i < subject->width; i++) {
        j->rest[i] = j->total[i] - unit[i];
    }
    subject->evaluate(subject, j->rest, units - 1, j->one);
    for (int v = 0; v < subject->values; v++) {
        double difference = j->one[v] - j->all[v];
        j->sum[v] += difference;
        j->square[v] += difference * difference;
    }
}

/* Quenouille 1949: units e - (units - 1) mean of those without one; Tukey 1958: its error. */
static void estimate(const claims_subject *subject, int units, const double *sums, jackknife *j)
{
    double n = units;
    add_units(subject, units, sums, j->total);
    subject->evaluate(subject, j->total, units, j->all);
    for (int unit = 0; unit < units; unit++) {
        leave_out(subject, units, sums + unit * subject->width, j);
    }
    for (int v = 0; v < subject->values; v++) {
        double mean = j->sum[v] / n;
        double spread = fmax(j->square[v] / n - mean * mean, 0.0);
        j->estimates[v] = (claims_estimate){j->all[v] - (n - 1.0) * mean, sqrt((n - 1.0) * spread)};
    }
}

static void conclude(const claims_subject *subject, int units, const double *sums,
                     claims_findings *findings, failure *f)
{
    size_t width = (size_t)subject->width, values = (size_t)subject->values;
    jackknife j = {.total = calloc(2 * width + 4 * values, sizeof(double)),
                   .estimates = calloc(values, sizeof(claims_estimate))};
    if (j.total == NULL || j.estimates == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    } else {
        j.rest = j.total + width;
        j.all = j.rest + width;
        j.one = j.all + values;
        j.sum = j.one + values;
        j.square = j.sum + values;
        estimate(subject, units, sums, &j);
        subject->conclude(subject, j.estimates, findings);
    }
    free(j.total);
    free(j.estimates);
}

void claims_run_conclude(const claims_run *run, claims_findings *findings, failure *f)
{
    for (int i = 0; i < run->count && f->code == EXIT_OK; i++) {
        findings->topic = run->topics[i];
        conclude(run->subjects[i], claims_run_units(run, i), run->sums[i], findings, f);
    }
}

void claims_run_free(claims_run *run)
{
    for (int i = 0; i < run->count; i++) {
        free(run->sums[i]);
        run->sums[i] = NULL;
    }
}
