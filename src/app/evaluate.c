/*
 * Held-out loss over ranks; see evaluate.h.
 */
#include "app/evaluate.h"
#include "app/stop_signal.h"
#include "app/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers a unit has in the table that the ranks add up; behind it a mark: not all there. */
enum { UNIT_LOSS, UNIT_WEIGHT, UNIT_CORRECT, UNIT_NUMBERS };

int64_t evaluate_unit_count(const training *t)
{
    int64_t all = t->workload->held_out_units;
    int64_t limit = t->options->held_out_units;
    return limit > 0 && limit < all ? limit : all;
}

/* The units of this rank into their rows; false if it has to stop early. */
static bool evaluate_share(training *t, double *table, int64_t count)
{
    workload *w = t->workload;
    for (int64_t i = t->ranks.rank; i < count; i += t->ranks.count) {
        double *row = table + i * UNIT_NUMBERS;
        int64_t unit = (int64_t)((double)i * ((double)w->held_out_units / (double)count));
        if (stop_signal_seen() != 0) {
            return false;
        }
        if (w->kind->held_out(w, unit, &row[UNIT_LOSS], &row[UNIT_WEIGHT], &row[UNIT_CORRECT]) !=
            0) {
            failure_set(&t->failure, EXIT_LIBRARY, "held-out evaluation on rank %d: %s",
                        t->ranks.rank, w->message);
            return false;
        }
    }
    return true;
}

static held_out add_up(const double *table, int64_t count)
{
    double loss = 0.0, weight = 0.0, correct = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double *row = table + i * UNIT_NUMBERS;
        loss += row[UNIT_LOSS] * row[UNIT_WEIGHT];
        weight += row[UNIT_WEIGHT];
        correct += row[UNIT_CORRECT];
    }
    return (held_out){loss / weight, correct / weight};
}

held_out evaluate(training *t)
{
    double began = MPI_Wtime();
    held_out result = {NAN, NAN};
    int64_t count = evaluate_unit_count(t);
    double *table = calloc((size_t)(count * UNIT_NUMBERS + 1), sizeof *table);
    failure f = {0, ""};
    if (table == NULL) {
        failure_set(&f, EXIT_LIBRARY, "no memory for the held-out losses");
    }
    if (ranks_agree(&t->ranks, &f) != EXIT_OK || table == NULL) {
        free(table);
        failure_set(&t->failure, f.code, "%s", f.message);
        return result;
    }
    double *mark = table + count * UNIT_NUMBERS;
    if (!evaluate_share(t, table, count)) {
        *mark = 1.0;
        if (t->failure.code == EXIT_OK) {
            summary_note_interruption(t);
        }
    }
    ranks_add(&t->ranks, table, count * UNIT_NUMBERS + 1);
    if (*mark <= 0.0 && count > 0) {
        result = add_up(table, count);
    }
    free(table);
    t->totals.evaluation_seconds += MPI_Wtime() - began;
    return result;
}

/* Puts the averages in the place of the parameters, which it keeps. False: there are none yet. */
static bool take_averages(training *t)
{
    float *kept = t->plain_values;
    for (int i = 0; i < t->workload->parameter_count; i++) {
        const workload_parameter *p = &t->workload->parameters[i];
        size_t count = (size_t)(p->rows * p->cols);
        memcpy(kept, p->values, count * sizeof *kept);
        kept += count;
        plumb_status status = plumb_averaged_values(t->plumb, t->ids[i], p->values);
        if (status == PLUMB_ERROR_ORDER && i == 0) {
            return false; /* nothing was written */
        }
        failure_from_library(&t->failure, status, NULL);
    }
    return true;
}

static void take_back(training *t)
{
    const float *kept = t->plain_values;
    for (int i = 0; i < t->workload->parameter_count; i++) {
        const workload_parameter *p = &t->workload->parameters[i];
        size_t count = (size_t)(p->rows * p->cols);
        memcpy(p->values, kept, count * sizeof *kept);
        kept += count;
    }
}

held_out evaluate_average(training *t)
{
    held_out result = {NAN, NAN};
    if (take_averages(t)) {
        result = evaluate(t);
        take_back(t);
    }
    return result;
}
